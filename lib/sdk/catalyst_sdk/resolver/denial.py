"""What NSEC records prove not to be there (RFC 4035, section 5.4; RFC 6840, section 4). Pure; signatures are checked before."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import dns.name
import dns.rdatatype
import dns.rrset
from dns.rdatatype import RdataType


@dataclass(frozen=True, slots=True)
class Nsec:
    """One record of the chain: nothing is between `owner` and `after`, and `owner` has exactly `types`."""

    owner: dns.name.Name
    after: dns.name.Name
    types: frozenset[RdataType]

    @property
    def is_cut(self) -> bool:
        """It is of the parent's side of a delegation, and says nothing about what lies below."""
        return RdataType.NS in self.types and RdataType.SOA not in self.types

    def covers(self, name: dns.name.Name) -> bool:
        """Whether no such name is there. The last record of a chain points back to its beginning."""
        if (self.is_cut or RdataType.DNAME in self.types) and name.is_subdomain(self.owner):
            return False
        return bool(self.owner < name and (name < self.after or self.after <= self.owner))

    def encloser(self, name: dns.name.Name) -> dns.name.Name:
        """The longest name above `name` that this record shows to be there, where it covers `name`."""
        common = max(name.fullcompare(self.owner)[2], name.fullcompare(self.after)[2])
        return dns.name.Name(name.labels[len(name.labels) - common :])


def read(rrsets: Iterable[dns.rrset.RRset]) -> tuple[Nsec, ...]:
    """The NSEC records among `rrsets`."""
    return tuple(
        Nsec(rrset.name, rdata.next, frozenset(types_of(rdata.windows)))
        for rrset in rrsets
        if rrset.rdtype == RdataType.NSEC
        for rdata in rrset
    )


def name_absent(proofs: Sequence[Nsec], name: dns.name.Name) -> bool:
    """Whether neither the name nor a wildcard for it is there."""
    for proof in proofs:
        if proof.covers(name) and not proof.after.is_subdomain(name):
            wildcard = _wildcard(proof.encloser(name))
            return any(other.covers(wildcard) for other in proofs)
    return False


def type_absent(proofs: Sequence[Nsec], name: dns.name.Name, kind: RdataType) -> bool:
    """Whether the name, or the wildcard that stands for it, has no record of this type and is no alias."""
    for proof in proofs:
        if proof.owner == name:
            return _lacks(proof, kind)
        if proof.covers(name):
            if proof.after.is_subdomain(name):
                return True  # there only because of names below it
            wildcard = _wildcard(proof.encloser(name))
            return any(other.owner == wildcard and _lacks(other, kind) for other in proofs)
    return False


def unsigned_below(proofs: Sequence[Nsec], cut: dns.name.Name) -> bool:
    """Whether a delegation stands at `cut`, and its parent vouches for no key."""
    return any(proof.owner == cut and proof.is_cut and RdataType.DS not in proof.types for proof in proofs)


def expanded(proofs: Sequence[Nsec], name: dns.name.Name, labels: int) -> bool:
    """Whether an answer by the wildcard whose signature counts `labels` was right: nothing closer is there."""
    return any(proof.covers(name) and len(proof.encloser(name).labels) - 1 == labels for proof in proofs)


def _lacks(proof: Nsec, kind: RdataType) -> bool:
    if kind in proof.types or RdataType.CNAME in proof.types:
        return False
    if kind == RdataType.DS:  # the child's own record says nothing about what its parent has
        return RdataType.SOA not in proof.types or proof.owner == dns.name.root
    return not proof.is_cut


def _wildcard(encloser: dns.name.Name) -> dns.name.Name:
    return dns.name.Name((b"*", *encloser.labels))


def types_of(windows: Iterable[tuple[int, bytes]]) -> Iterable[RdataType]:
    """The types that a bitmap names (RFC 4034, section 4.1.2)."""
    for window, bitmap in windows:
        for index, octet in enumerate(bitmap):
            for bit in range(8):
                if octet & (0x80 >> bit):
                    yield RdataType.make(window * 256 + index * 8 + bit)
