"""What no zone may hold, and what a change makes of one: for backends whose server takes more than it should.

Everything is judged before anything is taken, and all faults are told at once. Pure: record sets in, record sets out.
Needs dnspython, which a backend has anyway.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import dns.exception
import dns.name
import dns.rdata
import dns.rdatatype

from .dns import OWNER_MARK, REVISION_MARK, Change, RecordSet, ZoneSpec, text_data
from .failures import Permanent

Key = tuple[str, str]
"""Name with final dot, and type."""

RECORD_TYPES = frozenset(
    {"A", "AAAA", "CAA", "CNAME", "DS", "HTTPS", "LOC", "MX", "NAPTR", "NS", "PTR", "SOA", "SRV", "SSHFP", "SVCB"}
    | {"TLSA", "TXT", "CDS", "CDNSKEY"}
)
"""Types whose meaning for an answer every server knows; a DNAME or an ALIAS would need more than being stored."""
_GENERATED = frozenset({"RRSIG", "NSEC", "NSEC3", "NSEC3PARAM", "DNSKEY"})
KEYS = "DNSKEY"
"""Of a zone itself they are made by signing; those of others may stand at its top, where a backend shows both."""
_FOR_THE_PARENT = frozenset({"CDS", "CDNSKEY"})
SIGNAL = "_dsboot."
"""How a name begins that carries the CDS and CDNSKEY of another zone (RFC 9615, section 2)."""
_ADDRESSES = ("A", "AAAA")
_MOST_OWNER = 240
_MOST_TTL = 2**31 - 1
_MOST_OCTETS = 60_000
"""Octets of one record set; a message over TCP holds 65,535."""
_NAME = re.compile(r"(\*\.)?([a-z0-9_-]{1,63}\.)+|\.|\*\.")
_PLAIN_TEXT = re.compile(r"[\x20-\x7e]*")
_NUMBER = re.compile(r"([0-9]+\.)+")


@dataclass
class Faults:
    """Collected, then told in one refusal by `provider`."""

    provider: str
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
            "RECORD_INVALID", text, provider=self.provider, positions=positions, user_action="correct the records named"
        )


def new_records(
    spec: ZoneSpec, faults: Faults, *, lowest_ttl: int = 1, shared_keys: bool = False
) -> dict[Key, RecordSet]:
    """All record sets of a new zone, marks, SOA (with serial 0) and NS too. Raises Permanent("RECORD_INVALID").

    shared_keys   whether the backend shows DNSKEY of others
    """
    for what in (check_zone_name(spec.name), _owner_fault(spec.owner), _servers_fault(spec.name_servers)):
        if what:
            faults.add(-1, what)
    faults.refuse()
    soa = f"{spec.name_servers[0]} {below('hostmaster', spec.name)} 0 10800 3600 604800 {spec.negative_ttl}"
    mark = below(OWNER_MARK, spec.name)
    made = (
        Change(spec.name, "SOA", spec.ttl, (soa,)),
        Change(spec.name, "NS", spec.ttl, tuple(spec.name_servers)),
    )
    given = (Change(r.name, r.type, r.ttl, r.records) for r in spec.record_sets)
    records: dict[Key, RecordSet] = {(mark, "TXT"): RecordSet(mark, "TXT", spec.ttl, (owner_text(spec.owner),))}
    wished = [*((-1, change) for change in made), *enumerate(given)]
    touched = _take(spec.name, records, wished, faults, lowest_ttl, shared_keys)
    faults.refuse()
    _take_revision(spec.name, records, spec.revision)
    check_whole(records, touched, origin=spec.name, faults=faults)
    faults.refuse()
    return records


def changed_records(
    origin: str,
    before: Mapping[Key, RecordSet],
    changes: Iterable[Change],
    faults: Faults,
    *,
    revision: int | None = None,
    lowest_ttl: int = 1,
    shared_keys: bool = False,
) -> tuple[dict[Key, RecordSet], frozenset[Key]]:
    """A zone's record sets after all `changes`, and which of them differ. Raises Permanent("RECORD_INVALID").

    The serial in the SOA stays what it is, whatever a change says: moving it is the server's affair.
    """
    records = dict(before)
    touched = _take(origin, records, enumerate(changes), faults, lowest_ttl, shared_keys)
    faults.refuse()
    check_whole(records, touched, origin=origin, faults=faults)
    faults.refuse()
    if revision is not None:
        touched[_take_revision(origin, records, revision)] = -1
    return records, frozenset(key for key in touched if records.get(key) != before.get(key))


def with_serial(soa: str, serial: int) -> str:
    """SOA data with another serial."""
    fields = soa.split()
    return " ".join([*fields[:2], str(serial), *fields[3:]])


def below(label: str, origin: str) -> str:
    """The name of `label` in the zone `origin`."""
    return f"{label}." if origin == "." else f"{label}.{origin}"


def owner_text(owner: str) -> str:
    """Data of the owner mark."""
    return text_data(f"owner={owner}")


def _take(
    origin: str, records: dict[Key, RecordSet], changes: Iterable[tuple[int, Change]], faults: Faults, lowest_ttl: int,
    shared_keys: bool,
) -> dict[Key, int]:  # fmt: skip
    """Put what can be taken into `records`, the rest into `faults`; which keys were named, and at which position."""
    touched: dict[Key, int] = {}
    for position, change in changes:
        key = (change.name, change.type)
        if key in touched:
            faults.add(position, f"{change.name} {change.type} is there twice")
        touched[key] = position
        if fault := _protected(origin, change):
            faults.add(position, fault)
        elif not change.records:
            records.pop(key, None)
        elif fault := _put(origin, records, change, lowest_ttl, shared_keys):
            faults.add(position, fault)
    return touched


def _protected(origin: str, change: Change) -> str:
    if fault := check_place(change.name, origin):
        return fault
    if change.name in (below(OWNER_MARK, origin), below(REVISION_MARK, origin)):
        return f"{change.name} is a mark, which the server writes"
    if not change.records and change.name == origin and change.type in ("SOA", "NS"):
        return f"a zone cannot be without its {change.type}"
    return ""


def _put(
    origin: str, records: dict[Key, RecordSet], change: Change, lowest_ttl: int, shared_keys: bool
) -> str:  # fmt: skip
    """Why the change cannot be taken; else it is, in the form that is served."""
    name, kind = change.name, change.type
    is_shared = shared_keys and is_shared_key(name, kind, origin)
    if fault := check_set(name, kind, change.ttl, origin=origin, lowest_ttl=lowest_ttl, is_shared=is_shared):
        return fault
    try:
        data = tuple(str(rdata) for rdata in parse(kind, change.records))
    except ValueError as error:
        return str(error)
    if fault := next(filter(None, (check_target(kind, text) for text in data)), ""):
        return fault
    known = records.get((name, kind))
    if kind == "SOA":
        data = (with_serial(data[0], int(known.records[0].split()[2]) if known else 0),)
    if known is None or known.ttl != change.ttl or set(known.records) != set(data):
        records[name, kind] = RecordSet(name, kind, change.ttl, data)
    return ""


def _take_revision(origin: str, records: dict[Key, RecordSet], revision: int) -> Key:
    name, ttl = below(REVISION_MARK, origin), records[origin, "SOA"].ttl
    records[name, "TXT"] = RecordSet(name, "TXT", ttl, (text_data(f"gen={revision}"),))
    return name, "TXT"


def _owner_fault(owner: str) -> str:
    if not owner or not owner.isascii() or not owner.isprintable() or len(owner) > _MOST_OWNER:
        return f"an owner of 1 to {_MOST_OWNER} printable ASCII characters is needed"
    return ""


def _servers_fault(servers: tuple[str, ...]) -> str:
    return "" if servers else "a zone needs at least one name server"


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
    except dns.name.NeedAbsoluteNameOrOrigin as error:
        raise ValueError(f"{kind} {text!r} names a host without its final dot") from error
    except dns.exception.DNSException as error:
        raise ValueError(f"{kind} {text!r} cannot be read: {str(error) or type(error).__name__}") from error
    return rdata


def is_made_by_signing(name: str, kind: str) -> bool:
    """Whether who signs a zone makes the record sets of this name and type, and nobody wishes them."""
    return kind in _GENERATED or (kind in _FOR_THE_PARENT and not name.startswith(SIGNAL))


def is_shared_key(name: str, kind: str, origin: str) -> bool:
    """Whether the record sets of this name and type are the keys of others, where a backend shows such."""
    return kind == KEYS and name == origin


def check_set(name: str, kind: str, ttl: int, *, origin: str, lowest_ttl: int, is_shared: bool = False) -> str:
    """Why a record set of this name, type and ttl cannot be taken, whatever its data; empty where it can.

    is_shared   it holds keys of others, and the backend shows them
    """
    if is_made_by_signing(name, kind) and not is_shared:
        return f"{kind} records are made by signing"
    if kind not in RECORD_TYPES and not is_shared:
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
