"""Changes of one parent, gathered."""

import asyncio

import pytest
from catalyst.pooldomain.v1.resources_pb2 import Allocation
from catalyst_pool_domain_manager.workers.parents import CROWD, Parents
from catalyst_sdk import Permanent, Temporary
from catalyst_sdk.dns import Change, ZoneState

from .calls import POOL, commitment, provisioner, reserve, until
from .conftest import Dns, Start

pytestmark = pytest.mark.either_database

ZONE = "omani.works."


class Ledger:
    """Takes changes as a backend does, and refuses a whole one that has a bad part."""

    def __init__(self, failure: Exception | None = None) -> None:
        self.taken: list[list[str]] = []
        self.tries = 0
        self._failure = failure

    async def get_zone(self, *, zone: str) -> ZoneState:
        return ZoneState(zone, "", 1, 7, False, (), (), "")

    async def apply(self, *, zone: str, changes: tuple[Change, ...], revision: int) -> None:
        assert revision == 8
        self.tries += 1
        if self._failure:
            raise self._failure
        if any(c.name == "bad." for c in changes):
            raise Permanent("RECORD_INVALID", "bad")
        self.taken.append(sorted(c.name for c in changes))


def of(name: str) -> tuple[Change, ...]:
    return (Change(name, "NS", 1, ("ns1.omani.works.",)),)


async def test_wishes_of_one_moment_become_one_change() -> None:
    ledger, parents = Ledger(), Parents(0.01)
    await asyncio.gather(*(parents.apply(ledger, ZONE, f"n{n}.", of(f"n{n}.")) for n in range(50)))  # type: ignore[arg-type]
    assert ledger.taken == [sorted(f"n{n}." for n in range(50))]


async def test_only_the_guilty_child_is_refused() -> None:
    ledger, parents = Ledger(), Parents(0.01)
    names = [f"n{n}." for n in range(8)] + ["bad."] + [f"m{n}." for n in range(7)]
    outcomes = await asyncio.gather(
        *(parents.apply(ledger, ZONE, name, of(name)) for name in names),
        return_exceptions=True,  # type: ignore[arg-type]
    )
    assert [name for name, outcome in zip(names, outcomes, strict=True) if outcome is not None] == ["bad."]
    assert sorted(name for taken in ledger.taken for name in taken) == sorted(set(names) - {"bad."})
    assert ledger.tries <= 10


async def test_a_refusal_that_names_the_guilty_ones_costs_one_change_more() -> None:
    class Exact(Ledger):
        async def apply(self, *, zone: str, changes: tuple[Change, ...], revision: int) -> None:
            bad = [str(n) for n, c in enumerate(changes) if c.name.startswith("bad")]
            self.tries += 1
            if bad:
                raise Permanent("RECORD_INVALID", "bad", positions=",".join(bad))
            self.taken.append(sorted(c.name for c in changes))

    ledger, parents = Exact(), Parents(0.01)
    names = ["n1.", "bad1.", "n2.", "bad2.", "n3."]
    wishes = (parents.apply(ledger, ZONE, name, of(name) * 2) for name in names)  # type: ignore[arg-type]
    outcomes = await asyncio.gather(*wishes, return_exceptions=True)
    assert [name for name, outcome in zip(names, outcomes, strict=True) if outcome] == ["bad1.", "bad2."]
    assert ledger.taken == [["n1.", "n1.", "n2.", "n2.", "n3.", "n3."]]


async def test_what_no_child_is_guilty_of_is_told_to_all_at_once() -> None:
    ledger, parents = Ledger(Permanent("CONFLICT", "somebody else wrote")), Parents(0.01)
    wishes = (parents.apply(ledger, ZONE, f"n{n}.", of(f"n{n}.")) for n in range(4))  # type: ignore[arg-type]
    outcomes = await asyncio.gather(*wishes, return_exceptions=True)
    assert [getattr(outcome, "reason", "") for outcome in outcomes] == ["CONFLICT"] * 4
    assert ledger.tries == 1


async def test_a_change_waits_for_those_on_their_way_as_long_as_they_move_and_no_longer() -> None:
    ledger, parents = Ledger(), Parents(0.02)
    for name in ("a.", "b.", "stuck."):
        parents.expect(ZONE, name)
    first = asyncio.create_task(parents.apply(ledger, ZONE, "a.", of("a.")))  # type: ignore[arg-type]
    await asyncio.sleep(0)
    parents.expect(ZONE, "late.")
    second = asyncio.create_task(parents.apply(ledger, ZONE, "b.", of("b.")))  # type: ignore[arg-type]
    await asyncio.wait_for(asyncio.gather(first, second), 60)
    assert ledger.taken == [["a.", "b."]]
    parents.excuse(ZONE, "stuck.")
    parents.excuse(ZONE, "late.")
    assert parents._coming == {}


@pytest.mark.parametrize(("others", "waits"), [(CROWD - 2, False), (CROWD, True)])
async def test_in_a_crowd_a_change_waits_for_those_who_set_out_later_too(others: int, waits: bool) -> None:
    ledger, parents = Ledger(), Parents(1.0)
    for n in range(others):
        parents.expect(ZONE, f"n{n}.")
    wish = asyncio.create_task(parents.apply(ledger, ZONE, "n0.", of("n0.")))  # type: ignore[arg-type]
    await asyncio.sleep(0)
    parents.expect(ZONE, "late.")
    assert ("late." in parents._gatherings[ZONE].awaited) is waits
    wish.cancel()


async def test_an_unknown_outcome_is_told_to_everybody_and_not_tried_again_by_halves() -> None:
    ledger, parents = Ledger(Temporary("cut off")), Parents(0.01)
    outcomes = await asyncio.gather(
        *(parents.apply(ledger, ZONE, f"n{n}.", of(f"n{n}.")) for n in range(4)),
        return_exceptions=True,  # type: ignore[arg-type]
    )
    assert [type(outcome) for outcome in outcomes] == [Temporary] * 4
    assert ledger.tries == 1


async def test_who_stopped_waiting_holds_up_nobody() -> None:
    ledger, parents = Ledger(), Parents(0.01)
    gone = asyncio.create_task(parents.apply(ledger, ZONE, "bad.", of("bad.")))  # type: ignore[arg-type]
    stays = asyncio.create_task(parents.apply(ledger, ZONE, "n.", of("n.")))  # type: ignore[arg-type]
    await asyncio.sleep(0)
    gone.cancel()
    with pytest.raises(asyncio.CancelledError):
        await gone
    await asyncio.wait_for(stays, 60)
    assert ["n."] in ledger.taken


async def test_names_that_are_ready_at_one_moment_are_delegated_by_one_change(start: Start, dns: Dns) -> None:
    many = 24
    arrived: set[int] = set()
    everybody = asyncio.Event()

    async def assemble(point: str) -> None:
        """Nobody goes into C4 before all are there."""
        if point == "pdm.commit.c4.before":
            arrived.add(len(arrived))
            if len(arrived) == many:
                everybody.set()
            await everybody.wait()

    async with start(failpoint=assemble, batch_window=1.0) as daemon:
        held = [await reserve(daemon, f"name-{n}", owner=f"organizations/org-{n}") for n in range(many)]
        before = await dns.backend.get_zone(zone=ZONE)
        stub = provisioner(daemon)
        for n, one in enumerate(held):
            await stub.CommitAllocation(commitment(one.reservation_token, label=f"name-{n}"))
        for n in range(many):
            await until(daemon, Allocation.STATE_ACTIVE, name=f"{POOL}/allocations/name-{n}", within=60)
        after = await dns.backend.get_zone(zone=ZONE)
    assert before is not None
    assert after is not None
    assert after.serial - before.serial == 1


async def test_one_name_that_hangs_delays_no_other(start: Start) -> None:
    hung = asyncio.Event()
    first: list[str] = []

    async def hang_once(point: str) -> None:
        if point == "pdm.commit.c1.before" and not first:
            first.append(point)
            hung.set()
            await asyncio.Event().wait()

    async with start(failpoint=hang_once) as daemon:
        held = [await reserve(daemon, label) for label in ("slow", "quick")]
        stub = provisioner(daemon)
        await stub.CommitAllocation(commitment(held[0].reservation_token, label="slow"))
        await asyncio.wait_for(hung.wait(), 60)
        await stub.CommitAllocation(commitment(held[1].reservation_token, label="quick"))
        await until(daemon, Allocation.STATE_ACTIVE, name=f"{POOL}/allocations/quick")
