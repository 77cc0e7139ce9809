"""What an answer proves not to be there, by whichever chain its zone has."""

from collections.abc import Iterable
from dataclasses import dataclass

import dns.message
import dns.name
import dns.rrset
from dns.rdatatype import RdataType

from . import denial, hashed
from .asking import Bogus, Keys, fault, own_labels, signed_labels


@dataclass(frozen=True, slots=True)
class Proofs:
    """The records of either chain in one answer, whose signatures hold."""

    plain: tuple[denial.Nsec, ...]
    hashed: tuple[hashed.Nsec3, ...]

    @property
    def too_costly(self) -> bool:
        """Whether to look at them is more work than a zone may want."""
        return hashed.too_costly(self.hashed)

    def name_absent(self, name: dns.name.Name) -> bool:
        """Neither the name nor a wildcard for it is there."""
        return denial.name_absent(self.plain, name) or hashed.name_absent(self.hashed, name)

    def type_absent(self, name: dns.name.Name, kind: RdataType) -> bool:
        """The name, or the wildcard for it, has no record of this type and is no alias."""
        return denial.type_absent(self.plain, name, kind) or hashed.type_absent(self.hashed, name, kind)

    def unsigned_below(self, cut: dns.name.Name) -> bool:
        """A delegation stands there, and its parent vouches for no key."""
        return denial.unsigned_below(self.plain, cut) or hashed.unsigned_below(self.hashed, cut)

    def opted_out(self, name: dns.name.Name) -> bool:
        """An unsigned delegation may be there, which nobody has signed for."""
        return hashed.opted_out(self.hashed, name)

    def expanded(self, name: dns.name.Name, labels: int) -> bool:
        """A wildcard was right to answer."""
        return denial.expanded(self.plain, name, labels) or hashed.expanded(self.hashed, name, labels)


def proofs_of(answer: dns.message.Message, keys: Keys) -> Proofs:
    """What is proven. Raises Bogus for a record of the chain whose signature does not hold."""
    (zone,) = keys
    found = [r for r in answer.authority if r.rdtype in (RdataType.NSEC, RdataType.NSEC3)]
    for rrset in found:
        if why := fault(answer.authority, rrset, keys) or _expanded(answer.authority, rrset):
            raise Bogus(why)
    return Proofs(denial.read(found), hashed.read(found, zone))


def _expanded(section: Iterable[dns.rrset.RRset], rrset: dns.rrset.RRset) -> str:
    """A wildcard's own record of the chain under another name proves nothing: the name it is shown for was not signed."""
    if signed_labels(list(section), rrset) == own_labels(rrset.name):
        return ""
    return f"the proof at {rrset.name} was made for a wildcard"
