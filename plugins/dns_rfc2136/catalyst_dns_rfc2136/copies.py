"""A zone as it was transferred, brought up to date in place: what a transfer does not touch is not looked at again. Pure.

dnspython has zones that take transfers too. They carry each record through copies of its set and its node, and nobody learns
which names were touched; both cost more than all that the server has to say.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import Any

import dns.dnssec
import dns.name
import dns.rdataclass
import dns.rdataset
import dns.rdatatype
import dns.transaction
from catalyst_sdk.dns import RecordSet, ZoneKey
from catalyst_sdk.dns_rules import Key, below, is_made_by_signing
from dns.rdataclass import RdataClass
from dns.rdatatype import RdataType

from .zones import TURN_MARK, Held, text_of

_SIGNING = RdataType.make(65534)
"""BIND's notes about signing that goes on (private type)."""
_ENTRY_POINT = 1
_Kind = tuple[RdataType, RdataType]
"""Type of a set, and for signatures the type that they cover."""
_Step = tuple[str, dns.name.Name, dns.rdataset.Rdataset]
_ONE_EACH = frozenset({RdataType.NSEC, RdataType.NSEC3})
"""Types of which a name has one record at most."""


@dataclass(slots=True)
class _Set:
    """Records of a kind at a name, each by what tells it from the others, which costs less than the wire of each."""

    ttl: int
    found: dict[object, Any] = field(default_factory=dict)


_Sets = dict[_Kind, _Set]


class Copy(dns.transaction.TransactionManager):
    """What `dns.xfr.Inbound` fills and brings up to date. A transfer that breaks off before its end leaves it as it was.

    held   the zone in the contract's words, as of the last transfer
    """

    held: Held

    def __init__(self, zone: str) -> None:
        self._origin = dns.name.from_text(zone)
        self._nodes: dict[dns.name.Name, _Sets] = {}
        self._records: dict[Key, RecordSet] = {}
        self._cuts: set[dns.name.Name] = set()
        self._unsigned: set[dns.name.Name] = set()
        """Names of which a set still lacks its signature."""
        self._keys: tuple[ZoneKey, ...] = ()
        self._signers: frozenset[int] = frozenset()

    def origin_information(self) -> tuple[dns.name.Name, bool, dns.name.Name]:
        """Names are absolute."""
        return self._origin, False, self._origin

    def get_class(self) -> RdataClass:
        """The Internet."""
        return dns.rdataclass.IN

    def writer(self, replacement: bool = False) -> Any:
        """For one transfer."""
        return _Transfer(self, is_whole=replacement)

    def take(self, steps: Iterable[_Step], *, is_whole: bool) -> None:
        """Do what a transfer told, in its order. Raises KeyError where that does not fit what is there."""
        touched = {(name, kind) for name, sets in self._nodes.items() for kind in sets} if is_whole else set()
        if is_whole:
            self._nodes = {}
        for step, name, rdataset in steps:
            kind = (rdataset.rdtype, rdataset.covers)
            touched.add((name, kind))
            if step == "del":
                self._take_away(name, kind, rdataset)
                continue
            sets = self._nodes.setdefault(name, {})
            if step == "put" or kind not in sets:
                sets[kind] = _Set(int(rdataset.ttl))
            sets[kind].ttl = min(sets[kind].ttl, int(rdataset.ttl))
            sets[kind].found |= {_token(rdata): rdata for rdata in rdataset}
        self._look(touched)

    def _take_away(self, name: dns.name.Name, kind: _Kind, gone: dns.rdataset.Rdataset) -> None:
        sets = self._nodes[name]
        for rdata in gone:
            del sets[kind].found[_token(rdata)]
        if not sets[kind].found:
            del sets[kind]
        if not sets:
            del self._nodes[name]

    def _look(self, touched: set[tuple[dns.name.Name, _Kind]]) -> None:
        """Form anew what follows from the sets that were touched."""
        records = dict(self._records)
        for name, (rdtype, _) in touched:
            host, kind = str(name).lower(), dns.rdatatype.to_text(rdtype)
            if rdtype != _SIGNING and not is_made_by_signing(host, kind):
                records.pop((host, kind), None)
                if there := self._nodes.get(name, {}).get((rdtype, RdataType.NONE)):
                    records[host, kind] = RecordSet(host, kind, there.ttl, tuple(sorted(map(str, there.found))))
        self._records = records
        names = {name for name, _ in touched}
        self._look_at_signatures(names | self._below_new_cuts(names))
        self._look_at_keys(any(rdtype == RdataType.DNSKEY for _, (rdtype, _) in touched))
        self.held = self._held()

    def _below_new_cuts(self, names: set[dns.name.Name]) -> set[dns.name.Name]:
        """Names that lie below a cut, or did before: what is glue there needs no signature."""
        cuts = {name for name in names - {self._origin} if self._find(name, RdataType.NS)}
        moved = cuts ^ (self._cuts & names)
        self._cuts = (self._cuts - names) | cuts
        return {name for name in self._nodes if _is_below(name, moved)} if moved else set()

    def _look_at_signatures(self, names: set[dns.name.Name]) -> None:
        self._unsigned -= names
        for name in names & self._nodes.keys():
            if not _is_below(name, self._cuts) and not _is_signed(self._nodes[name], is_cut=name in self._cuts):
                self._unsigned.add(name)

    def _look_at_keys(self, is_touched: bool) -> None:
        apex = self._nodes.get(self._origin, {})
        signers = frozenset(
            sig.key_tag for (rdtype, _), s in apex.items() if rdtype == RdataType.RRSIG for sig in s.found.values()
        )
        if not is_touched and signers == self._signers:
            return
        self._signers = signers
        keys = [_key(self._origin, dnskey, signers) for dnskey in self._find(self._origin, RdataType.DNSKEY)]
        self._keys = tuple(sorted(keys, key=lambda key: (not key.active, key.tag)))

    def _held(self) -> Held:
        records, name = dict(self._records), str(self._origin).lower()
        turn = records.pop((below(TURN_MARK, name), "TXT"), None)
        return Held(
            name=name,
            serial=int(records[name, "SOA"].records[0].split()[2]),
            records=records,
            keys=self._keys,
            turn=text_of(turn.records[0]) if turn else "",
            is_settled=self._is_settled(),
            shows_cds=bool(self._find(self._origin, RdataType.CDS)),
        )

    def _is_settled(self) -> bool:
        notes = [note.to_wire() or b"" for note in self._find(self._origin, _SIGNING)]
        if any(note[0] == 0 or not note[-1] for note in notes):  # a chain or signatures still to be made
            return False
        return not self._find(self._origin, RdataType.DNSKEY) or not self._unsigned

    def _find(self, name: dns.name.Name, rdtype: RdataType) -> Collection[Any]:
        there = self._nodes.get(name, {}).get((rdtype, RdataType.NONE))
        return there.found.values() if there else ()


class _Transfer:
    """What `dns.xfr.Inbound` asks of a transaction. Nothing is done before its end."""

    def __init__(self, copy: Copy, *, is_whole: bool) -> None:
        self._copy = copy
        self._is_whole = is_whole
        self._steps: list[_Step] = []

    def add(self, name: dns.name.Name, rdataset: dns.rdataset.Rdataset) -> None:
        """These are there too."""
        self._steps.append(("add", name, rdataset))

    def replace(self, name: dns.name.Name, rdataset: dns.rdataset.Rdataset) -> None:
        """The set is this."""
        self._steps.append(("put", name, rdataset))

    def delete_exact(self, name: dns.name.Name, rdataset: dns.rdataset.Rdataset) -> None:
        """These are not there any more."""
        self._steps.append(("del", name, rdataset))

    def commit(self) -> None:
        """All of it was told."""
        self._copy.take(self._steps, is_whole=self._is_whole)

    def rollback(self) -> None:
        """It broke off, or is told anew."""


def _token(rdata: Any) -> object:
    """What tells a record from others of its set: its text; of what signing makes, less will do."""
    if rdata.rdtype == RdataType.RRSIG:
        return rdata.key_tag, rdata.signature
    return "" if rdata.rdtype in _ONE_EACH else str(rdata)


def _is_below(name: dns.name.Name, cuts: set[dns.name.Name]) -> bool:
    above = name
    while cuts and len(above.labels) > 1:
        above = above.parent()
        if above in cuts:
            return True
    return False


def _is_signed(sets: _Sets, *, is_cut: bool) -> bool:
    signed = {covers for rdtype, covers in sets if rdtype == RdataType.RRSIG}
    kinds = {rdtype for rdtype, _ in sets} - {RdataType.RRSIG}
    return (kinds & {RdataType.DS, RdataType.NSEC} if is_cut else kinds) <= signed


def _key(origin: dns.name.Name, dnskey: Any, signers: frozenset[int]) -> ZoneKey:
    tag = dns.dnssec.key_id(dnskey)
    # Only a key that signs the keys may be named by the parent (RFC 4034, section 2.1.1).
    ds = (str(dns.dnssec.make_ds(origin, dnskey, "SHA256")),) if dnskey.flags & _ENTRY_POINT else ()
    return ZoneKey(tag, int(dnskey.algorithm), tag in signers, str(dnskey), ds)
