"""What the parent of any zone shows for it, at all of its servers; nothing is believed of a resolver."""

import asyncio
from dataclasses import dataclass
from pathlib import Path

import dns.message
import dns.name
import dns.rcode
from catalyst_sdk.resolver import FAULTS, PATIENCE, Bogus, Place, Resolver, Unreachable, ask, pick
from dns.rdatatype import RdataType


@dataclass(frozen=True, slots=True)
class Vouched:
    """DS that every server of the parent shows, lower case; `ttl`: seconds for which that may be held."""

    ds: frozenset[str]
    ttl: int


class Above:
    """Finds parents by a walk from the root. Without hints nobody knows where that is."""

    def __init__(self, hints: Path | None) -> None:
        self._hints = hints

    async def ds(self, origin: str) -> Vouched | None:
        """The DS of a zone; None while the parent's servers differ, or one gives no answer."""
        if self._hints is None:
            return None
        name = dns.name.from_text(origin)
        try:
            parent = await Resolver.from_files(self._hints, None).parent(origin)
            seen = await asyncio.gather(*(_at(place, name) for place in parent.servers))
        except (*FAULTS, Bogus, Unreachable):
            return None
        if not seen or any(one is None or one.ds != seen[0].ds for one in seen if seen[0] is not None):
            return None
        return Vouched(seen[0].ds, max(one.ttl for one in seen if one)) if seen[0] else None


async def _at(place: Place, name: dns.name.Name) -> Vouched | None:
    answer, _ = await ask(place.address, name, RdataType.DS, PATIENCE)
    if answer.rcode() not in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN):
        return None
    found = pick(answer.answer, name, RdataType.DS)
    if found is not None:
        return Vouched(frozenset(str(ds).lower() for ds in found), int(found.ttl))
    return Vouched(frozenset(), _negative(answer))


def _negative(answer: dns.message.Message) -> int:
    """How long it may be believed that there is none (RFC 2308, section 5)."""
    return max((min(int(r.ttl), int(r[0].minimum)) for r in answer.authority if r.rdtype == RdataType.SOA), default=0)
