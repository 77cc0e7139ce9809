"""Contract of the kind `dns_backend`: where zones are kept, changed and signed.

Names are lower-case, fully qualified and end in a dot, in record data too. Record data is in presentation form (RFC 1035,
section 5.1), as a zone file has it; one string of a TXT holds at most 255 octets (`text_data` splits longer ones).

What a host relies on:
  all or nothing   a change is taken as a whole or not at all, and every fault of it is named at once;
  marked           owner and revision stand in the zone as TXT records, written by the backend in the same step as the change;
  not ours         a zone with another owner's mark, or with none, is never adopted and never deleted;
  again            a call that is repeated after an unknown outcome ends in the same state as one that was answered.
A time-out means unknown: the host reads before it tries again.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

OWNER_MARK = "_pdm-owner"
"""Label of the TXT record that names the owner of a zone; a zone with another owner is never touched."""
REVISION_MARK = "_pdm-rev"
"""Label of the TXT record `gen=<n>`, by which the arrival of a change is seen at any server."""


class Capability(StrEnum):
    """What a backend can do; probed, not believed."""

    ZONE_LIFECYCLE = "zone_lifecycle"
    DNSSEC = "dnssec"
    """Zones are signed."""
    KEYS = "keys"
    """`dnssec` changes keys, one step at a time. Without it they are the server's own affair: only what is so already
    succeeds there."""
    SHARED_KEYS = "shared_keys"
    """Keys of others can be shown beside a signed zone's own: a DNSKEY set at its top that is changed like any other one, holds
    the others' keys alone, and is answered together with the zone's own keys, signed by these. So two servers with a key each can
    serve one zone (RFC 8901, model 2); where CDS are shown, they are of all these keys."""
    CDS = "cds"
    ATOMIC_BATCH = "atomic_batch"
    COMPARE_AND_SWAP = "compare_and_swap"
    METADATA = "metadata"
    """The owner mark is kept beside the zone too, out of the reach of whoever may write records."""
    LUA = "lua"
    GEO = "geo"
    """What is evaluated knows where clients are: the server was asked for clients of different places, and told them apart."""
    AXFR = "axfr"


class KeyOp(StrEnum):
    """What is done to the keys of a zone. Each one repeated changes nothing.

    A key is rolled in the order PUBLISH, both DS in the parent, ACTIVATE, old DS out, RETIRE, with a wait for the time to
    live of what was changed after each step (RFC 6781, section 4.1.2, double DS); the waits are the host's.
    """

    ENABLE = "enable"
    """A first key, and signatures, where there are none; keys that were renounced are shown again."""
    PUBLISH = "publish"
    """A further key, shown in the DNSKEY set and not signing, where there is no such key yet."""
    ACTIVATE = "activate"
    """The key of a given tag signs, the others stay shown."""
    RETIRE = "retire"
    """Keys that do not sign are taken away."""
    RENOUNCE = "renounce"
    """CDS and CDNSKEY ask whoever keeps the parent to take the DS away (RFC 8078, section 4); all keys stay and sign. ENABLE
    and new keys take it back. Without CDS it is not supported."""
    DISABLE = "disable"
    """All keys and signatures are taken away. The DS must have left every cache before."""


@dataclass(frozen=True, slots=True)
class BackendInfo:
    """What a backend says about itself before any server was asked.

    capabilities   the most it can do; `probe` tells what the configured server has of them
    record_types   types that it takes; another one is refused with RECORD_INVALID
    """

    name: str
    software: str
    capabilities: frozenset[Capability]
    record_types: frozenset[str]


@dataclass(frozen=True, slots=True)
class RecordSet:
    """All records of one name and type.

    ttl       seconds, 1 to 2147483647
    records   at least one; compared as a set
    """

    name: str
    type: str
    ttl: int
    records: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Change:
    """Put a record set in place of what is there, or, with no records, take it away. Taking away what is absent is fine."""

    name: str
    type: str
    ttl: int = 0
    records: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ZoneSpec:
    """A zone to create.

    name_servers   host names for the apex NS, at least one; the first is the SOA's MNAME
    owner          kept as the owner mark; printable ASCII, at most 240 octets
    record_sets    besides SOA, NS and marks, which the backend makes
    signed         with one CSK, algorithm 13
    ttl            of SOA, NS, keys and marks
    """

    name: str
    name_servers: tuple[str, ...]
    owner: str
    record_sets: tuple[RecordSet, ...] = ()
    signed: bool = True
    ttl: int = 300
    negative_ttl: int = 300
    revision: int = 1


@dataclass(frozen=True, slots=True)
class ZoneKey:
    """One DNSSEC key; public facts only.

    active   it signs; another one is only shown
    ds       DS records of digest 2 (SHA-256) that a parent may show
    """

    tag: int
    algorithm: int
    active: bool
    dnskey: str
    ds: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ZoneState:
    """A zone as the backend has it. `etag` changes with each change, and is another one where a zone was deleted and made anew;
    DNSSEC records are not among `record_sets`, but for the DNSKEY of others (`SHARED_KEYS`)."""

    name: str
    owner: str
    serial: int
    revision: int
    signed: bool
    record_sets: tuple[RecordSet, ...]
    keys: tuple[ZoneKey, ...]
    etag: str

    def find(self, name: str, kind: str) -> RecordSet | None:
        """The record set of a name and type."""
        return next((r for r in self.record_sets if r.name == name and r.type == kind), None)


class ListsZones(Protocol):
    """What a backend may offer beside `DnsBackend`, where its server tells it cheaply. Since 0.1."""

    async def versions(self) -> Mapping[str, str]:
        """Every zone, by name, with a text that is another one after each change of its records; by one call.

        It need not tell of keys, nor of what was changed past the server's own interfaces: whoever goes by it still reads each
        zone now and then.
        """
        ...


def text_data(value: str) -> str:
    """A TXT record's data for a text of any length: quoted strings of at most 255 octets (RFC 1035, section 3.3.14)."""
    octets = value.encode()
    parts = [octets[at : at + 255] for at in range(0, len(octets), 255)] or [b""]
    return " ".join(f'"{"".join(map(_escaped, part))}"' for part in parts)


def _escaped(octet: int) -> str:
    if octet in b'"\\':
        return "\\" + chr(octet)
    return chr(octet) if 0x20 <= octet < 0x7F else f"\\{octet:03}"


class DnsBackend(Protocol):
    """A backend. Only the four errors of the SDK leave it.

    `Permanent` reasons: ZONE_ABSENT, FOREIGN_ZONE, CONFLICT, RECORD_INVALID, PROTECTED_RECORD, KEY_ABSENT,
    CREDENTIALS_REJECTED. RECORD_INVALID names every fault with its position among the changes (in a new zone: among
    `record_sets`), and carries the positions as metadata `positions` (`0,3`).
    """

    async def info(self) -> BackendInfo:
        """What this backend is; asks nobody."""
        ...

    async def probe(self) -> frozenset[Capability]:
        """What this server can do, by asking it."""
        ...

    async def get_zone(self, *, zone: str) -> ZoneState | None:
        """The zone; None where the backend has none of that name."""
        ...

    async def create_zone(self, *, spec: ZoneSpec) -> ZoneState:
        """Make the zone with mark, SOA, NS, records and key in one step; a zone of the same owner stays as it is.

        raises   Permanent("FOREIGN_ZONE") where a zone with another mark, or with none, is there; "RECORD_INVALID"
        """
        ...

    async def apply(
        self, *, zone: str, changes: tuple[Change, ...], revision: int | None = None, expect: str | None = None
    ) -> ZoneState:
        """All changes, or none of them. What changes nothing writes nothing, and the etag stays.

        revision   new value of the revision mark; None leaves it
        expect     etag that the zone must still have; None: whatever it has
        raises     Permanent("CONFLICT"), Permanent("RECORD_INVALID"), Permanent("ZONE_ABSENT")
        """
        ...

    async def delete_zone(self, *, zone: str, owner: str, expect: str | None = None) -> None:
        """Take the zone away; deleting what is absent is fine.

        raises   Permanent("FOREIGN_ZONE") for another's zone, Permanent("CONFLICT") where `expect` is not its etag
        """
        ...

    async def dnssec(
        self, *, zone: str, op: KeyOp, tag: int | None = None, revision: int | None = None, expect: str | None = None
    ) -> ZoneState:
        """Change the zone's keys; the state shows them and their DS.

        tag      key that ACTIVATE is about
        raises   Permanent("PROTECTED_RECORD") where the backend sees that the parent still has a DS for what would go;
                 Permanent("KEY_ABSENT") where no key has that tag; "CONFLICT", "ZONE_ABSENT"
        """
        ...
