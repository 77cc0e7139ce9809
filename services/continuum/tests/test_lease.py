"""The lease's operations and deadlines, without any server."""

from dataclasses import replace

import pytest
from catalyst_continuum.domain.authority import Authority, Moment, granted, watched
from catalyst_continuum.domain.lease import (
    NO_WRITERS,
    Facts,
    Fence,
    Me,
    Refusal,
    accept,
    acquire,
    annotate,
    begin_anew,
    bootstrap,
    force,
    freeze,
    handoff,
    keep,
    recall,
    release,
    renew,
    steal,
    thaw,
)
from catalyst_continuum.domain.record import Lease, State
from catalyst_continuum.domain.timing import FAST
from catalyst_sdk.continuum import FenceProof

EAST, WEST = (Me(f"sb-{side}-rtz-dev", 10_000, f"{n:08x}") for n, side in enumerate(("east", "west"), start=1))
HELD = bootstrap(None, EAST)
assert isinstance(HELD, Lease)
FREE = replace(HELD, state=State.FREE, holder="")
FROZEN = replace(HELD, state=State.FROZEN)
OFFERED = replace(HELD, state=State.HANDOFF, next=WEST.region, lsn="0/3000060", seq=2)


def stopped(*rungs: int) -> Fence:
    return Fence(tuple(FenceProof(rung, 0.0, "seen") for rung in rungs))


DATABASE, NAMES = stopped(1), stopped(3, 4)


def done(after: Lease | Refusal) -> tuple[int, int, str, str]:
    assert isinstance(after, Lease), after
    return after.epoch, after.seq, after.state, after.holder[3:7]


def test_the_epoch_moves_exactly_when_the_right_to_write_does() -> None:
    assert done(acquire(FREE, WEST)) == (2, 2, "held", "west")
    assert done(renew(HELD, EAST, 1)) == (1, 2, "held", "east")
    assert done(release(HELD, EAST, 1, DATABASE)) == (1, 2, "free", "")
    assert done(handoff(HELD, EAST, 1, to=WEST.region, lsn="0/1", run="r", proof=DATABASE)) == (1, 2, "handoff", "east")
    assert done(accept(OFFERED, WEST, replayed="0/3000060")) == (2, 3, "held", "west")
    assert done(recall(OFFERED, EAST)) == (2, 3, "held", "east")
    assert done(steal(HELD, WEST, epoch=1, seq=1)) == (2, 2, "held", "west")
    assert done(force(HELD, WEST, epoch=1)) == (2, 2, "held", "west")
    assert done(begin_anew(HELD, EAST, 1)) == (2, 2, "held", "east")
    assert done(freeze(HELD, "a")) == (1, 2, "frozen", "east")
    assert done(thaw(FROZEN, "a")) == (1, 2, "held", "east")
    assert done(thaw(replace(FROZEN, holder=""), "a")) == (1, 2, "free", "")
    assert done(annotate(HELD, EAST, 1, run="r", phase="s3")) == (1, 2, "held", "east")


@pytest.mark.parametrize(
    ("after", "why"),
    [
        (bootstrap(HELD, EAST), "record already"),
        (acquire(HELD, WEST), "not free"),
        (renew(HELD, WEST, 1), "not held by this region"),
        (renew(HELD, EAST, 2), "not held by this region in this epoch"),
        (renew(OFFERED, EAST, 1), "handoff is not renewed"),
        (release(HELD, EAST, 1, None), "nothing shows"),
        (release(HELD, EAST, 1, NAMES), "nothing shows"),
        (release(FROZEN, EAST, 1, DATABASE), "not held"),
        (handoff(HELD, EAST, 1, to=WEST.region, lsn="0/1", run="r", proof=NAMES), "nothing shows"),
        (handoff(HELD, EAST, 1, to=EAST.region, lsn="0/1", run="r", proof=DATABASE), "no other region"),
        (handoff(FROZEN, EAST, 1, to=WEST.region, lsn="0/1", run="r", proof=DATABASE), "not held"),
        (accept(OFFERED, EAST, replayed="0/3000060"), "offered to this region"),
        (accept(OFFERED, WEST, replayed="0/300005F"), "needed is 0/3000060"),
        (accept(HELD, WEST, replayed="0/3000060"), "nothing is offered"),
        (recall(OFFERED, WEST), "offers nothing"),
        (steal(HELD, WEST, epoch=1, seq=0), "heard of"),
        (steal(HELD, EAST, epoch=1, seq=1), "nobody to take"),
        (force(HELD, WEST, epoch=2), "epoch 1 by now"),
        (force(HELD, EAST, epoch=1), "nobody to take"),
        (force(FROZEN, WEST, epoch=1), "nobody to take"),
        (begin_anew(HELD, WEST, 1), "not held"),
        (begin_anew(FROZEN, EAST, 1), "not held"),
        (steal(FROZEN, WEST, epoch=1, seq=1), "nobody to take"),
        (steal(FREE, WEST, epoch=1, seq=1), "nobody to take"),
        (freeze(OFFERED, "a"), "handoff is not frozen"),
        (thaw(HELD, "a"), "not frozen"),
        (annotate(HELD, WEST, 1, run="r", phase="s3"), "not held"),
    ],
)  # fmt: skip
def test_what_may_not_be_done_is_refused(after: Lease | Refusal, why: str) -> None:
    assert isinstance(after, Refusal)
    assert why in after.why


def test_cells_that_forgot_an_epoch_are_never_begun_anew() -> None:
    assert done(keep(None, EAST, known=0)) == (1, 1, "held", "east")
    for forgot in (keep(None, EAST, known=1), keep(FREE, EAST, known=2), keep(HELD, EAST, known=2)):
        assert isinstance(forgot, Refusal)
        assert "lost their memory" in forgot.why
    assert done(keep(HELD, EAST, known=1)) == (1, 2, "held", "east")
    assert done(keep(FREE, EAST, known=1)) == (2, 2, "held", "east")


def test_a_frozen_holder_renews_on_and_says_what_it_knows() -> None:
    after = renew(FROZEN, EAST, 1, Facts(sync="3", lsn="0/30", commit_ms="17f"))
    assert isinstance(after, Lease)
    assert (after.state, after.sync, after.lsn, after.commit_ms) == (State.FROZEN, "3", "0/30", "17f")
    again = renew(after, EAST, 1)
    assert isinstance(again, Lease)
    assert (again.sync, again.lsn) == ("3", "0/30")


def test_whoever_takes_over_has_nobody_in_sync_and_knows_what_the_old_holder_said_of_its_log() -> None:
    after = steal(replace(HELD, sync="3", lsn="0/30", commit_ms="17f"), WEST, epoch=1, seq=1)
    assert isinstance(after, Lease)
    assert (after.sync, after.lsn, after.commit_ms) == ("0", "0/30", "17f")


@pytest.mark.parametrize(
    ("rungs", "stops"), [({1}, True), ({5}, True), ({0, 3}, True), ({0}, False), ({3}, False), ({2, 4}, False)]
)
def test_what_stops_writers(rungs: set[int], stops: bool) -> None:
    assert stopped(*rungs).stops_writers is stops


def test_a_proof_of_no_writers_stops_them() -> None:
    assert NO_WRITERS.stops_writers


def test_authority_counts_from_the_sending_and_leaves_room_for_what_is_begun() -> None:
    authority = granted(HELD, Moment(100, 0), Moment(103, 0), FAST)
    assert authority == Authority(1, 100 + FAST.authority)
    assert authority.allows(Moment(106, 0))
    assert not authority.allows(Moment(106, 0), expected=1)
    assert not authority.allows(Moment(authority.until, 0))
    assert authority.remaining(Moment(105, 0)) == pytest.approx(FAST.authority - 5)
    assert authority.remaining(Moment(200, 0)) == 0


def test_a_watch_begins_anew_with_each_move_and_with_each_start() -> None:
    first = watched(None, HELD, Moment(100, 0))
    assert watched(first, HELD, Moment(105, 0)) == first
    assert not first.is_over(Moment(109.9, 10**9))
    assert first.is_over(Moment(110, 0))
    assert not first.is_over(Moment(110, 0), delay=0.5)
    assert watched(first, replace(HELD, seq=2), Moment(105, 0)).since == 105
