"""What is seen of a move while it is watched: at the parent, whose word is the truth; at the old name servers, which somebody
still asks; at resolvers of the world, whose opinion decides nothing.

Nothing of it takes a move back. It is told in conditions, for who waits, and for who would switch the old servers off.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

import dns.flags
import dns.message
import dns.name
from catalyst_sdk import PluginFailure
from catalyst_sdk.registrar import Target
from catalyst_sdk.resolver import FAULTS, ask, pick
from dns.rdatatype import RdataType

from catalyst_pool_domain_manager.domain import conditions as c
from catalyst_pool_domain_manager.domain.conditions import Condition
from catalyst_pool_domain_manager.domain.delegations import Delegation, Opinion, View, condition_of_old, opinions

from .cuts import Cut, Cuts
from .polled import Polled
from .servers import Fault, rrset

OPINION = 5.0
"""Seconds for a resolver, which may have to ask others first."""


@dataclass(frozen=True, slots=True)
class Lookout:
    """Looks around.

    resolvers   `address:port` each
    """

    cuts: Cuts
    resolvers: Sequence[str] = ()

    async def look(self, d: Delegation, wanted: Target) -> tuple[Condition, ...]:
        """What holds of the move of `d`, which the parent is to show as `wanted`."""
        assert d.snapshot is not None, "what is watched was changed, and what it was is stored"
        before = d.snapshot.records
        try:
            cut = await self.cuts.look(d.zone)
        except PluginFailure as failure:
            return (c.unknown(c.DELEGATED, "ParentSilent", failure.message),)
        old, said = await asyncio.gather(self._old(d, before, wanted), self._opinions(d.zone, before, wanted))
        return _at_parent(cut, wanted), *old, *said

    async def _old(self, d: Delegation, before: Target, wanted: Target) -> tuple[Condition, ...]:
        """Whether the servers that the domain comes from go on answering."""
        left = [host for host in before.ns if host not in wanted.ns]
        if not left:
            return ()
        polled = await self.cuts.servers_of(left, before.glue)
        answers = await asyncio.gather(*(_answers(polled, server, f"{d.zone}.") for server in polled.names))
        # One address is enough: there may be no way from here to another one.
        heard = {server.partition("/")[0] for server, does in zip(polled.names, answers, strict=True) if does}
        return (condition_of_old(left, [host for host in left if host not in heard], d.retain_until),)

    async def _opinions(self, domain: str, before: Target, wanted: Target) -> tuple[Condition, ...]:
        """Which name servers resolvers tell by now."""

        async def one(resolver: str) -> Opinion:
            try:
                answer, _ = await ask(resolver, dns.name.from_text(domain), RdataType.NS, OPINION, recursive=True)
            except FAULTS:
                return Opinion(resolver, View.SILENT)
            return Opinion(resolver, _view(answer, domain, before, wanted))

        said = await asyncio.gather(*map(one, self.resolvers))
        return (opinions(said),) if said else ()


def _at_parent(cut: Cut, wanted: Target) -> Condition:
    if lacking := cut.lacking(wanted):
        return c.false(c.DELEGATED, "ParentDiffers", f"not every server of {cut.parent} shows the move: {lacking}")
    return c.true(c.DELEGATED)


def _view(answer: dns.message.Message, domain: str, before: Target, wanted: Target) -> View:
    found = pick(answer.answer, dns.name.from_text(domain), RdataType.NS)
    hosts = {str(rdata.target).lower() for rdata in found or ()}
    if not hosts:
        return View.SILENT
    if hosts == set(wanted.ns):
        return View.NEW
    return View.OLD if hosts == set(before.ns) else View.OTHER


async def _answers(polled: Polled, server: str, origin: str) -> bool:
    """Whether a server answers for the zone; one lost packet is no trouble of it."""
    for _ in range(2):
        answer = await polled.servers.ask(server, origin, "SOA")
        if not isinstance(answer, Fault):
            return bool(answer.flags & dns.flags.AA) and rrset(answer, origin, "SOA") is not None
    return False
