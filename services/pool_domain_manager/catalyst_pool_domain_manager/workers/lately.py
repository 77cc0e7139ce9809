"""Zones of pools as they were a few seconds ago."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from catalyst_sdk.dns import DnsBackend, ZoneState

KEPT = 5.0
"""Seconds for which a look counts."""


def _now() -> float:
    return asyncio.get_running_loop().time()


@dataclass
class Lately:
    """Remembers looks by backend and zone. Each step of each name asks who serves its pool, and the pool's zone has two records
    for every name in it: it is read in whole only for what must not be old."""

    now: Callable[[], float] = _now
    _seen: dict[tuple[str, str], tuple[float, ZoneState]] = field(default_factory=dict)

    async def zone(self, backend: DnsBackend, at: str, name: str, *, fresh: bool) -> ZoneState | None:
        """The zone `name` of the backend that is called `at`. What is not there is looked for each time."""
        until, known = self._seen.get((at, name), (0.0, None))
        if known is not None and not fresh and self.now() < until:
            return known
        found = await backend.get_zone(zone=name)
        if found is not None:
            self._seen[at, name] = (self.now() + KEPT, found)
        return found
