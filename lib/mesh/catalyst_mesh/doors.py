"""How many use the database at once: as many as have to, and no more."""

import asyncio

FIRST = 2
PATIENCE = 0.1
"""Seconds that somebody waits for another to be done before one more is let in."""


class Doors:
    """A crowd that comes at one moment goes through a few doors; where that takes too long there is one more, for good.

    A new connection costs PostgreSQL and us 9 ms of processor time and stays open, and most transactions take two: at the
    start of a daemon a dozen workers want one each for their leases (measured: 12 connections, with doors 5).
    """

    def __init__(self, *, first: int = FIRST, patience: float = PATIENCE) -> None:
        self._free = asyncio.Semaphore(first)
        self._patience = patience

    async def __aenter__(self) -> None:
        if not self._free.locked():
            await self._free.acquire()
            return
        try:
            async with asyncio.timeout(self._patience):
                await self._free.acquire()
        except TimeoutError:
            pass  # let in without a door of its own: leaving makes one

    async def __aexit__(self, *_: object) -> None:
        self._free.release()
