"""Plans: what changes mean for a zone, computed once from what is there, judged by every guard, and never altered.

Invariants
  as shown     the hash covers base, changes and findings: what is applied is what was shown;
  as it was    a plan is applied while its base stands, and within its hour;
  ours alone   records of others are never changed, unless they are taken over by name of the wish;
  never all    a wish that would leave a zone empty is an error.
"""

import hashlib
import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from catalyst_sdk import Code, Permanent, Refused
from catalyst_sdk.dns import Change, RecordSet
from catalyst_sdk.dns_rules import Key

from . import guards
from .changes import Base, Finding, Step, World, frame, shown
from .hosting import Thresholds
from .mail import is_mail, takers
from .record_sets import content, same, taken
from .zone_refusals import RecordsRefused

LIFE = timedelta(hours=1)
ZONE_PLAN, DELEGATION_PLAN = "zone", "delegation"


class State(StrEnum):
    """States of a plan; an open one past its hour is expired."""

    OPEN = "open"
    APPLYING = "applying"
    APPLIED = "applied"
    FAILED = "failed"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class Plan:
    """A stored plan. `extra`: what a kind of plan keeps beside its changes, such as the revision that it wished."""

    zone: str
    id: str
    hash: str
    base: Base
    created_by: str
    created_at: datetime
    expires_at: datetime
    changes: tuple[Step, ...] = ()
    safety: tuple[Finding, ...] = ()
    kind: str = ZONE_PLAN
    state: State = State.OPEN
    reverse_plan: str = ""
    reverts: str = ""
    run: str = ""
    applied_at: datetime | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)
    version: int = 1

    @property
    def name(self) -> str:
        """Resource name."""
        return f"zones/{self.zone}/plans/{self.id}"

    def state_at(self, now: datetime) -> State:
        """Where it stands: an hour ends an open plan, whether or not somebody looked."""
        return State.EXPIRED if self.state is State.OPEN and self.expires_at <= now else self.state


class PlanNotFound(Refused):
    code, reason, message = Code.NOT_FOUND, "PLAN_NOT_FOUND", "there is no {name}"


class PlanExpired(Refused):
    code, reason = Code.FAILED_PRECONDITION, "PLAN_EXPIRED"
    message = "{name} could be applied until {until}; plan again"


class PlanHashMismatch(Refused):
    code, reason = Code.ABORTED, "PLAN_HASH_MISMATCH"
    message = "{name} has another hash than the one that was sent; look at it again"


class PlanStale(Refused):
    code, reason, message = Code.ABORTED, "PLAN_STALE", "{name} cannot be applied any more: {why}; plan again"


class PlanNotApplied(Refused):
    code, reason, message = (
        Code.FAILED_PRECONDITION,
        "PLAN_NOT_APPLIED",
        "{name} is {state}; only what was applied is taken back",
    )


class ImportPartial(Refused):
    code, reason = Code.FAILED_PRECONDITION, "IMPORT_PARTIAL"
    message = "{name} may have missed records; look at it, and say accept_partial"


def compute(
    world: World,
    wanted: Sequence[Change],
    *,
    thresholds: Thresholds,
    take_over: bool = False,
    confirmed: Collection[Key] = (),
    warnings: Mapping[Key, str] | None = None,
    findings: Sequence[Finding] = (),
    reverting: bool = False,
) -> tuple[tuple[Step, ...], tuple[Finding, ...]]:
    """The steps of a plan and what guards say of them.

    wanted     changes in the order of the wish
    confirmed  mail sets whose removal a person has confirmed by name
    reverting  it takes an applied plan back: that nothing would be left is then shown, and refused when it is applied
    raises     RecordsRefused, WildcardForbidden, ForeignRecord, EmptyDesiredSet, ProtectedRecord: refused whatever is forced
    """
    zone = world.zone
    guards.demand_no_wildcard(zone, wanted)
    try:
        after = taken(zone.origin, world.sets, wanted)
    except Permanent as refused:
        raise RecordsRefused.of(refused, "changes") from refused
    noted = warnings or {}
    steps = tuple(
        Step(before, then, noted.get(key, ""))
        for key in dict.fromkeys((change.name, change.type) for change in wanted)
        if not same(before := world.sets.get(key), then := after.get(key))
        or (then is not None and key not in world.ours)
    )
    guards.demand(world, steps, take_over=take_over)
    if not any(key not in frame(zone) for key in after) and any(key not in frame(zone) for key in world.sets):
        if not reverting:
            raise guards.EmptyDesiredSet(name=zone.name)
        findings = (*findings, Finding(guards.EMPTY, f"nothing would be left to wish of {zone.name}", forceable=False))
    return steps, (*findings, *guards.judge(world, steps, after, thresholds, confirmed))


def made(
    world: World,
    steps: Sequence[Step],
    safety: Sequence[Finding],
    *,
    id: str,
    actor: str,
    now: datetime,
    reverts: str = "",
) -> Plan:
    """The plan, good for an hour. One without steps is fine: all is as wished."""
    plan = Plan(
        world.zone.domain, id, "", world.base, actor, now, now + LIFE, tuple(steps), tuple(safety), reverts=reverts
    )
    return replace(plan, hash=hashed(plan, world.zone.uid))


def hashed(plan: Plan, uid: str) -> str:
    """Over everything that people are shown; `uid` ties it to this life of the zone."""
    shown = {
        "zone": plan.zone, "uid": uid, "kind": plan.kind, "base": asdict(plan.base),
        "changes": [{"before": _json(s.before), "after": _json(s.after), "says": s.sentence} for s in plan.changes],
        "safety": [asdict(finding) for finding in plan.safety], "extra": dict(plan.extra),
    }  # fmt: skip
    return hashlib.sha256(json.dumps(shown, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def demand_applicable(plan: Plan, given: str, force: Collection[str], now: datetime) -> None:
    """Raises PlanHashMismatch, PlanExpired, PlanStale, GuardRefused."""
    if given != plan.hash:
        raise PlanHashMismatch(name=plan.name)
    state = plan.state_at(now)
    if state is State.EXPIRED:
        raise PlanExpired(name=plan.name, until=f"{plan.expires_at:%FT%TZ}")
    if state is not State.OPEN:
        raise PlanStale(name=plan.name, why=f"it is {state} already")
    spoke = [one for one in plan.safety if one.refused and not (one.forceable and one.rule in force)]
    if spoke:
        raise guards.GuardRefused(plan.name, spoke)


def begun(plan: Plan, run: str, now: datetime) -> Plan:
    """It is being applied."""
    return replace(plan, state=State.APPLYING, run=run, applied_at=now, version=plan.version + 1)


def wished(plan: Plan, revision: int) -> Plan:
    """Its changes stand in the wish, under that number."""
    return replace(plan, extra={**plan.extra, "revision": revision}, version=plan.version + 1)


def applied(plan: Plan, reverse: str) -> Plan:
    """It was carried out; `reverse` is the plan that takes it back."""
    return replace(plan, state=State.APPLIED, reverse_plan=reverse, version=plan.version + 1)


def ended(plan: Plan, state: State) -> Plan:
    """It came to nothing."""
    return replace(plan, state=state, version=plan.version + 1)


def reversed_steps(plan: Plan) -> tuple[Step, ...]:
    """What takes the plan back, the last change first."""
    return tuple(Step(s.after, s.before) for s in reversed(plan.changes))


def joined(
    world: World, imported: Iterable[RecordSet]
) -> tuple[tuple[Change, ...], tuple[Finding, ...]]:  # fmt: skip
    """An import united with ours: what we wish already stays, but for what mail depends on, which stays as it was elsewhere;
    texts are united. What differs is told."""
    found, ours = tuple(imported), {w.key: w.set for w in world.wishes if w.records}
    zone, wanted, conflicts, hosts = world.zone, list[Change](), list[str](), takers(found)
    for r in sorted(found, key=lambda one: (one.name, one.type)):
        key = (r.name, r.type)
        known = ours.get(key)
        if r.name == zone.origin and r.type in ("SOA", "NS"):
            continue
        if known is None or same(known, r):
            wanted.append(Change(*key, r.ttl, r.records))
        elif r.type == "TXT":
            wanted.append(Change(*key, r.ttl, tuple(dict.fromkeys([*known.records, *r.records]))))
        elif is_mail(zone.origin, r, hosts):
            wanted.append(Change(*key, r.ttl, r.records))
            conflicts.append(f"{r.type} of {r.name} becomes {shown(r)}, as it is elsewhere: mail depends on it")
        else:
            conflicts.append(f"{r.type} of {r.name} stays {shown(known)}, elsewhere it is {shown(r)}")
    conflicts += _no_longer_made_up(zone.origin, found, ours)
    told = (Finding("conflict", "; ".join(conflicts), refused=False, forceable=False),) if conflicts else ()
    return tuple(wanted), told


def _no_longer_made_up(origin: str, imported: Sequence[RecordSet], ours: Mapping[Key, RecordSet]) -> Iterable[str]:
    """Names of ours that elsewhere have no records of their own, and are answered by the wildcard."""
    stars = {r.type: r for r in imported if r.name == f"*.{origin}"}
    there = {r.name for r in imported}
    for name, kind in sorted(ours):
        star = stars.get(kind)
        if star is not None and name not in there and content(star) != content(ours[name, kind]):
            yield f"{kind} of {name} stays {shown(ours[name, kind])}, elsewhere it is {shown(star)} by the wildcard"


def _json(r: RecordSet | None) -> Any:
    return None if r is None else [r.name, r.type, r.ttl, sorted(r.records)]
