"""A zone as somebody wished it: records, marks, keys. Pure: a change gives a new zone, or a refusal.

Invariants
  all or nothing   a change is checked as a whole before any of it is taken;
  one serial       every change raises the SOA serial by one, so that secondaries and probes see it;
  no change        what changes nothing gives the same zone back: same serial, same etag;
  marks            owner and revision stand in the zone as TXT records, which no change can touch.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from catalyst_sdk import dns_rules
from catalyst_sdk.dns import Change, RecordSet, ZoneKey, ZoneSpec
from catalyst_sdk.dns_rules import Faults, Key

PROVIDER = "dns_embedded"
ALGORITHM = 13
"""ECDSA on P-256 with SHA-256 (RFC 6605)."""


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
    renounced: bool = False
    """Its CDS ask whoever keeps the parent to take the DS away."""

    @property
    def etag(self) -> str:
        """Another one after each change."""
        return f"{self.uid}-{self.serial}"

    @property
    def ttl(self) -> int:
        """Seconds for what signing puts into the zone: keys."""
        return self.records[self.name, "SOA"].ttl

    def shown_keys(self) -> tuple[ZoneKey, ...]:
        """Public facts about the keys."""
        return tuple(ZoneKey(k.tag, ALGORITHM, k.active, k.public, (k.ds,)) for k in self.keys)

    @property
    def others_keys(self) -> tuple[str, ...]:
        """DNSKEY of others that are shown beside its own, in presentation form."""
        shared = self.records.get((self.name, dns_rules.KEYS))
        return tuple(text for text in shared.records if text not in {key.public for key in self.keys}) if shared else ()

    def wished(self) -> tuple[RecordSet, ...]:
        """Record sets by name and type."""
        return tuple(self.records[key] for key in sorted(self.records))


def create(spec: ZoneSpec, *, uid: str, keys: tuple[Csk, ...], lowest_ttl: int = 1) -> Zone:
    """A new zone. Raises Permanent("RECORD_INVALID")."""
    records = dns_rules.new_records(spec, Faults(PROVIDER), lowest_ttl=lowest_ttl, shared_keys=bool(keys))
    return _next(Zone(spec.name, spec.owner, uid, revision=spec.revision, keys=keys), records)


def changed(
    zone: Zone, changes: Sequence[Change], *, revision: int | None = None, lowest_ttl: int = 1
) -> tuple[Zone, frozenset[Key]]:
    """The zone after all `changes`, and what differs. Raises Permanent("RECORD_INVALID")."""
    records, differs = dns_rules.changed_records(
        zone.name, zone.records, changes, Faults(PROVIDER), revision=revision, lowest_ttl=lowest_ttl,
        shared_keys=bool(zone.keys),
    )  # fmt: skip
    if not differs:
        return zone, frozenset()
    after = _next(replace(zone, revision=zone.revision if revision is None else revision), records)
    return after, frozenset(differs | {(zone.name, "SOA")})


def with_keys(zone: Zone, keys: tuple[Csk, ...], revision: int | None = None) -> tuple[Zone, frozenset[Key]]:
    """The zone with other keys. The serial moves: a new key set has to be seen like any change."""
    after, differs = _moved(zone, revision)
    is_still = zone.renounced and {key.tag for key in keys} <= {key.tag for key in zone.keys}
    return replace(after, keys=keys, renounced=is_still), differs


def renouncing(zone: Zone, revision: int | None = None, *, renounced: bool) -> tuple[Zone, frozenset[Key]]:
    """The zone with CDS that ask for deletion, or with those of its keys again; these go on signing."""
    after, differs = _moved(zone, revision)
    return replace(after, renounced=renounced), differs


def _moved(zone: Zone, revision: int | None) -> tuple[Zone, frozenset[Key]]:
    after, differs = changed(zone, (), revision=revision)
    return (after, differs) if differs else (again(zone), frozenset({(zone.name, "SOA")}))


def again(zone: Zone) -> Zone:
    """The same zone under the next serial."""
    return _next(zone, dict(zone.records))


def _next(zone: Zone, records: dict[Key, RecordSet]) -> Zone:
    serial = zone.serial + 1
    soa = records[zone.name, "SOA"]
    records[zone.name, "SOA"] = replace(soa, records=(dns_rules.with_serial(soa.records[0], serial),))
    return replace(zone, records=records, serial=serial)
