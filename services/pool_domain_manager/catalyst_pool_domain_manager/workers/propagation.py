"""Asking every server of a zone and of its parent at once: what each of them answers, as it comes.

The parent's servers are found by a walk from the root, its answers are about NS, DS and glue. The zone's own are those that
the zone names and those that the parent names. Everything that one server is asked is asked at once, so a check takes as
long as the slowest server, and never longer than it was given.
"""

import asyncio
import errno
import hashlib
import time
from collections.abc import AsyncIterator, Awaitable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdata
import dns.rdatatype
import dns.rrset
from catalyst_sdk.dns import REVISION_MARK, RecordSet, ZoneState
from catalyst_sdk.dns_rules import Key
from catalyst_sdk.resolver import (
    FAULTS,
    Bogus,
    Cut,
    Keys,
    Place,
    Resolver,
    Unreachable,
    ask,
    fault,
    pick,
    trusted_keys,
)
from dns.rdatatype import RdataType

from catalyst_pool_domain_manager.domain.propagation import Observation, Role, Verdict, is_arrived

from .polled import Polled

IN_FLIGHT = 64
LONGEST = 10.0
PATIENCE = 3.0
"""Seconds for one question; a lost packet is asked for again within them."""
OPINION = 5.0
"""Seconds for a resolver, which may have to ask others first."""
_REFUSALS = (dns.rcode.REFUSED, dns.rcode.NOTAUTH)
_NO_WAY = (errno.ENETUNREACH, errno.EHOSTUNREACH, errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)


@dataclass(frozen=True, slots=True)
class Wish:
    """What the servers are to answer.

    state     the zone as its backend has it; None: it has none
    polled    servers that are asked beside those that the parent names
    watched   record sets beside SOA, NS and DNSKEY
    serial    the least that counts as arrived
    needs_ds  whether a parent without DS is not there yet
    """

    zone: str
    state: ZoneState | None
    polled: Polled
    watched: Sequence[Key]
    serial: int
    needs_ds: bool

    @property
    def ns(self) -> frozenset[str]:
        """Servers that the zone names."""
        found = self.state.find(self.zone, "NS") if self.state else None
        return frozenset(host.lower() for host in found.records) if found else frozenset()


class Propagation:
    """Checks zones.

    hints      where servers listen, those of the root among them; None: nobody can say who the parent's servers are
    anchor     trust anchor of the root; None: chains are not checked
    resolvers  `address:port` each, for their opinion
    """

    def __init__(self, hints: Path | None, anchor: Path | None, resolvers: Sequence[str] = ()) -> None:
        self._hints = hints
        self._anchor = anchor
        self._resolvers = resolvers

    async def check(self, wish: Wish, limit: float = LONGEST) -> AsyncIterator[Observation]:
        """Each answer as it comes, those of silent servers at the end of the time at the latest."""
        found: asyncio.Queue[Observation | None] = asyncio.Queue()
        run = _Check(wish, min(limit, LONGEST), self._resolvers, found)
        task = asyncio.create_task(run.all(self._resolver(min(PATIENCE, limit))))
        try:
            while (one := await found.get()) is not None:
                yield one
            await task
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    def _resolver(self, patience: float) -> Resolver | None:
        if self._hints is None:
            return None
        try:
            return Resolver.from_files(self._hints, self._anchor, patience=patience)
        except FAULTS:
            return None  # somebody is writing the hints, or the anchor is none; then no parent is known


@dataclass
class _Check:
    wish: Wish
    limit: float
    resolvers: Sequence[str]
    found: "asyncio.Queue[Observation | None]"
    turns: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(IN_FLIGHT))
    open: dict[tuple[Role, str, str], None] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.name = dns.name.from_text(self.wish.zone)
        self.patience = min(PATIENCE, self.limit)

    async def all(self, resolver: Resolver | None) -> None:
        try:
            async with asyncio.timeout(self.limit):
                await asyncio.gather(
                    self._opinions(), self._rest(resolver), *(self._child(place, None) for place in self._polled())
                )
        except TimeoutError:
            for role, server, address in self.open:
                self.found.put_nowait(Observation(role, server, address, Verdict.TIMEOUT))
        finally:
            self.found.put_nowait(None)

    async def _rest(self, resolver: Resolver | None) -> None:
        """What the walk to the parent tells: its servers, and servers of the zone that only it names."""
        cut, broken = await self._cut(resolver)
        if cut is None:
            return
        known = {place.address for place in self._polled()}
        await asyncio.gather(
            *(self._parent(place, cut, broken=broken) for place in cut.parent.servers),
            *(self._child(place, cut) for place in cut.servers if place.address not in known),
        )

    async def _cut(self, resolver: Resolver | None) -> tuple[Cut | None, bool]:
        """The parent, and whether the chain down to it is broken: then its servers are found without it."""
        if resolver is None:
            return None, False
        try:
            return await resolver.cut(self.wish.zone), False
        except Unreachable:
            return None, False
        except Bogus:
            pass
        try:
            return await resolver.unchecked().cut(self.wish.zone), True
        except (Bogus, Unreachable):
            return None, True

    def _polled(self) -> list[Place]:
        places = []
        for server in self.wish.polled.names:
            try:
                host, port = self.wish.polled.servers.address(server)
            except (*FAULTS, LookupError):
                self.found.put_nowait(Observation(Role.CHILD, server, "", Verdict.ERROR))
                continue
            places.append(Place(server, f"[{host}]:{port}" if ":" in host else f"{host}:{port}"))
        return places

    async def _parent(self, place: Place, cut: Cut, *, broken: bool) -> None:
        async def look() -> Observation:
            said, ds = await asyncio.gather(self._ask(place, RdataType.NS), self._ask(place, RdataType.DS))
            seen = _heard(
                Observation(Role.PARENT, place.server, place.address, Verdict.OK), said, (said, ds), self.name
            )
            return replace(seen, verdict=Verdict.BOGUS if broken else self._parent_verdict(said, ds, cut))

        await self._observed(Role.PARENT, place, look())

    def _parent_verdict(self, said: "_Said", ds: "_Said", cut: Cut) -> Verdict:
        if (plain := _without_answer(said) or _without_answer(ds)) is not None:
            return plain
        hosts = _hosts(said.message, self.name)
        if ds.message.rcode() == dns.rcode.NXDOMAIN:  # a server that has the zone too answers its NS from there
            return Verdict.NO_SUCH_ZONE
        if not hosts:
            return Verdict.NO_SUCH_ZONE if said.message.flags & dns.flags.AA else Verdict.LAME
        if self.wish.ns and hosts != self.wish.ns:
            return Verdict.NS_MISMATCH
        if not said.message.flags & dns.flags.AA and _lacks_glue(said.message, hosts, self.name):
            return Verdict.MISSING_GLUE
        shown = pick(ds.message.answer, self.name, RdataType.DS)
        if shown is None:
            return Verdict.STALE if self.wish.needs_ds else Verdict.OK
        if cut.parent.keys is not None and fault(ds.message.answer, shown, cut.parent.keys):
            return Verdict.BOGUS
        return Verdict.OK if self._names_a_key(shown) else Verdict.BOGUS

    def _names_a_key(self, ds: dns.rrset.RRset) -> bool:
        """Whether a DS is of a key that signs; where the backend tells no keys, the servers of the zone are judge."""
        if self.wish.state is None:
            return True
        ours = {text.lower() for key in self.wish.state.keys if key.active for text in key.ds}
        return any(str(one).lower() in ours for one in ds)

    async def _child(self, place: Place, cut: Cut | None) -> None:
        async def look() -> Observation:
            kinds = (RdataType.SOA, RdataType.NS, RdataType.DNSKEY)
            asked = [self._ask(place, kind) for kind in kinds]
            asked += [self._ask(place, dns.rdatatype.from_text(k), dns.name.from_text(n)) for n, k in self._sets()]
            soa, ns, keys, *watched = await asyncio.gather(*asked)
            base = Observation(Role.CHILD, place.server, place.address, Verdict.OK)
            seen = _heard(base, soa, (soa, ns, keys, *watched), self.name)
            return replace(seen, verdict=self._child_verdict(soa, ns, keys, watched, cut))

        await self._observed(Role.CHILD, place, look())

    def _sets(self) -> list[Key]:
        return [*self.wish.watched, (f"{REVISION_MARK}.{self.wish.zone}", "TXT")]

    def _child_verdict(
        self, soa: "_Said", ns: "_Said", keys: "_Said", watched: Sequence["_Said"], cut: Cut | None
    ) -> Verdict:
        everything = (soa, ns, keys, *watched)
        if (plain := next((v for one in everything if (v := _without_answer(one)) is not None), None)) is not None:
            return plain
        shown = pick(soa.message.answer, self.name, RdataType.SOA)
        if soa.message.rcode() == dns.rcode.NXDOMAIN:
            return Verdict.NO_SUCH_ZONE
        if shown is None or not soa.message.flags & dns.flags.AA:
            return Verdict.LAME
        if not is_arrived(int(shown[0].serial), self.wish.serial):
            return Verdict.STALE
        if self.wish.ns and _hosts(ns.message, self.name) != self.wish.ns:
            return Verdict.NS_MISMATCH
        if self._is_bogus(keys, everything, cut):
            return Verdict.BOGUS
        return Verdict.OK if all(map(self._as_wished, self._sets(), watched)) else Verdict.STALE

    def _is_bogus(self, keys: "_Said", everything: Iterable["_Said"], cut: Cut | None) -> bool:
        """Whether a signature does not hold, from the DS where one was seen, else from the keys that the backend has."""
        state = self.wish.state
        if (state is None or not state.signed) and (cut is None or cut.ds is None):
            return False
        try:
            if cut is not None and cut.ds is not None:
                trusted: Keys = trusted_keys(keys.message, self.name, cut.ds)
            elif state is not None:
                rdatas = [dns.rdata.from_text("IN", "DNSKEY", key.dnskey) for key in state.keys]
                trusted = {self.name: dns.rrset.from_rdata_list(self.name, 0, rdatas)}
        except Bogus:
            return True
        signed = (
            r for one in everything for r in one.message.answer if r.rdtype not in (RdataType.RRSIG, RdataType.DS)
        )
        owned = (
            r for r in signed if r.name.is_subdomain(self.name) and (r.rdtype != RdataType.NS or r.name == self.name)
        )
        return any(fault([r for one in everything for r in one.message.answer], r, trusted) for r in owned)

    def _as_wished(self, key: Key, said: "_Said") -> bool:
        state = self.wish.state
        if state is None:
            return True
        name, kind = dns.name.from_text(key[0]), dns.rdatatype.from_text(key[1])
        if key == (f"{REVISION_MARK}.{self.wish.zone}", "TXT"):
            mark = RecordSet(*key, 1, (f'"gen={state.revision}"',))
            wished = mark if state.revision else None  # a zone that was not made by us carries none
        else:
            wished = state.find(*key)
        found = pick(said.message.answer, name, kind)
        # Keys of others are answered together with the zone's own.
        own = [one.dnskey for one in state.keys] if kind == RdataType.DNSKEY and wished else []
        texts = (*wished.records, *own) if wished else ()
        return set(found or ()) == {dns.rdata.from_text("IN", kind, text) for text in texts}

    async def _opinions(self) -> None:
        async def one(place: Place) -> None:
            async def look() -> Observation:
                said = await self._ask(place, RdataType.SOA, recursive=True)
                seen = _heard(Observation(Role.RESOLVER, "", place.address, Verdict.OK), said, (said,), self.name)
                if (plain := _without_answer(said)) is not None:
                    return replace(seen, verdict=plain)
                if said.message.rcode() == dns.rcode.NXDOMAIN:
                    return replace(seen, verdict=Verdict.NO_SUCH_ZONE)
                return replace(seen, verdict=Verdict.OK if is_arrived(seen.serial, self.wish.serial) else Verdict.STALE)

            await self._observed(Role.RESOLVER, place, look())

        await asyncio.gather(*(one(Place("", address)) for address in self.resolvers))

    async def _observed(self, role: Role, place: Place, look: Awaitable[Observation]) -> None:
        key = (role, place.server, place.address)
        self.open[key] = None
        self.found.put_nowait(await look)
        del self.open[key]

    async def _ask(
        self, place: Place, kind: RdataType, name: dns.name.Name | None = None, *, recursive: bool = False
    ) -> "_Said":
        began, patience = time.monotonic(), min(OPINION, self.limit) if recursive else self.patience
        async with self.turns:
            try:
                answer, by_tcp = await _insisting(place.address, name or self.name, kind, patience, recursive=recursive)
            except FAULTS as error:
                return _Said(dns.message.Message(), "udp", time.monotonic() - began, error)
        return _Said(answer, "tcp" if by_tcp else "udp", time.monotonic() - began)


@dataclass(frozen=True, slots=True)
class _Said:
    message: dns.message.Message
    transport: str
    seconds: float
    error: Exception | None = None


async def _insisting(
    address: str, name: dns.name.Name, kind: RdataType, patience: float, *, recursive: bool
) -> tuple[dns.message.Message, bool]:
    """Ask, and once more: a lost packet is no trouble of a server."""
    first = patience / 3
    try:
        return await ask(address, name, kind, first, recursive=recursive)
    except dns.exception.Timeout:
        return await ask(address, name, kind, patience - first, recursive=recursive)


def _without_answer(said: _Said) -> Verdict | None:
    """The verdict where there is no answer to be judged."""
    if said.error is not None:
        has_no_way = isinstance(said.error, OSError) and said.error.errno in _NO_WAY
        return Verdict.ERROR if has_no_way else Verdict.TIMEOUT
    if said.message.rcode() in _REFUSALS:
        return Verdict.REFUSED
    return None if said.message.rcode() in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN) else Verdict.LAME


def _heard(base: Observation, first: _Said, everything: Sequence[_Said], zone: dns.name.Name) -> Observation:
    """What can be told of the answers, whatever they mean."""
    if first.error is not None:
        return base
    soa = pick(first.message.answer, zone, RdataType.SOA)
    sets = [r for said in everything for r in (*said.message.answer, *_referral(said.message, zone))]
    data = [r for r in sets if r.rdtype != RdataType.RRSIG]
    return replace(
        base,
        transport="tcp" if any(said.transport == "tcp" for said in everything) else "udp",
        rcode=dns.rcode.to_text(first.message.rcode()),
        aa=bool(first.message.flags & dns.flags.AA),
        serial=int(soa[0].serial) if soa is not None else None,
        ttl=max((int(r.ttl) for r in data), default=0),
        rrset_hash=_hash(r for r in data if r.rdtype != RdataType.SOA),
        rtt_ms=round(first.seconds * 1000),
    )


def _referral(message: dns.message.Message, zone: dns.name.Name) -> list[dns.rrset.RRset]:
    return [r for r in message.authority if r.rdtype == RdataType.NS and r.name == zone]


def _hosts(message: dns.message.Message, zone: dns.name.Name) -> frozenset[str]:
    found = pick(message.answer, zone, RdataType.NS) or next(iter(_referral(message, zone)), None)
    return frozenset(str(rdata.target).lower() for rdata in found or ())


def _lacks_glue(message: dns.message.Message, hosts: Iterable[str], zone: dns.name.Name) -> bool:
    """Whether a server that lies in the zone itself comes without an address: nobody could ever ask it."""
    known = {r.name for r in message.additional if r.rdtype in (RdataType.A, RdataType.AAAA)}
    names = (dns.name.from_text(host) for host in hosts)
    return any(name.is_subdomain(zone) and name not in known for name in names)


def _hash(rrsets: Iterable[dns.rrset.RRset]) -> str:
    """SHA-256 over record sets, the same whatever the order of sets and records, and whatever is left of their time."""
    lines = sorted({f"{r.name} {dns.rdatatype.to_text(r.rdtype)} {rdata}".lower() for r in rrsets for rdata in r})
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()
