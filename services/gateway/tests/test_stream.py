"""What a browser is told: at once, by the bell; none of these feeds would look by itself before its test has failed."""

import asyncio
import json
import os
import random
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, suppress
from typing import cast

import pytest
from catalyst_gateway.store import Store, metadata, stream_event
from catalyst_gateway.stream import Feed
from catalyst_mesh import Bus, Caller, Database, Work, migrate
from catalyst_mesh.readers import UNKNOWN
from catalyst_mesh.ringer import Ringer
from catalyst_testkit import eventually
from catalyst_testkit.servers import NatsServer
from sqlalchemy import delete, update

from lib.mesh.tests.bench import going

NEVER = 3600.0
BROWSERS = 100 if os.environ.get("HYPOTHESIS_PROFILE") == "long" else 20
OPERATOR = Caller("operator", roles=frozenset({"sovereign-admin", "billing-admin"}))
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


async def operator() -> Caller:
    return OPERATOR


async def keep(work: Work[Store], *names: str, topic: str = f"{POOLS}zone.", org: str = "acme") -> None:
    async with work.transaction() as tx:
        for name in names:
            told = {"event_id": name, "subject": f"{topic}done", "aggregate": name, "version": 1}
            await tx.add({**told, "time": tx.now, "body": {}, "organization": org})


async def told(frames: AsyncIterator[bytes], count: int = 1) -> list[str]:
    """Aggregates of the next frames."""
    seen = [await asyncio.wait_for(anext(frames), 60) for _ in range(count)]
    return [json.loads(frame.decode().partition("data: ")[2])["aggregate"] for frame in seen]


async def test_what_is_kept_while_a_browser_is_being_told_reaches_it_too(replicas: list[Work[Store]]) -> None:
    work, _ = replicas
    frames = Feed(work, heartbeat=NEVER).events("0", "", operator)
    await keep(work, "one")
    assert await told(frames) == ["one"]
    await keep(work, "two")  # the feed is past its look and does not wait yet
    waiting = asyncio.create_task(told(frames))
    assert await waiting == ["two"]
    waiting = asyncio.create_task(told(frames, 2))
    await asyncio.wait({waiting}, timeout=0.1)
    await keep(work, "three", "four")  # it waits
    assert await waiting == ["three", "four"]


@pytest.mark.either_database
async def test_row_13_after_random_disconnects_no_browser_has_a_gap_or_a_double(replicas: list[Work[Store]]) -> None:
    work, seed = replicas[0], random.randrange(2**32)
    print(f"seed {seed}")  # noqa: T201 - by it the run can be had again
    names, feed = [f"event-{n:03}" for n in range(60)], Feed(work, heartbeat=NEVER)

    async def browser(chance: random.Random) -> list[str]:
        seen: list[str] = []
        last = "0"
        while len(seen) < len(names):
            async with aclosing(cast(AsyncGenerator[bytes], feed.events(last, "", operator))) as frames:
                async for frame in frames:
                    if frame.startswith(b":"):
                        continue
                    if chance.random() < 0.05:
                        break  # it was sent and did not arrive
                    fields = dict(line.partition(": ")[::2] for line in frame.decode().splitlines())
                    last = fields["id"]
                    seen.append(json.loads(fields["data"])["aggregate"])
                    if len(seen) == len(names) or chance.random() < 0.1:
                        break
        return seen

    async def writes() -> None:
        for n in range(0, len(names), 4):
            await keep(work, *names[n : n + 4])

    async with asyncio.timeout(120), asyncio.TaskGroup() as all_at_once:
        all_at_once.create_task(writes())
        browsers = [all_at_once.create_task(browser(random.Random(seed + n))) for n in range(BROWSERS)]
    assert [one.result() for one in browsers] == [names] * BROWSERS


async def test_what_one_replica_keeps_is_told_to_the_browsers_of_another(
    replicas: list[Work[Store]], clean_nats: NatsServer
) -> None:
    here, there = replicas
    buses = [Bus(clean_nats.url, "test") for _ in replicas]
    async with going(*(Ringer("gateway", work.bell, bus) for work, bus in zip(replicas, buses, strict=True))):
        await _carried(here, there)
        frames = Feed(there, heartbeat=NEVER).events("0", "", operator)
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
    frames = Feed(work, heartbeat=NEVER).events("0", POOLS, operator)
    waiting = asyncio.create_task(told(frames))
    await keep(work, "invoice", topic="catalyst.v1.billing.invoice.")
    await keep(work, "name")
    assert await waiting == ["name"]


async def test_a_quiet_connection_is_kept_alive_and_goes_on(replicas: list[Work[Store]]) -> None:
    work, _ = replicas
    frames = Feed(work, heartbeat=0.01).events("0", "", operator)
    for _ in range(2):
        assert await asyncio.wait_for(anext(frames), 60) == b": still here\n\n"
    await keep(work, "one")
    assert await eventually(lambda: _is_told(frames, "one"), within=60)


async def _is_told(frames: AsyncIterator[bytes], name: str) -> bool:
    return name.encode() in await anext(frames)


async def _carried(here: Work[Store], there: Work[Store]) -> None:
    """Rings of one replica are heard by the other."""
    with there.bell.listening("nothing") as heard:
        while not heard.is_set():
            here.bell.ring("nothing")
            with suppress(TimeoutError):
                await asyncio.wait_for(heard.wait(), 0.1)


async def test_nobody_hears_what_is_another_organization_s(replicas: list[Work[Store]]) -> None:
    work, _ = replicas

    async def viewer() -> Caller:
        return Caller("ann", groups=frozenset({"/acme/org-viewer"}))

    frames = Feed(work, heartbeat=NEVER).events("0", "", viewer)
    await keep(work, "strange", org="rival")
    await keep(work, "own")
    assert await told(frames) == ["own"]  # of what was kept before
    waiting = asyncio.create_task(told(frames))
    await asyncio.wait({waiting}, timeout=0.1)
    await keep(work, "strange too", org="rival")
    await keep(work, "own too")
    assert await waiting == ["own too"]  # and of what is kept meanwhile


async def test_a_stream_ends_where_its_listener_may_hear_less(replicas: list[Work[Store]]) -> None:
    work, _ = replicas
    groups = {"/acme/org-viewer"}

    async def viewer() -> Caller:
        return Caller("ann", groups=frozenset(groups))

    frames = Feed(work, heartbeat=NEVER, recheck=0.05).events("", "", viewer)
    waiting = asyncio.create_task(_all(frames))
    await asyncio.wait({waiting}, timeout=0.2)
    assert not waiting.done()
    groups.clear()
    *_, last = await asyncio.wait_for(waiting, 60)
    assert last == b'event: ended\ndata: {"reason": "ROLES_CHANGED"}\n\n'


async def _all(frames: AsyncIterator[bytes]) -> list[bytes]:
    return [frame async for frame in frames]


async def test_who_stopped_reading_begins_anew_instead_of_filling_the_memory(replicas: list[Work[Store]]) -> None:
    work, _ = replicas
    feed = Feed(work, heartbeat=NEVER)
    frames = feed.events("0", "", operator)
    await keep(work, "one")
    assert await told(frames) == ["one"]
    waiting = asyncio.create_task(told(frames))
    await eventually(lambda: feed._listeners, within=60, what="it listens")
    await keep(work, "two")
    assert await waiting == ["two"]
    (pending,) = feed._listeners
    pending.give_up()  # as `put` does where too much waits
    last = await asyncio.wait_for(anext(frames), 60)
    assert last.startswith(b"id: ")
    assert b"event: reset" in last
    assert await _all(frames) == []
    assert feed._listeners == {}


class Dawdling(Feed):
    """Its first look for news goes on until `left`, even once nobody listens any more: a database takes its time."""

    def __init__(self, work: Work[Store]) -> None:
        super().__init__(work, heartbeat=NEVER)
        self.looks, self.left = asyncio.Event(), asyncio.Event()

    async def _look(self, head: int | None) -> tuple[int, bool]:
        if head is not None and not self.looks.is_set():
            self.looks.set()
            try:
                await asyncio.Event().wait()
            finally:
                await self.left.wait()
        return await super()._look(head)


@pytest.mark.either_database
async def test_who_comes_back_while_the_look_for_the_last_one_still_ends_does_not_begin_anew(
    replicas: list[Work[Store]],
) -> None:
    work, _ = replicas
    feed = Dawdling(work)
    gone = asyncio.ensure_future(told(feed.events("", "", operator)))
    await asyncio.wait_for(feed.looks.wait(), 60)
    before = feed._following
    gone.cancel()
    await asyncio.wait({gone})
    assert before is not None
    assert feed._listeners == {}
    back = asyncio.ensure_future(told(feed.events("", "", operator)))
    await eventually(lambda: feed._listeners and feed._reads.is_set(), within=60, what="it listens")
    feed.left.set()
    await asyncio.wait({before})
    await keep(work, "one")
    assert await back == ["one"]


@pytest.mark.parametrize("place", ["rubbish", "{life}:-1", "{life}:", "{life}:99", "{life}:²", "other:1", "{life}:1"])
async def test_a_place_that_is_not_known_or_no_longer_kept_is_told_to_begin_anew(
    replicas: list[Work[Store]], place: str
) -> None:
    work, _ = replicas
    await keep(work, "one", "two", "three")
    async with work.transaction() as tx:
        await tx.sql.execute(delete(stream_event).where(stream_event.c.number <= 2))
        life = await tx.incarnation()
    frames = Feed(work, heartbeat=NEVER).events(place.format(life=life), "", operator)
    first = await asyncio.wait_for(anext(frames), 60)
    assert first.startswith(f"id: {life}:3\nevent: reset\n".encode())
    await frames.aclose()  # type: ignore[attr-defined]  # it is a generator


async def test_events_of_the_release_before_are_told_once_it_is_known_whose_they_are(
    replicas: list[Work[Store]],
) -> None:
    work, _ = replicas
    await keep(work, "sovereigns/one", topic="catalyst.v1.provisioner.sovereign.", org=UNKNOWN)
    async with work.transaction() as tx:
        row = {"organization": "organizations/acme"}
        await tx.sql.execute(update(stream_event).values(body=row))
        assert await tx.find_owners(0, 10) == 1
        assert await tx.find_owners(1, 10) is None
        (kept,) = await tx.after(0, (), 10)
    assert kept["organization"] == "acme"
