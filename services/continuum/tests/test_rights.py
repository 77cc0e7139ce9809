"""What an agent may do by what it has in the register: nothing that is not known, and nothing when its time is over."""

from dataclasses import replace
from typing import Any, cast

import pytest
from catalyst_continuum.domain import lease as operations
from catalyst_continuum.domain.authority import Authority, Moment
from catalyst_continuum.domain.duty import Duty
from catalyst_continuum.domain.lease import Me
from catalyst_continuum.domain.record import Lease
from catalyst_continuum.domain.record import State as Record
from catalyst_continuum.domain.runs import Kind, Run
from catalyst_continuum.domain.timing import FAST
from catalyst_continuum.domain.view import Claim, State
from catalyst_continuum.workers.memory import Remembered
from catalyst_continuum.workers.observe import Sight
from catalyst_continuum.workers.outcomes import Committed
from catalyst_continuum.workers.register import Register
from catalyst_continuum.workers.rights import Rights
from catalyst_continuum.workers.standing import AuthorityOver, Standing
from catalyst_continuum.workers.steps.scene import Scene
from catalyst_sdk.continuum import DatabaseView

from .witnesses import MemoryWitness

EAST, WEST, SLOT = "sb-east-rtz-dev", "sb-west-rtz-dev", "demo/shop"
NOTHING: Any = None


class Hand:
    """One agent's clock, disk and trace."""

    def __init__(self) -> None:
        self.boot, self.kept, self.seen = 100.0, Remembered(), list[str]()
        self.renewals = list[tuple[str, float]]()
        self.cells = MemoryWitness()
        self.register = Register(self.cells, "p-1", lambda: self.boot)
        self.standing = Standing(started_at=0.0, state=State.FENCED)
        duty = Duty(SLOT, EAST, (EAST, WEST), FAST)
        self.sight = Sight(duty, register=self.register, promoter=NOTHING, peers={}, clock=self.clock)
        self.rights = Rights(
            duty, register=self.register, sight=self.sight, standing=self.standing, memory=self, clock=self.clock,
            trace=self.trace, told=lambda authority: None, renewed=lambda *told: self.renewals.append(told),
        )  # fmt: skip
        run = Run("abcdefghij", SLOT, Kind.FAILOVER, WEST, EAST, 1, 2)
        self.scene = Scene(
            duty,
            NOTHING,
            self.rights,
            self.sight,
            self.standing,
            self,
            self.clock,
            {},
            self.trace,
            NOTHING,
            NOTHING,
            run,
        )

    def claim(self) -> Claim | None:
        return self.standing.claim

    def clock(self) -> Moment:
        return Moment(self.boot, 0.0)

    def read(self, slot: str) -> Remembered:
        return self.kept

    def keep(self, slot: str, what: Remembered) -> None:
        self.kept = what

    def trace(
        self, event: str, *, epoch: int = 0, seq: int = 0, deadline: float | None = None, effect: str = ""
    ) -> None:
        self.seen.append(event)


@pytest.fixture
def hand() -> Hand:
    return Hand()


async def test_a_claim_that_never_arrived_is_lost_though_the_record_is_one_s_own(hand: Hand) -> None:
    held = await hand.register.change(SLOT, lambda lease: operations.bootstrap(lease, Me(EAST, 10_000, "aaaaaaaa")))
    assert isinstance(held, Committed)
    await hand.sight.look()
    hand.standing.epoch = 1
    hand.cells.down = {"a", "b", "c"}
    await hand.rights.take_up()
    assert hand.claim() is Claim.UNKNOWN
    hand.cells.down = set()
    hand.boot += 5
    await hand.rights.settle()
    assert hand.claim() is Claim.LOST, "whoever watches the record has not seen it move since"
    assert hand.standing.authority is None


async def test_a_claim_of_unknown_outcome_that_stands_gives_authority_from_when_it_was_made(hand: Hand) -> None:
    await hand.register.change(SLOT, lambda lease: operations.bootstrap(lease, Me(EAST, 10_000, "aaaaaaaa")))
    await hand.sight.look()
    hand.standing.epoch = 1
    hand.cells.lost_answers = 1.0
    swap, reads = hand.cells.swap, hand.cells.read

    async def blind(*, cell: str, slot: str) -> bytes | None:
        hand.cells.down = {"a", "b", "c"}
        return await reads(cell=cell, slot=slot)

    hand.cells.read = blind  # type: ignore[method-assign]  # what was swapped cannot be read back
    await hand.rights.take_up()
    assert hand.claim() is Claim.UNKNOWN
    hand.cells.read, hand.cells.swap = reads, swap  # type: ignore[method-assign]
    hand.cells.down, hand.cells.lost_answers = set(), 0.0
    hand.boot += 3
    await hand.rights.settle()
    assert hand.claim() is Claim.COMMITTED
    assert hand.standing.authority == Authority(1, 100.0 + FAST.authority)


async def test_no_effect_is_begun_when_its_time_is_over_or_would_be_before_its_end(hand: Hand) -> None:
    begun = list[str]()

    async def doing() -> str:
        begun.append("it")
        return "done"

    hand.standing.epoch, hand.standing.authority = 2, Authority(2, 110.0)
    assert await hand.scene.effect("names", doing, expected=9.0) == "done"
    with pytest.raises(AuthorityOver):
        await hand.scene.effect("names", doing, expected=10.0)
    hand.boot = 110.0
    with pytest.raises(AuthorityOver):
        await hand.scene.effect("names", doing)
    assert begun == ["it"]
    assert hand.seen == ["begun", "done", "refused", "refused"]


@pytest.mark.parametrize("meanwhile", ["its time ends", "another epoch begins"])
async def test_what_an_effect_answers_too_late_is_not_believed(hand: Hand, meanwhile: str) -> None:
    async def doing() -> str:
        if meanwhile == "its time ends":
            hand.boot = 111.0
        else:
            hand.standing.epoch = 3
        return "done"

    hand.standing.epoch, hand.standing.authority = 2, Authority(2, 110.0)
    with pytest.raises(AuthorityOver):
        await hand.scene.effect("promote", doing)
    assert hand.seen == ["begun", "late"]


async def test_what_people_gave_without_cells_is_on_disk_before_it_is_used(hand: Hand) -> None:
    lease = Lease(4, 9, state=Record.HELD, holder=WEST, ttl_ms=10_000, nonce="aaaaaaaa")
    hand.rights.assume(lease)
    assert (hand.kept.unconfirmed, hand.kept.held, hand.kept.sent_at) == ((5, 9), 5, 100.0)
    assert hand.standing.authority == Authority(5, 100.0 + FAST.authority)
    hand.boot += FAST.renew
    hand.rights.prolong()
    assert hand.standing.authority == Authority(5, hand.boot + FAST.authority)
    hand.standing.authority = replace(hand.standing.authority, until=hand.boot)
    hand.boot += FAST.renew
    hand.rights.prolong()
    assert not hand.standing.may(hand.clock()), "what has ended stays ended"


async def test_what_a_database_says_is_as_old_as_the_question(hand: Hand) -> None:
    class Slow:
        async def observe(self, *, region: str) -> DatabaseView:
            hand.boot += 1.5
            return DatabaseView(region, writable=True)

    sight = Sight(hand.sight.duty, register=hand.register, promoter=cast(Any, Slow()), peers={}, clock=hand.clock)
    await sight.look_at_database()
    seen = sight.database()
    assert seen is not None
    assert (seen.writable, seen.age) == (True, 1.5), "it may have been so just when it was asked, and never after"
    hand.boot += FAST.renew
    assert sight.database() is None


async def test_each_renewal_is_heard_of_with_what_became_of_it(hand: Hand) -> None:
    await hand.register.change(SLOT, lambda lease: operations.bootstrap(lease, Me(EAST, 10_000, "aaaaaaaa")))
    hand.standing.epoch = 1
    await hand.rights.renew()
    hand.cells.down = {"a", "b"}
    await hand.rights.renew()
    hand.cells.down = set()
    hand.standing.epoch = 2
    await hand.rights.renew()
    assert hand.renewals == [("committed", 0.0), ("unknown", 0.0), ("refused", 0.0)]
