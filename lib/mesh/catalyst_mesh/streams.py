"""Long streams end when the daemon stops, so that no watcher and no agent holds up a restart."""

import asyncio
from collections.abc import AsyncIterator
from typing import TypeVar

from catalyst_sdk import Code, Refused

from catalyst_mesh.waits import unless

T = TypeVar("T")


class Stopping(Refused):
    code, reason, message = Code.UNAVAILABLE, "STOPPING", "this daemon is being stopped; go on from where you were"


class Curfew:
    """A worker that tells all streams when it is time."""

    def __init__(self) -> None:
        self.over = asyncio.Event()

    async def run(self, stop: asyncio.Event) -> None:
        """Wait for the end."""
        await stop.wait()
        self.over.set()

    async def bounded(self, items: AsyncIterator[T]) -> AsyncIterator[T]:
        """The items, as long as the daemon runs. Raises Stopping."""
        while True:
            found = await unless(self.over, _next(items))
            if self.over.is_set():
                raise Stopping
            if not found:
                return
            yield found[0]


async def _next(items: AsyncIterator[T]) -> tuple[T, ...]:
    try:
        return (await anext(items),)
    except StopAsyncIteration:
        return ()
