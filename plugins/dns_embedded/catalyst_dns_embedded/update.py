"""Dynamic update (RFC 2136): prerequisites, then changes, all or nothing; only for signed messages (RFC 8945)."""

from collections.abc import Iterable

import dns.message
import dns.name
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rrset
import dns.update
from catalyst_sdk import Permanent
from catalyst_sdk.dns import Change, RecordSet

from .authority import Authority
from .zones import Key

_ANY, _NONE = dns.rdataclass.ANY, dns.rdataclass.NONE
Records = dict[Key, RecordSet]


def update(authority: Authority, message: dns.update.UpdateMessage) -> dns.message.Message:
    """Carry out an update; the answer is made after the change is on disk (section 3.5)."""
    response = dns.message.make_response(message)
    response.set_rcode(_outcome(authority, message))
    return response


def _outcome(authority: Authority, message: dns.update.UpdateMessage) -> dns.rcode.Rcode:
    if not message.had_tsig:
        return dns.rcode.REFUSED
    if len(message.zone) != 1 or message.zone[0].rdtype != dns.rdatatype.SOA:
        return dns.rcode.FORMERR
    origin = message.zone[0].name
    state = authority.get(str(origin).lower())
    if state is None:
        return dns.rcode.NOTAUTH
    records: Records = {(r.name, r.type): r for r in state.record_sets}
    for section in (message.prerequisite, message.update):
        if any(not rrset.name.is_subdomain(origin) for rrset in section):
            return dns.rcode.NOTZONE
    failed = _prerequisites(records, message.prerequisite)
    if failed is not None:
        return failed
    changes = tuple(_changes(records, message.update))
    if not changes:
        return dns.rcode.NOERROR
    try:
        authority.apply(state.name, changes)
    except Permanent:
        return dns.rcode.REFUSED
    return dns.rcode.NOERROR


def _prerequisites(records: Records, wanted: Iterable[dns.rrset.RRset]) -> dns.rcode.Rcode | None:
    """The code of the first one that does not hold (section 3.2.5); a value prerequisite compares the whole set."""
    values: dict[Key, set[str]] = {}
    for rrset in wanted:
        name, kind = str(rrset.name).lower(), dns.rdatatype.to_text(rrset.rdtype)
        there = any(n == name for n, _ in records) if kind == "ANY" else (name, kind) in records
        if rrset.deleting == _ANY and not there:
            return dns.rcode.NXDOMAIN if kind == "ANY" else dns.rcode.NXRRSET
        if rrset.deleting == _NONE and there:
            return dns.rcode.YXDOMAIN if kind == "ANY" else dns.rcode.YXRRSET
        if rrset.deleting is None:
            values.setdefault((name, kind), set()).update(str(rdata) for rdata in rrset)
    for key, data in values.items():
        if key not in records or set(records[key].records) != data:
            return dns.rcode.NXRRSET
    return None


def _changes(records: Records, wished: Iterable[dns.rrset.RRset]) -> Iterable[Change]:
    """The changes of section 3.4.2 as record sets; the apex keeps its SOA and NS whatever is asked."""
    after = dict(records)
    for rrset in wished:
        name, kind = str(rrset.name).lower(), dns.rdatatype.to_text(rrset.rdtype)
        apex = (name, "SOA") in records
        if rrset.deleting == _ANY:
            for key in [k for k in after if k[0] == name and kind in ("ANY", k[1])]:
                if not (apex and key[1] in ("SOA", "NS")):
                    del after[key]
        elif rrset.deleting == _NONE:
            _without(after, (name, kind), {str(rdata) for rdata in rrset}, keep=apex and kind in ("SOA", "NS"))
        elif kind != "SOA":
            known = after[name, kind].records if (name, kind) in after else ()
            data = dict.fromkeys((*known, *(str(rdata) for rdata in rrset)))
            after[name, kind] = RecordSet(name, kind, rrset.ttl, tuple(data))
    for key in records.keys() - after.keys():
        yield Change(*key)
    for key, r in after.items():
        if records.get(key) != r:
            yield Change(r.name, r.type, r.ttl, r.records)


def _without(after: Records, key: Key, data: set[str], *, keep: bool) -> None:
    if key not in after:
        return
    left = tuple(text for text in after[key].records if text not in data)
    if left:
        after[key] = RecordSet(*key, after[key].ttl, left)
    elif not keep:
        del after[key]
