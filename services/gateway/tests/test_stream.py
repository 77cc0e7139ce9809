"""What a browser is told: at once, by the bell; none of these feeds would look by itself before its test has failed."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest
from catalyst_gateway.store import Store, metadata
from catalyst_gateway.stream import Feed
from catalyst_mesh import Bus, Database, Work, migrate
from catalyst_mesh.ringer import Ringer
from catalyst_testkit import eventually
from catalyst_testkit.servers import NatsServer

from lib.mesh.tests.bench import going

NEVER = 3600.0
POOLS = "catalyst.v1.pooldomain."


@pytest.fixture
async def replicas(database: str) -> AsyncIterator[list[Work[Store]]]:
    databases = [await Database.open(database) for _ in range(2)]
    await migrate(databases[0], "catalyst_gateway", metadata)
    two = [Work(db, Store, metadata=metadata) for db in databases]
    for work in two:
        work.bell.patience = NEVER
    yield two
    for db in databases:
        await db.close()


async def keep(work: Work[Store], *names: str, topic: str = POOLS) -> None:
    async with work.transaction() as tx:
        for name in names:
            told = {"event_id": name, "subject": f"{topic}thing.done", "aggregate": name, "version": 1}
            await tx.add({**told, "time": tx.now, "body": {}})


async def told(frames: AsyncIterator[bytes], count: int = 1) -> list[str]:
    """Aggregates of the next frames."""
    seen = [await asyncio.wait_for(anext(frames), 30) for _ in range(count)]
    return [json.loads(frame.decode().partition("data: ")[2])["aggregate"] for frame in seen]


async def test_what_is_kept_while_a_browser_is_being_told_reaches_it_too(replicas: list[Work[Store]]) -> None:
    work, _ = replicas
    frames = Feed(work, heartbeat=NEVER).events("0", "")
    await keep(work, "one")
    assert await told(frames) == ["one"]
    await keep(work, "two")  # the feed is past its look and does not wait yet
    waiting = asyncio.create_task(told(frames))
    assert await waiting == ["two"]
    waiting = asyncio.create_task(told(frames, 2))
    await asyncio.wait({waiting}, timeout=0.1)
    await keep(work, "three", "four")  # it waits
    assert await waiting == ["three", "four"]


async def test_what_one_replica_keeps_is_told_to_the_browsers_of_another(
    replicas: list[Work[Store]], clean_nats: NatsServer
) -> None:
    here, there = replicas
    buses = [Bus(clean_nats.url, "test") for _ in replicas]
    async with going(*(Ringer("gateway", work.bell, bus) for work, bus in zip(replicas, buses, strict=True))):
        await _carried(here, there)
        frames = Feed(there, heartbeat=NEVER).events("0", "")
        await keep(here, "one")
        assert await told(frames) == ["one"]
        waiting = asyncio.create_task(told(frames))
        await asyncio.wait({waiting}, timeout=0.1)
        await keep(here, "two")
        assert await waiting == ["two"]
    for bus in buses:
        await bus.close()


async def test_what_was_not_asked_for_is_passed_over(replicas: list[Work[Store]]) -> None:
    work, _ = replicas
    frames = Feed(work, heartbeat=NEVER).events("0", POOLS)
    waiting = asyncio.create_task(told(frames))
    await keep(work, "invoice", topic="catalyst.v1.billing.")
    await keep(work, "name")
    assert await waiting == ["name"]


async def test_a_quiet_connection_is_kept_alive_and_goes_on(replicas: list[Work[Store]]) -> None:
    work, _ = replicas
    frames = Feed(work, heartbeat=0.01).events("0", "")
    for _ in range(2):
        assert await asyncio.wait_for(anext(frames), 30) == b": still here\n\n"
    await keep(work, "one")
    assert await eventually(lambda: _is_told(frames, "one"), within=30)


async def _is_told(frames: AsyncIterator[bytes], name: str) -> bool:
    return name.encode() in await anext(frames)


async def _carried(here: Work[Store], there: Work[Store]) -> None:
    """Rings of one replica are heard by the other."""
    with there.bell.listening("nothing") as heard:
        while not heard.is_set():
            here.bell.ring("nothing")
            with suppress(TimeoutError):
                await asyncio.wait_for(heard.wait(), 0.1)
