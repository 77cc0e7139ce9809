"""Reading runs: pages, events from any number, live and across replicas."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from catalyst_mesh import Database
from catalyst_mesh.journal import BadPosition, RunNotFound, Step
from sqlalchemy.ext.asyncio import AsyncConnection

from .bench import SECOND, Bench, World, begin, carry, holds, kind_of
from .test_waiting import gate

pytestmark = pytest.mark.either_database


async def test_events_are_read_from_any_number(bench: Bench, world: World) -> None:
    engine = bench.engine(kind_of(world.step("a")))
    run = await begin(engine)
    await carry(bench, engine, run)
    assert [event.seq async for event in engine.events(run, 3)] == [3, 4, 5]
    assert [event.seq async for event in engine.events(run, 99)] == []
    with pytest.raises(BadPosition):
        [event async for event in engine.events(run, 0)]
    with pytest.raises(RunNotFound):
        [event async for event in engine.events("run-nothing")]


async def test_followers_get_the_same_events_each_once_and_end_with_the_run(bench: Bench, world: World) -> None:
    kind = kind_of(world.step("a"), world.step("b", "a"), gate("b"), world.step("c", "gate"))
    here = bench.engine(kind, poll=0.02)
    there = bench.engine(kind, poll=0.02, db=await bench.another_database())
    run = await begin(here)

    async def follow(engine: object, from_seq: int) -> list[int]:
        return [event.seq async for event in engine.events(run, from_seq, follow=True)]  # type: ignore[attr-defined]

    readers = [asyncio.create_task(follow(engine, seq)) for engine in (here, there) for seq in (1, 4, 12)]
    await carry(bench, here, run, signals={"approve": None})
    last = (await here.status(run)).seq
    found = await asyncio.wait_for(asyncio.gather(*readers), 60)
    assert found == [list(range(seq, last + 1)) for _ in (here, there) for seq in (1, 4, 12)]


async def test_a_follower_in_the_same_process_waits_for_no_poll(bench: Bench, world: World) -> None:
    engine = bench.engine(kind_of(world.step("a")), poll=3600)
    run = await begin(engine)

    async def follow() -> int:
        return len([event async for event in engine.events(run, follow=True)])

    reader = asyncio.create_task(follow())
    await asyncio.sleep(0)
    await carry(bench, engine, run)
    assert await asyncio.wait_for(reader, 60) == 5


class Counting(Database):
    reads = 0

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        self.reads += 1
        async with super().read() as sql:
            yield sql


async def test_a_follower_rests_between_two_events(bench: Bench) -> None:
    kind = kind_of(gate())
    engine, db = bench.engine(kind), await bench.another_database(Counting)
    run, follower = await begin(engine), bench.engine(kind, db=db, poll=0.05)
    seen: list[str] = []

    async def follow() -> None:
        async for event in follower.events(run, follow=True):
            seen.append(event.code)

    reader = asyncio.create_task(follow())
    await follower.signal(run, "other")  # rings in this process
    await carry(bench, engine, run)

    async def waits() -> bool:
        return "step.waiting" in seen

    await holds(waits)
    before = db.reads
    await asyncio.wait([reader], timeout=0.2)
    assert db.reads - before < 8
    await carry(bench, engine, run, signals={"approve": 1})
    await asyncio.wait_for(reader, 60)


async def test_more_events_than_a_page_come_in_order(bench: Bench) -> None:
    async def talk(ctx) -> None:  # type: ignore[no-untyped-def]
        for n in range(520):
            await ctx.emit("note.made", data={"n": n})

    engine = bench.engine(kind_of(Step("a", talk)))
    run = await begin(engine)
    await carry(bench, engine, run)
    notes = [event.data["n"] async for event in engine.events(run) if event.type == "note"]
    assert notes == list(range(520))


async def test_runs_are_listed_by_pages_the_newest_first(bench: Bench, world: World) -> None:
    engine = bench.engine(kind_of(world.step("a")), kind_of(gate(), name="other"))
    runs = []
    for n in range(5):
        runs.append(await begin(engine, subject=f"s/{n}", key=str(n)))
        bench.clock.advance(SECOND)
    other = await begin(engine, kind="other", subject="s/o", key="o")
    await carry(bench, engine, runs[0])
    first = await engine.list(kind="build", size=3)
    rest = await engine.list(kind="build", size=3, after=first.next_after)
    assert [run.id for run in (*first.runs, *rest.runs)] == runs[::-1]
    assert rest.next_after == ""
    assert [run.id for run in (await engine.list(subject="s/2")).runs] == [runs[2]]
    assert [run.id for run in (await engine.list(live=True)).runs] == [other]
    progress = (await engine.list(subject="s/0")).runs[0].progress
    assert (progress.total, progress.succeeded, progress.finished) == (1, 1, 1)
