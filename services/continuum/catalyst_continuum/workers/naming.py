"""Names as a client finds them: asked of servers in turn, kept for as long as the answer says and no longer."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import dns.asyncquery
import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype

from catalyst_continuum.domain.traffic import ADDRESS_KINDS

FAULTS = (dns.exception.DNSException, OSError, EOFError, ValueError)
Address = tuple[str, int]


class Unresolved(Exception):
    """No server gave an address; the message says of which name."""


@dataclass(frozen=True, slots=True)
class Found:
    """Addresses of both families, sorted, and the lifetime of the answer in seconds."""

    addresses: tuple[str, ...]
    ttl: int


@dataclass
class Names:
    """Servers to ask, one after the other.

    clock      seconds since the machine started
    patience   seconds for one question
    recursive  they are resolvers; else they answer for their zones alone
    """

    servers: Sequence[Address]
    clock: Callable[[], float]
    patience: float = 0.5
    recursive: bool = False
    _kept: dict[str, tuple[Found, float]] = field(default_factory=dict)
    _turn: int = 0

    async def addresses(self, name: str) -> tuple[str, ...]:
        """The addresses of a name. Raises Unresolved."""
        kept = self._kept.get(name)
        if kept is not None and self.clock() < kept[1]:
            return kept[0].addresses
        for at in range(len(self.servers)):
            server = self.servers[(self._turn + at) % len(self.servers)]
            asked = self.clock()
            found = await resolve(server, name, self.patience, recursive=self.recursive)
            if found is not None and found.addresses:
                self._turn = (self._turn + at) % len(self.servers)
                self._kept[name] = (found, asked + found.ttl)
                return found.addresses
        self._turn += 1
        raise Unresolved(f"nobody tells an address of {name}")


async def resolve(server: Address, name: str, patience: float, *, recursive: bool) -> Found | None:
    """What one server answers; no addresses: it says that there are none; None: it does not answer, or may not."""
    try:
        answers = await asyncio.gather(*(_asked(server, name, kind, patience, recursive) for kind in ADDRESS_KINDS))
    except FAULTS:
        return None
    if not all(_is_good(answer, recursive) for answer in answers):
        return None
    wanted = {dns.rdatatype.from_text(kind) for kind in ADDRESS_KINDS}
    rrsets = [rrset for answer in answers for rrset in answer.answer if rrset.rdtype in wanted]
    lasting = min((rrset.ttl for answer in answers for rrset in answer.answer), default=0)
    return Found(tuple(sorted({str(rdata) for rrset in rrsets for rdata in rrset})), lasting)


async def _asked(server: Address, name: str, kind: str, patience: float, recursive: bool) -> dns.message.Message:
    query = dns.message.make_query(dns.name.from_text(name), kind)
    if not recursive:
        query.flags &= ~dns.flags.RD
    host, port = server
    answer, _ = await dns.asyncquery.udp_with_fallback(query, host, timeout=patience, port=port)
    return answer


def _is_good(answer: dns.message.Message, recursive: bool) -> bool:
    known = answer.rcode() in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN)
    return known and (recursive or bool(answer.flags & dns.flags.AA))
