"""Plans: what changes mean for a zone, computed once from what is there, judged by every guard, and never altered.

Invariants
  as shown     the hash covers base, changes and findings: what is applied is what was shown;
  as it was    a plan is applied while its base stands, and within its hour;
  ours alone   records of others are never changed, unless they are taken over by name of the wish;
  never all    a wish that would leave a zone empty is an error.
"""

import hashlib
import json
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from catalyst_sdk import Code, Permanent, Refused
from catalyst_sdk.dns import Change, RecordSet
from catalyst_sdk.dns_rules import Key

from .hosting import ChangePolicy, Kind, Thresholds, Zone
from .ownership import is_own_mark
from .record_sets import Wish, content, is_mark, same, taken
from .zone_refusals import ProtectedRecord, RecordsRefused, WildcardForbidden

LIFE = timedelta(hours=1)
ZONE_PLAN, DELEGATION_PLAN = "zone", "delegation"
MASS_CHANGE, EMPTY = "mass-change", "empty-set"
RULES = (MASS_CHANGE, "apex-ns", "soa-mname", "last-mx", "acme-challenge", "ds-order")
"""Guards that naming them in `force` lifts."""
_LONGEST_TEXT = 200
_MAIL_TYPES = {
    "_dmarc": ("TXT",),
    "_mta-sts": ("TXT",),
    "mta-sts": ("A", "AAAA", "CNAME"),
    "_smtp._tls": ("TXT",),
    "autodiscover": ("A", "AAAA", "CNAME"),
    "autoconfig": ("A", "AAAA", "CNAME"),
    "_autodiscover._tcp": ("SRV",),
    "_imaps._tcp": ("SRV",),
    "_submission._tcp": ("SRV",),
}  # fmt: skip - reads as a table
_DKIM = re.compile(r".+\._domainkey")


class Action(StrEnum):
    CREATE = "create"
    UPDATE = "update"
    DELETE = "delete"


class State(StrEnum):
    """States of a plan; an open one past its hour is expired."""

    OPEN = "open"
    APPLYING = "applying"
    APPLIED = "applied"
    FAILED = "failed"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class Step:
    """One change of one record set; its sentence is made from what is executed."""

    before: RecordSet | None
    after: RecordSet | None
    warning: str = ""

    @property
    def key(self) -> Key:
        """Name and type."""
        known = self.after or self.before
        assert known is not None, "a step has one side at least"
        return known.name, known.type

    @property
    def action(self) -> Action:
        if self.before is None:
            return Action.CREATE
        return Action.UPDATE if self.after else Action.DELETE

    @property
    def change(self) -> Change:
        """As a backend takes it."""
        return Change(*self.key, self.after.ttl, self.after.records) if self.after else Change(*self.key)

    @property
    def sentence(self) -> str:
        """The same for people."""
        name, kind = self.key
        if self.before is None and self.after is not None:
            return f"{kind} of {name} is created: {_text(self.after)}, for {self.after.ttl} s"
        if self.after is None and self.before is not None:
            return f"{kind} of {name} is deleted: {_text(self.before)}"
        assert self.before is not None, "neither a creation nor a deletion"
        assert self.after is not None, "as above"
        if content(self.before) == content(self.after):
            told = f"its lifetime from {self.before.ttl} s to {self.after.ttl} s"
            same_set = self.before.ttl == self.after.ttl
            return f"{kind} of {name} " + (
                f"stays {_text(self.after)} and becomes ours" if same_set else f"changes {told}"
            )
        return f"{kind} of {name} changes from {_text(self.before)} to {_text(self.after)}"


@dataclass(frozen=True, slots=True)
class Finding:
    """What a guard says. `refused`: the plan cannot be applied so; `forceable`: unless the rule is named in `force`."""

    rule: str
    detail: str
    changes: tuple[int, ...] = ()
    refused: bool = True
    forceable: bool = True


@dataclass(frozen=True, slots=True)
class Base:
    """State from which a plan was computed."""

    serial: int = 0
    revision: int = 0
    etag: str = ""


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


@dataclass(frozen=True, slots=True)
class World:
    """What a plan is computed from.

    sets        what the backend has, marks apart
    wishes      what is wished, what is to go too
    foreign     sets that somebody else keeps
    held        labels of a pool that somebody holds
    challenged  names with a challenge in flight
    """

    zone: Zone
    sets: Mapping[Key, RecordSet]
    wishes: tuple[Wish, ...] = ()
    foreign: frozenset[Key] = frozenset()
    held: frozenset[str] = frozenset()
    challenged: frozenset[str] = frozenset()
    serial: int = 0
    revision: int = 0

    @property
    def base(self) -> Base:
        """What must stand when the plan is applied."""
        return Base(self.serial, self.revision, digest(self))

    @property
    def ours(self) -> frozenset[Key]:
        """Sets that stand in the wish."""
        return frozenset(w.key for w in self.wishes if w.records)


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


class GuardRefused(Refused):
    """MASS_CHANGE_REFUSED, PROTECTED_RECORD or EMPTY_DESIRED_SET: guards that were not forced, with their sentences."""

    code, reason, message = Code.FAILED_PRECONDITION, "MASS_CHANGE_REFUSED", "{name} is refused by {rules}: {detail}"
    reasons = ("MASS_CHANGE_REFUSED", "PROTECTED_RECORD", "EMPTY_DESIRED_SET")

    def __init__(self, name: str, spoke: Sequence[Finding]) -> None:
        rank = [one.rule for one in spoke]
        reason = "MASS_CHANGE_REFUSED" if MASS_CHANGE in rank else "PROTECTED_RECORD"
        self.reason = "EMPTY_DESIRED_SET" if EMPTY in rank else reason  # type: ignore[misc]  # one refusal, three reasons
        rules = ", ".join(one.rule for one in spoke)
        super().__init__(name=name, rules=rules, detail="; ".join(one.detail for one in spoke))


class EmptyDesiredSet(Refused):
    code, reason = Code.FAILED_PRECONDITION, "EMPTY_DESIRED_SET"
    message = "nothing would be left to wish of {name}; delete the zone if that is meant"


class ForeignRecord(Refused):
    code, reason = Code.FAILED_PRECONDITION, "FOREIGN_RECORD"
    message = "{records} of {name} are kept by somebody else"


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
    _demand_no_wildcard(zone, wanted)
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
    _demand_ours(world, steps, take_over=take_over)
    _demand_policy(zone, steps)
    if not any(key not in _frame(zone) for key in after) and any(key not in _frame(zone) for key in world.sets):
        if not reverting:
            raise EmptyDesiredSet(name=zone.name)
        findings = (*findings, Finding(EMPTY, f"nothing would be left to wish of {zone.name}", forceable=False))
    guards = (_mass(world, steps, thresholds), *_protected(world, steps, after), _mail(world, steps, confirmed))
    return steps, (*findings, *(found for found in guards if found))


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
        raise GuardRefused(plan.name, spoke)


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


def digest(world: World) -> str:
    """Of all sets and wishes that a plan may stand on. Challenges come and go, and names of a pool do, without making a plan
    stale."""
    zone = world.zone
    sets = sorted(
        (name, kind, r.ttl, sorted(content(r)))
        for (name, kind), r in world.sets.items()
        if not _passes(zone, name, kind)
    )
    wishes = sorted((w.name, w.type, w.ttl, sorted(content(w.set))) for w in world.wishes)
    return hashlib.sha256(json.dumps([sets, wishes]).encode()).hexdigest()[:20]


def world_sets(sets: Iterable[RecordSet], origin: str, owner: str) -> dict[Key, RecordSet]:
    """What a backend has, without the marks of backends and without those that say what is ours."""
    return {(r.name, r.type): r for r in sets if not is_mark(r.name, origin) and not is_own_mark(r, owner)}


def joined(
    world: World, imported: Iterable[RecordSet]
) -> tuple[tuple[Change, ...], tuple[Finding, ...]]:  # fmt: skip
    """An import united with ours: what we wish already stays, but for mail, which stays as it was elsewhere; texts are
    united. What differs is told."""
    zone, wanted, conflicts = world.zone, [], []
    ours = {w.key: w.set for w in world.wishes if w.records}
    for r in sorted(imported, key=lambda one: (one.name, one.type)):
        key = (r.name, r.type)
        known = ours.get(key)
        if r.name == zone.origin and r.type in ("SOA", "NS"):
            continue
        if known is None or same(known, r):
            wanted.append(Change(*key, r.ttl, r.records))
        elif r.type == "TXT":
            wanted.append(Change(*key, r.ttl, tuple(dict.fromkeys([*known.records, *r.records]))))
        elif is_mail(zone.origin, r):
            wanted.append(Change(*key, r.ttl, r.records))
        else:
            conflicts.append(f"{r.type} of {r.name} stays {_text(known)}, elsewhere it is {_text(r)}")
    told = (Finding("conflict", "; ".join(conflicts), refused=False, forceable=False),) if conflicts else ()
    return tuple(wanted), told


def is_mail(origin: str, r: RecordSet) -> bool:
    """Whether mail depends on the set: MX, SPF, DKIM, DMARC, MTA-STS, TLS reports, the clients' discovery."""
    if r.type == "MX":
        return True
    if r.name == origin:
        return r.type == "TXT" and any(text.lower().startswith('"v=spf1') for text in r.records)
    label = r.name.removesuffix(f".{origin}")
    return r.type in _MAIL_TYPES.get(label, ()) or (r.type in ("TXT", "CNAME") and bool(_DKIM.fullmatch(label)))


def _demand_no_wildcard(zone: Zone, wanted: Sequence[Change]) -> None:
    for n, change in enumerate(wanted):
        if zone.kind is Kind.POOL and change.name.startswith("*") and change.records:
            raise WildcardForbidden(change.name, zone.name, f"changes[{n}].record_set.name")


def _demand_ours(world: World, steps: Sequence[Step], *, take_over: bool) -> None:
    """Raises ForeignRecord. What a name of a pool has in the pool's zone is never taken over."""
    bad = []
    for step in steps:
        name, kind = step.key
        marked = step.key in world.foreign
        unknown = step.before is not None and step.key not in world.ours and step.key not in _frame(world.zone)
        below_a_name = world.zone.kind is Kind.POOL and _label(name, world.zone.origin) in world.held
        if below_a_name or ((marked or unknown) and not take_over):
            bad.append(f"{kind} of {name}")
    if bad:
        raise ForeignRecord(name=world.zone.name, records=", ".join(bad))


def _demand_policy(zone: Zone, steps: Sequence[Step]) -> None:
    """Raises ProtectedRecord where the zone's policy has no such changes."""
    allowed = {
        ChangePolicy.SYNC: set(Action),
        ChangePolicy.UPSERT_ONLY: {Action.CREATE, Action.UPDATE},
        ChangePolicy.CREATE_ONLY: {Action.CREATE},
    }[zone.change_policy]
    for step in steps:
        if step.action not in allowed:
            how = f"its change policy is {zone.change_policy}"
            raise ProtectedRecord(name=zone.name, what=f"{step.key[1]} of {step.key[0]}", how=how)


def _mass(world: World, steps: Sequence[Step], limits: Thresholds) -> Finding | None:
    frame = _frame(world.zone)
    total = sum(key not in frame for key in world.sets)
    if total < limits.least:
        return None
    told, where = [], []
    for action, verb, limit in (
        (Action.UPDATE, "updated", limits.updates), (Action.DELETE, "deleted", limits.deletes),
    ):  # fmt: skip
        hit = [n for n, step in enumerate(steps) if step.action is action and step.key not in frame and _moves(step)]
        if len(hit) * 100 > limit * total:
            share = f"{len(hit) * 100 / total:.1f}".removesuffix(".0")
            told.append(f"{share} % of the records would be {verb} ({len(hit)}/{total}), the limit is {limit} %")
            where += hit
    return Finding(MASS_CHANGE, "; ".join(told), tuple(sorted(where))) if told else None


def _protected(world: World, steps: Sequence[Step], after: Mapping[Key, RecordSet]) -> list[Finding]:
    origin, found = world.zone.origin, []
    for n, step in enumerate(steps):
        name, kind = step.key
        if step.key == (origin, "NS") and _moves(step):
            found.append(Finding("apex-ns", f"the name servers of {origin} would change", (n,)))
        if step.key == (origin, "SOA") and step.before and step.after and _mname(step.before) != _mname(step.after):
            found.append(Finding("soa-mname", f"the first server in the SOA of {origin} would change", (n,)))
        if kind == "NS" and step.after is None and (name, "DS") in world.sets:
            found.append(Finding("ds-order", f"the DS of {name} must be out of every cache before its NS goes", (n,)))
        if kind == "TXT" and name in world.challenged and step.before is not None:
            found.append(Finding("acme-challenge", f"a certificate is being proved at {name}", (n,)))
    mx = [n for n, step in enumerate(steps) if step.key[1] == "MX" and step.after is None]
    if mx and not any(kind == "MX" for _, kind in after):
        found.append(Finding("last-mx", f"no MX would be left in {origin}: mail would go astray", tuple(mx)))
    return found


def _mail(world: World, steps: Sequence[Step], confirmed: Collection[Key]) -> Finding | None:
    if world.zone.kind is not Kind.BYO:
        return None
    hit = [
        n
        for n, step in enumerate(steps)
        if step.before is not None and is_mail(world.zone.origin, step.before) and step.key not in confirmed
        if step.after is None or not content(step.before) <= content(step.after)
    ]
    if not hit:
        return None
    names = ", ".join(f"{steps[n].key[1]} of {steps[n].key[0]}" for n in hit)
    return Finding("mail", f"mail depends on {names}; confirm each removal by name", tuple(hit), forceable=False)


def _moves(step: Step) -> bool:
    """Whether it changes what is answered, and not only whose it is."""
    return not same(step.before, step.after)


def _frame(zone: Zone) -> frozenset[Key]:
    return frozenset({(zone.origin, "SOA"), (zone.origin, "NS")})


def _passes(zone: Zone, name: str, kind: str) -> bool:
    if kind == "TXT" and name.startswith("_acme-challenge."):
        return True
    return zone.kind is Kind.POOL and kind in ("NS", "DS") and name != zone.origin


def _label(name: str, origin: str) -> str:
    return name.removesuffix(f".{origin}").rsplit(".", 1)[-1] if name != origin else ""


def _mname(soa: RecordSet) -> str:
    return soa.records[0].split()[0]


def _text(r: RecordSet) -> str:
    text = ", ".join(r.records)
    return text if len(text) <= _LONGEST_TEXT else f"{text[:_LONGEST_TEXT]}… ({len(r.records)} records)"


def _json(r: RecordSet | None) -> Any:
    return None if r is None else [r.name, r.type, r.ttl, sorted(r.records)]
