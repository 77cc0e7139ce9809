"""The servers of a set that are asked whether a change arrived, each address for itself."""

import asyncio
import socket
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from catalyst_pool_domain_manager.domain.server_sets import Endpoint, ServerSet

from .servers import Servers

DNS_PORT = 53


@dataclass(frozen=True, slots=True)
class Polled:
    """Names under which the servers are asked, and who asks them."""

    names: tuple[str, ...]
    servers: Servers


class Places(Servers):
    """Servers whose addresses are stated; of others the hints say where they listen."""

    def __init__(self, hints: Path | None, places: dict[str, tuple[str, int]]) -> None:
        super().__init__(hints)
        self._places = places

    def address(self, server: str) -> tuple[str, int]:
        """Where a server listens. Raises LookupError."""
        return self._places[server] if server in self._places else super().address(server)


@dataclass
class Poll:
    """Finds the servers of sets."""

    hints: Path | None
    _looked_up: dict[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def hinted(self) -> Servers:
        """Servers that the hints name."""
        return Servers(self.hints)

    async def of(self, servers: ServerSet) -> Polled:
        """The servers of a set that are asked: the polled ones, and those that are written to, which have to have it first."""
        hosts = {e.host for e in servers.polled}
        return await self.at((*servers.polled, *(e for e in servers.targets if e.host not in hosts)))

    async def at(self, endpoints: Iterable[Endpoint]) -> Polled:
        """These servers: by their addresses, by the hints, or as the system's resolver finds them."""
        places: dict[str, tuple[str, int]] = {}
        names: list[str] = []
        hinted = Servers(self.hints)
        for e in endpoints:
            addresses = e.addresses or await self._unhinted(hinted, e.host)
            for address in addresses:
                label = e.host if len(addresses) == 1 else f"{e.host}/{address}"
                places[label] = (address, e.port or DNS_PORT)
                names.append(label)
            if not addresses:
                names.append(e.host)
        return Polled(tuple(dict.fromkeys(names)), Places(self.hints, places))

    async def _unhinted(self, hinted: Servers, host: str) -> Sequence[str]:
        try:
            hinted.address(host)
            return ()
        except (LookupError, ValueError):
            pass
        if self.hints is not None:
            return ()  # whoever gives hints lives apart from the world's DNS
        try:
            found = await asyncio.get_running_loop().getaddrinfo(host, DNS_PORT, type=socket.SOCK_DGRAM)
        except OSError:
            return self._looked_up.get(host, ())
        self._looked_up[host] = tuple(sorted({str(one[4][0]) for one in found}))
        return self._looked_up[host]
