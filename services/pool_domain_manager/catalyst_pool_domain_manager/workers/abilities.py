"""What the servers of pools were seen to do; asked now and then, because a probe makes and deletes a zone."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from catalyst_mesh import PluginHost
from catalyst_sdk.dns import Capability, DnsBackend

KEPT = 300.0
"""Seconds for which a probe counts."""


def _now() -> float:
    return asyncio.get_running_loop().time()


@dataclass
class Abilities:
    """Remembers probes by plugin."""

    host: PluginHost
    now: Callable[[], float] = _now
    _known: dict[str, tuple[float, frozenset[Capability]]] = field(default_factory=dict)

    async def of(self, plugin: str) -> frozenset[Capability]:
        """What the server behind a plugin can do. Raises PluginFailure, PluginUnavailable."""
        until, can = self._known.get(plugin, (0.0, frozenset()))
        if self.now() >= until:
            backend: DnsBackend = self.host.get("dns_backend", plugin)
            can = await backend.probe()
            self._known[plugin] = (self.now() + KEPT, can)
        return can
