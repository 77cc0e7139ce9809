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

from .actions import Action, Decision, Row
from .authority import Moment
from .guards import (
    has_moved,
    has_yielded,
    is_confirmable,
    is_contested,
    is_offered,
    is_others,
    is_ours,
    is_over,
    is_silent,
    is_takeable,
    may_claim,
    may_take_unwitnessed,
    offers,
    replayed_enough,
    runs_out,
    silence,
    spent,
    stands_in,
)
from .record import State as Record
from .view import Claim, Mode, State, View, Wish

VERIFIED_WITHIN = 60.0
"""Seconds for which it counts that a holder was seen to take writes."""


def decide(view: View, wish: Wish, now: Moment) -> Decision:
    """The first row that matches. There is always one."""
    row = next(row for row in TABLE if view.state in row.states and row.guard(view, wish, now))
    return Decision(row.name, row.action, row.target or view.state)


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
        lambda v, w, n: is_over(v, n) and not (v.all_hold_off and v.clock_usable) and not has_yielded(v),
        _A.SELF_FENCE,
        _S.FENCING,
    ),
    Row("2u", _ANY - _in(_S.FENCING), is_confirmable, _A.CONFIRM),
    Row("2v", _ANY - _in(_S.FENCING), lambda v, w, n: is_contested(v, w), _A.SUSPECT_SPLIT_BRAIN, _S.FENCING),
    Row(
        "2",
        _ANY - _in(_S.FENCING),
        lambda v, w, n: v.writable is True and v.readable and v.sound and v.unconfirmed is None and is_others(v, w),
        _A.SUSPECT_SPLIT_BRAIN,
        _S.FENCING,
    ),
    Row(
        "3",
        _ACTING | {State.CLAIMING},
        lambda v, w, n: (
            v.sound
            and is_ours(v, w)
            and stands_in(v, Record.HELD, Record.FROZEN)
            and (v.state is not State.CLAIMING or v.claim is Claim.COMMITTED)
            and (v.sent_at is None or n.boot - v.sent_at >= w.profile.renew)
            and (v.readable or not runs_out(v, w, n))
        ),
        _A.RENEW,
    ),
    Row(
        "4",
        _ACTING,
        lambda v, w, n: not v.readable and runs_out(v, w, n),
        _A.SEEK_WITNESSES,
    ),
    Row("5", _ANY - _in(_S.FENCING), lambda v, w, n: not v.sound, _A.SAY),
    Row("6r", _in(_S.BOOTING), lambda v, w, n: v.unconfirmed is not None and not is_over(v, n), _A.RESUME, _S.LEADING),
    Row("6f", _in(_S.BOOTING), lambda v, w, n: v.unconfirmed is not None, _A.SELF_FENCE, _S.FENCING),
    Row("6", _in(_S.BOOTING), lambda v, w, n: not v.readable, _A.STAY),
    Row(
        "7a",
        _in(_S.BOOTING),
        lambda v, w, n: is_ours(v, w) and stands_in(v, Record.HELD, Record.FROZEN) and not is_over(v, n),
        _A.RESUME,
        _S.LEADING,
    ),
    Row(
        "7b",
        _in(_S.BOOTING),
        lambda v, w, n: v.lease is not None and v.lease.holder == w.region and stands_in(v, Record.HELD, Record.FROZEN),
        _A.SELF_FENCE,
        _S.FENCING,
    ),
    Row("8a", _in(_S.BOOTING), lambda v, w, n: offers(v, w), _A.SELF_FENCE, _S.FENCING),
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
            and stands_in(v, Record.HELD)
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
            and stands_in(v, Record.HELD)
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
        lambda v, w, n: is_others(v, w) and v.fence is not None and v.fence.stops_writers,
        _A.STAY,
        _S.FENCED,
    ),
    Row("14e", _in(_S.YIELDING), lambda v, w, n: is_others(v, w), _A.SELF_FENCE, _S.FENCING),
    Row(
        "14b",
        _in(_S.YIELDING, _S.FENCED),
        lambda v, w, n: v.readable and offers(v, w) and v.clock_usable and silence(v, n) >= w.profile.ttl,
        _A.RECALL,
        _S.CLAIMING,
    ),
    Row(
        "14c",
        _in(_S.YIELDING),
        lambda v, w, n: not v.busy and v.fence is None and v.readable and is_ours(v, w) and stands_in(v, Record.HELD),
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
    Row("15b", _in(_S.FENCING), lambda v, w, n: spent(v.fence_began, w.profile.fence, n), _A.NEXT_RUNG),
    Row(
        "16a",
        _in(_S.FENCED),
        lambda v, w, n: (
            v.readable
            and v.database_sound is True
            and v.clock_usable
            and is_ours(v, w)
            and stands_in(v, Record.HELD, Record.FROZEN)
        ),
        _A.UNFENCE,
        _S.CLAIMING,
    ),
    Row(
        "16b",
        _in(_S.FENCED),
        lambda v, w, n: v.database_sound is True and stands_in(v, Record.FREE) and may_claim(v, w),
        _A.ACQUIRE,
        _S.CLAIMING,
    ),
    Row(
        "17",
        _in(_S.FENCED),
        lambda v, w, n: (
            v.readable and is_others(v, w) and v.verified_at is not None and n.boot - v.verified_at < VERIFIED_WITHIN
        ),
        _A.FOLLOW,
        _S.FOLLOWING,
    ),
    Row("18a", _WAITING, lambda v, w, n: w.suspended or stands_in(v, Record.FROZEN), _A.STAY),
    Row(
        "18b",
        _WAITING,
        lambda v, w, n: v.readable and v.sound and v.clock_usable and is_ours(v, w) and stands_in(v, Record.HELD),
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
        lambda v, w, n: v.readable and v.clock_usable and is_offered(v, w) and replayed_enough(v),
        _A.ACCEPT,
        _S.CLAIMING,
    ),
    Row(
        "21",
        _in(_S.ELIGIBLE),
        lambda v, w, n: stands_in(v, Record.FREE) and may_claim(v, w) and silence(v, n) >= w.place * w.poll,
        _A.ACQUIRE,
        _S.CLAIMING,
    ),
    Row(
        "24f",
        _in(_S.ELIGIBLE, _S.SUSPECTING),
        lambda v, w, n: (
            v.forced and is_takeable(v, w) and v.checks_pass is True and may_claim(v, w) and n.boot >= v.promised_until
        ),
        _A.FORCE,
        _S.CLAIMING,
    ),
    Row(
        "24u",
        _in(_S.ELIGIBLE, _S.SUSPECTING),
        lambda v, w, n: (
            may_take_unwitnessed(v, w) and stands_in(v, Record.HELD) and is_takeable(v, w) and is_silent(v, w, n)
        ),
        _A.TAKE_UNWITNESSED,
        _S.CLAIMING,
    ),
    Row(
        "22",
        _in(_S.ELIGIBLE),
        lambda v, w, n: (
            v.readable
            and is_takeable(v, w)
            and v.watch is not None
            and not has_moved(v)
            and silence(v, n) >= v.watch.ttl / 2
        ),
        _A.PRE_STAGE,
        _S.SUSPECTING,
    ),
    Row("23", _in(_S.SUSPECTING), lambda v, w, n: has_moved(v), _A.STAY, _S.ELIGIBLE),
    Row(
        "24a",
        _in(_S.SUSPECTING),
        lambda v, w, n: (
            is_takeable(v, w)
            and is_silent(v, w, n)
            and v.checks_pass is True
            and may_claim(v, w)
            and (w.mode is Mode.AUTOMATIC or v.approved is True)
        ),
        _A.STEAL,
        _S.CLAIMING,
    ),
    Row(
        "24b",
        _in(_S.SUSPECTING),
        lambda v, w, n: (
            is_takeable(v, w)
            and is_silent(v, w, n)
            and v.checks_pass is True
            and may_claim(v, w)
            and w.mode is Mode.SEMI_AUTOMATIC
        ),
        _A.AWAIT_APPROVAL,
    ),
    Row("24c", _in(_S.SUSPECTING), lambda v, w, n: is_silent(v, w, n), _A.SAY),
    Row(
        "25a",
        _in(_S.CLAIMING),
        lambda v, w, n: v.claim is Claim.COMMITTED and n.boot >= v.promised_until and not is_over(v, n),
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
            spent(v.promote_began, w.promote, n)
            and v.unconfirmed is None
            and bool(v.target)
            and stands_in(v, Record.HELD)
        ),
        _A.HAND_OFF,
        _S.YIELDING,
    ),
    Row("26c", _in(_S.PROMOTING), lambda v, w, n: spent(v.promote_began, w.promote, n), _A.RETRY),
    Row("wait", _ANY, lambda v, w, n: True, _A.STAY),
)  # fmt: skip - reads as a table
