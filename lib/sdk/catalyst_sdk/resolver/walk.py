"""From the root down to a name, zone by zone, checking everything on the way (RFC 4035, section 5).

The walk asks for the DS of every name on the way, at the servers of the zone above. A DS leads on in security, a proof that
there is none leads on without, anything else is bogus; where nobody answers, nothing is known. Servers are found by hints,
because in development they listen on ports of their own; a server that the hints do not name is looked for at its glue
addresses, on the port of the one that named it, and one without glue by a walk of its own.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.rrset
from dns.rdatatype import RdataType

from .asking import (
    FAULTS,
    PATIENCE,
    Bogus,
    Keys,
    ask,
    fault,
    own_labels,
    pick,
    read_anchor,
    read_hints,
    signed_labels,
    trusted_keys,
    usable,
)
from .proofs import Proofs, proofs_of

_LONGEST_CHAIN = 8
_DEEPEST = 3
"""Walks inside walks, for the addresses of servers that lie in other zones."""
_MOST_PLACES = 26
"""Addresses of one zone: 13 name servers with two each."""
_KNOWN_CODES = (dns.rcode.NOERROR, dns.rcode.NXDOMAIN)


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


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """Where one name server listens: `address` is `ip:port`."""

    server: str
    address: str

    def __str__(self) -> str:
        return f"{self.server} {self.address}"


@dataclass(frozen=True, slots=True)
class Answer:
    """What a name has.

    rrset     None where there is none, and where what was shown is bogus
    rcode     NOERROR or NXDOMAIN; empty where it is not known
    why       the link that does not hold, or that is missing; empty where the answer is secure
    zone      the zone in which the walk ended
    servers   the authoritative servers of that zone, as `name address:port`
    aliases   names that were followed
    asked     who was asked, as `name address:port`, in order, each once
    """

    name: str
    type: str
    rrset: dns.rrset.RRset | None
    rcode: str
    security: Security
    why: str
    zone: str
    servers: tuple[str, ...]
    aliases: tuple[str, ...]
    asked: tuple[str, ...]

    @property
    def secure(self) -> bool:
        """Every link was checked and holds; of a denial too."""
        return self.security is Security.SECURE

    @property
    def records(self) -> tuple[str, ...]:
        """The data in presentation form."""
        return tuple(sorted(str(rdata) for rdata in self.rrset or ()))


@dataclass(frozen=True, slots=True)
class Zone:
    """A zone on the way. `keys` is None where the chain has ended, with `why`."""

    name: dns.name.Name
    servers: Sequence[Place]
    keys: Keys | None
    why: str = ""


@dataclass(frozen=True, slots=True)
class Cut:
    """A domain as the zone above it has it, whatever the domain's own servers say.

    parent     the zone that would hold its delegation
    hosts      name servers that the parent names; none: it is not delegated
    servers    where those listen, as far as anybody knows
    ds         the DS set that the parent shows, validated where the parent is signed
    """

    name: dns.name.Name
    parent: Zone
    hosts: tuple[str, ...]
    servers: tuple[Place, ...]
    ds: dns.rrset.RRset | None


class Unreachable(Exception):
    """No server of a zone answered with authority."""


class Resolver:
    """Resolves below one trust anchor.

    hints      server name with final dot to `address:port`, those of the root among them
    anchor     DNSKEY or DS set of the root; None: nothing is checked, and every answer is insecure
    patience   seconds for one question at one server
    """

    def __init__(self, hints: Mapping[str, str], anchor: dns.rrset.RRset | None, *, patience: float = PATIENCE) -> None:
        self._hints = hints
        self._anchor = anchor
        self._patience = patience

    @classmethod
    def from_files(cls, hints: Path, anchor: Path | None, *, patience: float = PATIENCE) -> "Resolver":
        """Read `hints.json` and the anchor. Raises OSError, ValueError for a file that cannot be used."""
        return cls(read_hints(hints), read_anchor(anchor) if anchor else None, patience=patience)

    def unchecked(self) -> "Resolver":
        """The same way down without a look at the chain: for finding servers where it is broken."""
        return Resolver(self._hints, None, patience=self._patience)

    async def resolve(self, name: str, kind: str = "A") -> Answer:
        """Walk and ask. Never raises for what servers do or do not answer."""
        walk = self._walk(name)
        try:
            found = await walk.resolve(dns.rdatatype.from_text(kind))
        except Bogus as error:
            found = _Found(Security.BOGUS, why=str(error))
        except Unreachable as error:
            found = _Found(Security.INDETERMINATE, why=str(error))
        rcode = "" if found.rcode is None else dns.rcode.to_text(found.rcode)
        return Answer(
            name, kind, found.rrset, rcode, found.security, found.why, str(walk.zone.name),
            tuple(map(str, walk.zone.servers)), tuple(walk.aliases), tuple(walk.asked),
        )  # fmt: skip

    async def cut(self, domain: str) -> Cut:
        """How the zone above delegates `domain`. Raises Bogus, Unreachable."""
        walk = self._walk(domain)
        parent = await walk.parent()
        hosts, servers = await walk.delegated(parent)
        ds = await walk.ds(parent) if hosts else None
        return Cut(walk.wanted, parent, hosts, tuple(servers), ds)

    async def parent(self, domain: str) -> Zone:
        """The zone that holds the delegation of `domain`, or would hold it. Raises Bogus, Unreachable."""
        return await self._walk(domain).parent()

    def _walk(self, name: str) -> "_Walk":
        return _Walk(self._hints, self._anchor, self._patience, dns.name.from_text(name))


@dataclass(frozen=True, slots=True)
class _Found:
    security: Security
    rrset: dns.rrset.RRset | None = None
    rcode: dns.rcode.Rcode | None = None
    why: str = ""
    alias: dns.name.Name | None = None


@dataclass
class _Walk:
    hints: Mapping[str, str]
    anchor: dns.rrset.RRset | None
    patience: float
    wanted: dns.name.Name
    depth: int = 0
    zone: Zone = field(default_factory=lambda: Zone(dns.name.root, (), None))
    asked: dict[str, None] = field(default_factory=dict)
    silent: set[str] = field(default_factory=set)
    aliases: list[str] = field(default_factory=list)
    is_absent: bool = False
    """A zone on the way has proven that nothing is there, nor below: then nobody else is asked (RFC 8020)."""

    async def resolve(self, kind: RdataType) -> _Found:
        """The answer at the end of the aliases; as secure as the least secure of them."""
        root, why = await self._root(), ""
        for _ in range(_LONGEST_CHAIN):
            self.zone = zone = await self._descend(root, kind)
            why = why or zone.why
            if self.is_absent:
                found = _Found(Security.SECURE, None, dns.rcode.NXDOMAIN)
            else:
                found = await self._final(zone, kind)
            if found.alias is None:
                return replace(found, security=Security.INSECURE, why=why or found.why) if why else found
            why = why or found.why
            self.wanted = found.alias
            self.aliases.append(str(found.alias))
        raise Bogus(f"more than {_LONGEST_CHAIN} aliases follow one another")

    async def parent(self) -> Zone:
        """The zone that holds the delegation of what is wanted."""
        return await self._descend(await self._root(), RdataType.DS)

    async def delegated(self, parent: Zone) -> tuple[tuple[str, ...], Sequence[Place]]:
        """Name servers that the parent names for what is wanted, and where they listen."""
        answer, source = await self._ask(parent.servers, self.wanted, RdataType.NS)
        hosts = tuple(_name_servers(answer, self.wanted))
        return hosts, await self._places(answer, hosts, source) if hosts else ()

    async def ds(self, parent: Zone) -> dns.rrset.RRset | None:
        """The DS of what is wanted."""
        found = await self._final(parent, RdataType.DS)
        return found.rrset if found.alias is None else None

    async def _root(self) -> Zone:
        """The hints name all servers that can be known; those of the root say so themselves (RFC 8109)."""
        names, source = await self._root_servers()
        servers = [Place(name, self.hints[name]) for name in names if name in self.hints] or [source]
        if self.anchor is None:
            return Zone(dns.name.root, servers, None, "there is no trust anchor")
        keys, _ = await self._ask(servers, dns.name.root, RdataType.DNSKEY)
        return Zone(dns.name.root, servers, trusted_keys(keys, dns.name.root, self.anchor))

    async def _root_servers(self) -> tuple[Sequence[str], Place]:
        faults = []
        for place in sorted(Place(server, address) for server, address in self.hints.items()):
            try:
                answer, _ = await self._ask([place], dns.name.root, RdataType.NS)
            except Unreachable as error:
                faults.append(str(error))
                continue
            if names := _name_servers(answer, dns.name.root):
                return names, place
        raise Unreachable(faults[0] if faults else "no server of the hints answers for the root")

    async def _descend(self, zone: Zone, kind: RdataType) -> Zone:
        """The zone that holds what is wanted. The DS of a zone is held by the one above."""
        labels = self.wanted.labels
        for depth in range(len(labels) - 2, 0 if kind == RdataType.DS else -1, -1):
            cut = dns.name.Name(labels[depth:])
            below = await (self._below_signed(zone, cut) if zone.keys else self._below_unsigned(zone, cut))
            if below is None:
                return zone
            zone = below
        return zone

    async def _below_signed(self, zone: Zone, cut: dns.name.Name) -> Zone | None:
        """The zone at `cut`, or `zone` where none begins there; None where nothing is there at all."""
        answer, _ = await self._ask(zone.servers, cut, RdataType.DS)
        ds = pick(answer.answer, cut, RdataType.DS)
        keys = zone.keys or {}
        if ds is not None:
            return await self._signed_child(zone, cut, answer, ds, keys)
        proofs = proofs_of(answer, keys)
        if proofs.too_costly:
            return await self._below_unsigned(_unsigned(zone, f"the NSEC3 chain of {zone.name} is too costly"), cut)
        if proofs.unsigned_below(cut):
            return await self._unsigned_child(zone, cut)
        if proofs.opted_out(cut) and await self._is_cut(zone, cut):
            return await self._unsigned_child(zone, cut)
        if answer.rcode() == dns.rcode.NXDOMAIN and proofs.name_absent(cut):
            self.is_absent = not proofs.opted_out(cut)
            return None
        if proofs.type_absent(cut, RdataType.DS) or _is_alias(answer, cut):
            return zone
        raise Bogus(f"that {cut} has no DS is not proven")

    async def _signed_child(
        self, zone: Zone, cut: dns.name.Name, answer: dns.message.Message, ds: dns.rrset.RRset, keys: Keys
    ) -> Zone:
        if why := fault(answer.answer, ds, keys):
            raise Bogus(why)
        servers = await self._servers(zone, cut)
        if not usable(ds):
            return Zone(cut, servers, None, f"no DS of {cut} has an algorithm that is known here")
        shown, _ = await self._ask(servers, cut, RdataType.DNSKEY)
        return Zone(cut, servers, trusted_keys(shown, cut, ds))

    async def _unsigned_child(self, zone: Zone, cut: dns.name.Name) -> Zone:
        return Zone(cut, await self._servers(zone, cut), None, f"{cut} has no DS: it is not signed")

    async def _is_cut(self, zone: Zone, cut: dns.name.Name) -> bool:
        answer, _ = await self._ask(zone.servers, cut, RdataType.NS)
        return bool(_name_servers(answer, cut))

    async def _below_unsigned(self, zone: Zone, cut: dns.name.Name) -> Zone | None:
        answer, _ = await self._ask(zone.servers, cut, RdataType.NS)
        if answer.rcode() == dns.rcode.NXDOMAIN:
            return None
        if _name_servers(answer, cut):
            return Zone(cut, await self._servers(zone, cut), None, zone.why)
        return zone

    async def _servers(self, zone: Zone, cut: dns.name.Name) -> Sequence[Place]:
        """The servers that the zone above names for `cut`, as far as somebody says where they listen."""
        answer, source = await self._ask(zone.servers, cut, RdataType.NS)
        found = await self._places(answer, _name_servers(answer, cut), source)
        if not found:
            raise Unreachable(f"nobody says where the name servers of {cut} listen")
        return found

    async def _places(self, answer: dns.message.Message, hosts: Iterable[str], source: Place) -> Sequence[Place]:
        port, found, unknown = source.address.rpartition(":")[2], [], []
        glue = _addresses((*answer.additional, *answer.answer), port)
        for host in hosts:
            if host in self.hints:
                found.append(Place(host, self.hints[host]))
            elif host in glue:
                found += [Place(host, address) for address in glue[host]]
            else:
                unknown.append(host)
        for host in unknown if not found else ():
            found += await self._looked_up(host, port)
        return found[:_MOST_PLACES]

    async def _looked_up(self, host: str, port: str) -> Sequence[Place]:
        """A server whose address another zone tells; that an address is not signed is no fault of what it serves."""
        if self.depth >= _DEEPEST:
            return ()
        found: list[Place] = []
        for kind in (RdataType.A, RdataType.AAAA):
            inner = replace(
                self, wanted=dns.name.from_text(host), depth=self.depth + 1, aliases=[], silent=self.silent, is_absent=False,
            )  # fmt: skip
            try:
                rrset = (await inner.resolve(kind)).rrset
            except (Bogus, Unreachable):
                continue  # the other servers of the zone may be enough; with none at all the caller hears of it
            found += [Place(host, address) for address in _addresses([rrset], port).get(host, ())] if rrset else []
        return found

    async def _final(self, zone: Zone, kind: RdataType) -> _Found:
        answer, _ = await self._ask(zone.servers, self.wanted, kind, final=True)
        for asked in (kind, RdataType.CNAME):
            rrset = pick(answer.answer, self.wanted, asked)
            if rrset is None:
                continue
            if asked != kind and (moved := self._moved(answer, zone.keys)) is not None:
                return moved
            if zone.keys is not None:
                _check_positive(answer, rrset, zone.keys)
            alias = rrset[0].target if asked != kind else None
            return _Found(Security.SECURE, rrset, dns.rcode.NOERROR, alias=alias)
        if zone.keys is None:
            return _Found(Security.SECURE, None, answer.rcode())
        why = self._check_denial(answer, zone.keys, kind)
        return _Found(Security.INSECURE if why else Security.SECURE, None, answer.rcode(), why)

    def _moved(self, answer: dns.message.Message, keys: Keys | None) -> _Found | None:
        """Where a DNAME above leads; the CNAME that a server makes of it is not signed (RFC 6672, section 5.3.1)."""
        for rrset in answer.answer:
            if rrset.rdtype == RdataType.DNAME and self.wanted.is_subdomain(rrset.name) and rrset.name != self.wanted:
                if keys is not None and (why := fault(answer.answer, rrset, keys)):
                    raise Bogus(why)
                target = self.wanted.relativize(rrset.name).concatenate(rrset[0].target)
                return _Found(Security.SECURE, rrset, dns.rcode.NOERROR, alias=target)
        return None

    def _check_denial(self, answer: dns.message.Message, keys: Keys, kind: RdataType) -> str:
        """Why the proof is as good as none without being false; empty where it holds. Raises Bogus."""
        proofs = proofs_of(answer, keys)
        if proofs.too_costly:
            return "the NSEC3 chain is too costly"
        absent = answer.rcode() == dns.rcode.NXDOMAIN
        if not (proofs.name_absent(self.wanted) if absent else proofs.type_absent(self.wanted, kind)):
            what = "is not there" if absent else f"has no {dns.rdatatype.to_text(kind)}"
            raise Bogus(f"that {self.wanted} {what} is not proven")
        return f"unsigned names may be near {self.wanted}" if proofs.opted_out(self.wanted) else ""

    async def _ask(
        self, servers: Sequence[Place], name: dns.name.Name, kind: RdataType, *, final: bool = False
    ) -> tuple[dns.message.Message, Place]:
        """The first answer with authority, or (unless `final`) a referral, and who gave it. Who was silent before is asked
        last."""
        faults = []
        for place in sorted(servers, key=lambda place: place.address in self.silent):
            self.asked[str(place)] = None
            try:
                answer, _ = await ask(place.address, name, kind, self.patience)
            except FAULTS as error:
                self.silent.add(place.address)
                faults.append(f"{place}: {type(error).__name__}")
                continue
            code = answer.rcode()
            refers = not final and not answer.answer and any(r.rdtype == RdataType.NS for r in answer.authority)
            if code in _KNOWN_CODES and (answer.flags & dns.flags.AA or refers):
                return answer, place
            faults.append(f"{place}: {dns.rcode.to_text(code)} without authority")
        raise Unreachable(f"no server answers {name} {dns.rdatatype.to_text(kind)}: {'; '.join(faults)}")


def _unsigned(zone: Zone, why: str) -> Zone:
    return replace(zone, keys=None, why=why)


def _check_positive(answer: dns.message.Message, rrset: dns.rrset.RRset, keys: Keys) -> None:
    if why := fault(answer.answer, rrset, keys):
        raise Bogus(why)
    labels = signed_labels(answer.answer, rrset)
    if labels == own_labels(rrset.name):
        return
    proofs: Proofs = proofs_of(answer, keys)
    if not proofs.expanded(rrset.name, labels):
        raise Bogus(f"{rrset.name} is answered by a wildcard, and that nothing closer is there is not proven")


def _is_alias(answer: dns.message.Message, name: dns.name.Name) -> bool:
    return pick(answer.answer, name, RdataType.CNAME) is not None


def _name_servers(answer: dns.message.Message, cut: dns.name.Name) -> list[str]:
    found = [r for r in (*answer.answer, *answer.authority) if r.rdtype == RdataType.NS and r.name == cut]
    return sorted({str(rdata.target).lower() for rrset in found for rdata in rrset})


def _addresses(rrsets: Iterable[dns.rrset.RRset], port: str) -> dict[str, list[str]]:
    """By the name of the server: where it listens, `ip:port`."""
    found: dict[str, list[str]] = {}
    for rrset in rrsets:
        if rrset.rdtype in (RdataType.A, RdataType.AAAA):
            texts = (f"[{r.address}]:{port}" if ":" in r.address else f"{r.address}:{port}" for r in rrset)
            found.setdefault(str(rrset.name).lower(), []).extend(texts)
    return found
