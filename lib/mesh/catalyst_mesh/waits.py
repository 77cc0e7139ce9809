"""Waiting that ends: by a stop, a bell or a limit of time; and by a cancellation, at whatever moment it comes.

Nothing here is built on `asyncio.wait_for`: that of Python 3.11 swallows a cancellation that comes at the same moment as
what it waits for (python/cpython#86296, mended in 3.12), and who was to end goes on. `asyncio.timeout` lets it through.
"""

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any, TypeVar

T = TypeVar("T")


async def unless(stop: asyncio.Event, work: Coroutine[Any, Any, T]) -> T | None:
    """What `work` answers, or None when `stop` came first; `work` is cancelled then."""
    doing, stopping = asyncio.ensure_future(work), asyncio.ensure_future(stop.wait())
    try:
        await asyncio.wait({doing, stopping}, return_when=asyncio.FIRST_COMPLETED)
        return doing.result() if doing.done() else None
    finally:
        stopping.cancel()
        await ended(doing)


async def ended(task: "asyncio.Future[Any]") -> None:
    """Cancel a task that goes on, and wait until it has ended, in whatever way.

    Not by awaiting it: whoever suppresses its cancellation suppresses their own as well.
    """
    if not task.done():
        task.cancel()
        await asyncio.wait({task})
        if not task.cancelled():
            task.exception()  # asked for, or the loop would complain about it


async def heard(bell: asyncio.Event, within: float | None) -> bool:
    """Whether `bell` rang, waited for at most so many seconds; None: as long as it takes."""
    with suppress(TimeoutError):
        async with asyncio.timeout(within):
            await bell.wait()
    return bell.is_set()


async def rung(stop: asyncio.Event, bell: asyncio.Event, seconds: float | None = None) -> None:
    """Pause until `bell` rings, for `seconds` at most, or until `stop`."""
    if seconds is not None and seconds <= 0:
        return
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await unless(stop, bell.wait())


async def rest(stop: asyncio.Event, seconds: float) -> None:
    """Pause for `seconds`, or until `stop`."""
    await heard(stop, seconds)
