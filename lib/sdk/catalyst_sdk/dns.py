"""Contract of the kind `dns_backend`: where zones are kept, changed and signed.

Names are lower-case, fully qualified and end in a dot. Record data is in presentation form (RFC 1035, section 5.1), as a
zone file has it. A time-out means unknown: the host reads before it tries again.
"""

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
    CDS = "cds"
    ATOMIC_BATCH = "atomic_batch"
    COMPARE_AND_SWAP = "compare_and_swap"
    LUA = "lua"
    AXFR = "axfr"


@dataclass(frozen=True, slots=True)
class RecordSet:
    """All records of one name and type.

    ttl       seconds, 0 to 2147483647
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

    name_servers   host names for the apex NS; the first is the SOA's MNAME
    owner          kept as the owner mark
    record_sets    besides SOA, NS and marks, which the backend makes
    signed         with one CSK, algorithm 13
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
    """One DNSSEC key; public facts only. `ds` are the DS records of digest 2 that a parent may show."""

    tag: int
    algorithm: int
    active: bool
    dnskey: str
    ds: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ZoneState:
    """A zone as the backend has it. `etag` changes with each change; DNSSEC records are not among `record_sets`."""

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


class DnsBackend(Protocol):
    """A backend. `Permanent` reasons: ZONE_ABSENT, FOREIGN_ZONE, CONFLICT, RECORD_INVALID, CREDENTIALS_REJECTED."""

    async def probe(self) -> frozenset[Capability]:
        """What this server can do, by asking it."""
        ...

    async def get_zone(self, *, zone: str) -> ZoneState | None:
        """The zone; None where the backend has none of that name."""
        ...

    async def create_zone(self, *, spec: ZoneSpec) -> ZoneState:
        """Make the zone with mark, SOA, NS, records and key in one step; a zone of the same owner stays as it is.

        raises   Permanent("FOREIGN_ZONE") where a zone with another mark, or with none, is there
        """
        ...

    async def apply(
        self, *, zone: str, changes: tuple[Change, ...], revision: int | None = None, expect: str | None = None
    ) -> ZoneState:
        """All changes, or none of them.

        revision   new value of the revision mark; None leaves it
        expect     etag that the zone must still have; None: whatever it has
        raises     Permanent("CONFLICT"), Permanent("RECORD_INVALID") with the position, Permanent("ZONE_ABSENT")
        """
        ...

    async def delete_zone(self, *, zone: str, owner: str) -> None:
        """Take the zone away; deleting what is absent is fine. Raises Permanent("FOREIGN_ZONE") for another's."""
        ...
