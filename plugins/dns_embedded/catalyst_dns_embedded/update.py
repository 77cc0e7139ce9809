"""Dynamic update (RFC 2136): prerequisites, then changes, all or nothing; only for signed messages (RFC 8945)."""

from collections.abc import Iterable, Mapping

import dns.message
import dns.name
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rrset
import dns.update
from catalyst_sdk import Permanent
from catalyst_sdk.dns import Change, RecordSet
from catalyst_sdk.dns_rules import Key
from dns.rdatatype import RdataType

from .authority import Authority
from .served import Served
from .zones import Zone

_ANY, _NONE = dns.rdataclass.ANY, dns.rdataclass.NONE
_META = (RdataType.AXFR, RdataType.IXFR, RdataType.OPT, RdataType.TSIG, RdataType.TKEY)
_KEPT = ("SOA", "NS")


class Unmet(Exception):
    """What the message asks for is not so, or not allowed."""

    def __init__(self, code: dns.rcode.Rcode) -> None:
        super().__init__(dns.rcode.to_text(code))
        self.code = code


def update(authority: Authority, message: dns.update.UpdateMessage) -> dns.message.Message:
    """Carry out an update; the answer is made after the change is on disk (section 3.5)."""
    response = dns.message.make_response(message)
    try:
        _carry_out(authority, message)
    except Unmet as unmet:
        response.set_rcode(unmet.code)
    except Permanent:
        response.set_rcode(dns.rcode.REFUSED)
    return response


def _carry_out(authority: Authority, message: dns.update.UpdateMessage) -> None:
    if not message.had_tsig:
        raise Unmet(dns.rcode.REFUSED)
    if len(message.zone) != 1 or message.zone[0].rdtype != RdataType.SOA:
        raise Unmet(dns.rcode.FORMERR)
    origin = message.zone[0].name
    zone, served = authority.zone(origin), authority.served(origin)
    if zone is None or served is None:
        raise Unmet(dns.rcode.NOTAUTH)
    for rrset in (*message.prerequisite, *message.update):
        if not rrset.name.is_subdomain(origin):
            raise Unmet(dns.rcode.NOTZONE)
    _check_prerequisites(served, message.prerequisite)
    _check_form(message.update)
    authority.change(zone, tuple(_changes(zone, message.update)))


def _check_prerequisites(served: Served, wanted: Iterable[dns.rrset.RRset]) -> None:
    """Section 3.2. A prerequisite with values compares the whole set."""
    values: dict[tuple[dns.name.Name, RdataType], set[object]] = {}
    for rrset in wanted:
        if rrset.ttl != 0:
            raise Unmet(dns.rcode.FORMERR)
        whole_name = rrset.rdtype == RdataType.ANY
        there = rrset.name in served.sets if whole_name else served.find(rrset.name, rrset.rdtype) is not None
        if rrset.deleting == _ANY and not there:
            raise Unmet(dns.rcode.NXDOMAIN if whole_name else dns.rcode.NXRRSET)
        if rrset.deleting == _NONE and there:
            raise Unmet(dns.rcode.YXDOMAIN if whole_name else dns.rcode.YXRRSET)
        if rrset.deleting is None:
            values.setdefault((rrset.name, rrset.rdtype), set()).update(rrset)
    for (name, kind), data in values.items():
        if set(served.find(name, kind) or ()) != data:
            raise Unmet(dns.rcode.NXRRSET)


def _check_form(wished: Iterable[dns.rrset.RRset]) -> None:
    """Section 3.4.1: judged as a whole before any of it is done."""
    for rrset in wished:
        adding = rrset.deleting is None
        if rrset.rdtype in _META or (rrset.rdtype == RdataType.ANY and rrset.deleting != _ANY):
            raise Unmet(dns.rcode.FORMERR)
        if not adding and rrset.ttl != 0:
            raise Unmet(dns.rcode.FORMERR)


def _changes(zone: Zone, wished: Iterable[dns.rrset.RRset]) -> Iterable[Change]:
    """The changes of section 3.4.2 as record sets; the apex keeps its SOA and NS, whatever is asked."""
    after: dict[Key, RecordSet | None] = {}
    for rrset in wished:
        name = str(rrset.name).lower()
        for kind in _kinds(zone, after, name, rrset):
            apex_keeps = name == zone.name and kind in _KEPT
            known = _now(zone, after, (name, kind))
            if rrset.deleting == _ANY:
                after[name, kind] = known if apex_keeps else None
            elif rrset.deleting == _NONE:
                after[name, kind] = _without(known, rrset) or (known if apex_keeps else None)
            elif kind != "SOA":
                after[name, kind] = _with(known, rrset, name, kind)
    for (name, kind), rrset_after in after.items():
        if rrset_after != zone.records.get((name, kind)):
            yield Change(name, kind, rrset_after.ttl, rrset_after.records) if rrset_after else Change(name, kind)


def _kinds(
    zone: Zone, after: Mapping[Key, RecordSet | None], name: str, rrset: dns.rrset.RRset
) -> Iterable[str]:  # fmt: skip
    if rrset.rdtype != RdataType.ANY:
        return (dns.rdatatype.to_text(rrset.rdtype),)
    return sorted({kind for owner, kind in (*zone.records, *after) if owner == name})


def _now(zone: Zone, after: Mapping[Key, RecordSet | None], key: Key) -> RecordSet | None:
    return after[key] if key in after else zone.records.get(key)


def _without(known: RecordSet | None, rrset: dns.rrset.RRset) -> RecordSet | None:
    gone = {str(rdata) for rdata in rrset}
    left = tuple(text for text in known.records if text not in gone) if known else ()
    return RecordSet(known.name, known.type, known.ttl, left) if known and left else None


def _with(known: RecordSet | None, rrset: dns.rrset.RRset, name: str, kind: str) -> RecordSet:
    data = dict.fromkeys((*(known.records if known else ()), *(str(rdata) for rdata in rrset)))
    return RecordSet(name, kind, rrset.ttl, tuple(data))
