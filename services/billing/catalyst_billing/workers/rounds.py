"""The loop of every worker: a round when rows of its tables were committed or it is time, again. One replica does them all.

A round may be cut short at any point and may, for a moment, overlap with one of a replica that was frozen: what it writes
is decided anew under the lock of the account, and what it asks of a provider carries a key of its own.
"""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial

from catalyst_mesh import Lease, Leases, get_logger
from catalyst_mesh.bell import Bell
from catalyst_mesh.telemetry import FRESH, Backlog, reconciling
from catalyst_mesh.waits import rest, rung

LEASE = "rounds"
BREATH = 0.02
"""Seconds between two rounds at least: a burst of commits is one round's work."""


class Rounds:
    """Runs `job` every `pause` seconds, and whenever `bell` rings for one of `tables`."""

    def __init__(self, name: str, job: Callable[[], Awaitable[object]], *tables: str, pause: float, bell: Bell) -> None:
        self.name = name
        self._job = job
        self._tables = tables
        self._pause = pause
        self._bell = bell
        self._next = 0.0
        self._backlog = Backlog(name, fresh=2 * pause + FRESH)
        self._log = get_logger("worker")

    async def go_on(self, stop: asyncio.Event, lease: Lease) -> None:
        """Go on until `stop`; what one round fails with does not end the next. Raises LeaseLost."""
        clock = asyncio.get_running_loop().time
        with self._bell.listening(*self._tables) as heard:
            while not stop.is_set():
                if heard.is_set() or clock() >= self._next:
                    heard.clear()  # before the look: what is committed during it is looked at again
                    lease.check()
                    await self._guarded()
                    self._next = clock() + self._pause
                    await rest(stop, min(BREATH, self._pause))
                await rung(stop, heard, self._next - clock())

    async def _guarded(self) -> None:
        try:
            with reconciling(self.name):
                await self._job()
            self._backlog.see(())
        except Exception as error:
            self._backlog.see((self.name,))
            self._log.error("round failed", worker=self.name, exc_info=error)


class Shift:
    """All rounds, beside each other, in the replica that holds the lease: ten leases would only be ten times renewed."""

    def __init__(self, *rounds: Rounds, leases: Leases) -> None:
        self.rounds = rounds
        self._leases = leases

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop`, whenever this replica holds the lease."""
        await self._leases.keep(LEASE, stop, partial(self._all, stop))

    async def _all(self, stop: asyncio.Event, lease: Lease) -> None:
        going = [asyncio.create_task(each.go_on(stop, lease)) for each in self.rounds]
        try:
            await asyncio.gather(*going)
        finally:
            for task in going:
                task.cancel()
            await asyncio.gather(*going, return_exceptions=True)
