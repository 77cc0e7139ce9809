"""What a parent zone says of a domain, server by server, found from the root down without recursion.

A resolver's answer may be old, and says nothing about the parent. A server that has the child too answers the child's own name
servers; where one zone is moved to other servers, no parent's server is one of them.
"""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import dns.asyncresolver
import dns.exception
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.rrset
from catalyst_sdk import PluginFailure, Temporary
from catalyst_sdk.registrar import DsRecord, Glue, Target

from catalyst_pool_domain_manager.domain.server_sets import Endpoint

from .polled import Poll, Polled
from .servers import Fault, Servers, rrset

ROOT = "."


@dataclass(frozen=True, slots=True)
class Seen:
    """What one server of the parent shows; without records it gave no answer."""

    server: str
    address: str
    records: Target | None
    error: str = ""
    ns_ttl: int = 0
    ds_ttl: int = 0
    no_ds_ttl: int = 0
    """For how long it may be believed that there is none (RFC 2308, section 5)."""


@dataclass(frozen=True, slots=True)
class Vouched:
    """DS that every server of the parent shows, lower case; `ttl`: seconds for which that may be held."""

    ds: frozenset[str]
    ttl: int


@dataclass(frozen=True, slots=True)
class Cut:
    """What all servers of the parent show of a domain."""

    parent: str
    polled: Polled
    seen: tuple[Seen, ...]

    @property
    def agreed(self) -> Target | None:
        """What all of them say; None where one says something else, or nothing."""
        said = {seen.records for seen in self.seen}
        return said.pop() if len(said) == 1 else None

    @property
    def ns_lifetime(self) -> timedelta:
        """How long the name servers live in caches."""
        return timedelta(seconds=max((seen.ns_ttl for seen in self.seen), default=0))

    @property
    def ds_lifetime(self) -> timedelta:
        """How long the keys live in caches."""
        return timedelta(seconds=max((seen.ds_ttl for seen in self.seen), default=0))

    @property
    def vouched(self) -> Vouched | None:
        """For which keys the parent vouches; None while its servers differ, or one gives no answer."""
        said = {frozenset(seen.records.ds) if seen.records else None for seen in self.seen}
        if len(said) != 1 or (ds := said.pop()) is None:
            return None
        held = max(seen.ds_ttl if ds else seen.no_ds_ttl for seen in self.seen)
        return Vouched(frozenset(str(one) for one in ds), held)

    def lacking(self, wanted: Target) -> str:
        """Which servers do not show these name servers and DS, in words; empty where all do."""
        return "; ".join(f"{s.server} {s.error or 'shows others'}" for s in self.seen if not shows(s.records, wanted))


class Cuts:
    """Finds and asks the servers above a domain."""

    def __init__(self, hints: Path | None, poll: Poll) -> None:
        self._hints = hints
        self._poll = poll

    async def look(self, domain: str) -> Cut:
        """What the parent of `domain` shows of it. Raises Temporary while nobody above answers."""
        name = dns.name.from_text(domain)
        zone, polled = ROOT, await self._roots()
        for depth in range(2, len(name.labels)):
            above = str(dns.name.Name(name.labels[-depth:]))
            answer = await _any(polled, above)
            if found := _records(answer, above, "NS"):
                zone, polled = above, await self._at(answer, found)
        return Cut(zone, polled, tuple(await asyncio.gather(*(_seen(polled, s, str(name)) for s in polled.names))))

    async def vouched(self, domain: str) -> Vouched | None:
        """For which keys of the zone its parent vouches; None while nobody can say."""
        try:
            return (await self.look(domain)).vouched
        except PluginFailure:
            return None

    async def servers_of(self, hosts: Iterable[str], glue: Iterable[Glue] = ()) -> Polled:
        """The servers of these names: where the hints say, at their glue, or as the system's resolver finds them."""
        known = {one.host: one.addresses for one in glue}
        return await self._poll.at([self.endpoint(host, known.get(host, ())) for host in hosts])

    def endpoint(self, host: str, addresses: Sequence[str]) -> Endpoint:
        """Where a server is asked; the hints go before its glue."""
        try:
            self._poll.hinted.address(host)
        except (LookupError, ValueError):
            return Endpoint(host, tuple(addresses))
        return Endpoint(host)

    async def _at(self, answer: dns.message.Message, found: dns.rrset.RRset) -> Polled:
        hosts = sorted(str(one.target).lower() for one in found)
        return await self.servers_of(hosts, _glue(answer, hosts))

    async def _roots(self) -> Polled:
        if self._hints is None:
            try:
                told = await dns.asyncresolver.resolve(ROOT, "NS")
            except dns.exception.DNSException as error:
                raise Temporary(f"the root's servers are not found: {type(error).__name__}", provider="dns") from error
            return await self.servers_of(str(one.target).lower() for one in told)
        # The hints name servers of all zones; which of them are the root's, only they can tell.
        hinted = self._poll.hinted
        for name in hinted.names():
            answer = await hinted.ask(name, ROOT, "NS")
            if not isinstance(answer, Fault) and (found := rrset(answer, ROOT, "NS")):
                return await self._at(answer, found)
        raise Temporary("no server of the hints answers for the root", provider="dns")


def shows(records: Target | None, wanted: Target) -> bool:
    """Whether these are the wanted name servers and DS; glue counts where it is wanted."""
    if records is None or set(records.ns) != set(wanted.ns) or set(records.ds) != set(wanted.ds):
        return False
    known = {glue.host: set(glue.addresses) for glue in records.glue}
    return all(known.get(glue.host) == set(glue.addresses) for glue in wanted.glue)


async def _any(polled: Polled, name: str) -> dns.message.Message:
    why = "it has no server"
    for server in polled.names:
        answer = await polled.servers.ask(server, name, "NS")
        if not isinstance(answer, Fault) and answer.rcode() in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN):
            return answer
        why = answer.detail if isinstance(answer, Fault) else dns.rcode.to_text(answer.rcode())
    raise Temporary(f"nobody answers for {name}: {why}", provider="dns")


async def _seen(polled: Polled, server: str, name: str) -> Seen:
    address = _address(polled.servers, server)
    answers = await asyncio.gather(polled.servers.ask(server, name, "NS"), polled.servers.ask(server, name, "DS"))
    for answer in answers:
        if isinstance(answer, Fault):
            return Seen(server, address, None, answer.detail)
        if answer.rcode() not in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN):
            return Seen(server, address, None, dns.rcode.to_text(answer.rcode()))
    referral, shown = (answer for answer in answers if not isinstance(answer, Fault))
    ns, ds = _records(referral, name, "NS"), _records(shown, name, "DS")
    hosts = sorted(str(one.target).lower() for one in ns or ())
    inside = [glue for glue in _glue(referral, hosts) if glue.host.endswith(f".{name}")]
    records = Target(tuple(hosts), tuple(sorted(_ds(one) for one in ds or ())), tuple(inside))
    ttls = (int(ns.ttl) if ns else 0, int(ds.ttl) if ds else 0, _negative(shown))
    return Seen(server, address, records, "", *ttls)


def _negative(answer: dns.message.Message) -> int:
    soas = (r for r in answer.authority if r.rdtype == dns.rdatatype.SOA)
    return max((min(int(r.ttl), int(r[0].minimum)) for r in soas), default=0)


def _records(answer: dns.message.Message, name: str, kind: str) -> dns.rrset.RRset | None:
    """The set of that name: a referral's, or an answer."""
    wanted, rdtype = dns.name.from_text(name), dns.rdatatype.from_text(kind)
    sets = [*answer.authority, *answer.answer]
    return next((one for one in sets if one.name == wanted and one.rdtype == rdtype), None)


def _ds(rdata: object) -> DsRecord:
    tag, algorithm, digest_type, digest = str(rdata).split(maxsplit=3)
    return DsRecord(int(tag), int(algorithm), int(digest_type), digest.replace(" ", "").lower())


def _glue(answer: dns.message.Message, hosts: Iterable[str]) -> list[Glue]:
    found = []
    for host in hosts:
        name = dns.name.from_text(host)
        addresses = [
            str(one.address)
            for one_set in answer.additional
            if one_set.name == name and one_set.rdtype in (dns.rdatatype.A, dns.rdatatype.AAAA)
            for one in one_set
        ]
        if addresses:
            found.append(Glue(host, tuple(sorted(addresses))))
    return found


def _address(servers: Servers, server: str) -> str:
    try:
        host, _ = servers.address(server)
    except (LookupError, ValueError):
        return ""
    return host
