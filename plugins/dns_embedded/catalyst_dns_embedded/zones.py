"""A zone as somebody wished it: records, marks, keys. Pure: a change gives a new zone, or a refusal.

Invariants
  all or nothing   a change is checked as a whole before any of it is taken;
  one serial       every change raises the SOA serial by one, so that secondaries and probes see it;
  no change        what changes nothing gives the same zone back: same serial, same etag;
  marks            owner and revision stand in the zone as TXT records, which no change can touch.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from catalyst_sdk.dns import OWNER_MARK, REVISION_MARK, Change, RecordSet, ZoneKey, ZoneSpec, text_data

from . import checks
from .checks import Faults, Key

ALGORITHM = 13
"""ECDSA on P-256 with SHA-256 (RFC 6605)."""
_MOST_OWNER = 240


@dataclass(frozen=True)
class Csk:
    """A key that signs everything in its zone, its own key set too."""

    private: bytes = field(repr=False)
    """PEM."""
    public: str
    """DNSKEY data in presentation form."""
    tag: int
    ds: str
    """The DS for it (digest 2, RFC 4509)."""
    active: bool = True


@dataclass(frozen=True)
class Zone:
    """One zone. `records` holds everything but what signing adds."""

    name: str
    owner: str
    uid: str
    """Drawn when the zone was made: a zone deleted and made again is another one."""
    serial: int = 0
    revision: int = 0
    keys: tuple[Csk, ...] = ()
    records: Mapping[Key, RecordSet] = field(default_factory=dict)

    @property
    def etag(self) -> str:
        """Another one after each change."""
        return f"{self.uid}-{self.serial}"

    @property
    def ttl(self) -> int:
        """Seconds for what the server itself puts into the zone: marks and keys."""
        return self.records[self.name, "SOA"].ttl

    def shown_keys(self) -> tuple[ZoneKey, ...]:
        """Public facts about the keys."""
        return tuple(ZoneKey(k.tag, ALGORITHM, k.active, k.public, (k.ds,)) for k in self.keys)

    def wished(self) -> tuple[RecordSet, ...]:
        """Record sets by name and type."""
        return tuple(self.records[key] for key in sorted(self.records))

    def below(self, label: str) -> str:
        """The name of `label` in this zone."""
        return f"{label}." if self.name == "." else f"{label}.{self.name}"


def create(spec: ZoneSpec, *, uid: str, keys: tuple[Csk, ...], lowest_ttl: int = 1) -> Zone:
    """A new zone. Raises Permanent("RECORD_INVALID")."""
    faults = Faults()
    for what in (checks.check_zone_name(spec.name), _owner_fault(spec.owner), _servers_fault(spec.name_servers)):
        if what:
            faults.add(-1, what)
    faults.refuse()
    zone = Zone(spec.name, spec.owner, uid, keys=keys)
    soa = f"{spec.name_servers[0]} {zone.below('hostmaster')} 1 10800 3600 604800 {spec.negative_ttl}"
    mark = zone.below(OWNER_MARK)
    made = (
        Change(spec.name, "SOA", spec.ttl, (soa,)),
        Change(spec.name, "NS", spec.ttl, tuple(spec.name_servers)),
    )
    given = (Change(r.name, r.type, r.ttl, r.records) for r in spec.record_sets)
    records: dict[Key, RecordSet] = {(mark, "TXT"): RecordSet(mark, "TXT", spec.ttl, (_mark("owner", spec.owner),))}
    wished = [*((-1, change) for change in made), *enumerate(given)]
    touched = _take(zone, records, wished, faults, lowest_ttl)
    faults.refuse()
    _take_revision(zone, records, spec.revision, spec.ttl)
    checks.check_whole(records, touched, origin=spec.name, faults=faults)
    faults.refuse()
    return _next(replace(zone, revision=spec.revision), records)


def changed(
    zone: Zone, changes: Sequence[Change], *, revision: int | None = None, lowest_ttl: int = 1
) -> tuple[Zone, frozenset[Key]]:
    """The zone after all `changes`, and what differs. Raises Permanent("RECORD_INVALID")."""
    records, faults = dict(zone.records), Faults()
    touched = _take(zone, records, enumerate(changes), faults, lowest_ttl)
    faults.refuse()
    checks.check_whole(records, touched, origin=zone.name, faults=faults)
    faults.refuse()
    if revision is not None:
        touched[_take_revision(zone, records, revision, zone.ttl)] = -1
    differs = {key for key in touched if records.get(key) != zone.records.get(key)}
    if not differs:
        return zone, frozenset()
    after = _next(replace(zone, revision=zone.revision if revision is None else revision), records)
    return after, frozenset(differs | {(zone.name, "SOA")})


def with_keys(zone: Zone, keys: tuple[Csk, ...], revision: int | None = None) -> tuple[Zone, frozenset[Key]]:
    """The zone with other keys. The serial moves: a new key set has to be seen like any change."""
    after, differs = changed(zone, (), revision=revision)
    if not differs:
        after, differs = again(zone), frozenset({(zone.name, "SOA")})
    return replace(after, keys=keys), differs


def again(zone: Zone) -> Zone:
    """The same zone under the next serial."""
    return _next(zone, dict(zone.records))


def _take(
    zone: Zone, records: dict[Key, RecordSet], changes: Iterable[tuple[int, Change]], faults: Faults, lowest_ttl: int
) -> dict[Key, int]:
    """Put what can be taken into `records`, the rest into `faults`; which keys were named, and at which position."""
    touched: dict[Key, int] = {}
    for position, change in changes:
        key = (change.name, change.type)
        if key in touched:
            faults.add(position, f"{change.name} {change.type} is there twice")
        touched[key] = position
        if fault := _protected(zone, change):
            faults.add(position, fault)
        elif not change.records:
            records.pop(key, None)
        elif fault := _put(zone, records, change, lowest_ttl):
            faults.add(position, fault)
    return touched


def _protected(zone: Zone, change: Change) -> str:
    if fault := checks.check_place(change.name, zone.name):
        return fault
    if change.name in (zone.below(OWNER_MARK), zone.below(REVISION_MARK)):
        return f"{change.name} is a mark, which the server writes"
    if not change.records and change.name == zone.name and change.type in ("SOA", "NS"):
        return f"a zone cannot be without its {change.type}"
    return ""


def _put(zone: Zone, records: dict[Key, RecordSet], change: Change, lowest_ttl: int) -> str:
    """Why the change cannot be taken; else it is, in the form that is served."""
    name, kind = change.name, change.type
    if fault := checks.check_set(name, kind, change.ttl, origin=zone.name, lowest_ttl=lowest_ttl):
        return fault
    try:
        data = tuple(str(rdata) for rdata in checks.parse(kind, change.records))
    except ValueError as error:
        return str(error)
    if fault := next(filter(None, (checks.check_target(kind, text) for text in data)), ""):
        return fault
    if kind == "SOA":
        data = (_with_serial(data[0], zone.serial),)  # the serial is ours, whatever the wish says
    known = records.get((name, kind))
    if known is None or known.ttl != change.ttl or set(known.records) != set(data):
        records[name, kind] = RecordSet(name, kind, change.ttl, data)
    return ""


def _take_revision(zone: Zone, records: dict[Key, RecordSet], revision: int, ttl: int) -> Key:
    name = zone.below(REVISION_MARK)
    records[name, "TXT"] = RecordSet(name, "TXT", ttl, (_mark("gen", str(revision)),))
    return name, "TXT"


def _mark(field_name: str, value: str) -> str:
    return text_data(f"{field_name}={value}")


def _next(zone: Zone, records: dict[Key, RecordSet]) -> Zone:
    serial = zone.serial + 1
    soa = records[zone.name, "SOA"]
    records[zone.name, "SOA"] = replace(soa, records=(_with_serial(soa.records[0], serial),))
    return replace(zone, records=records, serial=serial)


def _with_serial(soa: str, serial: int) -> str:
    fields = soa.split()
    return " ".join([*fields[:2], str(serial), *fields[3:]])


def _owner_fault(owner: str) -> str:
    if not owner or not owner.isascii() or not owner.isprintable() or len(owner) > _MOST_OWNER:
        return f"an owner of 1 to {_MOST_OWNER} printable ASCII characters is needed"
    return ""


def _servers_fault(servers: tuple[str, ...]) -> str:
    return "" if servers else "a zone needs at least one name server"
