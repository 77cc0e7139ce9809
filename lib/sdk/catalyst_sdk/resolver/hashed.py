"""What NSEC3 records prove not to be there (RFC 5155, section 8). Pure; signatures are checked before."""

import base64
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import dns.dnssec
import dns.name
import dns.rrset
from dns.rdatatype import RdataType

from .denial import types_of

MOST_ITERATIONS = 150
"""A zone that wants more is treated as unsigned: the work would be ours (RFC 9276, section 3.2)."""
_OPT_OUT = 1
_SHA1 = 1


@dataclass(frozen=True, slots=True)
class Nsec3:
    """One record of the chain: no hash is between `owner` and `after`, and the name hashed to `owner` has `types`.

    opt_out   unsigned delegations may be in between
    """

    owner: str
    after: str
    types: frozenset[RdataType]
    opt_out: bool
    salt: bytes
    iterations: int

    @property
    def is_cut(self) -> bool:
        """It is of the parent's side of a delegation."""
        return RdataType.NS in self.types and RdataType.SOA not in self.types

    def matches(self, name: dns.name.Name) -> bool:
        """Whether it is about this name."""
        return self.owner == self.hash(name)

    def covers(self, name: dns.name.Name) -> bool:
        """Whether no such name has a record of the chain. The last record points back to the first."""
        hashed = self.hash(name)
        if self.owner < self.after:
            return self.owner < hashed < self.after
        return hashed > self.owner or hashed < self.after

    def hash(self, name: dns.name.Name) -> str:
        """The name as this chain knows it."""
        return dns.dnssec.nsec3_hash(name, self.salt, self.iterations, _SHA1).lower()


def read(rrsets: Iterable[dns.rrset.RRset], zone: dns.name.Name) -> tuple[Nsec3, ...]:
    """The NSEC3 records of a zone among `rrsets`; those of an unknown kind are ignored (RFC 5155, section 8.1)."""
    return tuple(
        Nsec3(
            rrset.name.labels[0].decode().lower(),
            _text(rdata.next),
            frozenset(types_of(rdata.windows)),
            bool(rdata.flags & _OPT_OUT),
            rdata.salt,
            rdata.iterations,
        )
        for rrset in rrsets
        if rrset.rdtype == RdataType.NSEC3 and len(rrset.name) > 1 and rrset.name.parent() == zone
        for rdata in rrset
        if rdata.algorithm == _SHA1 and rdata.flags in (0, _OPT_OUT)
    )  # fmt: skip - one record


def too_costly(proofs: Sequence[Nsec3]) -> bool:
    """Whether the chain wants more work than anybody has to do."""
    return any(proof.iterations > MOST_ITERATIONS for proof in proofs)


def name_absent(proofs: Sequence[Nsec3], name: dns.name.Name) -> bool:
    """Whether neither the name nor a wildcard for it is there."""
    encloser, _ = _closest(proofs, name)
    return encloser is not None and _covering(proofs, _wildcard(encloser)) is not None


def type_absent(proofs: Sequence[Nsec3], name: dns.name.Name, kind: RdataType) -> bool:
    """Whether the name, or the wildcard that stands for it, has no record of this type and is no alias."""
    own = _matching(proofs, name)
    if own is not None:
        return _lacks(own, kind, is_root=name == dns.name.root)
    encloser, next_closer = _closest(proofs, name)
    if encloser is None or next_closer is None:
        return False
    if kind == RdataType.DS and next_closer.opt_out:
        return True
    wildcard = _matching(proofs, _wildcard(encloser))
    return wildcard is not None and _lacks(wildcard, kind, is_root=False)


def unsigned_below(proofs: Sequence[Nsec3], cut: dns.name.Name) -> bool:
    """Whether a delegation stands at `cut`, and its parent vouches for no key."""
    own = _matching(proofs, cut)
    return own is not None and own.is_cut and RdataType.DS not in own.types


def opted_out(proofs: Sequence[Nsec3], name: dns.name.Name) -> bool:
    """Whether an unsigned delegation at or above `name` may be there, which nobody has signed for."""
    if _matching(proofs, name) is not None:
        return False
    _, next_closer = _closest(proofs, name)
    return next_closer is not None and next_closer.opt_out


def expanded(proofs: Sequence[Nsec3], name: dns.name.Name, labels: int) -> bool:
    """Whether an answer by the wildcard whose signature counts `labels` was right: nothing closer is there."""
    next_closer = dns.name.Name(name.labels[len(name.labels) - labels - 2 :])
    return _covering(proofs, next_closer) is not None


def _closest(proofs: Sequence[Nsec3], name: dns.name.Name) -> tuple[dns.name.Name | None, Nsec3 | None]:
    """The longest name above that is there, and the record that the name right below it is not (section 8.3)."""
    for depth in range(1, len(name.labels)):
        above = dns.name.Name(name.labels[depth:])
        found = _matching(proofs, above)
        if found is None:
            continue
        if found.is_cut or RdataType.DNAME in found.types:
            return None, None
        covering = _covering(proofs, dns.name.Name(name.labels[depth - 1 :]))
        return (above, covering) if covering else (None, None)
    return None, None


def _matching(proofs: Sequence[Nsec3], name: dns.name.Name) -> Nsec3 | None:
    return next((proof for proof in proofs if proof.matches(name)), None)


def _covering(proofs: Sequence[Nsec3], name: dns.name.Name) -> Nsec3 | None:
    return next((proof for proof in proofs if proof.covers(name)), None)


def _lacks(proof: Nsec3, kind: RdataType, *, is_root: bool) -> bool:
    if kind in proof.types or RdataType.CNAME in proof.types:
        return False
    if kind == RdataType.DS:  # the child's own record says nothing about what its parent has
        return RdataType.SOA not in proof.types or is_root
    return not proof.is_cut


def _wildcard(encloser: dns.name.Name) -> dns.name.Name:
    return dns.name.Name((b"*", *encloser.labels))


def _text(hashed: bytes) -> str:
    return base64.b32hexencode(hashed).decode().lower()
