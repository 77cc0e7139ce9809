"""One writer: leases, fences, zombies, unknown commits, poison."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest
from catalyst_mesh import Database
from catalyst_mesh.journal import Context, EventView, RunView, Step
from sqlalchemy.ext.asyncio import AsyncConnection

from .bench import SECOND, Bench, World, begin, carry, codes, events, holds, kind_of, reaches, states, working


class Zombie:
    """A step in which the first replica hangs while the world goes on."""

    def __init__(self, world: World) -> None:
        self.entered, self.awake = asyncio.Event(), asyncio.Event()
        self.world = world
        self.fences: list[int] = []

    async def run(self, ctx: Context) -> dict[str, str]:
        self.fences.append(ctx.fence)
        if len(self.fences) == 1:
            self.entered.set()
            await self.awake.wait()
            await ctx.emit("resource.created", "by a zombie")
        return self.world.make("a")


async def test_a_holder_that_slept_through_its_lease_is_fenced(bench: Bench, world: World) -> None:
    zombie = Zombie(world)
    kind = kind_of(Step("a", zombie.run), world.step("b", "a"))
    first, second = bench.engine(kind), bench.engine(kind, db=await bench.another_database())
    run = await begin(first)
    sleeping = asyncio.create_task(first.turn())
    await asyncio.wait_for(zombie.entered.wait(), 60)
    assert await second.turn() == 0, "the lease holds"
    bench.pass_lease()
    assert (await carry(bench, second, run)).state == "succeeded"
    before = await events(second, run)
    zombie.awake.set()
    await asyncio.wait_for(sleeping, 60)
    assert await events(second, run) == before, "the zombie has written nothing"
    assert world.made == {"a": 1, "b": 1}, "nor has it gone on"
    assert zombie.fences[0] < zombie.fences[1], "an outside system could tell them apart"
    assert "run.taken_over" in await codes(second, run)


async def test_what_a_zombie_writes_beside_the_journal_is_refused_by_the_fence(bench: Bench, world: World) -> None:
    entered, awake = asyncio.Event(), asyncio.Event()
    db = await bench.another_database()

    async def writes(ctx: Context) -> None:
        if not entered.is_set():
            entered.set()
            await awake.wait()
        async with db.begin() as sql:
            await ctx.guard(sql)
            world.make(f"by fence {ctx.fence}")

    kind = kind_of(Step("a", writes))
    first, second = bench.engine(kind), bench.engine(kind, db=db)
    run = await begin(first)
    sleeping = asyncio.create_task(first.turn())
    await asyncio.wait_for(entered.wait(), 60)
    bench.pass_lease()
    assert (await carry(bench, second, run)).state == "succeeded"
    awake.set()
    await asyncio.wait_for(sleeping, 60)
    assert world.made == {"by fence 2": 1}


async def test_a_replica_gives_up_before_its_lease_ends(bench: Bench) -> None:
    cancelled, entered = asyncio.Event(), asyncio.Event()
    steady = 0.0

    async def hang(_ctx: Context) -> None:
        entered.set()
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    class Severed(Database):
        """The way to the database is cut."""

        cut = False

        @asynccontextmanager
        async def begin(self) -> AsyncIterator[AsyncConnection]:
            if self.cut:
                raise ConnectionResetError("no route")
            async with super().begin() as sql:
                yield sql

    db = await bench.another_database(Severed)
    ttl = timedelta(seconds=0.4)
    engine = bench.engine(kind_of(Step("a", hang)), db=db, lease=ttl, poll=0.02, monotonic=lambda: steady)
    run = await begin(engine)
    async with working(engine):
        await asyncio.wait_for(entered.wait(), 60)
        db.cut = True
        seq = (await engine.status(run)).seq
        steady = ttl.total_seconds() * 0.81
        await asyncio.wait_for(cancelled.wait(), 60)
    assert (await engine.status(run)).seq == seq


class LostAnswers(Database):
    """Commits, and then says that the connection broke; every `nth` time."""

    nth = 0
    commits = 0
    lost = 0

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[AsyncConnection]:
        async with super().begin() as sql:
            yield sql
        self.commits += 1
        if self.nth and self.commits % self.nth == 0:
            self.lost += 1
            raise ConnectionResetError("the answer to COMMIT was lost")


@pytest.mark.parametrize("nth", [2, 3, 5])
async def test_an_unknown_commit_is_looked_up_before_it_is_repeated(bench: Bench, world: World, nth: int) -> None:
    async def notes(ctx: Context) -> None:
        async def effect() -> object:
            return world.make("sub")

        await ctx.emit("note.one")
        await ctx.once("sub", effect)
        await ctx.log("one line")
        await ctx.emit("note.two")

    db = await bench.another_database(LostAnswers)
    steps = (world.step("a"), Step("notes", notes, needs=("a",)), world.step("b", "notes"), world.step("c", "notes"))
    engine = bench.engine(kind_of(*steps, takeovers=50), db=db)
    run, end = await begin(engine), ""
    db.nth = nth
    for _ in range(20):
        try:
            end = (await carry(bench, engine, run)).state
        except* ConnectionResetError:  # of a claim: nobody knows that it holds the run, so the lease has to end
            bench.pass_lease()
    assert end == "succeeded"
    assert db.lost > 1
    told = [code for code in await codes(engine, run) if code != "run.taken_over"]
    assert sorted(told) == sorted(set(told)), "nothing is told twice"
    assert world.made == {"a": 1, "sub": 1, "b": 1, "c": 1}
    assert [line.text for line in await engine.logs(run)] == ["one line"]


class Late(Database):
    """One commit whose connection breaks lands only after somebody has looked whether it did."""

    armed = False
    pending: AsyncExitStack | None = None
    landed = 0

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[AsyncConnection]:
        async with AsyncExitStack() as transaction:
            yield await transaction.enter_async_context(super().begin())
            if self.armed:
                self.armed, self.pending = False, transaction.pop_all()
                raise ConnectionResetError("the connection broke in COMMIT")

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        async with super().read() as sql:
            yield sql
        if self.pending:
            pending, self.pending = self.pending, None
            await pending.aclose()
            self.landed += 1


@pytest.mark.parametrize("what", ["emit", "log", "succeed"])
async def test_a_commit_that_lands_after_it_was_looked_up_happens_once(bench: Bench, world: World, what: str) -> None:
    db = await bench.another_database(Late)

    async def notes(ctx: Context) -> None:
        db.armed = what != "log"
        if what == "emit":
            await ctx.emit("note.one")
        if what == "log":
            await ctx.log("one line")
            db.armed = True  # for the lines, which are written before the end of the step

    engine = bench.engine(kind_of(Step("a", notes), world.step("b", "a")), db=db)
    run = await begin(engine)
    assert (await carry(bench, engine, run)).state == "succeeded"
    assert db.landed == 1
    told = await codes(engine, run)
    assert sorted(told) == sorted(set(told))
    assert len(await engine.logs(run)) == (what == "log")


class Withheld(Database):
    """Fails before anything is committed."""

    broken = 0

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[AsyncConnection]:
        async with super().begin() as sql:
            yield sql
            if self.broken:
                self.broken -= 1
                raise ConnectionResetError("the connection broke before COMMIT")


async def test_a_commit_that_did_not_happen_is_repeated(bench: Bench, world: World) -> None:
    db = await bench.another_database(Withheld)

    async def run_it(_ctx: Context) -> None:
        db.broken = 3

    engine = bench.engine(kind_of(Step("a", run_it), world.step("b", "a")), db=db)
    run = await begin(engine)
    assert (await carry(bench, engine, run)).state == "succeeded"
    assert (await codes(engine, run)).count("step.succeeded a") == 1
    assert db.broken == 0


async def test_a_run_that_kills_its_replicas_gets_stuck_and_blocks_no_other(
    bench: Bench, world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    class Killed(BaseException):
        pass

    async def poison(_ctx: Context) -> None:
        raise Killed

    alarms: list[tuple[str, str]] = []

    async def transition(_sql: AsyncConnection, run: RunView, event: EventView) -> None:
        if event.level == "error":
            alarms.append((event.code, str(run.state)))

    poisonous = kind_of(Step("a", poison), takeovers=3, transition=transition)
    healthy = kind_of(world.step("z"), name="healthy")
    run, deaths, ended = await begin(bench.engine(poisonous)), 0, []
    for n in range(10):
        engine = bench.engine(poisonous, healthy)
        other = await begin(engine, kind="healthy", subject=f"s/{n}", key=str(n))
        try:
            while await engine.turn():
                pass
        except BaseExceptionGroup as group:
            deaths += group.subgroup(Killed) is not None
        bench.pass_lease()
        ended.append(str((await carry(bench, bench.engine(healthy), other)).state))
    assert (deaths, (await engine.status(run)).state) == (4, "stuck"), "the first holder and three takeovers"
    assert ended == ["succeeded"] * 10
    # One whose replica was killed beside it is in doubt, and finds what the run before it has made.
    assert 10 - deaths <= world.made["z"] <= 10
    assert (await codes(engine, run))[-1] == "run.stuck"
    assert alarms == [("run.stuck", "stuck")], "whoever owns the kind is told in the same transaction, once"
    assert capsys.readouterr().out.count("journal run stuck") == 1, "and whoever reads the log"
    mended = bench.engine(kind_of(world.step("a")))
    await mended.resume(run)
    assert (await carry(bench, mended, run)).state == "succeeded"


async def test_a_death_in_mid_question_is_looked_into(bench: Bench, world: World) -> None:
    class Killed(BaseException):
        pass

    async def ask_then_make(ctx: Context) -> None:
        world.asked["a"] += 1
        if world.asked["a"] == 1:
            await ctx.again(after=SECOND)
        world.make("a")
        raise Killed

    kind = kind_of(world.step("a", run=ask_then_make))
    first = bench.engine(kind)
    run = await begin(first)
    with pytest.raises(BaseExceptionGroup) as death:
        await carry(bench, first, run)
    assert death.value.subgroup(Killed)
    bench.pass_lease()
    assert (await carry(bench, bench.engine(kind), run)).state == "succeeded"
    assert (world.made["a"], world.asked["a"]) == (1, 2), "its check has found it"


async def test_progress_forgives_deaths(bench: Bench, world: World) -> None:
    class Killed(BaseException):
        pass

    async def once_deadly(ctx: Context) -> None:
        if ctx.attempt == 1:
            raise Killed

    steps = [Step(f"s{n}", once_deadly, needs=(f"s{n - 1}",) if n else ()) for n in range(8)]
    kind, run, end = kind_of(*steps, takeovers=1), "", ""
    for _ in range(10):
        engine = bench.engine(kind)
        run = run or await begin(engine)
        try:
            end = (await carry(bench, engine, run)).state
        except BaseExceptionGroup:
            bench.pass_lease()
    assert end == "succeeded"


async def test_two_engines_in_one_process_share_the_work_and_do_nothing_twice(bench: Bench, world: World) -> None:
    steps = [world.step(f"s{n}", *([f"s{n - 6}"] if n >= 6 else [])) for n in range(48)]
    kind = kind_of(*steps, world.step("last", *(f"s{n}" for n in range(42, 48))))
    here = bench.engine(kind, poll=0.01, runs=2)
    there = bench.engine(kind, poll=0.01, runs=2, db=await bench.another_database())
    runs = [await begin(engine, subject=f"s/{n}", key=str(n)) for n, engine in enumerate((here, there, here, there))]
    async with working(here, there):
        for run in runs:
            await reaches(here, run, "succeeded", within=60)
    assert set(world.made.values()) == {4}, "four runs made each thing once"
    for run in runs:
        assert len(await events(here, run)) == 3 + 2 * 49
        assert "run.taken_over" not in await codes(here, run)


async def test_a_drain_lets_runs_go_so_that_another_goes_on_at_once(bench: Bench, world: World) -> None:
    entered, let_end = asyncio.Event(), asyncio.Event()

    async def slow(_ctx: Context) -> object:
        entered.set()
        await let_end.wait()
        return world.make("a")

    kind = kind_of(world.step("a", run=slow), world.step("b", "a"))
    engine = bench.engine(kind, poll=0.02)
    run = await begin(engine)
    async with working(engine) as stop:
        await asyncio.wait_for(entered.wait(), 60)
        stop.set()
        let_end.set()
    assert (await states(engine, run))["a"] == "succeeded"
    other = bench.engine(kind)
    assert (await carry(bench, other, run)).state == "succeeded"
    assert "run.taken_over" not in await codes(other, run)


async def test_a_drain_interrupts_what_does_not_end_and_leaves_it_in_doubt(bench: Bench, world: World) -> None:
    entered = asyncio.Event()

    async def hang(ctx: Context) -> object:
        if ctx.attempt == 1:
            entered.set()
            await asyncio.Event().wait()
        return world.make("a")

    kind = kind_of(Step("a", hang))
    engine, stop = bench.engine(kind, poll=0.02), asyncio.Event()
    run = await begin(engine)
    working = asyncio.create_task(engine.run(stop, grace=0.05))
    await asyncio.wait_for(entered.wait(), 60)
    stop.set()
    await asyncio.wait_for(working, 60)
    assert await states(engine, run) == {"a": "in_doubt"}
    other = bench.engine(kind)
    assert (await carry(bench, other, run)).state == "succeeded"
    assert world.made["a"] == 1


async def test_a_long_step_keeps_its_lease(bench: Bench, world: World) -> None:
    let_end = asyncio.Event()

    async def slow(_ctx: Context) -> object:
        await let_end.wait()
        return world.make("a")

    kind = kind_of(Step("a", slow))
    lease = timedelta(seconds=3)  # longer than a busy machine lets a renewal wait
    options: dict[str, Any] = {"lease": lease, "poll": 0.02, "lease_now": None}
    first, second = bench.engine(kind, **options), bench.engine(kind, db=await bench.another_database(), **options)
    run = await begin(first)

    async def lease_of() -> int:
        async with bench.db.read() as sql:
            return int((await sql.exec_driver_sql("SELECT lease_until FROM journal_run")).scalar_one())

    async def running() -> bool:
        return (await states(first, run))["a"] == "running"

    async with working(first):
        await holds(running)
        began = await lease_of()

        async def outlived() -> bool:
            assert await second.turn() == 0
            return await lease_of() > began + lease / timedelta(milliseconds=1)

        await holds(outlived)
        let_end.set()
    assert (await carry(bench, second, run)).state == "succeeded"
    assert world.made["a"] == 1


async def test_leases_go_by_the_database_s_clock(bench: Bench, world: World) -> None:
    """A replica whose own clock is an hour off neither steals a run nor loses one."""
    zombie = Zombie(world)
    kind = kind_of(Step("a", zombie.run))
    first = bench.engine(kind, lease_now=None)
    run = await begin(first)
    sleeping = asyncio.create_task(first.turn())
    await asyncio.wait_for(zombie.entered.wait(), 60)
    bench.clock.advance(timedelta(hours=1))
    assert await bench.engine(kind, lease_now=None).turn() == 0
    zombie.awake.set()
    await asyncio.wait_for(sleeping, 60)
    assert (await first.status(run)).state == "succeeded"
