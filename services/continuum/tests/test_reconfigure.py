"""A slot moves to other cells under load, whoever moves it dies where it may, and no record lives twice."""

import asyncio
from dataclasses import dataclass, field, replace

import pytest
from catalyst_continuum.domain import reconfigure as moves
from catalyst_continuum.domain.lease import NO_WRITERS as STOPPED
from catalyst_continuum.domain.lease import Refusal, bootstrap, freeze, handoff, renew, thaw
from catalyst_continuum.domain.reconfigure import Seen, Step
from catalyst_continuum.domain.record import Lease, State
from catalyst_continuum.workers.outcomes import Committed, Refused, Unknown
from catalyst_continuum.workers.reconfigure import Configuration, Reconfiguration
from catalyst_continuum.workers.register import Register
from catalyst_testkit import eventually

from .test_register import EAST, SLOT, WEST
from .witnesses import MemoryWitness

NEW = moves.key_of(SLOT, "c2")


def held() -> Lease:
    lease = bootstrap(None, EAST)
    assert isinstance(lease, Lease)
    return lease


def stopped() -> Lease:
    lease = freeze(held(), "cccccccc")
    assert isinstance(lease, Lease)
    return lease


def grave() -> Lease:
    lease = moves.buried(stopped(), stopped(), "c2", "dddddddd")
    assert isinstance(lease, Lease)
    return lease


@pytest.mark.parametrize(
    ("seen", "step"),
    [
        (Seen(None, None, False, False), Step.ADMIT),
        (Seen(None, None, True, False), Step.DONE),
        (Seen(held(), None, False, False), Step.FREEZE),
        (Seen(stopped(), None, False, False), Step.COPY),
        (Seen(stopped(), held(), False, False), Step.COPY),
        (Seen(stopped(), stopped(), False, False), Step.BURY),
        (Seen(grave(), stopped(), False, False), Step.ADMIT),
        (Seen(grave(), stopped(), True, False), Step.THAW),
        (Seen(grave(), stopped(), True, True), Step.DONE),
        (Seen(grave(), held(), True, False), Step.DONE),
    ],
)
def test_what_follows_is_seen_in_the_registers(seen: Seen, step: Step) -> None:
    assert moves.following(seen, "c2") is step


def test_who_wants_another_configuration_is_told_where_the_record_went() -> None:
    assert moves.following(Seen(grave(), stopped(), False, False), "c3") == Refusal(
        "the record has moved to the configuration c2"
    )


def test_a_slot_that_is_handed_over_moves_afterwards() -> None:
    given = handoff(held(), EAST, 1, to=WEST.region, lsn="0", run="", proof=STOPPED)
    assert isinstance(given, Lease)
    assert isinstance(moves.following(Seen(given, None, False, False), "c2"), Refusal)


def test_nothing_is_done_with_a_record_that_was_buried() -> None:
    for done in (renew(grave(), EAST, 1), thaw(grave(), "eeeeeeee"), freeze(grave(), "eeeeeeee"),
                 moves.buried(grave(), grave(), "c2", "eeeeeeee")):  # fmt: skip
        assert isinstance(done, Refusal)


def test_a_copy_that_comes_late_takes_the_place_of_no_later_record() -> None:
    late = stopped()
    newer = replace(late, seq=late.seq + 1, nonce="ffffffff")
    next_epoch = replace(late, epoch=late.epoch + 1, seq=late.seq - 1)
    for stands in (late, newer, next_epoch, grave(), replace(held(), seq=0)):
        assert isinstance(moves.copied(stands, late), Refusal), stands
    assert moves.copied(None, late) == moves.copied(replace(late, seq=late.seq - 1), late) == late


@pytest.mark.parametrize(("new", "is_fine"), [("abd", True), ("abc", True), ("ade", False), ("def", False)])
def test_a_majority_of_the_cells_is_kept(new: str, is_fine: bool) -> None:
    assert (moves.faults("abc", new) == []) is is_fine


def test_the_name_of_a_record_says_its_configuration_once() -> None:
    assert moves.key_of("demo/shop", "c2") == "demo/shop@c2" == moves.key_of("demo/shop@c1", "c2")
    assert moves.key_of("demo/shop@c1", "") == "demo/shop"


class Died(Exception):
    """Whoever moved the slot is gone."""


@dataclass
class Bench:
    """Old and new cells, of which two are the same servers, and what the resource says."""

    cells: MemoryWitness = field(default_factory=lambda: MemoryWitness(names=("a", "b", "c", "d")))
    configuration: str = ""

    def register(self, names: str, proposer: str) -> Register:
        one = MemoryWitness(tuple(names), values=self.cells.values, down=self.cells.down)
        return Register(one, proposer)

    def reconfiguration(self, life: int, dies_after: int = 99) -> Reconfiguration:
        old, new = (self.register(names, f"p-{life}{names}") for names in ("abc", "abd"))

        async def admit() -> None:
            self.configuration = "c2"

        left = [dies_after]
        for register in (old, new):
            change = register.change

            async def dying(slot: str, operation: object, change: object = change) -> object:
                if left[0] == 0:
                    raise Died
                left[0] -= 1
                return await change(slot, operation)  # type: ignore[operator]

            register.change = dying  # type: ignore[method-assign, assignment]
        return Reconfiguration(SLOT, old=Configuration("", old), new=Configuration("c2", new), admit=admit)


async def test_a_slot_moves_while_its_holder_renews_and_the_holder_goes_on_in_the_new_cells() -> None:
    bench, stop, renewed = Bench(), asyncio.Event(), list[int]()
    old, new = bench.register("abc", "p-1"), bench.register("abd", "p-1")
    assert isinstance(await old.change(SLOT, lambda lease: bootstrap(lease, EAST)), Committed)

    async def hold() -> None:
        while not stop.is_set():
            register, key = (new, NEW) if bench.configuration else (old, SLOT)
            outcome = await register.change(key, lambda lease: renew(lease, EAST, 1))
            if isinstance(outcome, Committed) and outcome.lease is not None:
                renewed.append(outcome.lease.seq)
            await asyncio.sleep(0.02)

    holding = asyncio.create_task(hold())
    try:
        assert await bench.reconfiguration(1).run() is Step.DONE
        before = len(renewed)
        await eventually(lambda: len(renewed) > before + 2 or holding.done(), within=60)
    finally:
        stop.set()
        await holding
    assert renewed == sorted(set(renewed)), "no number was told twice, and none goes back"
    seen = await new.read(NEW)
    assert isinstance(seen, Committed)
    assert seen.lease is not None
    assert (seen.lease.epoch, seen.lease.state, seen.lease.holder) == (1, State.HELD, EAST.region)
    assert isinstance(await old.change(SLOT, lambda lease: renew(lease, EAST, 1)), Refused)


@pytest.mark.parametrize("dies_after", range(6))
async def test_whoever_dies_between_two_steps_is_gone_on_for(dies_after: int) -> None:
    bench = Bench()
    await bench.register("abc", "p-0").change(SLOT, lambda lease: bootstrap(lease, EAST))
    try:
        await bench.reconfiguration(1, dies_after).run()
    except Died:
        assert dies_after < 4
    assert await bench.reconfiguration(2).run(admitted=bool(bench.configuration)) is Step.DONE
    seen = await bench.register("abd", "p-9").read(NEW)
    assert isinstance(seen, Committed)
    assert seen.lease is not None
    assert (seen.lease.epoch, seen.lease.state, seen.lease.holder) == (1, State.HELD, EAST.region)


async def test_without_a_majority_of_either_nothing_moves() -> None:
    bench = Bench()
    await bench.register("abc", "p-0").change(SLOT, lambda lease: bootstrap(lease, EAST))
    bench.cells.down |= {"b", "d"}
    assert isinstance(await bench.reconfiguration(1).run(), Unknown)
    assert bench.configuration == ""
    bench.cells.down -= {"b", "d"}
    assert await bench.reconfiguration(2).run() is Step.DONE
