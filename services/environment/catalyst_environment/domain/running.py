"""From what clusters show of an Application to what becomes of it.

Invariants
  first word   a cluster is noted before it hears of an Application, and forgotten after it has told that nothing is left;
  every one    it is healthy when each of its clusters runs the wished commit and says so; one that is away leaves it unknown;
  users first  on the way out an Application stays wished until whoever needs it has left the clusters.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from enum import StrEnum

from catalyst_sdk import Decision

from . import applications
from .applications import DELIVERED, HEALTHY, LEFT, Application, State
from .conditions import NOT_AVAILABLE, Condition, noted
from .environments import NO_CLUSTER
from .sights import Sight, Stand

AWAITED = "not in the cluster yet"
LEAVING = timedelta(minutes=5)
"""After this what is still on a cluster is named as overdue; it is waited for all the same."""


class Mode(StrEnum):
    """What a cluster is to do with it."""

    RUN = "run"
    LEAVE = "leave"
    STOP = "stop"


def mode(held: Application, *, is_suspended: bool) -> Mode:
    """A suspended Organization runs nothing, whatever else is wished."""
    if is_suspended:
        return Mode.STOP
    return Mode.LEAVE if held.is_paused else Mode.RUN


def is_wished(held: Application, beside: Iterable[Application]) -> bool:
    """Whether it is to stand on its clusters."""
    if held.state is State.DELETED or not held.pin.commit:
        return False
    if held.state is not State.UNINSTALLING:
        return True
    return bool(held.sights) and any(held.id in one.uses and one.sights for one in beside)


def expect(held: Application, clusters: Sequence[str], now: datetime) -> Decision[Application]:
    """The clusters are about to hear of it."""
    known = {one.cluster for one in held.sights}
    fresh = [Sight(name, Stand.PENDING, AWAITED, "", now) for name in clusters if name not in known]
    if not fresh:
        return Decision(held)
    return _judged(held, (*held.sights, *fresh), now)


def see(held: Application, cluster: str, sight: Sight | None, now: datetime) -> Decision[Application]:
    """A cluster has told of it. None: that nothing of it is left there, or the cluster itself is gone."""
    if held.state is State.DELETED:
        return Decision(held)
    before = next((one for one in held.sights if one.cluster == cluster), None)
    if sight is not None and before is not None and before.state is sight.state:
        sight = replace(sight, since=before.since)
    others = [one for one in held.sights if one.cluster != cluster]
    after = sorted([*others, *([sight] if sight else [])], key=lambda one: one.cluster)
    return _judged(held, tuple(after), now)


def leave(held: Application, now: datetime) -> Decision[Application]:
    """Look at how long its clusters take to let go of it: what is left after `LEAVING` is Overdue, and says where and why."""
    return _judged(held, held.sights, now) if held.state is State.UNINSTALLING else Decision(held)


def lost_sight(held: Application, cluster: str, why: str, now: datetime) -> Decision[Application]:
    """Nobody can say any more how it stands there."""
    before = next((one for one in held.sights if one.cluster == cluster), None)
    if before is None:
        return Decision(held)
    return see(held, cluster, replace(before, state=Stand.UNKNOWN, message=why, since=now), now)


def _judged(held: Application, sights: tuple[Sight, ...], now: datetime) -> Decision[Application]:
    seen = replace(held, sights=sights)
    conditions, state = _conditions(seen, now), _state(seen)
    if (sights, conditions, state) == (held.sights, held.conditions, held.state):
        return Decision(held)
    since = (held.active_since or now) if state is State.ACTIVE else None
    reason = "" if state is State.ACTIVE else held.reason
    after = applications.moved(
        held, now, sights=sights, conditions=conditions, state=state, active_since=since, reason=reason,
        was_active=held.was_active or state is State.ACTIVE,
    )  # fmt: skip
    return Decision(after, (applications.seen_first(held, after),))


def _conditions(held: Application, now: datetime) -> tuple[Condition, ...]:
    if held.state is State.UNINSTALLING:
        return _leaving(held, now)
    return noted(noted(held.conditions, _delivered(held, now)), _healthy(held, now))


def _delivered(held: Application, now: datetime) -> Condition:
    """Whether each cluster has taken the commit over."""
    if not held.sights:
        return Condition(DELIVERED, False, NOT_AVAILABLE, NO_CLUSTER, now)
    behind = [one for one in held.sights if one.commit != held.pin.commit]
    if not behind:
        return Condition(DELIVERED, True, "Applied", f"commit {held.pin.commit}", now)
    told = "; ".join(f"{one.cluster}: {one.message or 'at ' + (one.commit or 'no commit')}" for one in behind)
    return Condition(DELIVERED, False, "Paused" if held.is_paused else "Delivering", told, now)


def _healthy(held: Application, now: datetime) -> Condition:
    """Whether it runs, everywhere, at the commit that is wished; a paused one at whichever it was left."""
    if not held.sights or not held.pin.commit:
        return Condition(HEALTHY, None, "NotObserved", "nobody has looked at it since its files were written", now)
    away = [one for one in held.sights if one.state is Stand.UNKNOWN]
    if away:
        told = "; ".join(f"{one.cluster}: {one.message}" for one in away)
        return Condition(HEALTHY, None, "ClusterSilent", told, now)
    wrong = [one for one in held.sights if not _runs(held, one)]
    count = f"{len(held.sights) - len(wrong)} of {len(held.sights)}"
    if not wrong:
        return Condition(HEALTHY, True, "Observed", f"it runs on {count}{_note(held.sights)}", now)
    told = "; ".join(f"{one.cluster}: {one.message or one.state}" for one in wrong)
    return Condition(HEALTHY, False, "Observed", f"it runs on {count}{_note(held.sights)}; {told}", now)


def _runs(held: Application, one: Sight) -> bool:
    return one.state is Stand.READY and (held.is_paused or one.commit == held.pin.commit)


def _note(sights: Iterable[Sight]) -> str:
    return " (simulated)" if any(one.simulated for one in sights) else ""


def _state(held: Application) -> State:
    """Badge of what was seen. A run that works on it, or has failed, has the word until it is over."""
    if held.busy or held.state in (State.PAUSED, State.FAILED, State.UNINSTALLING) or not held.pin.commit:
        return held.state
    if held.sights and all(_runs(held, one) for one in held.sights):
        return State.ACTIVE
    if held.state in (State.ACTIVE, State.DEGRADED):
        return State.DEGRADED
    given_up = any(one.state is Stand.FAILED and one.commit == held.pin.commit for one in held.sights)
    return State.DEGRADED if given_up else held.state


def _leaving(held: Application, now: datetime) -> tuple[Condition, ...]:
    told = "; ".join(f"{one.cluster}: {one.message or one.state}" for one in held.sights)
    since = next((one.since for one in held.conditions if one.type == LEFT and one.holds is False), now)
    reason = "Gone" if not told else "Overdue" if now - since >= LEAVING else "Leaving"
    return noted(held.conditions, Condition(LEFT, not held.sights, reason, told or "no cluster has it any more", now))
