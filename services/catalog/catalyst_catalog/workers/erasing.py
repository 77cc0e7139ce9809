"""What Organizations left that have gone is erased when its time is over."""

import asyncio
from datetime import timedelta

from catalyst_mesh import Work, get_logger
from catalyst_mesh.waits import rest

from ..domain.departures import Departed, erase
from ..store import Store

MOST = 20
"""Organizations in one look."""


class Eraser:
    """Looks now and then; of two replicas that erase at once one finds that it is done."""

    def __init__(self, work: Work[Store], *, after: timedelta, pause: float) -> None:
        self._work = work
        self._after = after
        self._pause = pause
        self._log = get_logger("eraser")

    async def run(self, stop: asyncio.Event) -> None:
        """Look until `stop`."""
        while not stop.is_set():
            try:
                await self.look()
            except Exception as error:
                self._log.error("look failed", exc_info=error)
            await rest(stop, self._pause)

    async def look(self) -> None:
        """Erase what is due."""
        async with self._work.reading() as tx:
            due = await tx.to_erase(tx.now - self._after, MOST)
        for departed in due:
            await self._erase(departed)

    async def _erase(self, departed: Departed) -> None:
        async def step(tx: Store) -> None:
            if await tx.is_left(departed.organization):
                owned = await tx.owned_by(departed.organization)
                await tx.save(erase(departed, owned, await tx.revision(), tx.now))

        await self._work.again(step)
