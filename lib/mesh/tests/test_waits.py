"""Who is cancelled at the very moment when what they wait for arrives ends all the same."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from catalyst_mesh.waits import ended, heard, rest, rung, unless

LONG = 600.0
"""Seconds that no test waits."""
Wait = Callable[[asyncio.Event], Coroutine[Any, Any, Any]]
WAITS: dict[str, Wait] = {
    "rest": lambda event: rest(event, LONG),
    "heard": lambda event: heard(event, LONG),
    "heard, however long it takes": lambda event: heard(event, None),
    "rung by the bell": lambda event: rung(asyncio.Event(), event, LONG),
    "rung by the stop": lambda event: rung(event, asyncio.Event(), LONG),
    "unless": lambda event: unless(asyncio.Event(), event.wait()),
    "unless, stopped": lambda event: unless(event, asyncio.Event().wait()),
}


@pytest.mark.parametrize("turns", range(8))
@pytest.mark.parametrize("wait", WAITS.values(), ids=WAITS)
async def test_who_is_cancelled_at_the_moment_of_what_they_wait_for_ends(wait: Wait, turns: int) -> None:
    """The moment is any of the turns of the loop between the arrival and the end of the wait."""
    event, went_on = asyncio.Event(), asyncio.Event()

    async def work() -> None:
        await wait(event)
        await asyncio.sleep(0)  # a wait that was over before the cancellation ends here
        went_on.set()
        await asyncio.Event().wait()

    working = asyncio.create_task(work())
    for _ in range(5):
        await asyncio.sleep(0)
    event.set()
    for _ in range(turns):
        await asyncio.sleep(0)
    working.cancel()
    await asyncio.wait({working}, timeout=60)
    assert working.cancelled(), f"it went on: {went_on.is_set()}"


@pytest.mark.parametrize("turns", range(4))
async def test_who_is_cancelled_while_they_end_another_ends_as_well(turns: int) -> None:
    other = asyncio.create_task(asyncio.Event().wait())
    await asyncio.sleep(0)

    async def work() -> None:
        await ended(other)
        await asyncio.Event().wait()

    working = asyncio.create_task(work())
    for _ in range(turns):
        await asyncio.sleep(0)
    working.cancel()
    await asyncio.wait({working}, timeout=60)
    assert working.cancelled()


async def test_a_wait_tells_whether_it_was_over_in_time() -> None:
    event = asyncio.Event()
    assert not await heard(event, 0)
    event.set()
    assert await heard(event, 0)
