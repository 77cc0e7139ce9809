"""What the guards of the agent's table ask: each a question about what is known now. What is unknown is never a yes."""

from .authority import Moment
from .lease import position
from .record import Lease
from .record import State as Record
from .view import State, View, Wish


def is_over(view: View, now: Moment) -> bool:
    """Whether there is no right to act any more."""
    return not view.clock_usable or view.authority is None or not view.authority.allows(now)


def runs_out(view: View, wish: Wish, now: Moment) -> bool:
    """Whether less than half of a renewal's authority is left."""
    return view.authority is not None and view.authority.remaining(now) < wish.profile.authority / 2


def has_yielded(view: View) -> bool:
    """Its writers are stopped, so that there is nothing left to be fenced."""
    return view.state is State.YIELDING and view.fence is not None and view.fence.stops_writers


def is_ours(view: View, wish: Wish) -> bool:
    """Whether the record names this region, in the epoch that it knows."""
    lease = view.lease
    return lease is not None and lease.holder == wish.region and lease.epoch == view.epoch


def is_others(view: View, wish: Wish) -> bool:
    """Whether the record names another region, or an epoch that this one does not know."""
    lease = view.lease
    if lease is None:
        return False
    # Who starts does not know its epoch yet; that it holds the slot itself is no reason to be afraid.
    return lease.holder not in ("", wish.region) or 0 < view.epoch < lease.epoch


def is_offered(view: View, wish: Wish) -> bool:
    """Whether the slot is offered to this region."""
    return view.lease is not None and view.lease.state is Record.HANDOFF and view.lease.next == wish.region


def stands_in(view: View, *states: Record) -> bool:
    """Whether the record is in one of these states."""
    return view.lease is not None and view.lease.state in states


def offers(view: View, wish: Wish) -> bool:
    """Whether this region offers the slot."""
    return stands_in(view, Record.HANDOFF) and view.lease is not None and view.lease.holder == wish.region


def may_claim(view: View, wish: Wish) -> bool:
    """Whatever a claim is made upon is known."""
    allowed = view.standby_ready is True and view.failover_allowed is True
    return allowed and view.readable and view.clock_usable and not wish.suspended


def silence(view: View, now: Moment) -> float:
    """Seconds without news of the record."""
    return view.watch.silence(now) if view.watch is not None else 0.0


def is_silent(view: View, wish: Wish, now: Moment) -> bool:
    """The holder said nothing for its time, and for as long again as better standbys may take to be first."""
    lease, watch = view.lease, view.watch
    if lease is None or watch is None or (watch.epoch, watch.seq) != (lease.epoch, lease.seq):
        return False
    return watch.is_over(now, wish.place * wish.poll) and now.boot >= view.promised_until


def has_moved(view: View) -> bool:
    """Whether the record is another than the one that is watched."""
    lease, watch = view.lease, view.watch
    return lease is not None and watch is not None and (watch.epoch, watch.seq) != (lease.epoch, lease.seq)


def may_take_unwitnessed(view: View, wish: Wish) -> bool:
    """People have decided so, no cells can be asked, and everything else that a claim is made upon is known."""
    known = view.standby_ready is True and view.failover_allowed is True and view.checks_pass is True
    silent = view.holder_writes is not True and not view.readable and view.sound
    return view.unwitnessed and known and silent and view.clock_usable and not wish.suspended


def is_confirmable(view: View, wish: Wish, now: Moment) -> bool:
    """The record is the one that was seen before the cells were silent, or its holder has been silent since they answer again."""
    taken, lease = view.unconfirmed, view.lease
    if taken is None or lease is None or not (view.readable and view.sound and taken.is_still(lease)):
        return False
    return lease.state is Record.HELD and (lease.seq == taken.seq or silence(view, now) >= lease.ttl_ms / 1000)


def is_contested(view: View, wish: Wish) -> bool:
    """The cells say that another region is right."""
    taken, lease = view.unconfirmed, view.lease
    if taken is None or lease is None or not (view.readable and view.sound):
        return False
    return not is_ours(view, wish) and not (taken.is_still(lease) and lease.state is Record.HELD)


def is_takeable(view: View, wish: Wish) -> bool:
    """Whether another region holds the slot, or offers it."""
    held: Lease | None = view.lease
    return held is not None and held.state in (Record.HELD, Record.HANDOFF) and held.holder != wish.region


def replayed_enough(view: View) -> bool:
    """Whether everything that the offer asks for is here."""
    return view.lease is not None and view.replayed is not None and position(view.replayed) >= position(view.lease.lsn)


def spent(began: float | None, budget: float, now: Moment) -> bool:
    """Whether something that was begun has used up its time."""
    return began is not None and now.boot - began >= budget
