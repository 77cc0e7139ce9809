"""Records that a registrar's own name servers have for a domain, as its API lists them: what a move takes along.

Registrars list records in forms for people: names relative or whole, hosts without their final dot, priorities beside the
value, texts with and without quotes, and things that are no records at all, such as redirects. `host_records` makes record
sets of all that, and names what it leaves out: whoever moves a domain has to hear of it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import dns.exception
import dns.name
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.zone

from .dns import RecordSet
from .failures import Permanent

AUTO_TTL = 300
"""Seconds, where a registrar chooses by itself."""
_LEAST_TTL = 2
"""Some registrars write 1 for what they choose by themselves, others 0."""
_TO_HOST = frozenset({"CNAME", "NS", "PTR", "DNAME", "MX", "SRV"})
"""Types whose data ends in a host name."""
_MADE_BY_SIGNING = frozenset({"RRSIG", "NSEC", "NSEC3", "NSEC3PARAM", "DNSKEY", "CDS", "CDNSKEY"})


@dataclass(frozen=True, slots=True)
class HostRecord:
    """One record as a registrar lists it.

    name       relative to the domain, `@` or empty for the domain itself, or whole
    value      of an MX or SRV without the priority, where that is given
    ttl        seconds; 0 or 1 where the registrar chooses
    priority   of an MX or SRV; None where the value has it
    """

    name: str
    type: str
    value: str
    ttl: int = 0
    priority: int | None = None


@dataclass(frozen=True, slots=True)
class HostRecords:
    """The records of a domain.

    left_out   what cannot be had as a record set, as `type of name`
    """

    record_sets: tuple[RecordSet, ...]
    left_out: tuple[str, ...] = ()


def host_records(domain: str, rows: Iterable[HostRecord]) -> HostRecords:
    """Record sets of a list. `domain` ends in a dot."""
    sets: dict[tuple[str, str], tuple[int, list[str]]] = {}
    left: list[str] = []
    for row in rows:
        name, kind = _full(row.name, domain), row.type.strip().upper()
        data = _data(kind, row, domain)
        if kind in _MADE_BY_SIGNING:
            continue  # of the present servers' own keys, which mean nothing elsewhere
        if data is None or not _is_name(name, domain):
            left.append(f"{kind} of {name}")
            continue
        ttl = row.ttl if row.ttl >= _LEAST_TTL else AUTO_TTL
        known, texts = sets.get((name, kind), (ttl, []))
        sets[name, kind] = (min(known, ttl), texts if data in texts else [*texts, data])
    crowded = {name for name, kind in sets if kind == "CNAME" and (name == domain or _others(sets, name))}
    left += [f"CNAME of {name}" for name in sorted(crowded)]  # such a registrar follows it by itself
    found = (
        RecordSet(name, kind, ttl, tuple(texts))
        for (name, kind), (ttl, texts) in sorted(sets.items())
        if kind != "CNAME" or name not in crowded
    )
    return HostRecords(tuple(found), tuple(dict.fromkeys(left)))


def from_zone_text(domain: str, text: str, provider: str = "") -> HostRecords:
    """Record sets of a zone file that a registrar exports. Raises Permanent("PROTOCOL_MISMATCH"); no file is opened for it."""
    if any(line.lstrip().upper().startswith(("$INCLUDE", "$GENERATE")) for line in text.splitlines()):
        raise Permanent("PROTOCOL_MISMATCH", "an exported zone has directives in it", provider=provider)
    try:
        zone = dns.zone.from_text(text, origin=domain, relativize=False, check_origin=False, allow_include=False)
    except (dns.exception.DNSException, ValueError, OverflowError) as error:
        why = f"the exported zone cannot be read: {type(error).__name__}"
        raise Permanent("PROTOCOL_MISMATCH", why, provider=provider) from error
    rows = (
        HostRecord(str(name), dns.rdatatype.to_text(rdataset.rdtype), rdata.to_text(), int(rdataset.ttl))
        for name, node in zone.nodes.items()
        for rdataset in node
        for rdata in rdataset
    )
    return host_records(domain, rows)


def _others(sets: Iterable[tuple[str, str]], name: str) -> bool:
    return any(one == name and kind != "CNAME" for one, kind in sets)


def _full(name: str, domain: str) -> str:
    plain = name.strip().lower()
    if plain in ("", "@") or plain.rstrip(".") == domain.rstrip("."):
        return domain
    if plain.endswith((".", f".{domain.rstrip('.')}")):
        return plain.rstrip(".") + "."
    return f"{plain}.{domain}"


def _is_name(name: str, domain: str) -> bool:
    try:
        return dns.name.from_text(name).is_subdomain(dns.name.from_text(domain))
    except dns.exception.DNSException:
        return False


def _data(kind: str, row: HostRecord, domain: str) -> str | None:
    """The data in presentation form; None where it is none of that type."""
    try:
        rdata = dns.rdata.from_text(
            dns.rdataclass.IN, dns.rdatatype.from_text(kind), _presented(kind, row, domain), origin=dns.name.root,
            relativize=False,
        )  # fmt: skip
    except (dns.exception.DNSException, ValueError):
        return None
    return str(rdata.to_text(origin=None, relativize=False))


def _presented(kind: str, row: HostRecord, domain: str) -> str:
    value = row.value.strip()
    if kind in ("TXT", "SPF"):
        return value if value.startswith('"') else _quoted(value)
    if kind not in _TO_HOST:
        return value
    *front, host = value.split() or [""]
    numbers = [str(row.priority)] if row.priority is not None and kind in ("MX", "SRV") else []
    return " ".join([*numbers, *front, _host(host, domain)])


def _host(host: str, domain: str) -> str:
    """A host as registrars list it: whole, with or without its final dot, or `@` for the domain."""
    return domain if host == "@" else f"{host.rstrip('.')}."


def _quoted(text: str) -> str:
    octets = text.encode()
    parts: Sequence[bytes] = [octets[at : at + 255] for at in range(0, len(octets), 255)] or [b""]
    return " ".join(f'"{"".join(map(_escaped, part))}"' for part in parts)


def _escaped(octet: int) -> str:
    if octet in b'"\\':
        return f"\\{chr(octet)}"
    return chr(octet) if 0x20 <= octet < 0x7F else f"\\{octet:03d}"
