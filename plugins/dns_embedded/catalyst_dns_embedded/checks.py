"""What no zone may hold. Everything is judged before anything is taken, and all faults are told at once."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import dns.exception
import dns.rdata
import dns.rdatatype
from catalyst_sdk import Permanent
from catalyst_sdk.dns import RecordSet

PROVIDER = "dns_embedded"
Key = tuple[str, str]
"""Name with final dot, and type."""

RECORD_TYPES = frozenset(
    {"A", "AAAA", "CAA", "CNAME", "DS", "HTTPS", "LOC", "MX", "NAPTR", "NS", "PTR", "SOA", "SRV", "SSHFP", "SVCB"}
    | {"TLSA", "TXT"}
)
"""Types whose meaning for an answer this server knows; a DNAME or an ALIAS would need more than being stored."""
_GENERATED = frozenset({"RRSIG", "NSEC", "NSEC3", "NSEC3PARAM", "DNSKEY", "CDS", "CDNSKEY"})
_ADDRESSES = ("A", "AAAA")
_MOST_TTL = 2**31 - 1
_MOST_OCTETS = 60_000
"""Octets of one record set; a message over TCP holds 65,535."""
_NAME = re.compile(r"(\*\.)?([a-z0-9_-]{1,63}\.)+|\.|\*\.")
_PLAIN_TEXT = re.compile(r"[\x20-\x7e]*")
_NUMBER = re.compile(r"([0-9]+\.)+")


@dataclass
class Faults:
    """Collected, then told in one refusal."""

    found: list[tuple[int, str]] = field(default_factory=list)

    def add(self, position: int, what: str) -> None:
        """A fault of the change at `position`; -1: of the zone as it would be."""
        self.found.append((position, what))

    def refuse(self) -> None:
        """Raises Permanent("RECORD_INVALID") if there is any."""
        if not self.found:
            return
        text = "; ".join(f"change {position}: {what}" if position >= 0 else what for position, what in self.found)
        positions = ",".join(map(str, sorted({position for position, _ in self.found if position >= 0})))
        raise Permanent(
            "RECORD_INVALID", text, provider=PROVIDER, positions=positions, user_action="correct the records named"
        )


def check_zone_name(name: str) -> str:
    """Why `name` can be no zone's; empty where it can."""
    return check_name(name) or ("a zone cannot begin with *" if name.startswith("*") else "")


def check_name(name: str) -> str:
    """Why `name` can own no records; empty where it can."""
    if name != name.lower():
        return f"{name!r} is not in lower case"
    if not name.endswith("."):
        return f"{name!r} lacks its final dot"
    if not _NAME.fullmatch(name) or len(name) > 254:
        return f"{name!r} is no domain name"
    return ""


def check_place(name: str, origin: str) -> str:
    """Why `name` can own nothing in the zone `origin`; empty where it can."""
    return check_name(name) or ("" if _inside(name, origin) else f"{name} lies outside of {origin}")


def parse(kind: str, texts: Iterable[str]) -> tuple[dns.rdata.Rdata, ...]:
    """The records, each once. Raises ValueError."""
    rdatas = tuple(dict.fromkeys(_rdata(kind, text) for text in texts))
    if sum(len(rdata.to_wire() or b"") for rdata in rdatas) > _MOST_OCTETS:
        raise ValueError(f"the {kind} records are more than {_MOST_OCTETS} octets")
    if kind in ("SOA", "CNAME") and len(rdatas) > 1:
        raise ValueError(f"{len(rdatas)} {kind} records, one is the most")
    return rdatas


def _rdata(kind: str, text: str) -> dns.rdata.Rdata:
    if not _PLAIN_TEXT.fullmatch(text):
        raise ValueError(f"{kind} {text!r} holds characters that a zone file must escape")
    try:
        rdata = dns.rdata.from_text("IN", kind, text, origin=None, relativize=False)
        rdata.to_wire()  # a name without its final dot shows here
    except dns.exception.DNSException as error:
        raise ValueError(f"{kind} {text!r} cannot be read: {str(error) or type(error).__name__}") from error
    return rdata


def check_set(name: str, kind: str, ttl: int, *, origin: str, lowest_ttl: int) -> str:
    """Why a record set of this name, type and ttl cannot be taken, whatever its data; empty where it can."""
    if kind in _GENERATED:
        return f"{kind} records are made by signing"
    if kind not in RECORD_TYPES:
        return f"{kind!r} records are not supported"
    if not lowest_ttl <= ttl <= _MOST_TTL:
        return f"ttl {ttl} is not between {lowest_ttl} and {_MOST_TTL}"
    if kind in _ADDRESSES and "_" in name:
        return f"{name} is no host name: it has an underscore"
    if kind in ("DS", "CNAME") and name == origin:
        return f"a {kind} cannot stand at the top of its zone"
    if kind == "SOA" and name != origin:
        return "an SOA stands at the top of its zone"
    return ""


def check_target(kind: str, text: str) -> str:
    """Why the host that an NS or MX record names can be none; empty where it can."""
    host = text.split()[-1].lower()
    if kind not in ("NS", "MX") or (kind == "MX" and host == "."):
        return ""
    if check_name(host) or "_" in host or host == ".":
        return f"{kind} {text!r} names no host"
    if _NUMBER.fullmatch(host):
        return f"{kind} {text!r} names an address, a host name is needed"
    return ""


def check_whole(
    records: Mapping[Key, RecordSet], touched: Mapping[Key, int], *, origin: str, faults: Faults
) -> None:  # fmt: skip
    """What only shows in the zone as it would be. `touched`: what changed, with the position of its change."""
    for name in dict.fromkeys(name for name, _ in touched):
        position = max(position for (owner, _), position in touched.items() if owner == name)
        here = {kind for kind in RECORD_TYPES if (name, kind) in records}
        if "CNAME" in here and len(here) > 1:
            faults.add(position, f"{name} has a CNAME beside other data")
        if "DS" in here and "NS" not in here:
            faults.add(position, f"{name} has a DS without NS")
    addresses_moved = any(kind in (*_ADDRESSES, "CNAME") for _, kind in touched)
    for (name, kind), rrset in records.items() if addresses_moved else _named(records, touched):
        if kind == "NS":
            for host in rrset.records:
                if fault := _glue_fault(records, name, host.lower(), origin):
                    faults.add(touched.get((name, kind), -1), fault)


def _named(records: Mapping[Key, RecordSet], touched: Mapping[Key, int]) -> Sequence[tuple[Key, RecordSet]]:
    return [(key, records[key]) for key in touched if key in records]


def _glue_fault(records: Mapping[Key, RecordSet], owner: str, host: str, origin: str) -> str:
    """A name server inside the zone needs an address there, and may be no alias (RFC 2181, section 10.3)."""
    if not _inside(host, origin):
        return ""
    if (host, "CNAME") in records:
        return f"the name server {host} of {owner} is an alias"
    if any((name, kind) in records for name in (host, _wildcard(host)) for kind in _ADDRESSES):
        return ""
    for above in _between(host, origin):
        if above != owner and (above, "NS") in records:
            return ""  # below another cut: its address is that zone's affair
    return f"the name server {host} of {owner} has no address in the zone (glue)"


def _inside(name: str, origin: str) -> bool:
    return name == origin or origin == "." or name.endswith(f".{origin}")


def _between(name: str, origin: str) -> Iterable[str]:
    """`name` and the names above it, down to just below `origin`."""
    while name not in (origin, "."):
        yield name
        name = name.partition(".")[2] or "."


def _wildcard(name: str) -> str:
    return f"*.{name.partition('.')[2]}"
