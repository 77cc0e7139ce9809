"""What agents tell comes into the store in order, in one chain, whenever the store takes it."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from catalyst_continuum.domain import audit, runs, slots
from catalyst_continuum.domain.runs import Kind, Run, RunState
from catalyst_continuum.domain.spec import parse
from catalyst_continuum.domain.spec_rules import House
from catalyst_continuum.messages import EMITTED, record_of
from catalyst_continuum.metrics import ContinuumMetrics
from catalyst_continuum.store import Store, metadata
from catalyst_continuum.workers.telling import Telling
from catalyst_mesh import Database, Work, migrate
from catalyst_testkit import eventually
from prometheus_client import CollectorRegistry

from services.continuum.tests.manifests import EAST, WEST, stateful

pytestmark = pytest.mark.either_database

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


@pytest.fixture
async def work(database: str) -> AsyncIterator[Work[Store]]:
    db = await Database.open(database)
    await migrate(db, "catalyst_continuum", metadata)
    work: Work[Store] = Work(db, Store, metadata=metadata, emitted=EMITTED, kept=metadata.tables["audit"])
    async with work.transaction() as tx:
        spec = parse(stateful(), House("demo"))
        made = slots.create(None, "demo", "shop", document="{}", spec=spec, uid="u", teller=EAST, by="ann", now=NOON)
        await tx.save(made.state)
        tx.emit(*made.events)
    yield work
    await db.close()


async def told(work: Work[Store]) -> list[audit.Record]:
    async with work.reading() as tx:
        return [record_of(schema, body) for schema, body in await tx.records("namespaces/demo/continuums/shop")]


class AwayAtFirst(Work[Store]):
    """A store that is away a few times."""

    away = 3

    async def again(self, step: Any) -> Any:
        if self.away:
            self.away -= 1
            raise OSError("away")
        return await super().again(step)


async def test_what_was_told_while_the_store_was_away_comes_in_order_and_is_one_chain(work: Work[Store]) -> None:
    registry = CollectorRegistry()
    shaky = AwayAtFirst(work.db, Store, metadata=metadata, emitted=EMITTED, kept=metadata.tables["audit"])
    telling, stop = Telling(work=shaky, region=EAST, metrics=ContinuumMetrics(registry)), asyncio.Event()
    tell, book = telling.of("demo/shop"), telling.book("demo/shop")
    tell("region.fenced", why="authority over", evidence={"level": "1", "took": "0.25"})
    tell("lease.acquired")  # the register's to tell
    run = runs.opened(Run("abcdefghij", "demo/shop", Kind.FAILOVER, EAST, WEST, 3, 3), 10.0)
    book(run)
    book(runs.over(replace(run, epoch=4), RunState.SUCCEEDED, 20.0))
    telling.of("demo/blog")("region.fenced")  # of a slot that is not there
    telling.put("demo/shop")
    working = asyncio.create_task(telling.run(stop))

    async def is_all() -> bool:
        return len(await told(work)) == 5

    await eventually(is_all, within=30)
    stop.set()
    await working
    records = await told(work)
    assert [record.type for record in records] == [
        "cr-created",
        "region-fenced",
        "run-started",
        "run-completed",
        "switchover",
    ]
    assert list(audit.breaks(records)) == []
    moves = {"slot": "demo/shop", "kind": "failover", "result": "succeeded"}
    assert registry.get_sample_value("catalyst_continuum_failover_total", moves) == 1
    assert registry.get_sample_value("catalyst_continuum_fence_seconds_sum", {"level": "1"}) == 0.25


async def test_a_run_that_another_life_told_already_is_told_to_no_stream_twice(work: Work[Store]) -> None:
    run = runs.opened(Run("abcdefghij", "demo/shop", Kind.FAILOVER, EAST, WEST, 3, 3), 10.0)
    for _ in range(2):
        telling, stop = Telling(work=work, region=EAST, metrics=ContinuumMetrics(CollectorRegistry())), asyncio.Event()
        telling.book("demo/shop")(run)
        stop.set()
        await telling.run(stop)
    async with work.reading() as tx:
        assert await tx.unsent("namespaces/demo/continuums/shop") == 2, "made, and started once"
