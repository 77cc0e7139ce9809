"""Asking the DNS oneself: from a trust anchor down to an answer or its denial, each link checked (RFC 4035, section 5).

The walk asks for the DS of every name on the way, at the servers of the zone above. A DS leads on in security, a proof that
there is none leads on without, anything else is bogus. Servers are found by hints, because in development they listen on
ports of their own; a server that the hints do not name is looked for at its glue address, on the port of the one that
named it. Needs nothing of this distribution but `asking` and `denial`.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rrset
import dns.zonefile
from dns.rdatatype import RdataType

from . import denial
from .asking import Bogus, Keys, ask, fault, pick, trusted_keys

PATIENCE = 3.0
"""Seconds for one question at one server."""
_LONGEST_CHAIN = 8


class Security(StrEnum):
    """What is known about an answer (RFC 4033, section 5)."""

    SECURE = "secure"
    """Every link from the anchor was checked and holds."""
    INSECURE = "insecure"
    """A zone on the way is proven to be unsigned."""
    BOGUS = "bogus"
    """A link that should hold does not."""
    INDETERMINATE = "indeterminate"
    """No server answered where one had to."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a name has.

    rrset     None where there is none, and where what was shown is bogus
    rcode     NOERROR or NXDOMAIN; empty where it is not known
    aliases   names that were followed
    zone      the zone in which the walk ended
    servers   who was asked, as `name address:port`, in order, each once
    """

    name: str
    type: str
    rrset: dns.rrset.RRset | None
    rcode: str
    security: Security
    why: str
    zone: str
    aliases: tuple[str, ...]
    servers: tuple[str, ...]

    @property
    def secure(self) -> bool:
        """Every link was checked and holds; of a denial too."""
        return self.security is Security.SECURE

    @property
    def records(self) -> tuple[str, ...]:
        """The data in presentation form."""
        return tuple(sorted(str(rdata) for rdata in self.rrset or ()))


class Unreachable(Exception):
    """No server of a zone answered with authority."""


async def validate(
    name: str, rdtype: str, hints: Mapping[str, str], trust_anchor: dns.rrset.RRset, *, patience: float = PATIENCE
) -> Answer:
    """Walk from the root to `name` and check everything on the way. Never raises for what servers do or do not answer.

    hints          server name with final dot to `address:port`
    trust_anchor   DNSKEY or DS set of the root (`load_anchor`)
    """
    walk = _Walk(hints, trust_anchor, patience)
    walk.wanted = dns.name.from_text(name)
    kind = dns.rdatatype.from_text(rdtype)
    try:
        found = await walk.resolve(kind)
    except Bogus as error:
        found = _Found(Security.BOGUS, why=str(error))
    except Unreachable as error:
        found = _Found(Security.INDETERMINATE, why=str(error))
    rcode = "" if found.rcode is None else dns.rcode.to_text(found.rcode)
    return Answer(
        name, rdtype, found.rrset, rcode, found.security, found.why, str(walk.zone), tuple(walk.aliases), tuple(walk.asked)
    )  # fmt: skip


def load_hints(path: Path) -> dict[str, str]:
    """Read `hints.json`: server name to `address:port`."""
    return {str(server): str(address) for server, address in json.loads(path.read_text()).items()}


def load_anchor(path: Path) -> dns.rrset.RRset:
    """Read a trust anchor: DNSKEY or DS records of the root in presentation form."""
    return dns.zonefile.read_rrsets(path.read_text(), rdclass=None, default_ttl=0)[0]


@dataclass(frozen=True, slots=True)
class _Found:
    security: Security
    rrset: dns.rrset.RRset | None = None
    rcode: dns.rcode.Rcode | None = None
    why: str = ""
    alias: dns.name.Name | None = None


@dataclass(frozen=True, slots=True)
class _Zone:
    """Where the walk is. `keys` is None where the chain has ended, with `why`."""

    name: dns.name.Name
    servers: Sequence[tuple[str, str]]
    keys: Keys | None
    why: str = ""


@dataclass
class _Walk:
    hints: Mapping[str, str]
    anchor: dns.rrset.RRset
    patience: float
    wanted: dns.name.Name = dns.name.root
    zone: dns.name.Name = dns.name.root
    asked: dict[str, None] = field(default_factory=dict)
    aliases: list[str] = field(default_factory=list)

    async def resolve(self, kind: RdataType) -> _Found:
        """The answer at the end of the aliases; as secure as the least secure of them."""
        root, why = await self._root(), ""
        for _ in range(_LONGEST_CHAIN):
            zone = await self._descend(root, kind)
            self.zone = zone.name
            why = why or zone.why
            found = await self._final(zone, kind)
            if found.alias is None:
                return replace(found, security=Security.INSECURE, why=why) if why else found
            self.wanted = found.alias
            self.aliases.append(str(found.alias))
        raise Bogus(f"more than {_LONGEST_CHAIN} aliases follow one another")

    async def _root(self) -> _Zone:
        """The hints name all servers that can be known; those of the root say so themselves (RFC 8109)."""
        answer, server = await self._ask(sorted(self.hints.items()), dns.name.root, RdataType.NS)
        ns = pick(answer.answer, dns.name.root, RdataType.NS)
        names = sorted(str(rdata.target).lower() for rdata in ns or ())
        servers = [(name, self.hints[name]) for name in names if name in self.hints] or [server]
        keys, _ = await self._ask(servers, dns.name.root, RdataType.DNSKEY)
        return _Zone(dns.name.root, servers, trusted_keys(keys, dns.name.root, self.anchor))

    async def _descend(self, zone: _Zone, kind: RdataType) -> _Zone:
        """The zone that holds what is wanted. The DS of a zone is held by the one above."""
        labels = self.wanted.labels
        for depth in range(len(labels) - 2, 0 if kind == RdataType.DS else -1, -1):
            cut = dns.name.Name(labels[depth:])
            below = await (self._below_signed(zone, cut) if zone.keys else self._below_unsigned(zone, cut))
            if below is None:
                return zone
            zone = below
        return zone

    async def _below_signed(self, zone: _Zone, cut: dns.name.Name) -> _Zone | None:
        """The zone at `cut`, or `zone` where none begins there; None where nothing is there at all."""
        answer, _ = await self._ask(zone.servers, cut, RdataType.DS)
        ds = pick(answer.answer, cut, RdataType.DS)
        keys = zone.keys or {}
        if ds is not None:
            if why := fault(answer.answer, ds, keys):
                raise Bogus(why)
            servers = await self._servers(zone, cut)
            shown, _ = await self._ask(servers, cut, RdataType.DNSKEY)
            return _Zone(cut, servers, trusted_keys(shown, cut, ds))
        proofs = _proofs(answer, keys)
        if denial.unsigned_below(proofs, cut):
            return _Zone(cut, await self._servers(zone, cut), None, f"{cut} has no DS: it is not signed")
        if answer.rcode() == dns.rcode.NXDOMAIN and denial.name_absent(proofs, cut):
            return None
        if denial.type_absent(proofs, cut, RdataType.DS) or _is_alias(answer, cut):
            return zone
        raise Bogus(f"that {cut} has no DS is not proven")

    async def _below_unsigned(self, zone: _Zone, cut: dns.name.Name) -> _Zone | None:
        answer, _ = await self._ask(zone.servers, cut, RdataType.NS)
        if answer.rcode() == dns.rcode.NXDOMAIN:
            return None
        if _name_servers(answer, cut):
            return _Zone(cut, await self._servers(zone, cut), None, zone.why)
        return zone

    async def _servers(self, zone: _Zone, cut: dns.name.Name) -> list[tuple[str, str]]:
        """The servers that the zone above names for `cut`, as far as somebody says where they listen."""
        answer, (_, above) = await self._ask(zone.servers, cut, RdataType.NS)
        glue = {
            str(rrset.name).lower(): str(rrset[0])
            for rrset in (*answer.additional, *answer.answer)
            if rrset.rdtype in (RdataType.A, RdataType.AAAA)
        }
        port = above.rpartition(":")[2]
        found = [
            (name, self.hints.get(name) or f"{glue[name]}:{port}")
            for name in _name_servers(answer, cut)
            if name in self.hints or name in glue
        ]
        if not found:
            raise Unreachable(f"nobody says where the name servers of {cut} listen")
        return found

    async def _final(self, zone: _Zone, kind: RdataType) -> _Found:
        answer, _ = await self._ask(zone.servers, self.wanted, kind)
        for asked in (kind, RdataType.CNAME):
            rrset = pick(answer.answer, self.wanted, asked)
            if rrset is None:
                continue
            if zone.keys is not None:
                _check_positive(answer, rrset, zone.keys)
            alias = rrset[0].target if asked != kind else None
            return _Found(Security.SECURE, rrset, dns.rcode.NOERROR, alias=alias)
        if zone.keys is not None:
            self._check_denial(answer, zone.keys, kind)
        return _Found(Security.SECURE, None, answer.rcode())

    def _check_denial(self, answer: dns.message.Message, keys: Keys, kind: RdataType) -> None:
        proofs = _proofs(answer, keys)
        absent = answer.rcode() == dns.rcode.NXDOMAIN
        if not (
            denial.name_absent(proofs, self.wanted) if absent else denial.type_absent(proofs, self.wanted, kind)
        ):  # fmt: skip
            what = "is not there" if absent else f"has no {dns.rdatatype.to_text(kind)}"
            raise Bogus(f"that {self.wanted} {what} is not proven")

    async def _ask(
        self, servers: Sequence[tuple[str, str]], name: dns.name.Name, kind: RdataType
    ) -> tuple[dns.message.Message, tuple[str, str]]:
        """The first answer with authority, or a referral, and who gave it."""
        faults = []
        for server, address in servers:
            self.asked[f"{server} {address}"] = None
            try:
                answer, _ = await ask(address, name, kind, self.patience)
            except (dns.exception.DNSException, OSError, EOFError, ValueError) as error:
                faults.append(f"{server} {address}: {type(error).__name__}")
                continue
            code = answer.rcode()
            refers = not answer.answer and any(r.rdtype == RdataType.NS for r in answer.authority)
            if code in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN) and (answer.flags & dns.flags.AA or refers):
                return answer, (server, address)
            faults.append(f"{server} {address}: {dns.rcode.to_text(code)} without authority")
        raise Unreachable(f"no server answers {name} {dns.rdatatype.to_text(kind)}: {'; '.join(faults)}")


def _check_positive(answer: dns.message.Message, rrset: dns.rrset.RRset, keys: Keys) -> None:
    if why := fault(answer.answer, rrset, keys):
        raise Bogus(why)
    signatures = pick(answer.answer, rrset.name, RdataType.RRSIG, covers=rrset.rdtype)
    labels = min(signature.labels for signature in signatures or ())
    by_wildcard = labels < len(rrset.name.labels) - 1 - rrset.name.is_wild()
    if by_wildcard and not denial.expanded(_proofs(answer, keys), rrset.name, labels):
        raise Bogus(f"{rrset.name} is answered by a wildcard, and that nothing closer is there is not proven")


def _proofs(answer: dns.message.Message, keys: Keys) -> tuple[denial.Nsec, ...]:
    """NSEC records whose signatures hold. Raises Bogus for one whose signature does not."""
    found = [rrset for rrset in answer.authority if rrset.rdtype == RdataType.NSEC]
    for rrset in found:
        if why := fault(answer.authority, rrset, keys):
            raise Bogus(why)
    return denial.read(found)


def _is_alias(answer: dns.message.Message, name: dns.name.Name) -> bool:
    return pick(answer.answer, name, RdataType.CNAME) is not None


def _name_servers(answer: dns.message.Message, cut: dns.name.Name) -> list[str]:
    found = [r for r in (*answer.answer, *answer.authority) if r.rdtype == RdataType.NS and r.name == cut]
    return sorted({str(rdata.target).lower() for rrset in found for rdata in rrset})
