"""A zone in memory: its records as somebody wished them, and the signed form that is served.

Invariants
  all or nothing   a change is checked as a whole before any of it is taken;
  one serial       every change raises the SOA serial by one, so that secondaries and probes see it;
  marks            owner and revision stand in the zone itself, as TXT records.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

import dns.exception
import dns.name
import dns.rdata
import dns.rdataclass
import dns.rdataset
import dns.rdatatype
from catalyst_sdk import Permanent
from catalyst_sdk.dns import OWNER_MARK, REVISION_MARK, Change, RecordSet, ZoneSpec

PROVIDER = "dns_embedded"
Key = tuple[str, str]
"""Name with final dot, and type."""
_GENERATED = {"RRSIG", "NSEC", "NSEC3", "NSEC3PARAM", "DNSKEY", "CDS", "CDNSKEY"}
_MOST_TTL = 2**31 - 1


@dataclass(frozen=True)
class Zone:
    """One zone. `records` holds everything but what signing adds."""

    name: str
    owner: str
    serial: int
    revision: int
    key: bytes
    """Private half of the CSK as PEM; empty for an unsigned zone."""
    records: Mapping[Key, RecordSet] = field(default_factory=dict)

    @property
    def origin(self) -> dns.name.Name:
        """The apex."""
        return dns.name.from_text(self.name)

    @property
    def etag(self) -> str:
        """Another one after each change."""
        return f"{self.serial}-{hashlib.sha256(self.key).hexdigest()[:8]}"

    def wished(self) -> tuple[RecordSet, ...]:
        """Record sets by name and type."""
        return tuple(self.records[key] for key in sorted(self.records))


def create(spec: ZoneSpec, key: bytes) -> Zone:
    """A new zone. Raises Permanent("RECORD_INVALID")."""
    origin = absolute(spec.name, spec.name)
    mname = spec.name_servers[0] if spec.name_servers else f"ns.{origin}"
    rname = "hostmaster." if origin == "." else f"hostmaster.{origin}"
    soa = f"{mname} {rname} 1 10800 3600 604800 {spec.negative_ttl}"
    base = Zone(origin, spec.owner, 0, 0, key, {})
    changes = [
        Change(origin, "SOA", spec.ttl, (soa,)),
        Change(origin, "NS", spec.ttl, tuple(spec.name_servers)),
        Change(f"{OWNER_MARK}.{origin}".replace("..", "."), "TXT", spec.ttl, (f'"owner={spec.owner}"',)),
        *(Change(r.name, r.type, r.ttl, r.records) for r in spec.record_sets),
    ]
    return changed(base, changes, revision=spec.revision, mark_ttl=spec.ttl)


def changed(zone: Zone, changes: Iterable[Change], *, revision: int | None = None, mark_ttl: int = 1) -> Zone:
    """The zone after all `changes`. Raises Permanent("RECORD_INVALID") with the position of the first bad one."""
    records = dict(zone.records)
    for position, change in enumerate(changes):
        _apply(zone, records, change, position)
    if revision is not None:
        name = absolute(REVISION_MARK, zone.name)
        records[name, "TXT"] = RecordSet(name, "TXT", mark_ttl, (f'"gen={revision}"',))
    _check_cnames(zone, records)
    serial = zone.serial + 1
    records[zone.name, "SOA"] = _with_serial(records[zone.name, "SOA"], serial)
    return replace(zone, records=records, serial=serial, revision=zone.revision if revision is None else revision)


def absolute(name: str, origin: str) -> str:
    """`name` in lower case with its final dot; a name without one is taken as below `origin`."""
    root = dns.name.from_text(origin)
    return str(dns.name.from_text(name, root)).lower()


def _apply(zone: Zone, records: dict[Key, RecordSet], change: Change, position: int) -> None:
    name, kind = absolute(change.name, zone.name), change.type.upper()
    if not dns.name.from_text(name).is_subdomain(zone.origin):
        raise invalid(position, f"{name} lies outside of {zone.name}")
    if kind in _GENERATED:
        raise invalid(position, f"{kind} records are made by signing")
    if not change.records:
        if (name, kind) in ((zone.name, "SOA"), (zone.name, "NS")):
            raise invalid(position, f"a zone cannot be without its {kind}")
        records.pop((name, kind), None)
        return
    if not 0 <= change.ttl <= _MOST_TTL:
        raise invalid(position, f"ttl {change.ttl} is not between 0 and {_MOST_TTL}")
    data = {str(_rdata(kind, text, zone, position)): None for text in change.records}
    records[name, kind] = RecordSet(name, kind, change.ttl, tuple(data))


def _rdata(kind: str, text: str, zone: Zone, position: int) -> dns.rdata.Rdata:
    try:
        return dns.rdata.from_text("IN", kind, text, origin=zone.origin, relativize=False)
    except (dns.exception.DNSException, ValueError) as error:
        raise invalid(position, f"{kind} {text!r} cannot be read: {error}") from error


def _check_cnames(zone: Zone, records: Mapping[Key, RecordSet]) -> None:
    """A CNAME stands alone (RFC 1034, section 3.6.2), and never at an apex."""
    others = {name for name, kind in records if kind != "CNAME"}
    for name, kind in records:
        if kind == "CNAME" and (name in others or name == zone.name or len(records[name, kind].records) > 1):
            raise invalid(-1, f"{name} has a CNAME beside other data")


def _with_serial(soa: RecordSet, serial: int) -> RecordSet:
    fields = soa.records[0].split()
    return replace(soa, records=(" ".join([*fields[:2], str(serial), *fields[3:]]),))


def invalid(position: int, why: str) -> Permanent:
    """A record that cannot be taken."""
    where = f"change {position}: " if position >= 0 else ""
    return Permanent("RECORD_INVALID", f"{where}{why}", provider=PROVIDER)
