"""The register: what is committed is never lost and never doubled, whatever the cells do."""

import asyncio
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import pytest
from catalyst_continuum.domain import ballot, record
from catalyst_continuum.domain import register as rounds
from catalyst_continuum.domain.ballot import Acceptor, Ballot
from catalyst_continuum.domain.lease import NO_WRITERS, Me, Refusal, acquire, bootstrap, release, renew
from catalyst_continuum.domain.record import Lease, State
from catalyst_continuum.domain.register import Round, Shown, Told, Verdict, Write
from catalyst_continuum.workers.outcomes import Committed, Refused, Unknown
from catalyst_continuum.workers.register import Register
from catalyst_sdk.witness import Swap
from catalyst_testkit import eventually

from .witnesses import MemoryWitness

EAST = Me("sb-east-mgt-prod", 10_000, "aaaaaaaa")
WEST = Me("sb-west-mgt-prod", 10_000, "bbbbbbbb")
SLOT = "catalyst-system/omantel"


def count(lease: Lease | None) -> Lease | Refusal:
    """One more write, nobody else's; `seq` counts them."""
    nonce = secrets.token_hex(4)
    return replace(lease, seq=lease.seq + 1, nonce=nonce) if lease else bootstrap(lease, replace(EAST, nonce=nonce))


async def test_a_committed_record_is_read_by_another_proposer() -> None:
    cells = MemoryWitness()
    outcome = await Register(cells, "p-1").change(SLOT, lambda lease: bootstrap(lease, EAST))
    assert isinstance(outcome, Committed)
    seen = await Register(cells, "p-2").read(SLOT)
    assert isinstance(seen, Committed)
    assert seen.lease == outcome.lease


async def test_of_two_bootstraps_one_wins() -> None:
    cells = MemoryWitness()
    outcomes = await asyncio.gather(
        Register(cells, "p-1").change(SLOT, lambda lease: bootstrap(lease, EAST)),
        Register(cells, "p-2").change(SLOT, lambda lease: bootstrap(lease, WEST)),
    )
    assert sorted(type(o).__name__ for o in outcomes) == ["Committed", "Refused"]


@pytest.mark.parametrize("down", [set(), {"a"}, {"b"}, {"c"}])
async def test_a_minority_of_cells_down_changes_nothing(down: set[str]) -> None:
    cells = MemoryWitness()
    register = Register(cells, "p-1")
    assert isinstance(await register.change(SLOT, count), Committed)
    cells.down = down
    for _ in range(5):
        assert isinstance(await register.change(SLOT, count), Committed)
    cells.down = set()
    seen = await Register(cells, "p-2").read(SLOT)
    assert isinstance(seen, Committed)
    assert seen.lease is not None
    assert seen.lease.seq == 6


async def test_a_majority_down_is_unknown_and_never_a_grant() -> None:
    cells = MemoryWitness(down={"a", "b"})
    assert isinstance(await Register(cells, "p-1").change(SLOT, count), Unknown)
    assert isinstance(await Register(cells, "p-1").read(SLOT), Unknown)


@pytest.mark.parametrize("seed", range(8))
async def test_acknowledged_changes_are_unique_under_lost_messages_and_answers(seed: int) -> None:
    cells = MemoryWitness(lost_answers=0.1, lost_messages=0.05)
    cells.random.seed(seed)
    acked: list[int] = []
    unknown = 0

    async def propose(name: str) -> None:
        nonlocal unknown
        register = Register(cells, name)
        for _ in range(12):
            outcome = await register.change(SLOT, count)
            if isinstance(outcome, Committed):
                assert outcome.lease is not None
                acked.append(outcome.lease.seq)
            else:
                unknown += 1

    await asyncio.gather(*(propose(f"p-{n}") for n in range(3)))
    cells.lost_answers = cells.lost_messages = 0.0
    final = await Register(cells, "p-9").read(SLOT)
    assert isinstance(final, Committed)
    assert final.lease is not None
    assert len(acked) == len(set(acked)), "one record was acknowledged twice"
    assert len(acked) >= 10, "the test met too few changes to mean anything"
    assert max(acked) <= final.lease.seq <= len(acked) + unknown


def asked(operation: Callable[[Lease | None], Lease | Refusal]) -> tuple[Round, list[Write]]:
    """A round that three cells have promised, and what it sends to be accepted."""
    round_, _ = rounds.ask("p-1", ("a", "b", "c"), 0, {})
    for cell in "abc":
        round_, _ = rounds.hear(round_, Shown(cell, None), operation)
        round_, _ = rounds.hear(round_, Told(cell, Swap.APPLIED), operation)
    return round_, [Write(cell, seat.raw, seat.sent) for cell, seat in round_.seats.items()]


def test_an_accept_that_is_not_seen_may_still_arrive_and_is_not_made_again() -> None:
    round_, accepts = asked(count)
    for accept in accepts:
        round_, _ = rounds.hear(round_, Told(accept.cell, Swap.UNKNOWN), count)
        round_, _ = rounds.hear(round_, Shown(accept.cell, accept.old), count)
    assert round_.verdict is Verdict.TORN


def test_an_accept_that_another_promise_covers_is_not_made_again_either() -> None:
    round_, accepts = asked(count)
    for accept in accepts:
        ours = ballot.read(accept.new)
        covered = ballot.write(Acceptor(Ballot(9, "p-2"), ours.accepted, ours.value))
        round_, _ = rounds.hear(round_, Told(accept.cell, Swap.UNKNOWN), count)
        round_, _ = rounds.hear(round_, Shown(accept.cell, covered), count)
    assert round_.verdict is Verdict.TORN


def test_a_promise_that_a_majority_gave_is_no_record_that_it_accepted() -> None:
    promised, first, second = Ballot(5, "p-1"), Ballot(3, "p-1"), Ballot(4, "p-2")
    one, other = (record.write(Lease(1, n, State.HELD, EAST.region, nonce=EAST.nonce)) for n in (1, 2))
    shown = {
        "a": ballot.write(Acceptor(promised, first, one)), "b": ballot.write(Acceptor(promised, second, other)),
        "c": None,
    }  # fmt: skip
    assert rounds.agreed(shown, 3, {}) is None
    assert rounds.agreed({**shown, "c": shown["b"]}, 3, {}) == Acceptor(promised, second, other)


@dataclass
class Vanishing(MemoryWitness):
    """Accepts of `p-1` are under way for ever: nobody hears whether they have arrived."""

    accepts: list[Acceptor] = field(default_factory=list)
    promises: list[Acceptor] = field(default_factory=list)

    async def swap(self, *, cell: str, slot: str, old: bytes | None, new: bytes) -> Swap:
        state = ballot.read(new)
        if state.accepted.proposer == "p-1":
            self.accepts.append(state)
            return Swap.UNKNOWN
        self.promises.append(state)
        return await super().swap(cell=cell, slot=slot, old=old, new=new)


async def test_what_stands_of_another_is_no_grant_of_a_change_that_nobody_heard_of() -> None:
    cells = Vanishing()
    assert isinstance(await Register(cells, "p-2").change(SLOT, count), Committed)
    assert isinstance(await Register(cells, "p-1").change(SLOT, count), Unknown)
    assert cells.accepts, "it came as far as that"


async def test_no_round_begins_under_a_ballot_that_an_accept_under_way_may_still_bring() -> None:
    cells = Vanishing()
    register = Register(cells, "p-1")
    assert isinstance(await register.change(SLOT, count), Unknown)
    under_way = max(one.promised for one in cells.accepts)
    cells.promises.clear()
    await register.change(SLOT, count)
    assert min(one.promised for one in cells.promises) > under_way


async def test_a_renewal_takes_one_swap_a_cell_while_nobody_competes() -> None:
    cells = MemoryWitness()
    register = Register(cells, "p-1")
    await register.change(SLOT, count)
    before = dict(cells.values)
    cells.down = set()
    reads = 0

    async def counted(*, cell: str, slot: str) -> bytes | None:
        nonlocal reads
        reads += 1
        return before.get((cell, slot))

    cells.read = counted  # type: ignore[method-assign]
    assert isinstance(await register.change(SLOT, count), Committed)
    assert reads == 0


async def test_a_stale_holder_cannot_renew_an_old_epoch() -> None:
    cells = MemoryWitness()
    old, new = Register(cells, "p-1"), Register(cells, "p-2")
    await old.change(SLOT, lambda lease: bootstrap(lease, EAST))
    await new.change(SLOT, lambda lease: release(lease, EAST, 1, NO_WRITERS))
    taken = await new.change(SLOT, lambda lease: acquire(lease, WEST))
    assert isinstance(taken, Committed)
    assert taken.lease is not None
    assert (taken.lease.epoch, taken.lease.state) == (2, State.HELD)
    refused = await old.change(SLOT, lambda lease: renew(lease, EAST, 1))
    assert isinstance(refused, Refused)
    assert refused.lease == taken.lease


async def test_a_cell_that_lost_its_memory_does_not_count() -> None:
    cells = MemoryWitness()
    register = Register(cells, "p-1")
    await register.change(SLOT, count)
    await register.look(SLOT)
    del cells.values["b", SLOT]
    await register.look(SLOT)
    assert "lost its memory" in register.views["b"].message
    cells.down = {"a"}
    assert isinstance(await register.read(SLOT), Unknown), "one cell that remembers is no majority"


async def test_a_change_does_not_wait_for_a_cell_that_is_slow_and_brings_it_up_to_date() -> None:
    cells, woken = MemoryWitness(), asyncio.Event()
    at_once = cells.swap

    async def slow(*, cell: str, slot: str, old: bytes | None, new: bytes) -> object:
        if cell == "b":
            await woken.wait()
        return await at_once(cell=cell, slot=slot, old=old, new=new)

    cells.swap = slow  # type: ignore[method-assign, assignment]
    register = Register(cells, "p-1")
    assert isinstance(await register.change(SLOT, count), Committed)
    woken.set()
    await eventually(lambda: cells.values.get(("b", SLOT)) == cells.values["a", SLOT], within=60)
    await register.close()


async def test_what_is_granted_counts_from_before_the_first_message() -> None:
    cells, now = MemoryWitness(), [100.0]
    swap, read = cells.swap, cells.read

    async def slow_swap(*, cell: str, slot: str, old: bytes | None, new: bytes) -> Swap:
        now[0] += 1.0
        return await swap(cell=cell, slot=slot, old=old, new=new)

    async def slow_read(*, cell: str, slot: str) -> bytes | None:
        now[0] += 1.0
        return await read(cell=cell, slot=slot)

    cells.swap, cells.read = slow_swap, slow_read  # type: ignore[method-assign]
    register = Register(cells, "p-1", lambda: now[0])
    for ask in (
        lambda: register.change(SLOT, count),
        lambda: register.change(SLOT, count),
        lambda: register.read(SLOT),
    ):
        began = now[0]
        outcome = await ask()
        assert isinstance(outcome, Committed)
        assert outcome.sent_at == began < now[0]
    await register.close()


async def test_what_is_no_state_of_a_cell_is_left_as_it_is() -> None:
    cells = MemoryWitness(values={("c", SLOT): b"written by somebody else"})
    register = Register(cells, "p-1")
    for _ in range(2):
        assert isinstance(await register.change(SLOT, count), Committed)
    await register.close()
    assert cells.values["c", SLOT] == b"written by somebody else", "only an admission replaces it"
    cells.down = {"a"}
    assert isinstance(await Register(cells, "p-2").change(SLOT, count), Unknown), "and it counts for nothing"
