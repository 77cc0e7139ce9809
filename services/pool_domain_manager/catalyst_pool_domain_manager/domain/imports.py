"""Imports: what was found of a zone that is served elsewhere, and how much of it a source can have shown."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from catalyst_sdk import Code, Refused, Violation
from catalyst_sdk.dns import RecordSet

from .ownership import is_mark


class Completeness(StrEnum):
    """PARTIAL: only what was asked for, so a person must confirm it."""

    FULL = "full"
    PROBABLE = "probable"
    PARTIAL = "partial"


SOURCES = {
    "axfr": Completeness.FULL,
    "registrar_account": Completeness.FULL,
    "zone_file": Completeness.FULL,
    "nsec_walk": Completeness.FULL,
    "probe": Completeness.PARTIAL,
}
"""Sources with what each can show."""
MOST_OCTETS = 1024 * 1024
MOST_GENERATED = 1000
MADE_BY_SIGNING = frozenset({"RRSIG", "NSEC", "NSEC3", "NSEC3PARAM", "DNSKEY", "CDS", "CDNSKEY"})
"""Types of the present servers' own keys, which mean nothing elsewhere."""

NAMES = (
    "@",
    "www",
    "mail",
    "webmail",
    "autodiscover",
    "autoconfig",
    "ftp",
    "smtp",
    "imap",
    "_dmarc",
    "_mta-sts",
    "mta-sts",
    "_smtp._tls",
    "enterpriseenrollment",
    "lyncdiscover",
    "msoid",
)  # fmt: skip - words
DKIM = ("google", "selector1", "selector2", "k1", "k2", "default", "s1", "s2", "mail")
SERVICES = (
    "_sip._tcp",
    "_sip._udp",
    "_sip._tls",
    "_sips._tcp",
    "_sipfederationtls._tcp",
    "_autodiscover._tcp",
    "_caldav._tcp",
    "_caldavs._tcp",
    "_carddav._tcp",
    "_carddavs._tcp",
    "_imap._tcp",
    "_imaps._tcp",
    "_submission._tcp",
    "_submissions._tcp",
    "_xmpp-client._tcp",
    "_xmpp-server._tcp",
)  # fmt: skip - words
TYPES = ("A", "AAAA", "CNAME", "MX", "TXT", "SRV", "CAA", "NS", "TLSA", "HTTPS", "SVCB")


@dataclass(frozen=True, slots=True)
class ZoneImport:
    """What one import found."""

    zone: str
    id: str
    source: str
    completeness: Completeness
    record_sets: tuple[RecordSet, ...]
    wildcard_found: bool
    created_by: str
    created_at: datetime
    left_out: tuple[str, ...] = ()
    """What the source has and no record can hold."""

    @property
    def name(self) -> str:
        """Resource name."""
        return f"zones/{self.zone}/imports/{self.id}"


class ImportNotFound(Refused):
    code, reason, message = Code.NOT_FOUND, "IMPORT_NOT_FOUND", "there is no {name}"


class ZoneFileRefused(Refused):
    """A zone file that cannot be read, with the line."""

    code, reason, message = Code.INVALID_ARGUMENT, "RECORD_INVALID", "line {line}: {detail}"

    def __init__(self, line: int, detail: str) -> None:
        super().__init__(violations=(Violation("zone_file", detail, "zone_file"),), line=line, detail=detail)


def completeness(source: str, left_out: Iterable[str]) -> Completeness:
    """How much of a zone a source has shown."""
    most = SOURCES[source]
    return Completeness.PROBABLE if most is Completeness.FULL and any(left_out) else most


def words(extra: Iterable[str] = ()) -> tuple[str, ...]:
    """Names to ask for, relative to the zone; `@` is its apex."""
    return tuple(dict.fromkeys([*NAMES, *(f"{word}._domainkey" for word in DKIM), *SERVICES, *extra]))


def kept(sets: Iterable[RecordSet], origin: str) -> tuple[RecordSet, ...]:
    """What is worth keeping: no keys, no signatures, no marks of a backend; by name and type."""
    found = (r for r in sets if r.type not in MADE_BY_SIGNING and not is_mark(r.name, origin))
    return tuple(sorted(found, key=lambda r: (r.name, r.type)))


def without_synthesis(
    sets: Iterable[RecordSet], wildcard: Iterable[RecordSet], origin: str
) -> tuple[RecordSet, ...]:  # fmt: skip
    """Sets that a name has of its own: what a wildcard makes up for every name stands once, at the wildcard."""
    made_up = {(r.type, r.records) for r in wildcard}
    own = [r for r in sets if r.name == origin or (r.type, r.records) not in made_up]
    return (*own, *(RecordSet(f"*.{origin}", r.type, r.ttl, r.records) for r in wildcard))
