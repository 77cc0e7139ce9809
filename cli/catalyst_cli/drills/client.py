"""A client beside a drill: it writes from before the move until after it, and knows when the slot is fit to be moved."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import httpx
from catalyst_sdk.traces import Line

from catalyst_cli.dev.recipes import boottime

from .house import House
from .names import Names, Unresolved
from .report import is_protected
from .writer import Writer

WARM = 40
"""Acknowledged writes before anything happens."""
WARM_WITHIN = 120.0
PROTECTED_WITHIN = 120.0
AFTER = 20
"""Acknowledged writes after the first one in a new epoch, so that what follows it is seen too."""
Tell = Callable[[str], None]


class NotReady(Exception):
    """The drill cannot begin, or what it waited for did not come; the text says what."""


class Client:
    """A writer at work."""

    def __init__(self, house: House, writer: Writer) -> None:
        self.house = house
        self.writer = writer
        self._stop = asyncio.Event()
        self._writing = asyncio.create_task(writer.run(self._stop))

    async def holder(self) -> dict[str, Any]:
        """Who holds the slot, once writes go through and a standby has them all. Raises NotReady."""
        name = self.house.demo["host"]
        await until(lambda: self.acked(0) >= WARM, WARM_WITHIN, f"{WARM} writes by {name} are acknowledged")
        found = await self.writer.whoami()
        # Until a standby has every write there is nobody who may take over, and nobody does.
        await until(lambda: is_protected(self.lines(), found["epoch"]), PROTECTED_WITHIN, "a standby has every write")
        return found

    def acked(self, above: int) -> int:
        """Acknowledged writes in epochs above this one."""
        return sum(1 for one in self.writer.attempts if one.is_acked and one.epoch > above)

    def lines(self) -> list[Line]:
        """What all agents wrote down of the slot."""
        return [line for line in self.house.trace() if line.slot == self.house.demo["slot"]]

    async def finish(self) -> None:
        """Write no more, and wait for what is under way."""
        self._stop.set()
        await self._writing

    async def close(self) -> None:
        """The same, whatever became of it, and let go of the connections."""
        self._stop.set()
        await asyncio.gather(self._writing, return_exceptions=True)
        await self.writer.close()


@asynccontextmanager
async def writing(house: House) -> AsyncIterator[Client]:
    """A client that writes for the block."""
    demo = house.demo
    names = Names(demo["host"], list(house.authorities.values()), boottime)
    client = Client(house, Writer(names, host=demo["host"], port=demo["port"], clock=boottime))
    try:
        yield client
    finally:
        await client.close()


async def until(check: Callable[[], bool | Awaitable[bool]], within: float, what: str) -> None:
    """Ask until the answer is yes. Raises NotReady with what was waited for."""
    deadline = boottime() + within
    while True:
        with suppress(Unresolved, httpx.HTTPError):
            told = check()
            if told if isinstance(told, bool) else await told:
                return
        if boottime() > deadline:
            raise NotReady(f"not within {within:.0f} s: {what}")
        await asyncio.sleep(0.05)
