"""Zone files (RFC 1035, section 5), read and written. What a stranger sends opens no file and makes no flood of records."""

import re
from collections.abc import Iterable, Iterator

import dns.exception
import dns.name
import dns.rdataset
import dns.zone
from catalyst_sdk.dns import RecordSet

from catalyst_pool_domain_manager.domain.imports import MOST_GENERATED, MOST_OCTETS, ZoneFileRefused, kept

_WHERE = re.compile(r"^[^:]*:(\d+): (.*)$", re.DOTALL)
_UNREADABLE = (dns.exception.DNSException, ValueError, OverflowError)
_WORDS = {"Missing default TTL value": "no time to live is stated; begin the file with $TTL"}
"""What the parser says, where people do not see what is meant."""
_RANGE = re.compile(r"^(\d+)-(\d+)(?:/(\d+))?$")


def read(text: str, origin: str) -> tuple[RecordSet, ...]:
    """The record sets of a zone file. Raises ZoneFileRefused with the line."""
    if len(text.encode()) > MOST_OCTETS:
        raise ZoneFileRefused(1, f"a zone file has at most {MOST_OCTETS} octets")
    _check_lines(text, origin)
    try:
        zone = _parsed(text, origin)
    except _UNREADABLE as error:
        found = _WHERE.match(str(error))
        line, detail = (int(found[1]), found[2]) if found else (1, str(error) or type(error).__name__)
        raise ZoneFileRefused(_begun(text, origin, line), _WORDS.get(detail, detail)) from error
    sets = (_set(name, rdataset) for name, node in zone.nodes.items() for rdataset in node)
    return kept(sets, origin)


def _parsed(text: str, origin: str) -> dns.zone.Zone:
    return dns.zone.from_text(text, origin=origin, relativize=False, check_origin=False, allow_include=False)


def _begun(text: str, origin: str, told: int) -> int:
    """Line of the entry that cannot be read. The parser tells where it stands, which is the next line once it has seen the
    end of an entry: so it is asked whether what lies before is well."""
    try:
        _parsed("".join(text.splitlines(keepends=True)[: told - 1]), origin)
    except _UNREADABLE:
        return max((number for number, _ in _starts(text) if number < told), default=told)
    return told


def write(sets: Iterable[RecordSet], origin: str, serial: int = 0) -> str:
    """A zone as a zone file: SOA first, then by name; full names throughout."""
    lines = [f"$ORIGIN {origin}"]
    for r in sorted(sets, key=lambda one: (one.type != "SOA", one.name != origin, one.name, one.type)):
        for record in r.records:
            data = _with_serial(record, serial) if r.type == "SOA" and serial else record
            lines.append(f"{r.name} {r.ttl} IN {r.type} {data}")
    return "\n".join(lines) + "\n"


def of_rdataset(name: dns.name.Name, rdataset: dns.rdataset.Rdataset) -> RecordSet:
    """A set as it is kept."""
    return _set(name, rdataset)


def _set(name: dns.name.Name, rdataset: dns.rdataset.Rdataset) -> RecordSet:
    records = tuple(rdata.to_text(origin=None, relativize=False) for rdata in rdataset)
    kind = rdataset.rdtype.name if hasattr(rdataset.rdtype, "name") else str(rdataset.rdtype)
    return RecordSet(str(name).lower(), kind.replace("TYPE_", ""), int(rdataset.ttl), records)


def _check_lines(text: str, origin: str) -> None:
    """What the parser would do silently: records of another zone, and floods. Raises ZoneFileRefused."""
    generated = 0
    for number, line in _starts(text):
        words = line.split()
        head = words[0].upper()
        if head == "$INCLUDE":
            raise ZoneFileRefused(number, "$INCLUDE is never opened; put its content here")
        if head == "$ORIGIN" and len(words) > 1 and words[1].endswith(".") and not _inside(words[1], origin):
            raise ZoneFileRefused(number, f"{words[1]} lies outside of {origin}")
        if head == "$GENERATE" and len(words) > 1:
            generated += _count(words[1])
            if generated > MOST_GENERATED:
                raise ZoneFileRefused(number, f"$GENERATE makes more than {MOST_GENERATED} records")
        if not line[0].isspace() and not head.startswith("$") and head.endswith(".") and not _inside(head, origin):
            raise ZoneFileRefused(number, f"{words[0]} lies outside of {origin}")


def _starts(text: str) -> Iterator[tuple[int, str]]:
    """Lines on which an entry begins, with their numbers: not within parentheses, not within quotes."""
    depth, quoted = 0, False
    for number, line in enumerate(text.splitlines(), 1):
        if not depth and not quoted and line.strip() and not line.lstrip().startswith(";"):
            yield number, line
        escaped = False
        for c in line:
            if escaped:
                escaped = False
            elif c == "\\":
                escaped = True
            elif c == '"':
                quoted = not quoted
            elif c == ";" and not quoted:
                break
            elif not quoted:
                depth += (c == "(") - (c == ")")


def _count(range_text: str) -> int:
    found = _RANGE.match(range_text)
    if found is None:
        return 0
    start, stop, step = int(found[1]), int(found[2]), int(found[3] or 1)
    return max(0, stop - start) // max(step, 1) + 1


def _inside(name: str, origin: str) -> bool:
    return name.lower() == origin or name.lower().endswith(f".{origin}")


def _with_serial(soa: str, serial: int) -> str:
    fields = soa.split()
    return " ".join([*fields[:2], str(serial), *fields[3:]])
