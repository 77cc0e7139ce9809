"""The form of a zone that queries are answered from: record sets by name, signatures and the NSEC chain beside them."""

import bisect
from collections.abc import Iterable
from dataclasses import dataclass, field

import dns.name
import dns.rdata
import dns.rdatatype
import dns.rrset
from catalyst_sdk.dns import RecordSet
from catalyst_sdk.dns_rules import Key
from dns.rdatatype import RdataType

from .zones import Zone

Signatures = dict[tuple[dns.name.Name, RdataType], dns.rrset.RRset]


@dataclass
class Served:
    """What queries are answered from."""

    zone: Zone
    origin: dns.name.Name
    sets: dict[dns.name.Name, dict[RdataType, dns.rrset.RRset]] = field(default_factory=dict)
    signatures: Signatures = field(default_factory=dict)
    chain: list[dns.name.Name] = field(default_factory=list)
    """Names that own an NSEC record, in canonical order; empty for an unsigned zone."""
    _names: frozenset[dns.name.Name] | None = None
    _denial: tuple[dns.rrset.RRset, dns.rrset.RRset | None] | None = None

    def find(self, name: dns.name.Name, kind: RdataType) -> dns.rrset.RRset | None:
        """The record set of a name and type."""
        return self.sets.get(name, {}).get(kind)

    def exists(self, name: dns.name.Name) -> bool:
        """Whether the name is there: it has records, or a name below it has (RFC 4592, section 2.2.2)."""
        if name in self.sets:
            return True
        if self._names is None:
            self._names = frozenset(_with_all_above(self.sets, self.origin))
        return name in self._names

    def covering(self, name: dns.name.Name) -> dns.name.Name:
        """The owner of the NSEC record that matches `name`, or proves that it is not there."""
        return self.chain[bisect.bisect_right(self.chain, name) - 1]

    def denial(self) -> tuple[dns.rrset.RRset, dns.rrset.RRset | None]:
        """The SOA as it stands in a negative answer, with its signature (RFC 2308, section 5)."""
        if self._denial is None:
            soa = self.sets[self.origin][RdataType.SOA]
            ttl = min(soa.ttl, soa[0].minimum)
            signature = self.signatures.get((self.origin, RdataType.SOA))
            self._denial = renamed(soa, self.origin, ttl), signature and renamed(signature, self.origin, ttl)
        return self._denial

    def patch(self, after: Zone, touched: Iterable[Key]) -> None:
        """Become the form of `after`, which differs in `touched`; for unsigned zones only."""
        for key in touched:
            name, kind = dns.name.from_text(key[0]), dns.rdatatype.from_text(key[1])
            there = self.sets.setdefault(name, {})
            there.pop(kind, None)
            if key in after.records:
                there[kind] = built(name, after.records[key])
            if not there:
                del self.sets[name]
        self.zone = after
        self._names = self._denial = None


def unsigned(zone: Zone, before: Served | None = None) -> Served:
    """Build from text. What `before` has already built is taken from there."""
    served = Served(zone, dns.name.from_text(zone.name))
    for key, rrset in zone.records.items():
        name, kind = dns.name.from_text(key[0]), dns.rdatatype.from_text(key[1])
        known = before.find(name, kind) if before and before.zone.records.get(key) is rrset else None
        served.sets.setdefault(name, {})[kind] = known or built(name, rrset)
    return served


def built(name: dns.name.Name, rrset: RecordSet) -> dns.rrset.RRset:
    """From presentation form."""
    rdatas = [dns.rdata.from_text("IN", rrset.type, text, relativize=False) for text in rrset.records]
    return dns.rrset.from_rdata_list(name, rrset.ttl, rdatas)


def renamed(rrset: dns.rrset.RRset, owner: dns.name.Name, ttl: int | None = None) -> dns.rrset.RRset:
    """The same data under another name, as a wildcard is answered, or with another time to live."""
    return dns.rrset.from_rdata_list(owner, rrset.ttl if ttl is None else ttl, list(rrset))


def _with_all_above(names: Iterable[dns.name.Name], origin: dns.name.Name) -> Iterable[dns.name.Name]:
    for name in names:
        while name != origin:
            yield name
            name = name.parent()
    yield origin
