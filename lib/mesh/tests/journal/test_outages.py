"""PostgreSQL goes away in the middle of everything, and commits whose answer is lost on a real line."""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
from catalyst_mesh import Database
from catalyst_mesh.journal import Context, Engine, RunView, Step
from catalyst_testkit.postgres import PostgresServer
from catalyst_testkit.wires import Fate, Wire, wire
from sqlalchemy import make_url
from sqlalchemy.exc import DBAPIError

from .bench import Bench, World, begin, codes, events, holds, kind_of, reaches, working
from .test_crash import twelve

OUTAGES = (DBAPIError, OSError, TimeoutError)
# A server that ends in mid-handshake leaves a socket that the driver closes only when it is collected.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


@pytest.fixture
async def far(own_postgres: PostgresServer) -> AsyncIterator[Bench]:
    """A bench on a PostgreSQL that may be stopped and killed."""
    opened = await Bench.open(await own_postgres.database())
    yield opened
    await opened.close()


async def carried(bench: Bench, worker: Engine, onlooker: Engine, run: str) -> RunView:
    """Have `worker` carry `run` to its end, whatever happens to its database; all else is asked through `onlooker`.

    A claim whose answer was lost is nobody's until its lease has ended: nobody knows who holds the run.
    """
    approved = False
    for _ in range(300):
        try:
            while await worker.turn():
                pass
        except* OUTAGES:
            bench.pass_lease()
        seen = await onlooker.status(run)
        if seen.state.ended:
            return seen
        if seen.wake_at is not None:
            bench.clock.advance(max(seen.wake_at - bench.clock.now(), timedelta(milliseconds=1)))
        elif not approved:
            approved = bool(await onlooker.signal(run, "approve", "yes"))
    raise AssertionError(f"{run} comes to no end: {seen}")


async def assert_ended_as_if_undisturbed(world: World, engine: Engine, run: str) -> None:
    steps = {step.name: str(step.state) for step in await engine.steps(run)}
    assert set(steps.values()) == {"succeeded"}, steps
    assert set(world.made.values()) == {1}, world.made
    told = Counter(await codes(engine, run))  # which asserts that the numbers have no gap
    assert all(told[f"step.succeeded {name}"] == 1 for name in steps)
    notes = [event.data["name"] for event in await events(engine, run) if event.code == "resource.created"]
    assert sorted(notes) == sorted(set(notes)), "told once each"


class Saboteur:
    """Ends the server at some of the points that the journal passes, and starts it again before the next statement.

    Chance says at which, of `every` one; where it has kept away from twice as many, the next one is it.
    """

    def __init__(self, server: PostgresServer, chosen: random.Random, every: int) -> None:
        self._server = server
        self._chosen = chosen
        self._every = every
        self._passed = 0
        self.ended: list[str] = []

    def __call__(self, point: str) -> None:
        self._passed += 1
        if self._chosen.randrange(self._every) and self._passed <= 2 * self._every:
            return
        self._passed = 0
        self.ended.append(point)
        (self._server.kill if len(self.ended) % 2 else self._server.stop)()
        self._server.start()


@pytest.mark.chaos
async def test_postgres_restarted_in_mid_transition_changes_neither_end_nor_effects(
    far: Bench, own_postgres: PostgresServer, world: World
) -> None:
    seed = random.randrange(1_000_000)
    print(f"seed {seed}")  # noqa: T201 - shown when it fails
    saboteur = Saboteur(own_postgres, random.Random(seed), every=30)
    onlooker = far.engine(twelve(world))
    worker = far.engine(twelve(world), db=await far.another_database(), hook=saboteur)
    run = await begin(onlooker)
    assert (await carried(far, worker, onlooker, run)).state == "succeeded"
    assert len(saboteur.ended) > 2, "a test that ends no server proves nothing"
    await assert_ended_as_if_undisturbed(world, onlooker, run)


@pytest.fixture
async def line(postgres: PostgresServer) -> AsyncIterator[Wire]:
    async with wire(postgres.port) as laid:
        yield laid


async def over(line: Wire, bench: Bench) -> Database:
    """Connections through `line`."""
    db = await Database.open(make_url(bench.url).set(port=line.port).render_as_string(hide_password=False))
    bench.closes(db)
    return db


@pytest.mark.parametrize("fate", [Fate.UNANSWERED, Fate.LOST])
async def test_a_transition_whose_commit_gets_no_answer_happens_once(
    remote: Bench, line: Wire, world: World, fate: Fate
) -> None:
    """Whether COMMIT had arrived or not: the engine reads before it repeats."""
    armed: list[Fate] = []
    line.decide = lambda: armed.pop() if armed else Fate.ARRIVES

    async def notes(ctx: Context) -> None:
        armed.append(fate)
        await ctx.emit("note.one")
        assert not armed, "its commit was met"
        armed.append(fate)
        await ctx.once("sub", effect)
        assert not armed
        armed.append(fate)  # for the end of this step

    async def effect() -> object:
        return world.make("sub")

    engine = remote.engine(kind_of(Step("a", notes), world.step("b", "a")), db=await over(line, remote))
    run = await begin(engine)
    while await engine.turn():
        pass
    assert not armed
    assert await codes(engine, run) == [
        "run.created", "run.started", "step.started a", "note.one a", "step.succeeded a", "step.started b",
        "step.succeeded b", "run.succeeded",
    ]  # fmt: skip
    assert world.made == {"sub": 1, "b": 1}


async def test_a_run_with_many_unknown_commits_ends_as_the_undisturbed_one(
    remote: Bench, line: Wire, world: World
) -> None:
    seed = random.randrange(1_000_000)
    print(f"seed {seed}")  # noqa: T201 - shown when it fails
    chosen, met = random.Random(seed), Counter[Fate]()

    def decide() -> Fate:
        fate = chosen.choices(list(Fate), weights=(6, 1, 1))[0]
        met[fate] += 1
        return fate

    onlooker, worker = remote.engine(twelve(world)), remote.engine(twelve(world), db=await over(line, remote))
    run = await begin(onlooker)
    line.decide = decide
    assert (await carried(remote, worker, onlooker, run)).state == "succeeded"
    assert met[Fate.LOST] + met[Fate.UNANSWERED] > 2, met
    await assert_ended_as_if_undisturbed(world, onlooker, run)


async def test_an_outage_longer_than_the_lease_ends_what_is_under_way_and_the_run_goes_on_afterwards(
    far: Bench, own_postgres: PostgresServer, world: World
) -> None:
    entered, cancelled = asyncio.Event(), asyncio.Event()

    async def hang(ctx: Context) -> object:
        if ctx.attempt == 1:
            entered.set()
            try:
                await asyncio.Event().wait()
            finally:
                cancelled.set()
        return world.make("a")

    options: dict[str, Any] = {"lease": timedelta(seconds=0.6), "lease_now": None, "poll": 0.02}
    engine = far.engine(kind_of(world.step("a", run=hang), world.step("b", "a")), **options)
    run = await begin(engine)
    async with working(engine):
        await asyncio.wait_for(entered.wait(), 60)
        own_postgres.kill()
        await asyncio.wait_for(cancelled.wait(), 60)
        await asyncio.to_thread(own_postgres.start)

        async def succeeded() -> bool:
            return (await engine.status(run)).state == "succeeded"

        await holds(succeeded, within=60)
    assert world.made == {"a": 1, "b": 1}
    told = await codes(engine, run)
    assert "run.taken_over" in told
    assert (await reaches(engine, run, "succeeded")).seq == len(told)
