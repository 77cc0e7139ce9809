"""What is wished in the store reaches an agent, and what the agent does comes back, over real databases."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from catalyst_continuum.domain import runs
from catalyst_continuum.domain.approvals import Need
from catalyst_continuum.domain.runs import Kind, Run, RunState
from catalyst_continuum.messages import EMITTED
from catalyst_continuum.store import Store, metadata
from catalyst_continuum.workers.logbook import Logbook
from catalyst_mesh import Database, Work, migrate
from catalyst_sdk import Decision
from catalyst_testkit import eventually

pytestmark = pytest.mark.either_database

EAST, WEST, SLOT = "sb-east-rtz-dev", "sb-west-rtz-dev", "demo/shop"
AT = datetime(2026, 1, 1, 12, tzinfo=UTC).timestamp()
RUN = runs.opened(Run("abcdefghij", SLOT, Kind.SWITCHOVER, EAST, WEST, 4, 4, initiated_by="ann"), AT)


class MemoryAgent:
    """The part of an agent that a logbook speaks with."""

    def __init__(self) -> None:
        self.duty = SimpleNamespace(region=EAST)
        self.moves = SimpleNamespace(known={}, ordered=None, is_busy=False)
        self.aborted: list[Run] = []

    def order(self, run: Run) -> None:
        self.moves.ordered = run

    def abort(self, run: Run) -> None:
        self.aborted.append(run)


@pytest.fixture
async def work(database: str) -> AsyncIterator[Work[Store]]:
    db = await Database.open(database)
    await migrate(db, "catalyst_continuum", metadata)
    yield Work(db, Store, metadata=metadata, emitted=EMITTED, kept=metadata.tables["audit"])
    await db.close()


async def put(work: Work[Store], run: Run) -> None:
    async def step(tx: Store) -> Decision[Run]:
        await tx.run(run.slot, run.id, lock=True)
        return Decision(run)

    await work.run(step, answer=lambda run: run)


async def kept(work: Work[Store], id: str = RUN.id) -> Run | None:
    async with work.reading() as tx:
        return await tx.run(SLOT, id)


async def test_a_run_is_given_to_its_agent_once_it_is_approved_and_what_becomes_of_it_is_kept(
    work: Work[Store],
) -> None:
    agent: Any = MemoryAgent()
    book, stop = Logbook(work, lambda: [(SLOT, agent)]), asyncio.Event()
    need = Need(1, ("bob",), False, datetime.now(UTC) + timedelta(hours=1))
    await put(work, replace(RUN, need=need, state=RunState.AWAITING_APPROVAL))
    running = asyncio.create_task(book.run(stop))
    await eventually(lambda: RUN.id in agent.moves.known, within=60, what="the agent hears of it")
    assert agent.moves.ordered is None
    await put(work, replace(RUN, need=need, state=RunState.PENDING, version=2))
    await eventually(lambda: agent.moves.ordered is not None, within=60, what="it is approved")
    book.book(runs.began(agent.moves.ordered, 3, AT + 1))
    agent.moves.ordered = None

    async def has_begun() -> bool:
        run = await kept(work)
        return run is not None and run.state is RunState.RUNNING and run.steps[2].attempt == 1

    await eventually(has_begun, within=60, what="what it does is kept")
    run = await kept(work)
    assert run is not None
    assert (run.initiated_by, run.need) == ("ann", need)
    await put(work, runs.aborting(run, AT + 2, "no"))
    await eventually(lambda: bool(agent.aborted), within=60, what="it is asked to take it back")
    stop.set()
    await running


async def test_what_nobody_approves_in_time_is_given_up_and_runs_are_listed_from_the_newest(work: Work[Store]) -> None:
    agent: Any = MemoryAgent()
    book, stop = Logbook(work, lambda: [(SLOT, agent)]), asyncio.Event()
    need = Need(1, ("bob",), False, datetime.now(UTC) - timedelta(seconds=1))
    await put(work, replace(RUN, need=need, state=RunState.AWAITING_APPROVAL))
    running = asyncio.create_task(book.run(stop))

    async def is_over() -> bool:
        run = await kept(work)
        return run is not None and run.state is RunState.ABORTED

    await eventually(is_over, within=60, what="nobody approved it")
    stop.set()
    await running
    await put(work, replace(RUN, id="bbbbbbbbbb", created_at=AT + 60))
    async with work.reading() as tx:
        assert [run.id for run in await tx.runs_of(SLOT)] == ["bbbbbbbbbb", RUN.id]
        assert [run.id for run in await tx.runs_of(SLOT, (runs.moment(AT + 60), "bbbbbbbbbb"))] == [RUN.id]
        assert [run.id for run in await tx.open_runs(SLOT)] == ["bbbbbbbbbb"]
        assert await tx.run_by_id("bbbbbbbbbb") == replace(RUN, id="bbbbbbbbbb", created_at=AT + 60)
