"""Asking the DNS oneself: from a trust anchor down to an answer, each link checked (RFC 4035, section 5).

The walk asks for the DS of every name on the way, from the top; where one is there and signed, a zone is cut off and its
keys are checked against it. Servers are found by hints, because in development they listen on ports of their own.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import dns.asyncquery
import dns.dnssec
import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rrset
import dns.zonefile

PATIENCE = 3.0
"""Seconds for one question."""
Keys = dict[dns.name.Name, dns.rrset.RRset]


class Bogus(Exception):
    """A link of the chain that does not hold."""


@dataclass(frozen=True, slots=True)
class Resolved:
    """What a name has.

    records   in presentation form; empty where the name has none of that type
    secure    every link from the anchor to these records was checked and holds
    why       the link that failed, or that is missing
    servers   the authoritative servers of the zone, as `name address:port`
    """

    name: str
    type: str
    records: tuple[str, ...]
    rcode: str
    secure: bool
    why: str
    zone: str
    servers: tuple[str, ...]


class Resolver:
    """Resolves below one trust anchor."""

    def __init__(self, hints: Mapping[str, str], anchor: dns.rrset.RRset) -> None:
        self._hints = hints
        self._anchor = anchor

    @classmethod
    def from_files(cls, hints: Path, anchor: Path) -> "Resolver":
        """Read `hints.json` (server name to `address:port`) and the trust anchor (DNSKEY in presentation form)."""
        found = dns.zonefile.read_rrsets(anchor.read_text(), rdclass=None, default_ttl=0)
        return cls(json.loads(hints.read_text()), found[0])

    async def resolve(self, name: str, kind: str = "A") -> Resolved:
        """Walk and ask. Raises OSError or dns.exception.Timeout where a server does not answer."""
        wanted = dns.name.from_text(name)
        zone: dns.name.Name = dns.name.root
        servers: Sequence[tuple[str, str]] = self._root_servers()
        keys: Keys | None = None
        why = ""
        try:
            keys = await self._keys(zone, servers, None)
            for cut in _names_above(wanted):
                below = await self._descend(cut, servers, keys)
                if below is not None:
                    zone, (servers, keys) = cut, below
        except Bogus as error:
            why = str(error)
        answer = await _ask(servers[0][1], wanted, kind)
        rrset = answer.get_rrset(answer.answer, wanted, dns.rdataclass.IN, dns.rdatatype.from_text(kind))
        if not why and rrset is None:
            why = f"{name} has no {kind}"
        if not why and rrset is not None and keys is not None:
            why = _fault(answer, rrset, keys)
        records = tuple(sorted(str(rdata) for rdata in rrset or ()))
        rcode = dns.rcode.to_text(answer.rcode())
        listed = tuple(f"{server} {address}" for server, address in servers)
        return Resolved(name, kind, records, rcode, not why, why, str(zone), listed)

    async def _descend(
        self, cut: dns.name.Name, servers: Sequence[tuple[str, str]], keys: Keys
    ) -> tuple[Sequence[tuple[str, str]], Keys] | None:
        """The servers and keys of the zone that begins at `cut`; None where none does."""
        answer = await _ask(servers[0][1], cut, "DS")
        ds = answer.get_rrset(answer.answer, cut, dns.rdataclass.IN, dns.rdatatype.DS)
        if ds is None:
            return None
        if fault := _fault(answer, ds, keys):
            raise Bogus(f"DS of {cut}: {fault}")
        below = await self._servers(cut, servers)
        return below, await self._keys(cut, below, ds)

    async def _keys(self, zone: dns.name.Name, servers: Sequence[tuple[str, str]], ds: dns.rrset.RRset | None) -> Keys:
        """The zone's DNSKEY set, signed by a key that the anchor or the parent's DS names."""
        answer = await _ask(servers[0][1], zone, "DNSKEY")
        found = answer.get_rrset(answer.answer, zone, dns.rdataclass.IN, dns.rdatatype.DNSKEY)
        if found is None:
            raise Bogus(f"{zone} shows no DNSKEY, but its parent has a DS")
        known = self._anchor if ds is None else ds
        trusted = [key for key in found if _is_named(key, zone, known)]
        if not trusted:
            raise Bogus(f"no DNSKEY of {zone} is the one that its {'anchor' if ds is None else 'DS'} names")
        entry: Keys = {zone: dns.rrset.from_rdata_list(zone, found.ttl, trusted)}
        if fault := _fault(answer, found, entry):
            raise Bogus(f"DNSKEY of {zone}: {fault}")
        return {zone: found}

    async def _servers(self, zone: dns.name.Name, above: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
        answer = await _ask(above[0][1], zone, "NS")
        names = [
            str(rdata.target).lower()
            for rrset in (*answer.answer, *answer.authority)
            if rrset.rdtype == dns.rdatatype.NS and rrset.name == zone
            for rdata in rrset
        ]
        # A server that the hints do not name listens where its parent's does.
        found = [(name, self._hints.get(name, above[0][1])) for name in sorted(names)]
        if not found:
            raise Bogus(f"{zone} has a DS but no name servers")
        return found

    def _root_servers(self) -> list[tuple[str, str]]:
        return sorted(self._hints.items())[:1]


def _fault(answer: dns.message.Message, rrset: dns.rrset.RRset, keys: Keys) -> str:
    """Why the signatures over `rrset` do not hold; empty where one does."""
    signatures = answer.get_rrset(
        answer.answer, rrset.name, dns.rdataclass.IN, dns.rdatatype.RRSIG, covers=rrset.rdtype
    )
    if signatures is None:
        return "there is no signature"
    try:
        dns.dnssec.validate(rrset, signatures, dict(keys))
    except (dns.exception.ValidationFailure, dns.exception.UnsupportedAlgorithm) as error:
        return str(error)
    return ""


def _is_named(key: object, zone: dns.name.Name, known: dns.rrset.RRset) -> bool:
    if known.rdtype == dns.rdatatype.DNSKEY:
        return key in known
    return any(dns.dnssec.make_ds(zone, key, ds.digest_type) == ds for ds in known)  # type: ignore[arg-type]


def _names_above(name: dns.name.Name) -> list[dns.name.Name]:
    """`works.`, `omani.works.`, … down to `name`."""
    return [dns.name.Name(name.labels[depth:]) for depth in range(len(name.labels) - 2, -1, -1)]


async def _ask(address: str, name: dns.name.Name, kind: str) -> dns.message.Message:
    host, _, port = address.rpartition(":")
    query = dns.message.make_query(name, kind, want_dnssec=True)
    query.flags &= ~dns.flags.RD
    answer, _ = await dns.asyncquery.udp_with_fallback(query, host, timeout=PATIENCE, port=int(port))
    return answer
