"""The agent's table: what is done in which state, upon which facts. First match wins; what is unknown is never taken for good.

Invariants
  I9  FrozenInert           nobody claims a slot that is frozen or suspended;
  I13 NoAutoFailback        no row moves a slot because a region is preferred;
  I16 StandbyNeverTriggers  a claim from a living holder is made by its silence alone, never by what a standby sees of it; but
                            for a claim that people force, and that acts no sooner than the holder's promise is over;
  (no name)                 what people give without a majority of cells is the silent holder's alone, ends as soon as it is not
                            prolonged, and goes to the cells as soon as they answer: one that moved meanwhile is right;
  I17 DeadlineRespected     where authority is over, the first thing is the fence;
  I18 UnknownIsNotZero      no claim is made upon a fact that is missing.

The rows have the numbers of the continuum specification, section 4; letters tell the cases of one row apart. Runs are the
step engine's (row 9). The table only says what to do; whoever does it asks the register again.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from .authority import Moment
from .lease import position
from .record import Lease
from .record import State as Record
from .view import Claim, Mode, State, View, Wish

VERIFIED_WITHIN = 60.0
"""Seconds for which it counts that a holder was seen to take writes."""


class Action(StrEnum):
    """What is begun."""

    SELF_FENCE = "self-fence"
    SUSPECT_SPLIT_BRAIN = "self-fence, and say that there may be two primaries"
    RENEW = "renew"
    SEEK_WITNESSES = "relay the renewal through a peer, then ask peers to hold off"
    SAY = "say why nothing is done"
    RESUME = "resume"
    BOOTSTRAP = "bootstrap"
    RUN_STEP = "execute the run's phase"
    HAND_OFF = "self-fence, then hand off"
    FOLLOW_ORDER = "bring the record and the database into one order"
    RECONCILE = "reconcile"
    RECALL = "recall"
    NEXT_RUNG = "take the next rung of the ladder, and page"
    UNFENCE = "renew, then un-fence and verify a write"
    ACQUIRE = "acquire"
    FOLLOW = "follow"
    ACCEPT = "accept"
    PRE_STAGE = "pre-stage"
    STEAL = "steal"
    FORCE = "take from a holder that renews"
    TAKE_UNWITNESSED = "take without a majority of cells, and say that there may be two primaries"
    CONFIRM = "have the cells confirm what was taken without them"
    AWAIT_APPROVAL = "await approval"
    PROMOTE = "promote"
    READ_AGAIN = "read until known"
    RETRY = "retry, and page"
    STAY = "stay"


@dataclass(frozen=True, slots=True)
class Decision:
    """The row that matched, and what it says."""

    row: str
    action: Action
    state: State


Guard = Callable[[View, Wish, Moment], bool]


@dataclass(frozen=True, slots=True)
class Row:
    """One row; `target` None: the state stays."""

    name: str
    states: frozenset[State]
    guard: Guard
    action: Action
    target: State | None = None


def decide(view: View, wish: Wish, now: Moment) -> Decision:
    """The first row that matches. There is always one."""
    row = next(row for row in TABLE if view.state in row.states and row.guard(view, wish, now))
    return Decision(row.name, row.action, row.target or view.state)


def _is_over(view: View, now: Moment) -> bool:
    return not view.clock_usable or view.authority is None or not view.authority.allows(now)


def _runs_out(view: View, wish: Wish, now: Moment) -> bool:
    return view.authority is not None and view.authority.remaining(now) < wish.profile.authority / 2


def _has_yielded(view: View) -> bool:
    """Its writers are stopped, so that there is nothing left to be fenced."""
    return view.state is State.YIELDING and view.fence is not None and view.fence.stops_writers


def _is_ours(view: View, wish: Wish) -> bool:
    lease = view.lease
    return lease is not None and lease.holder == wish.region and lease.epoch == view.epoch


def _is_others(view: View, wish: Wish) -> bool:
    lease = view.lease
    if lease is None:
        return False
    # Who starts does not know its epoch yet; that it holds the slot itself is no reason to be afraid.
    return lease.holder not in ("", wish.region) or 0 < view.epoch < lease.epoch


def _is_offered(view: View, wish: Wish) -> bool:
    return view.lease is not None and view.lease.state is Record.HANDOFF and view.lease.next == wish.region


def _is(view: View, *states: Record) -> bool:
    return view.lease is not None and view.lease.state in states


def _offers(view: View, wish: Wish) -> bool:
    return _is(view, Record.HANDOFF) and view.lease is not None and view.lease.holder == wish.region


def _may_claim(view: View, wish: Wish) -> bool:
    """Whatever a claim is made upon is known."""
    allowed = view.standby_ready is True and view.failover_allowed is True
    return allowed and view.readable and view.clock_usable and not wish.suspended


def _silence(view: View, now: Moment) -> float:
    return view.watch.silence(now) if view.watch is not None else 0.0


def _is_silent(view: View, wish: Wish, now: Moment) -> bool:
    """The holder said nothing for its time, and for as long again as better standbys may take to be first."""
    lease, watch = view.lease, view.watch
    if lease is None or watch is None or (watch.epoch, watch.seq) != (lease.epoch, lease.seq):
        return False
    return watch.is_over(now, wish.place * wish.poll) and now.boot >= view.promised_until


def _has_moved(view: View) -> bool:
    lease, watch = view.lease, view.watch
    return lease is not None and watch is not None and (watch.epoch, watch.seq) != (lease.epoch, lease.seq)


def _may_take_unwitnessed(view: View, wish: Wish) -> bool:
    """People have decided so, no cells can be asked, and everything else that a claim is made upon is known."""
    known = view.standby_ready is True and view.failover_allowed is True and view.checks_pass is True
    silent = view.holder_writes is not True and not view.readable and view.sound
    return view.unwitnessed and known and silent and view.clock_usable and not wish.suspended


def _is_confirmable(view: View, wish: Wish, now: Moment) -> bool:
    """The record is the one that was seen before the cells were silent, or its holder has been silent since they answer again."""
    taken, lease = view.unconfirmed, view.lease
    if taken is None or lease is None or not (view.readable and view.sound and taken.is_still(lease)):
        return False
    return lease.state is Record.HELD and (lease.seq == taken.seq or _silence(view, now) >= lease.ttl_ms / 1000)


def _is_contested(view: View, wish: Wish) -> bool:
    """The cells say that another region is right."""
    taken, lease = view.unconfirmed, view.lease
    if taken is None or lease is None or not (view.readable and view.sound):
        return False
    return not _is_ours(view, wish) and not (taken.is_still(lease) and lease.state is Record.HELD)


def _is_takeable(view: View, wish: Wish) -> bool:
    held: Lease | None = view.lease
    return held is not None and held.state in (Record.HELD, Record.HANDOFF) and held.holder != wish.region


def _replayed_enough(view: View) -> bool:
    return view.lease is not None and view.replayed is not None and position(view.replayed) >= position(view.lease.lsn)


def _spent(began: float | None, budget: float, now: Moment) -> bool:
    return began is not None and now.boot - began >= budget


_ACTING = frozenset({State.PROMOTING, State.LEADING, State.YIELDING})
_WAITING = frozenset({State.FOLLOWING, State.ELIGIBLE, State.SUSPECTING})
_ANY = frozenset(State)
_S = State
_A = Action


def _in(*states: State) -> frozenset[State]:
    return frozenset(states)


TABLE = (
    Row(
        "1",
        _ACTING,
        lambda v, w, n: _is_over(v, n) and not (v.all_hold_off and v.clock_usable) and not _has_yielded(v),
        _A.SELF_FENCE,
        _S.FENCING,
    ),
    Row("2u", _ANY - _in(_S.FENCING), _is_confirmable, _A.CONFIRM),
    Row("2v", _ANY - _in(_S.FENCING), lambda v, w, n: _is_contested(v, w), _A.SUSPECT_SPLIT_BRAIN, _S.FENCING),
    Row(
        "2",
        _ANY - _in(_S.FENCING),
        lambda v, w, n: v.writable is True and v.readable and v.sound and v.unconfirmed is None and _is_others(v, w),
        _A.SUSPECT_SPLIT_BRAIN,
        _S.FENCING,
    ),
    Row(
        "3",
        _ACTING | {State.CLAIMING},
        lambda v, w, n: (
            v.sound
            and _is_ours(v, w)
            and _is(v, Record.HELD, Record.FROZEN)
            and (v.state is not State.CLAIMING or v.claim is Claim.COMMITTED)
            and (v.sent_at is None or n.boot - v.sent_at >= w.profile.renew)
            and (v.readable or not _runs_out(v, w, n))
        ),
        _A.RENEW,
    ),
    Row(
        "4",
        _ACTING,
        lambda v, w, n: not v.readable and _runs_out(v, w, n),
        _A.SEEK_WITNESSES,
    ),
    Row("5", _ANY - _in(_S.FENCING), lambda v, w, n: not v.sound, _A.SAY),
    Row("6r", _in(_S.BOOTING), lambda v, w, n: v.unconfirmed is not None and not _is_over(v, n), _A.RESUME, _S.LEADING),
    Row("6f", _in(_S.BOOTING), lambda v, w, n: v.unconfirmed is not None, _A.SELF_FENCE, _S.FENCING),
    Row("6", _in(_S.BOOTING), lambda v, w, n: not v.readable, _A.STAY),
    Row(
        "7a",
        _in(_S.BOOTING),
        lambda v, w, n: _is_ours(v, w) and _is(v, Record.HELD, Record.FROZEN) and not _is_over(v, n),
        _A.RESUME,
        _S.LEADING,
    ),
    Row(
        "7b",
        _in(_S.BOOTING),
        lambda v, w, n: v.lease is not None and v.lease.holder == w.region and _is(v, Record.HELD, Record.FROZEN),
        _A.SELF_FENCE,
        _S.FENCING,
    ),
    Row("8a", _in(_S.BOOTING), lambda v, w, n: _offers(v, w), _A.SELF_FENCE, _S.FENCING),
    Row(
        "8b",
        _in(_S.BOOTING),
        lambda v, w, n: v.lease is not None and v.was_primary is not False,
        _A.SELF_FENCE,
        _S.FENCING,
    ),
    Row("8c", _in(_S.BOOTING), lambda v, w, n: v.lease is not None, _A.FOLLOW, _S.FOLLOWING),
    Row(
        "8d",
        _in(_S.BOOTING),
        lambda v, w, n: v.remembered is False and w.is_primary and not w.suspended and v.clock_usable,
        _A.BOOTSTRAP,
        _S.CLAIMING,
    ),
    Row("9", _ACTING, lambda v, w, n: v.run_is_mine and (v.readable or v.unconfirmed is not None), _A.RUN_STEP),
    Row(
        "10",
        _in(_S.LEADING),
        lambda v, w, n: (
            v.failing is True
            and v.unconfirmed is None
            and v.failover_allowed is True
            and bool(v.target)
            and _is(v, Record.HELD)
            and not w.suspended
            and (not v.busy or v.reprotects)
        ),
        _A.HAND_OFF,
        _S.YIELDING,
    ),
    Row(
        "11",
        _in(_S.LEADING),
        lambda v, w, n: (
            v.planned_run
            and v.approved is True
            and v.unconfirmed is None
            and _is(v, Record.HELD)
            and not v.busy
            and not w.suspended
        ),
        _A.RUN_STEP,
        _S.YIELDING,
    ),
    Row(
        "12",
        _in(_S.LEADING),
        lambda v, w, n: (
            v.lease is not None and v.unconfirmed is None and v.sync_observed not in (None, v.lease.sync) and not v.busy
        ),
        _A.FOLLOW_ORDER,
    ),
    Row("13", _in(_S.LEADING), lambda v, w, n: True, _A.RECONCILE),
    Row(
        "14a",
        _in(_S.YIELDING),
        lambda v, w, n: _is_others(v, w) and v.fence is not None and v.fence.stops_writers,
        _A.STAY,
        _S.FENCED,
    ),
    Row("14e", _in(_S.YIELDING), lambda v, w, n: _is_others(v, w), _A.SELF_FENCE, _S.FENCING),
    Row(
        "14b",
        _in(_S.YIELDING, _S.FENCED),
        lambda v, w, n: v.readable and _offers(v, w) and v.clock_usable and _silence(v, n) >= w.profile.ttl,
        _A.RECALL,
        _S.CLAIMING,
    ),
    Row(
        "14c",
        _in(_S.YIELDING),
        lambda v, w, n: not v.busy and v.fence is None and v.readable and _is_ours(v, w) and _is(v, Record.HELD),
        _A.STAY,
        _S.LEADING,
    ),
    Row(
        "14d",
        _in(_S.YIELDING),
        lambda v, w, n: not v.busy and v.fence is not None and v.fence.stops_writers,
        _A.STAY,
        _S.FENCED,
    ),
    Row("15a", _in(_S.FENCING), lambda v, w, n: v.fence is not None and v.fence.stops_writers, _A.STAY, _S.FENCED),
    Row("15b", _in(_S.FENCING), lambda v, w, n: _spent(v.fence_began, w.profile.fence, n), _A.NEXT_RUNG),
    Row(
        "16a",
        _in(_S.FENCED),
        lambda v, w, n: (
            v.readable
            and v.database_sound is True
            and v.clock_usable
            and _is_ours(v, w)
            and _is(v, Record.HELD, Record.FROZEN)
        ),
        _A.UNFENCE,
        _S.CLAIMING,
    ),
    Row(
        "16b",
        _in(_S.FENCED),
        lambda v, w, n: v.database_sound is True and _is(v, Record.FREE) and _may_claim(v, w),
        _A.ACQUIRE,
        _S.CLAIMING,
    ),
    Row(
        "17",
        _in(_S.FENCED),
        lambda v, w, n: (
            v.readable and _is_others(v, w) and v.verified_at is not None and n.boot - v.verified_at < VERIFIED_WITHIN
        ),
        _A.FOLLOW,
        _S.FOLLOWING,
    ),
    Row("18a", _WAITING, lambda v, w, n: w.suspended or _is(v, Record.FROZEN), _A.STAY),
    Row(
        "18b",
        _WAITING,
        lambda v, w, n: v.readable and v.sound and v.clock_usable and _is_ours(v, w) and _is(v, Record.HELD),
        _A.UNFENCE,
        _S.CLAIMING,
    ),
    Row(
        "19a",
        _in(_S.FOLLOWING),
        lambda v, w, n: v.standby_ready is True and v.clock_usable and v.readable,
        _A.STAY,
        _S.ELIGIBLE,
    ),
    Row("19b", _in(_S.FOLLOWING), lambda v, w, n: True, _A.SAY),
    # What was taken for a copy of the holder's turned out to be none: it follows again, step by step.
    Row("19c", _in(_S.ELIGIBLE, _S.SUSPECTING), lambda v, w, n: v.standby_ready is False, _A.STAY, _S.FOLLOWING),
    Row(
        "20",
        _in(_S.ELIGIBLE, _S.SUSPECTING),
        lambda v, w, n: v.readable and v.clock_usable and _is_offered(v, w) and _replayed_enough(v),
        _A.ACCEPT,
        _S.CLAIMING,
    ),
    Row(
        "21",
        _in(_S.ELIGIBLE),
        lambda v, w, n: _is(v, Record.FREE) and _may_claim(v, w) and _silence(v, n) >= w.place * w.poll,
        _A.ACQUIRE,
        _S.CLAIMING,
    ),
    Row(
        "24f",
        _in(_S.ELIGIBLE, _S.SUSPECTING),
        lambda v, w, n: (
            v.forced
            and _is_takeable(v, w)
            and v.checks_pass is True
            and _may_claim(v, w)
            and n.boot >= v.promised_until
        ),
        _A.FORCE,
        _S.CLAIMING,
    ),
    Row(
        "24u",
        _in(_S.ELIGIBLE, _S.SUSPECTING),
        lambda v, w, n: (
            _may_take_unwitnessed(v, w) and _is(v, Record.HELD) and _is_takeable(v, w) and _is_silent(v, w, n)
        ),
        _A.TAKE_UNWITNESSED,
        _S.CLAIMING,
    ),
    Row(
        "22",
        _in(_S.ELIGIBLE),
        lambda v, w, n: (
            v.readable
            and _is_takeable(v, w)
            and v.watch is not None
            and not _has_moved(v)
            and _silence(v, n) >= v.watch.ttl / 2
        ),
        _A.PRE_STAGE,
        _S.SUSPECTING,
    ),
    Row("23", _in(_S.SUSPECTING), lambda v, w, n: _has_moved(v), _A.STAY, _S.ELIGIBLE),
    Row(
        "24a",
        _in(_S.SUSPECTING),
        lambda v, w, n: (
            _is_takeable(v, w)
            and _is_silent(v, w, n)
            and v.checks_pass is True
            and _may_claim(v, w)
            and (w.mode is Mode.AUTOMATIC or v.approved is True)
        ),
        _A.STEAL,
        _S.CLAIMING,
    ),
    Row(
        "24b",
        _in(_S.SUSPECTING),
        lambda v, w, n: (
            _is_takeable(v, w)
            and _is_silent(v, w, n)
            and v.checks_pass is True
            and _may_claim(v, w)
            and w.mode is Mode.SEMI_AUTOMATIC
        ),
        _A.AWAIT_APPROVAL,
    ),
    Row("24c", _in(_S.SUSPECTING), lambda v, w, n: _is_silent(v, w, n), _A.SAY),
    Row(
        "25a",
        _in(_S.CLAIMING),
        lambda v, w, n: v.claim is Claim.COMMITTED and n.boot >= v.promised_until and not _is_over(v, n),
        _A.PROMOTE,
        _S.PROMOTING,
    ),
    Row("25b", _in(_S.CLAIMING), lambda v, w, n: v.claim is Claim.LOST and v.fence is not None, _A.STAY, _S.FENCED),
    Row("25d", _in(_S.CLAIMING), lambda v, w, n: v.claim is Claim.LOST, _A.STAY, _S.FOLLOWING),
    Row("25c", _in(_S.CLAIMING), lambda v, w, n: True, _A.READ_AGAIN),
    Row("26a", _in(_S.PROMOTING), lambda v, w, n: v.canary is True, _A.RECONCILE, _S.LEADING),
    Row(
        "26b",
        _in(_S.PROMOTING),
        lambda v, w, n: (
            _spent(v.promote_began, w.promote, n) and v.unconfirmed is None and bool(v.target) and _is(v, Record.HELD)
        ),
        _A.HAND_OFF,
        _S.YIELDING,
    ),
    Row("26c", _in(_S.PROMOTING), lambda v, w, n: _spent(v.promote_began, w.promote, n), _A.RETRY),
    Row("wait", _ANY, lambda v, w, n: True, _A.STAY),
)  # fmt: skip - reads as a table
