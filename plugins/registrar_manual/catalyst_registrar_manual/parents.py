"""What a parent zone says about a domain, asked of every one of its servers without recursion.

From the root down, zone cut by zone cut. Never from a resolver's cache: an old answer there says nothing about the parent.
"""

import asyncio
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import dns.asyncquery
import dns.asyncresolver
import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.rrset
from catalyst_sdk import Temporary
from catalyst_sdk.registrar import Delegation, DsRecord, Glue

PAYLOAD = 1232
MOST_SERVERS = 26
"""Addresses asked of one zone: 13 name servers with two each."""
PROVIDER = "dns"


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """Where a name server listens."""

    address: str
    port: int = 53


class Parents:
    """Asks the servers above a domain."""

    def __init__(self, hints: Path | None, patience: float) -> None:
        self._hints = _read(hints) if hints else {}
        self._patience = patience

    async def delegation(self, domain: str) -> Delegation:
        """The delegation of `domain`. Raises Temporary while a server of the parent gives no answer."""
        name = dns.name.from_text(domain)
        servers = await self._roots()
        for depth in range(2, len(name.labels)):
            ancestor = dns.name.Name(name.labels[-depth:])
            answer = await self._any(servers, ancestor)
            if answer.rcode() == dns.rcode.NXDOMAIN:
                return Delegation(())
            if cut := _records(answer, ancestor, dns.rdatatype.NS):
                servers = await self._places(answer, cut)
        return _agreed(await asyncio.gather(*(self._ask_parent(place, name) for place in servers)))

    async def _ask_parent(self, place: Place, name: dns.name.Name) -> Delegation:
        answer = await self._ask(place, name, dns.rdatatype.NS)
        servers = _records(answer, name, dns.rdatatype.NS)
        if not servers:
            return Delegation(())
        keys = await self._ask(place, name, dns.rdatatype.DS)
        hosts = sorted(str(one.target).lower() for one in servers)
        return Delegation(tuple(hosts), tuple(sorted(_ds(keys, name))), tuple(_glue(answer, hosts, name)))

    async def _roots(self) -> list[Place]:
        if self._hints:
            return await self._hinted_roots()
        try:
            found = await dns.asyncresolver.resolve(".", "NS", lifetime=self._patience)
            return await self._resolved([str(one.target) for one in found])
        except dns.exception.DNSException as error:
            raise Temporary(
                f"the root's name servers are not found: {type(error).__name__}", provider=PROVIDER
            ) from error

    async def _hinted_roots(self) -> list[Place]:
        # The file names servers of all zones; which of them are the root's, only they can tell.
        for place in sorted(set(self._hints.values())):
            try:
                answer = await self._ask(place, dns.name.root, dns.rdatatype.NS)
            except Temporary:
                continue
            if servers := _records(answer, dns.name.root, dns.rdatatype.NS):
                return await self._places(answer, servers)
        raise Temporary("no server of the hints answers for the root", provider=PROVIDER)

    async def _places(self, answer: dns.message.Message, servers: dns.rrset.RRset) -> list[Place]:
        hosts = sorted(str(one.target).lower() for one in servers)
        if known := [self._hints[host] for host in hosts if host in self._hints]:
            return sorted(set(known))
        glue = [Place(address) for one in _glue(answer, hosts, dns.name.root) for address in one.addresses]
        return (glue or await self._resolved(hosts))[:MOST_SERVERS]

    async def _resolved(self, hosts: Iterable[str]) -> list[Place]:
        async def one(host: str) -> list[Place]:
            try:
                found = await dns.asyncresolver.resolve(host, "A", lifetime=self._patience)
            except dns.exception.DNSException:
                return []  # the other addresses are enough; with none at all the caller hears of it
            return [Place(record.address) for record in found]

        found = await asyncio.gather(*(one(host) for host in hosts))
        places = [place for some in found for place in some][:MOST_SERVERS]
        if not places:
            raise Temporary(f"no address of {', '.join(hosts)} is found", provider=PROVIDER)
        return places

    async def _any(self, servers: list[Place], name: dns.name.Name) -> dns.message.Message:
        failure: Temporary | None = None
        for place in servers:
            try:
                return await self._ask(place, name, dns.rdatatype.NS)
            except Temporary as error:
                failure = error
        raise failure or Temporary(f"nobody answers for {name}", provider=PROVIDER)

    async def _ask(self, place: Place, name: dns.name.Name, kind: dns.rdatatype.RdataType) -> dns.message.Message:
        query = dns.message.make_query(name, kind, use_edns=0, payload=PAYLOAD)
        query.flags &= ~dns.flags.RD
        try:
            answer, _ = await dns.asyncquery.udp_with_fallback(
                query, place.address, timeout=self._patience, port=place.port
            )
        except (dns.exception.DNSException, OSError) as error:
            text = f"{place.address}:{place.port} does not answer for {name}: {type(error).__name__}"
            raise Temporary(text, provider=PROVIDER) from error
        if answer.rcode() not in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN):
            code = dns.rcode.to_text(answer.rcode())
            raise Temporary(
                f"{place.address}:{place.port} answers {code} for {name}", provider=PROVIDER, provider_code=code
            )
        return answer


def _records(answer: dns.message.Message, name: dns.name.Name, kind: dns.rdatatype.RdataType) -> dns.rrset.RRset | None:
    """The set of that name and type: a referral's, or an answer where one server has parent and child."""
    found = (rrset for rrset in [*answer.answer, *answer.authority] if rrset.name == name and rrset.rdtype == kind)
    return next(found, None)


def _ds(answer: dns.message.Message, name: dns.name.Name) -> list[DsRecord]:
    found = _records(answer, name, dns.rdatatype.DS)
    return [DsRecord(one.key_tag, int(one.algorithm), int(one.digest_type), one.digest.hex()) for one in found or ()]


def _glue(answer: dns.message.Message, hosts: Iterable[str], below: dns.name.Name) -> list[Glue]:
    found = []
    for host in hosts:
        name = dns.name.from_text(host)
        addresses = [
            str(one.address)
            for rrset in answer.additional
            if rrset.name == name and rrset.rdtype in (dns.rdatatype.A, dns.rdatatype.AAAA)
            for one in rrset
        ]
        if addresses and name.is_subdomain(below):
            found.append(Glue(host, tuple(sorted(addresses))))
    return found


def _agreed(said: list[Delegation]) -> Delegation:
    first = said[0]
    return Delegation(first.ns, first.ds, first.glue, consistent=len({one.etag for one in said}) == 1)


def _read(hints: Path) -> dict[str, Place]:
    raw: dict[str, str] = json.loads(hints.read_text(encoding="utf-8"))
    places = {}
    for host, where in raw.items():
        address, _, port = where.rpartition(":")
        places[host.lower().rstrip(".") + "."] = Place(address.strip("[]"), int(port))
    return places
