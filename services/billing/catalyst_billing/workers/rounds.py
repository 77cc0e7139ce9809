"""The loop of every worker: one replica at a time, a round, a pause, again."""

import asyncio
from collections.abc import Awaitable, Callable

from catalyst_mesh import Leases, get_logger
from catalyst_mesh.telemetry import FRESH, Backlog, reconciling
from catalyst_mesh.waits import rest

RENEW = 3.0
"""Seconds after which the lease is renewed, well within its life; each renewal is a write."""


class Rounds:
    """Runs `job` every `pause` seconds under the lease `name`."""

    def __init__(self, name: str, job: Callable[[], Awaitable[object]], *, leases: Leases, pause: float) -> None:
        self.name = name
        self._job = job
        self._leases = leases
        self._pause = pause
        self._next = 0.0
        self._backlog = Backlog(name, fresh=2 * pause + FRESH)
        self._log = get_logger("worker")

    async def run(self, stop: asyncio.Event) -> None:
        """Go on until `stop`; what one round fails with does not end the next."""
        while await self._leases.held(self.name, stop) is not None and not stop.is_set():
            await self._while_held(stop, asyncio.get_running_loop().time() + RENEW)
        await self._leases.release(self.name)

    async def _while_held(self, stop: asyncio.Event, until: float) -> None:
        clock = asyncio.get_running_loop().time
        while not stop.is_set() and (now := clock()) < until:
            if now >= self._next:
                await self._guarded()
                self._next = clock() + self._pause
            await rest(stop, max(0.0, min(self._next, until) - clock()))

    async def _guarded(self) -> None:
        try:
            with reconciling(self.name):
                await self._job()
            self._backlog.see(())
        except Exception as error:
            self._backlog.see((self.name,))
            self._log.error("round failed", worker=self.name, exc_info=error)
