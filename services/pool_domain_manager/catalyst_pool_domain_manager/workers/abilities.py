"""What the servers of pools were seen to do; asked now and then, because a probe makes and deletes a zone."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from catalyst_sdk.dns import Capability

from .backends import Backends

KEPT = 300.0
"""Seconds for which a probe counts."""


def _now() -> float:
    return asyncio.get_running_loop().time()


@dataclass
class Abilities:
    """Remembers probes by backend."""

    backends: Backends
    now: Callable[[], float] = _now
    _known: dict[str, tuple[float, frozenset[Capability]]] = field(default_factory=dict)

    async def of(self, backend: str) -> frozenset[Capability]:
        """What the server of a pool's backend can do. Raises PluginFailure, PluginUnavailable."""
        until, can = self._known.get(backend, (0.0, frozenset()))
        if self.now() >= until:
            target = await self.backends.kept_as(backend)
            can = await target.probe()
            self._known[backend] = (self.now() + KEPT, can)
        return can
