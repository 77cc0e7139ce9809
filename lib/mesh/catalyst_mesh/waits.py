"""Waiting that a stopping daemon cuts short."""

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
        if not doing.done():
            doing.cancel()
            with suppress(asyncio.CancelledError):
                await doing


async def rung(stop: asyncio.Event, bell: asyncio.Event, seconds: float | None = None) -> None:
    """Pause until `bell` rings, for `seconds` at most, or until `stop`."""
    if seconds is not None and seconds <= 0:
        return
    with suppress(TimeoutError):
        await asyncio.wait_for(unless(stop, bell.wait()), seconds)


async def rest(stop: asyncio.Event, seconds: float) -> None:
    """Pause for `seconds`, or until `stop`."""
    with suppress(TimeoutError):
        await asyncio.wait_for(stop.wait(), seconds)
