"""Zones of pools as they were a few seconds ago, and as they are now for many who ask at once."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from catalyst_sdk.dns import DnsBackend, ZoneState

KEPT = 5.0
"""Seconds for which a look counts."""
Place = tuple[str, str]
"""Backend and zone."""


def _now() -> float:
    return asyncio.get_running_loop().time()


@dataclass
class Lately:
    """Remembers looks by backend and zone. Each step of each name asks who serves its pool, and the pool's zone has two records
    for every name in it: it is read in whole only for what must not be old, and then once for all who ask meanwhile.

    A fresh look begins after it was asked for; so who comes while one is under way shares the next one.
    """

    now: Callable[[], float] = _now
    _seen: dict[Place, tuple[float, ZoneState]] = field(default_factory=dict)
    _under_way: dict[Place, asyncio.Task[ZoneState | None]] = field(default_factory=dict)
    _next: dict[Place, asyncio.Task[ZoneState | None]] = field(default_factory=dict)

    async def zone(self, backend: DnsBackend, at: str, name: str, *, fresh: bool) -> ZoneState | None:
        """The zone `name` of the backend that is called `at`. What is not there is looked for each time."""
        until, known = self._seen.get((at, name), (0.0, None))
        if known is not None and not fresh and self.now() < until:
            return known
        found = await self._shared(backend, (at, name))
        if found is not None:
            self._seen[at, name] = (self.now() + KEPT, found)
        return found

    async def _shared(self, backend: DnsBackend, place: Place) -> ZoneState | None:
        if place not in self._next:
            self._next[place] = task = asyncio.create_task(self._read(backend, place))
            task.add_done_callback(lambda t: t.cancelled() or t.exception())  # those who asked may all have gone
        return await asyncio.shield(self._next[place])

    async def _read(self, backend: DnsBackend, place: Place) -> ZoneState | None:
        if before := self._under_way.get(place):
            await asyncio.wait([before])
        self._under_way[place] = mine = self._next.pop(place)
        try:
            return await backend.get_zone(zone=place[1])
        finally:
            if self._under_way[place] is mine:
                del self._under_way[place]
