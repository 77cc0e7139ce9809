"""What a plan of a delegation stands on, and what guards say of it. Pure: whoever looked at the world hands in what was seen."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from catalyst_sdk import Code, Refused
from catalyst_sdk.dns import RecordSet
from catalyst_sdk.dns_rules import Key
from catalyst_sdk.registrar import Delegation as Shown
from catalyst_sdk.registrar import DsRecord, Target

from .changes import Base, Finding
from .hosting import Zone
from .identity import CHALLENGE, dns_host
from .mail import is_mail, takers
from .plans import DELEGATION_PLAN, LIFE, Plan, hashed
from .record_sets import content

OWNERSHIP, NO_IMPORT, REPLAY, MAIL, DNSSEC, DS_BY_HAND, HOST, REGISTERED = (
    "ownership", "no-import", "replay", "mail", "dnssec", "ds-by-hand", "dns-host", "registered",
)  # fmt: skip
"""Guards. `replay`, `no-import` and each `mail-…` are lifted by their names in `force`; the others inform, or refuse for good."""
_LOCKS = ("update",)


class DomainLocked(Refused):
    code, reason = Code.FAILED_PRECONDITION, "DOMAIN_LOCKED"
    message = "{domain} takes no change of name servers: {locks}; the registrar can lift that"


class KeyAbsent(Refused):
    code, reason = Code.FAILED_PRECONDITION, "PROTECTED_RECORD"
    message = "DS {ds} of {name} digest no key that the new servers sign with"


class KeysStay(Refused):
    code, reason = Code.FAILED_PRECONDITION, "PROTECTED_RECORD"
    message = (
        "{name} has DS {ds} of other keys, which {registrar} does not take away by its API; remove them there first"
    )


@dataclass(frozen=True, slots=True)
class Sight:
    """What was seen of a domain before a plan is made.

    shown          the delegation as the registrar has it
    own_ds         DS of the keys that the new servers sign with
    can_write_ds   whether the registrar changes DS
    proven         whether the domain was shown to be its asker's
    imported       what the newest import found; None: there is none
    wished         what the new servers answer, by name and type
    others         keys that the old servers show, if they show ours beside them, so that both can sign while the domain moves
    registered     at which registrar the registry says that the domain is; empty where it does not say
    to_share       keys of ours that they would have to show for that; none where the move could not be made so
    """

    shown: Shown
    own_ds: tuple[DsRecord, ...]
    can_write_ds: bool
    registrar: str
    proven: bool
    nonce: str
    imported: tuple[RecordSet, ...] | None
    wished: Mapping[Key, RecordSet]
    others: tuple[str, ...] = ()
    to_share: tuple[str, ...] = ()
    registered: str = ""


def judge(zone: Zone, target: Target, sight: Sight) -> tuple[Finding, ...]:
    """What guards say of moving `zone` to `target`. Raises DomainLocked, KeyAbsent, KeysStay: refused for good."""
    name, shown = f"{zone.name}/delegation", sight.shown
    if locks := [lock for lock in shown.locks if any(word in lock.lower() for word in _LOCKS)]:
        raise DomainLocked(domain=zone.domain, locks=", ".join(locks))
    own = {(ds.key_tag, ds.algorithm) for ds in sight.own_ds}
    if absent := [ds for ds in target.ds if ds not in sight.own_ds and (ds.key_tag, ds.algorithm) not in own]:
        raise KeyAbsent(name=name, ds=_tags(absent))
    foreign = [ds for ds in shown.ds if (ds.key_tag, ds.algorithm) not in own]
    if foreign and not sight.can_write_ds:
        raise KeysStay(name=name, ds=_tags(foreign), registrar=sight.registrar)
    return tuple(_findings(zone, target, sight, foreign))


def compared_of(zone: Zone, sight: Sight) -> tuple[RecordSet, ...]:
    """What is compared of the import: all but what each host says of itself."""
    frame = ((zone.origin, "SOA"), (zone.origin, "NS"))
    return tuple(r for r in sight.imported or () if (r.name, r.type) not in frame)


def conflicts(zone: Zone, sight: Sight) -> tuple[RecordSet, ...]:
    """Imported sets that the new servers would answer otherwise."""
    return tuple(r for r in compared_of(zone, sight) if not _alike(r, sight.wished.get((r.name, r.type))))


def made(
    zone: Zone,
    target: Target,
    sight: Sight,
    safety: Sequence[Finding],
    *,
    id: str,
    parent: str,
    account: str,
    actor: str,
    now: datetime,
    stored: Mapping[str, Any],
) -> Plan:
    """The plan, good for an hour. `stored`: what was and will be, as it is kept."""
    compared = sorted((r.name, r.type) for r in compared_of(zone, sight))
    plan = Plan(
        zone.domain, id, "", Base(etag=sight.shown.etag), actor, now, now + LIFE, (), tuple(safety), DELEGATION_PLAN,
        extra={
            **stored, "parent": parent, "account": account,
            "says": sentence(zone, target, sight.shown, joint=bool(sight.others)),
            "replay": [list(key) for key in compared],
            "accepted": sorted([r.name, r.type] for r in conflicts(zone, sight)),
            **({"others": list(sight.others), "held": longest(sight)} if sight.others else {}),
        },
    )  # fmt: skip
    return replace(plan, hash=hashed(plan, zone.uid))


def longest(sight: Sight) -> int:
    """Seconds for which caches may hold what the old servers have signed, as far as the import tells."""
    return max((r.ttl for r in sight.imported or ()), default=0)


def sentence(zone: Zone, target: Target, shown: Shown, *, joint: bool = False) -> str:
    """The change for people, made from what is executed. `joint`: both hosts sign meanwhile."""
    told = f"{zone.domain} moves from {_hosts(shown.ns)} to {_hosts(target.ns)}"
    leaving = [ds for ds in shown.ds if ds not in target.ds]
    if joint:
        return (
            told + f"; DS {_tags(target.ds)} comes first, beside {_tags(leaving)}, which goes when the move is stable"
        )
    if leaving:
        told += f"; DS {_tags(leaving)} goes first, and out of every cache"
    return told + (f"; DS {_tags(target.ds)} comes when the move is stable" if target.ds else "; without DS")


def _findings(zone: Zone, target: Target, sight: Sight, foreign: Sequence[DsRecord]) -> Iterable[Finding]:
    if not sight.proven:
        text = (
            f'publish TXT "{sight.nonce}" at {CHALLENGE}.{zone.domain}, or name an account that may change the domain'
        )
        yield Finding(OWNERSHIP, text, forceable=False)
    if sight.shown.ns and set(sight.shown.ns) != set(target.ns):
        if sight.imported is None:
            yield Finding(
                NO_IMPORT, f"nothing was imported of {zone.domain}: what its servers answer now is not compared"
            )
        yield from _differences(zone, sight)
    if foreign:
        yield Finding(DNSSEC, _signed_meanwhile(zone, sight, foreign), refused=False, forceable=False)
    if target.ds and not sight.can_write_ds:
        text = f"{sight.registrar} takes no DS by its API; enter them there after the move: {'; '.join(map(str, target.ds))}"
        yield Finding(DS_BY_HAND, text, refused=False, forceable=False)
    if host := dns_host(sight.shown.ns):
        yield Finding(HOST, f"{zone.domain} is served by {host} today", refused=False, forceable=False)
    if sight.registered:
        text = f"the registry has {zone.domain} as registered at {sight.registered}"
        yield Finding(REGISTERED, text, refused=False, forceable=False)


def _signed_meanwhile(zone: Zone, sight: Sight, foreign: Sequence[DsRecord]) -> str:
    """What becomes of the DS of the old host."""
    if sight.others:
        return f"both hosts show each other's keys: DS {_tags(foreign)} stay until the move is stable, and all stays signed"
    told = f"DS {_tags(foreign)} are taken out first, and the move waits until no cache has them"
    if sight.to_share:
        keys = "; ".join(sight.to_share)
        told += (
            f"; to stay signed meanwhile, have the present host show DNSKEY {keys} of {zone.domain} too, and plan again"
        )
    return told


def _differences(zone: Zone, sight: Sight) -> Iterable[Finding]:
    found, hosts = conflicts(zone, sight), takers(sight.imported or ())
    for r in found:
        if is_mail(zone.origin, r, hosts):
            label = "@" if r.name == zone.origin else r.name.removesuffix(f".{zone.origin}")
            rule = f"{MAIL}-{r.type.lower()}-{label}"[:63]
            yield Finding(rule, f"mail depends on {r.type} of {r.name}, which the new servers answer otherwise")
    if rest := [r for r in found if not is_mail(zone.origin, r, hosts)]:
        told = ", ".join(f"{r.type} of {r.name}" for r in rest[:10]) + (" …" if len(rest) > 10 else "")
        yield Finding(REPLAY, f"{len(rest)} record set(s) would be answered otherwise: {told}")


def _alike(one: RecordSet, other: RecordSet | None) -> bool:
    """Whether both say the same; how long it lives does not matter."""
    if other is None:
        return False
    return content(one) == content(other)


def _hosts(ns: Sequence[str]) -> str:
    return ", ".join(host.rstrip(".") for host in ns) or "nobody"


def _tags(found: Iterable[DsRecord]) -> str:
    return ", ".join(str(ds.key_tag) for ds in found)
