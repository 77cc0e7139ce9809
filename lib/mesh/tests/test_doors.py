"""Who may use the database now."""

import asyncio
from contextlib import AsyncExitStack

import pytest
from catalyst_mesh.doors import Doors


async def came_in(doors: Doors, many: int) -> tuple[AsyncExitStack, list[asyncio.Task[None]]]:
    """`many` at once: the stack of those who are inside, and the tasks of all."""
    inside = AsyncExitStack()
    tasks = [asyncio.create_task(inside.enter_async_context(doors)) for _ in range(many)]
    await asyncio.wait(tasks, timeout=0.05)
    return inside, tasks


async def test_a_crowd_goes_through_few_doors_one_after_another() -> None:
    doors, inside, most = Doors(first=2, patience=60), 0, 0

    async def short() -> None:
        nonlocal inside, most
        async with doors:
            inside += 1
            most = max(most, inside)
            await asyncio.sleep(0)
            inside -= 1

    await asyncio.gather(*(short() for _ in range(12)))
    assert most == 2


async def test_who_waits_too_long_comes_in_and_from_then_on_there_is_one_door_more() -> None:
    doors = Doors(first=1, patience=0.01)
    inside, tasks = await came_in(doors, 2)
    await asyncio.wait_for(asyncio.gather(*tasks), 60)
    await inside.aclose()
    doors._patience = 60.0
    inside, tasks = await came_in(doors, 3)
    assert [task.done() for task in tasks] == [True, True, False]
    await inside.aclose()
    await asyncio.wait_for(tasks[2], 60)


async def test_who_gives_up_takes_no_door_along() -> None:
    doors = Doors(first=1, patience=60)
    inside, (_, waiting) = await came_in(doors, 2)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    await inside.aclose()
    async with asyncio.timeout(60), doors:
        pass
