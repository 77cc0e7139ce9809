"""Guards: what is refused of a zone's changes, for good or unless somebody names the rule."""

from collections.abc import Collection, Mapping, Sequence

from catalyst_sdk import Code, Refused
from catalyst_sdk.dns import Change, RecordSet
from catalyst_sdk.dns_rules import Key

from .changes import Action, Finding, Step, World, frame
from .hosting import ChangePolicy, Kind, Thresholds, Zone
from .mail import is_mail, takers
from .record_sets import content, same
from .zone_refusals import ProtectedRecord, WildcardForbidden

MASS_CHANGE, EMPTY = "mass-change", "empty-set"
RULES = (MASS_CHANGE, "apex-ns", "soa-mname", "last-mx", "acme-challenge", "ds-order", "doubled-name")
"""Guards that naming them in `force` lifts."""


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


def demand(world: World, steps: Sequence[Step], *, take_over: bool) -> None:
    """What is refused whatever is forced. Raises ForeignRecord, ProtectedRecord."""
    _demand_ours(world, steps, take_over=take_over)
    _demand_policy(world.zone, steps)


def judge(
    world: World, steps: Sequence[Step], after: Mapping[Key, RecordSet], limits: Thresholds, confirmed: Collection[Key]
) -> tuple[Finding, ...]:
    """What guards say of the steps, which lead to `after`; `confirmed`: mail sets whose removal was confirmed by name."""
    found = (_mass(world, steps, limits), *_protected(world, steps, after), _mail(world, steps, after, confirmed))
    return tuple(one for one in found if one)


def demand_no_wildcard(zone: Zone, wanted: Sequence[Change]) -> None:
    """Raises WildcardForbidden: in the zone of a pool it would answer for every released or mistyped name."""
    for n, change in enumerate(wanted):
        if zone.kind is Kind.POOL and change.name.startswith("*") and change.records:
            raise WildcardForbidden(change.name, zone.name, f"changes[{n}].record_set.name")


def _demand_ours(world: World, steps: Sequence[Step], *, take_over: bool) -> None:
    """Raises ForeignRecord. What a name of a pool has in the pool's zone is never taken over."""
    bad = []
    for step in steps:
        name, kind = step.key
        marked = step.key in world.foreign
        unknown = step.before is not None and step.key not in world.ours and step.key not in frame(world.zone)
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
    framing = frame(world.zone)
    total = sum(key not in framing for key in world.sets)
    if total < limits.least:
        return None
    told, where = [], []
    for action, verb, limit in (
        (Action.UPDATE, "updated", limits.updates), (Action.DELETE, "deleted", limits.deletes),
    ):  # fmt: skip
        hit = [n for n, step in enumerate(steps) if step.action is action and step.key not in framing and _moves(step)]
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
        if step.before is None and f".{name}".endswith(f".{origin}{origin}"):
            told = f"{name} names {origin} twice; write it with its final dot, or without the zone"
            found.append(Finding("doubled-name", told, (n,)))
        if kind == "TXT" and name in world.challenged and step.before is not None:
            found.append(Finding("acme-challenge", f"a certificate is being proved at {name}", (n,)))
    mx = [n for n, step in enumerate(steps) if step.key[1] == "MX" and step.after is None]
    if mx and not any(kind == "MX" for _, kind in after):
        found.append(Finding("last-mx", f"no MX would be left in {origin}: mail would go astray", tuple(mx)))
    return found


def _mail(
    world: World, steps: Sequence[Step], after: Mapping[Key, RecordSet], confirmed: Collection[Key]
) -> Finding | None:
    if world.zone.kind is not Kind.BYO:
        return None
    hosts = takers(after.values())  # that an MX goes is to be confirmed for itself
    hit = [
        n
        for n, step in enumerate(steps)
        if step.before is not None and is_mail(world.zone.origin, step.before, hosts) and step.key not in confirmed
        if step.after is None or not content(step.before) <= content(step.after)
    ]
    if not hit:
        return None
    names = ", ".join(f"{steps[n].key[1]} of {steps[n].key[0]}" for n in hit)
    return Finding("mail", f"mail depends on {names}; confirm each removal by name", tuple(hit), forceable=False)


def _moves(step: Step) -> bool:
    """Whether it changes what is answered, and not only whose it is."""
    return not same(step.before, step.after)


def _label(name: str, origin: str) -> str:
    return name.removesuffix(f".{origin}").rsplit(".", 1)[-1] if name != origin else ""


def _mname(soa: RecordSet) -> str:
    return soa.records[0].split()[0]
