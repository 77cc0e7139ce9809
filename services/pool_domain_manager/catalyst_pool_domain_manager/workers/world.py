"""What the world says of a name that nobody should have any more."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

import dns.name
import dns.rcode
from catalyst_mesh import PluginUnavailable
from catalyst_sdk import PluginFailure
from catalyst_sdk.resolver import FAULTS, ask
from dns.rdatatype import RdataType

from catalyst_pool_domain_manager.domain.pools import Pool

from .backends import Backends
from .certificates import CertificateLogs, NoLogs
from .servers import Fault, Servers
from .serving import name_servers

PATIENCE = 5.0
KINDS = (RdataType.A, RdataType.AAAA)


@dataclass(frozen=True, slots=True)
class World:
    """Asks the pool's own servers, and the resolvers that the settings name.

    resolvers   `address:port` each; what they say is an opinion, but whoever hears an address there would be misled
    logs        who is asked for certificates that somebody may still have
    """

    backends: Backends
    servers: Servers
    resolvers: Sequence[str] = ()
    logs: CertificateLogs = field(default_factory=NoLogs)

    async def is_in_use(self, pool: Pool, fqdn: str, now: datetime) -> bool | None:
        """Whether the name still resolves, or somebody has a valid certificate for it; None where that is not known."""
        resolves = await self.resolves(pool, fqdn)
        return resolves if resolves or resolves is None else await self.logs.has_valid(fqdn, now)

    async def resolves(self, pool: Pool, fqdn: str) -> bool | None:
        """Whether somebody has an address for the name; None where nobody answered."""
        asked = [self._at_server(server, fqdn) for server in await self._servers(pool)]
        asked += [self._at_resolver(resolver, fqdn) for resolver in self.resolvers]
        heard = [one for one in await asyncio.gather(*asked) if one is not None]
        return any(heard) if heard else None

    async def _servers(self, pool: Pool) -> Sequence[str]:
        try:
            state = await (await self.backends.of_pool(pool)).get_zone(zone=pool.zone)
        except (PluginFailure, PluginUnavailable):
            return ()
        return name_servers(state) if state else ()

    async def _at_server(self, server: str, fqdn: str) -> bool | None:
        answers = await asyncio.gather(*(self.servers.ask(server, f"{fqdn}.", kind.name) for kind in KINDS))
        heard = [bool(answer.answer) for answer in answers if not isinstance(answer, Fault)]
        return any(heard) if heard else None

    async def _at_resolver(self, resolver: str, fqdn: str) -> bool | None:
        heard = [
            one for one in await asyncio.gather(*(_heard(resolver, fqdn, kind) for kind in KINDS)) if one is not None
        ]
        return any(heard) if heard else None


async def _heard(resolver: str, fqdn: str, kind: RdataType) -> bool | None:
    """Whether a resolver has records of that name; None where it gives no answer."""
    try:
        answer, _ = await ask(resolver, dns.name.from_text(fqdn), kind, PATIENCE, recursive=True)
    except FAULTS:
        return None
    return bool(answer.answer) if answer.rcode() in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN) else None
