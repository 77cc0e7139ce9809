"""What a parent zone says about a domain, asked of every one of its servers without recursion.

From the root down, zone cut by zone cut. Never from a resolver's cache: an old answer there says nothing about the parent.
"""

import asyncio
from collections.abc import Iterable
from pathlib import Path

import dns.asyncresolver
import dns.exception
import dns.message
import dns.name
import dns.rcode
import dns.rrset
from catalyst_sdk import Temporary
from catalyst_sdk.registrar import Delegation, DsRecord, Glue
from catalyst_sdk.resolver import FAULTS, Bogus, Place, Resolver, Unreachable, ask, read_hints
from dns.rdatatype import RdataType

DNS_PORT = 53
PROVIDER = "dns"


class Parents:
    """Asks the servers above a domain.

    hints   where the root's servers listen, read at each question, as whoever writes the file may start later; None: the
            machine's resolver is asked for them, and for them only
    """

    def __init__(self, hints: Path | None, patience: float) -> None:
        self._hints = hints
        self._patience = patience

    async def delegation(self, domain: str) -> Delegation:
        """The delegation of `domain`. Raises Temporary while a server of the parent gives no answer."""
        hints = _told(self._hints) if self._hints else await self._roots()
        name = dns.name.from_text(domain)
        try:
            # What a parent shows is compared with what was wished; the chain of trust is looked at elsewhere.
            parent = await Resolver(hints, None, patience=self._patience).parent(domain)
        except (Bogus, Unreachable) as error:
            raise Temporary(str(error), provider=PROVIDER) from error
        return _agreed(await asyncio.gather(*(self._ask_parent(place, name) for place in parent.servers)))

    async def _ask_parent(self, place: Place, name: dns.name.Name) -> Delegation:
        answer = await self._ask(place, name, RdataType.NS)
        servers = _records(answer, name, RdataType.NS)
        if not servers:
            return Delegation(())
        keys = await self._ask(place, name, RdataType.DS)
        hosts = sorted(str(one.target).lower() for one in servers)
        return Delegation(tuple(hosts), tuple(sorted(_ds(keys, name))), tuple(_glue(answer, hosts, name)))

    async def _roots(self) -> dict[str, str]:
        try:
            found = await dns.asyncresolver.resolve(".", "NS", lifetime=self._patience)
            hosts = [str(one.target).lower() for one in found]
            told = await asyncio.gather(*(self._address(host) for host in hosts))
        except dns.exception.DNSException as error:
            text = f"the root's name servers are not found: {type(error).__name__}"
            raise Temporary(text, provider=PROVIDER) from error
        return {host: f"{address}:{DNS_PORT}" for host, address in zip(hosts, told, strict=True)}

    async def _address(self, host: str) -> str:
        return str((await dns.asyncresolver.resolve(host, "A", lifetime=self._patience))[0].address)

    async def _ask(self, place: Place, name: dns.name.Name, kind: RdataType) -> dns.message.Message:
        try:
            answer, _ = await ask(place.address, name, kind, self._patience)
        except FAULTS as error:
            text = f"{place.address} does not answer for {name}: {type(error).__name__}"
            raise Temporary(text, provider=PROVIDER) from error
        if answer.rcode() not in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN):
            code = dns.rcode.to_text(answer.rcode())
            raise Temporary(f"{place.address} answers {code} for {name}", provider=PROVIDER, provider_code=code)
        return answer


def _told(hints: Path) -> dict[str, str]:
    try:
        return read_hints(hints)
    except (OSError, ValueError) as error:
        raise Temporary(f"the hints in {hints} cannot be read: {error}", provider=PROVIDER) from error


def _records(answer: dns.message.Message, name: dns.name.Name, kind: RdataType) -> dns.rrset.RRset | None:
    """The set of that name and type: a referral's, or an answer where one server has parent and child."""
    found = (rrset for rrset in [*answer.answer, *answer.authority] if rrset.name == name and rrset.rdtype == kind)
    return next(found, None)


def _ds(answer: dns.message.Message, name: dns.name.Name) -> list[DsRecord]:
    found = _records(answer, name, RdataType.DS)
    return [DsRecord(one.key_tag, int(one.algorithm), int(one.digest_type), one.digest.hex()) for one in found or ()]


def _glue(answer: dns.message.Message, hosts: Iterable[str], below: dns.name.Name) -> list[Glue]:
    found = []
    for host in hosts:
        name = dns.name.from_text(host)
        addresses = [
            str(one.address)
            for rrset in answer.additional
            if rrset.name == name and rrset.rdtype in (RdataType.A, RdataType.AAAA)
            for one in rrset
        ]
        if addresses and name.is_subdomain(below):
            found.append(Glue(host, tuple(sorted(addresses))))
    return found


def _agreed(said: list[Delegation]) -> Delegation:
    first = said[0]
    return Delegation(first.ns, first.ds, first.glue, consistent=len({one.etag for one in said}) == 1)
