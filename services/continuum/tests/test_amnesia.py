"""A cell that forgets counts as down until it is admitted, over restarts too, and no register is begun a second time."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from catalyst_continuum.domain import ballot
from catalyst_continuum.domain.ballot import UNWRITTEN, Acceptor, Ballot
from catalyst_continuum.domain.lease import bootstrap
from catalyst_continuum.store import Remembered, Store, metadata
from catalyst_continuum.workers.cell_memory import KeptMemory, Memory
from catalyst_continuum.workers.outcomes import Committed, NotQuarantined, Unknown
from catalyst_continuum.workers.register import Register
from catalyst_mesh import Database, Work

from .test_register import EAST, SLOT, count
from .witnesses import MemoryWitness


async def written(cells: MemoryWitness, register: Register, times: int = 2) -> None:
    for _ in range(times):
        assert isinstance(await register.change(SLOT, count), Committed)
    await register.look(SLOT)


def quarantined(register: Register) -> list[str]:
    return [view.name for view in register.cells_of(SLOT) if view.quarantined]


def seq(outcome: object) -> int:
    assert isinstance(outcome, Committed), outcome
    assert outcome.lease is not None
    return outcome.lease.seq


async def test_a_wiped_cell_is_quarantined_until_it_is_admitted_and_then_has_the_record() -> None:
    cells = MemoryWitness()
    register = Register(cells, "p-1")
    await written(cells, register)
    del cells.values["b", SLOT]
    await register.look(SLOT)
    assert quarantined(register) == ["b"]
    assert seq(await register.change(SLOT, count)) == 3
    assert ("b", SLOT) not in cells.values, "nothing is written to a cell that forgot"
    assert seq(await register.admit(SLOT, "b")) == 3
    assert quarantined(register) == []
    cells.down = {"a"}
    assert seq(await register.change(SLOT, count)) == 4, "it makes a majority again"


async def test_a_cell_that_is_set_back_is_no_witness_for_what_another_one_has_missed() -> None:
    cells = MemoryWitness()
    register = Register(cells, "p-1")
    await written(cells, register)
    snapshot = cells.values["b", SLOT]
    cells.down = {"c"}
    await written(cells, register, 1)
    await register.close()
    cells.down, cells.values["b", SLOT] = set(), snapshot
    assert cells.values["b", SLOT] == cells.values["c", SLOT], "two of three show the older record"
    assert seq(await register.read(SLOT)) == 3
    cells.down = {"a"}
    assert isinstance(await register.glance(SLOT), Unknown)


async def test_a_cell_set_back_to_what_it_once_held_is_quarantined() -> None:
    cells = MemoryWitness()
    register = Register(cells, "p-1")
    await written(cells, register)
    snapshot = cells.values["b", SLOT]
    await written(cells, register)
    cells.values["b", SLOT] = snapshot
    await register.look(SLOT)
    assert quarantined(register) == ["b"]
    cells.down = {"a"}
    assert isinstance(await register.change(SLOT, count), Unknown)


async def test_a_promise_that_was_given_anew_does_not_hide_that_a_value_is_forgotten() -> None:
    cells = MemoryWitness()
    register = Register(cells, "p-1")
    await written(cells, register)
    cells.values["b", SLOT] = ballot.write(Acceptor(Ballot(99, "stranger")))
    await register.look(SLOT)
    assert quarantined(register) == ["b"]


async def test_a_cell_is_admitted_only_with_a_majority_of_all_among_the_others() -> None:
    cells = MemoryWitness()
    register = Register(cells, "p-1")
    await written(cells, register)
    del cells.values["b", SLOT]
    cells.down = {"c"}
    assert isinstance(await register.admit(SLOT, "b"), Unknown)
    assert ("b", SLOT) not in cells.values


async def test_a_cell_that_remembers_all_is_not_admitted() -> None:
    cells = MemoryWitness()
    register = Register(cells, "p-1")
    await written(cells, register)
    before = dict(cells.values)
    assert await register.admit(SLOT, "b") == NotQuarantined()
    assert cells.values == before


async def test_a_corrupt_cell_is_mended_by_an_admission_alone() -> None:
    cells = MemoryWitness()
    register = Register(cells, "p-1")
    await written(cells, register)
    cells.values["b", SLOT] = b"two strings"
    assert seq(await register.change(SLOT, count)) == 3
    assert cells.values["b", SLOT] == b"two strings"
    assert seq(await register.admit(SLOT, "b")) == 3
    assert seq(await register.change(SLOT, count)) == 4
    assert ballot.read(cells.values["b", SLOT]).has_value


async def test_where_all_cells_were_wiped_the_slot_is_not_begun_anew() -> None:
    cells, memory = MemoryWitness(), Memory()
    await written(cells, Register(cells, "p-1", memory=memory))
    cells.values.clear()
    later = Register(cells, "p-2", memory=memory)
    assert isinstance(await later.change(SLOT, lambda lease: bootstrap(lease, EAST)), Unknown)
    assert not cells.values


async def test_whoever_remembers_one_cell_does_not_begin_on_two_that_are_empty() -> None:
    cells, memory = MemoryWitness(), Memory()
    memory.note(SLOT, "a", Acceptor(Ballot(3, "p-1"), Ballot(3, "p-1")))
    cells.down = {"a"}
    outcome = await Register(cells, "p-2", memory=memory).change(SLOT, lambda lease: bootstrap(lease, EAST))
    assert isinstance(outcome, Unknown)
    assert "AmnesiacCell" in outcome.why


async def test_an_answer_that_was_overtaken_is_no_amnesia() -> None:
    """A look that began before a renewal shows what stood there then."""
    cells = MemoryWitness()
    register = Register(cells, "p-1")
    await written(cells, register)
    at_once, old = cells.read, dict(cells.values)

    async def slow(*, cell: str, slot: str) -> bytes | None:
        await register.change(SLOT, count)
        cells.read = at_once  # type: ignore[method-assign]
        return old[cell, slot]

    cells.read = slow  # type: ignore[method-assign]
    await register.look(SLOT)
    assert quarantined(register) == []


async def test_a_cell_that_lacks_the_record_for_too_long_is_brought_up_to_date_by_a_read() -> None:
    cells, now = MemoryWitness(), [0.0]
    holder = Register(cells, "p-1")
    await written(cells, holder)
    cells.down = {"b"}
    await written(cells, holder)
    cells.down = set()
    reader = Register(cells, "p-2", clock=lambda: now[0], behind=15.0)
    before = cells.values["b", SLOT]
    for at in (0.0, 14.0):
        now[0] = at
        assert seq(await reader.read(SLOT)) == 4
        assert cells.values["b", SLOT] == before
        assert {view.name: view.lag > 0 for view in reader.cells_of(SLOT)} == {"a": False, "b": True, "c": False}
    now[0] = 16.0
    assert seq(await reader.read(SLOT)) == 4
    await reader.close()
    assert [ballot.read(cells.values[cell, SLOT]).value for cell in "ab"] == [
        ballot.read(cells.values["c", SLOT]).value
    ] * 2


@pytest.fixture(scope="module")
def package() -> str:
    return "catalyst_continuum"


@pytest.fixture
async def work(database: str) -> AsyncIterator[Work[Store]]:
    db = await Database.open(database)
    yield Work(db, Store, metadata=metadata)
    await db.close()


def state(promised: int, accepted: int = 0) -> Acceptor:
    return Acceptor(Ballot(promised, "p-1"), Ballot(accepted, "p-1") if accepted else UNWRITTEN.accepted)


async def test_what_cells_showed_is_known_after_a_restart_by_disk_and_by_store(
    work: Work[Store], tmp_path: Path
) -> None:
    memory = KeptMemory(tmp_path / "seen", work)
    memory.note(SLOT, "a", state(3, 2))
    memory.note(SLOT, "b", state(7))
    memory.note(SLOT, "a", state(5, 2))
    await memory.flush()
    for file in ("seen", "another disk"):
        again = KeptMemory(tmp_path / file, work)
        await again.load()
        assert again.floor(SLOT) == {"a": state(5, 2), "b": state(7)}
    memory.put(SLOT, "a", state(4))  # admitted with less: nothing was ever written there
    await memory.flush()
    for file in ("seen", "another disk"):
        again = KeptMemory(tmp_path / file, work)
        await again.load()
        assert again.floor(SLOT)["a"] == state(4)


@pytest.mark.either_database
async def test_the_disk_alone_remembers_too_and_a_torn_line_hides_no_other(work: Work[Store], tmp_path: Path) -> None:
    memory = KeptMemory(tmp_path / "seen", work)
    memory.note(SLOT, "a", state(3, 2))
    await memory.flush(store=False)
    with (tmp_path / "seen").open("a") as torn:
        torn.write(f"shown {SLOT} b 9")
    memory.note(SLOT, "c", state(4))
    await memory.flush(store=False)
    again = KeptMemory(tmp_path / "seen", work)
    await again.load()
    assert again.floor(SLOT) == {"a": state(3, 2), "c": state(4)}


@pytest.mark.either_database
async def test_the_file_does_not_grow_for_ever(work: Work[Store], tmp_path: Path) -> None:
    memory = KeptMemory(tmp_path / "seen", work)
    for n in range(1, 3000):
        memory.note(SLOT, "a", state(n))
        if n % 500 == 0:
            await memory.flush(store=False)
    await memory.flush(store=False)
    assert len((tmp_path / "seen").read_text().splitlines()) < 1100
    again = KeptMemory(tmp_path / "seen", work)
    await again.load()
    assert again.floor(SLOT)["a"] == state(2999)


@pytest.mark.either_database
async def test_of_two_replicas_the_one_that_saw_less_takes_nothing_away(work: Work[Store], tmp_path: Path) -> None:
    for promised in (9, 5):
        memory = KeptMemory(tmp_path / f"of {promised}", work)
        memory.note(SLOT, "a", state(promised))
        await memory.flush()
    async with work.reading() as tx:
        assert await tx.remembered() == [Remembered(SLOT, "a", state(9))]
    assert memory.floor(SLOT)["a"] == state(9), "and it heard of the other's"


def test_what_is_remembered_has_no_value() -> None:
    memory = Memory()
    memory.note(SLOT, "a", replace(state(3, 2), value="c1 and so on"))
    assert memory.floor(SLOT)["a"] == state(3, 2)
