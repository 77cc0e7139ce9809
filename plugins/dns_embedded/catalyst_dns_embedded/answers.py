"""One query, one answer (RFC 1034, section 4.3.2; with DNSSEC RFC 4035, section 3.1; negative answers RFC 2308)."""

import dns.flags
import dns.message
import dns.name
import dns.opcode
import dns.rcode
import dns.rdataclass
import dns.rrset
from dns.rdatatype import RdataType

from .authority import Authority
from .served import Served, renamed

PAYLOAD = 1232
"""Octets of UDP that pass everywhere unfragmented (DNS flag day 2020)."""
_LONGEST_CHAIN = 8
_TRANSFERS = (RdataType.AXFR, RdataType.IXFR)
_NOT_IN_ANY = (RdataType.NSEC, RdataType.DNSKEY)


def answer(authority: Authority, query: dns.message.Message) -> dns.message.Message:
    """The answer to a query."""
    response = dns.message.make_response(query, our_payload=PAYLOAD)
    refusal = _refusal(query)
    if refusal is not None:
        response.set_rcode(refusal)
        return response
    question = query.question[0]
    name, kind = question.name, question.rdtype
    # The DS of a zone belongs to its parent, even where this server has both (RFC 4035, section 3.1.4.1).
    served = authority.served(name, above=kind == RdataType.DS)
    if served is None:
        response.set_rcode(dns.rcode.REFUSED)
        return response
    _Answering(served, response, secure=bool(query.ednsflags & dns.flags.DO)).fill(name, kind)
    return response


def _refusal(query: dns.message.Message) -> dns.rcode.Rcode | None:
    if query.edns > 0:
        return dns.rcode.BADVERS
    if query.opcode() != dns.opcode.QUERY:
        return dns.rcode.NOTIMP
    if len(query.question) != 1:
        return dns.rcode.FORMERR
    question = query.question[0]
    if question.rdclass != dns.rdataclass.IN:
        return dns.rcode.NOTIMP
    return dns.rcode.REFUSED if question.rdtype in _TRANSFERS else None


class _Answering:
    def __init__(self, served: Served, response: dns.message.Message, *, secure: bool) -> None:
        self._served = served
        self._response = response
        self._secure = secure and bool(served.chain)

    def fill(self, name: dns.name.Name, kind: RdataType) -> None:
        self._response.flags |= dns.flags.AA
        for step in range(_LONGEST_CHAIN):
            cut = self._cut(name, kind)
            if cut is not None:
                self._refer(cut)
                if not step:  # what was asked lies below the cut; behind an alias the alias itself is ours
                    self._response.flags &= ~dns.flags.AA
                return
            alias = self._from_node(name, name, kind) if self._served.exists(name) else self._from_above(name, kind)
            if alias is None or not alias.is_subdomain(self._served.origin):
                return
            name = alias

    def _cut(self, name: dns.name.Name, kind: RdataType) -> dns.name.Name | None:
        """The delegation at or above `name`, the topmost one; a question for the DS at a cut is ours to answer."""
        for depth in range(len(name.labels) - len(self._served.origin.labels) - 1, -1, -1):
            at = dns.name.Name(name.labels[depth:]) if depth else name
            if self._served.find(at, RdataType.NS) is not None and not (depth == 0 and kind == RdataType.DS):
                return at
        return None

    def _refer(self, cut: dns.name.Name) -> None:
        there, response = self._served.sets[cut], self._response
        ns = there[RdataType.NS]
        response.authority.append(ns)
        if self._secure:
            self._add(response.authority, there[RdataType.DS if RdataType.DS in there else RdataType.NSEC])
        self._add_addresses(ns)

    def _add_addresses(self, ns: dns.rrset.RRset) -> None:
        for rdata in ns:
            there = self._served.sets.get(rdata.target, {})
            self._response.additional.extend(there[kind] for kind in (RdataType.A, RdataType.AAAA) if kind in there)

    def _from_node(self, owner: dns.name.Name, source: dns.name.Name, kind: RdataType) -> dns.name.Name | None:
        """Answer from the records at `source` under the name `owner`; the target where a CNAME is to be followed."""
        there = self._served.sets.get(source, {})
        if kind == RdataType.ANY:
            # One record set says that the name is there, and no more (RFC 8482).
            kind = next((found for found in there if found not in _NOT_IN_ANY), RdataType.SOA)
        if kind in there:
            self._add(self._response.answer, there[kind], owner)
            if kind == RdataType.NS:
                self._add_addresses(there[kind])
            return None
        if RdataType.CNAME in there:
            self._add(self._response.answer, there[RdataType.CNAME], owner)
            target: dns.name.Name = there[RdataType.CNAME][0].target
            return target
        self._deny(source)
        return None

    def _from_above(self, name: dns.name.Name, kind: RdataType) -> dns.name.Name | None:
        """Answer for a name that is not there: from the wildcard below its closest encloser, or that it is not there."""
        encloser = name.parent()
        while not self._served.exists(encloser):
            encloser = encloser.parent()
        wildcard = dns.name.Name((b"*", *encloser.labels))
        if wildcard in self._served.sets:
            self._prove(name)
            return self._from_node(name, wildcard, kind)
        # At the end of a chain of aliases too: the code is about its last name (RFC 6604, section 3).
        self._response.set_rcode(dns.rcode.NXDOMAIN)
        self._deny(name)
        self._prove(wildcard)
        return None

    def _deny(self, name: dns.name.Name) -> None:
        """SOA with the negative time to live, and the proof where it is wanted."""
        soa, signature = self._served.denial()
        self._response.authority.append(soa)
        if self._secure and signature:
            self._response.authority.append(signature)
        self._prove(name)

    def _prove(self, name: dns.name.Name) -> None:
        if self._secure:
            proof = self._served.sets[self._served.covering(name)][RdataType.NSEC]
            if not any(rrset is proof for rrset in self._response.authority):
                self._add(self._response.authority, proof)

    def _add(self, section: list[dns.rrset.RRset], rrset: dns.rrset.RRset, owner: dns.name.Name | None = None) -> None:
        signature = self._served.signatures.get((rrset.name, rrset.rdtype)) if self._secure else None
        for part in (rrset, signature):
            if part is not None:
                section.append(part if owner is None or owner == part.name else renamed(part, owner))
