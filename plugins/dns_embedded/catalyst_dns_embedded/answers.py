"""One query, one answer (RFC 1034 section 4.3.2; DNSSEC by RFC 4035 section 3.1)."""

import dns.flags
import dns.message
import dns.name
import dns.opcode
import dns.rcode
import dns.rdataclass
import dns.rdataset
import dns.rdatatype
import dns.rrset

from .authority import Authority
from .signing import Served

_IN = dns.rdataclass.IN
_PAYLOAD = 1232
"""Octets of UDP that pass everywhere unfragmented (DNS flag day 2020)."""


def answer(authority: Authority, query: dns.message.Message) -> dns.message.Message:
    """The answer to a query of one question."""
    response = dns.message.make_response(query, our_payload=_PAYLOAD)
    if query.opcode() != dns.opcode.QUERY or len(query.question) != 1 or query.question[0].rdclass != _IN:
        response.set_rcode(dns.rcode.NOTIMP)
        return response
    question = query.question[0]
    name, kind = question.name, question.rdtype
    # The DS of a zone belongs to its parent, even where this server has both (RFC 4035, section 3.1.4.1).
    served = authority.served(name, above=kind == dns.rdatatype.DS)
    if served is None:
        response.set_rcode(dns.rcode.REFUSED)
        return response
    _Answering(served, response, secure=bool(query.ednsflags & dns.flags.DO)).fill(name, kind)
    return response


class _Answering:
    def __init__(self, served: Served, response: dns.message.Message, *, secure: bool) -> None:
        self._served = served
        self._response = response
        self._secure = secure and bool(served.chain)

    def fill(self, name: dns.name.Name, kind: dns.rdatatype.RdataType) -> None:
        cut = self._cut(name, kind)
        if cut is not None:
            self._refer(cut)
            return
        self._response.flags |= dns.flags.AA
        for _ in range(8):  # a chain of CNAMEs inside the zone
            alias = self._from_node(name, name, kind) if self._has(name) else self._from_wildcard(name, kind)
            if alias is None or not alias.is_subdomain(self._served.origin) or self._cut(alias, kind) is not None:
                return
            name = alias

    def _cut(self, name: dns.name.Name, kind: dns.rdatatype.RdataType) -> dns.name.Name | None:
        """The delegation at or above `name`, from the top; a question for the DS at the cut is ours to answer."""
        labels = len(name.labels) - len(self._served.origin.labels)
        for depth in range(labels - 1, -1, -1):
            at = dns.name.Name(name.labels[depth:])
            if self._find(at, dns.rdatatype.NS) is not None and not (at == name and kind == dns.rdatatype.DS):
                return at
        return None

    def _refer(self, cut: dns.name.Name) -> None:
        ns = self._find(cut, dns.rdatatype.NS)
        assert ns is not None
        self._response.authority.append(dns.rrset.from_rdata_list(cut, ns.ttl, list(ns)))
        if self._secure:
            kind = dns.rdatatype.DS if self._find(cut, dns.rdatatype.DS) else dns.rdatatype.NSEC
            self._add(self._response.authority, cut, kind)
        for rdata in ns:
            for kind in (dns.rdatatype.A, dns.rdatatype.AAAA):
                if (glue := self._find(rdata.target, kind)) is not None:
                    self._response.additional.append(dns.rrset.from_rdata_list(rdata.target, glue.ttl, list(glue)))

    def _from_node(
        self, owner: dns.name.Name, source: dns.name.Name, kind: dns.rdatatype.RdataType
    ) -> dns.name.Name | None:
        """Answer from the records at `source` under the name `owner`; the target where a CNAME is to be followed."""
        if kind == dns.rdatatype.ANY:
            # One record set says that the name is there, and no more (RFC 8482).
            node = self._served.tree.get_node(source)
            kind = next((r.rdtype for r in node or () if r.rdtype != dns.rdatatype.RRSIG), dns.rdatatype.SOA)
        if self._find(source, kind) is not None:
            self._add(self._response.answer, owner, kind, source)
            return None
        alias = self._find(source, dns.rdatatype.CNAME)
        if alias is not None:
            self._add(self._response.answer, owner, dns.rdatatype.CNAME, source)
            return alias[0].target  # type: ignore[no-any-return]
        self._deny(source)
        return None

    def _from_wildcard(self, name: dns.name.Name, kind: dns.rdatatype.RdataType) -> dns.name.Name | None:
        encloser = name.parent()
        while not self._has(encloser):
            encloser = encloser.parent()
        wildcard = dns.name.Name((b"*", *encloser.labels))
        if self._served.tree.get_node(wildcard) is not None:
            self._prove(name)
            return self._from_node(name, wildcard, kind)
        if not self._response.answer:
            self._response.set_rcode(dns.rcode.NXDOMAIN)
        self._deny(name)
        self._prove(wildcard)
        return None

    def _deny(self, name: dns.name.Name) -> None:
        """SOA with the negative TTL (RFC 2308), and the proof where it is wanted."""
        soa = self._find(self._served.origin, dns.rdatatype.SOA)
        assert soa is not None
        self._add(self._response.authority, self._served.origin, dns.rdatatype.SOA, ttl=min(soa.ttl, soa[0].minimum))
        self._prove(name)

    def _prove(self, name: dns.name.Name) -> None:
        if not self._secure:
            return
        owner = self._served.covering(name)
        if owner is not None and not any(
            r.name == owner and r.rdtype == dns.rdatatype.NSEC for r in self._response.authority
        ):
            self._add(self._response.authority, owner, dns.rdatatype.NSEC)

    def _add(
        self,
        section: list[dns.rrset.RRset],
        owner: dns.name.Name,
        kind: dns.rdatatype.RdataType,
        source: dns.name.Name | None = None,
        ttl: int | None = None,
    ) -> None:
        found = self._find(source or owner, kind)
        assert found is not None
        section.append(dns.rrset.from_rdata_list(owner, found.ttl if ttl is None else ttl, list(found)))
        if self._secure:
            signatures = self._served.tree.get_rdataset(source or owner, dns.rdatatype.RRSIG, kind)
            if signatures is not None:
                section.append(dns.rrset.from_rdata_list(owner, found.ttl if ttl is None else ttl, list(signatures)))

    def _find(self, name: dns.name.Name, kind: dns.rdatatype.RdataType) -> dns.rdataset.Rdataset | None:
        return self._served.tree.get_rdataset(name, kind) if name.is_subdomain(self._served.origin) else None

    def _has(self, name: dns.name.Name) -> bool:
        """Whether the name exists: it has records, or a name below it has (an empty non-terminal)."""
        tree = self._served.tree
        return tree.get_node(name) is not None or any(other.is_subdomain(name) for other in tree.nodes)
