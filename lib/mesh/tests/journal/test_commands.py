"""Retry, skip, pause, resume: what they change, and what they leave alone."""

import asyncio
from datetime import timedelta

import pytest
from catalyst_mesh.journal import (
    Context,
    RunInProgress,
    RunNotFound,
    Step,
    StepFailed,
    StepNotFound,
    StepNotSkippable,
    WrongRunState,
    WrongStepState,
)

from .bench import Bench, World, begin, carry, codes, holds, kind_of, reaches, states, working
from .test_waiting import gate

pytestmark = pytest.mark.either_database


class Switch:
    """A step that fails until it is mended."""

    def __init__(self) -> None:
        self.mended = False
        self.calls = 0

    async def run(self, _ctx: Context) -> None:
        self.calls += 1
        if not self.mended:
            raise StepFailed("BROKEN")


async def test_a_retry_runs_the_step_and_what_was_skipped_because_of_it_and_nothing_else(
    bench: Bench, world: World
) -> None:
    switch = Switch()
    steps = (world.step("a"), Step("b", switch.run, needs=("a",)), world.step("c", "b"), world.step("sibling"))
    engine = bench.engine(kind_of(*steps))
    run = await begin(engine)
    assert (await carry(bench, engine, run)).state == "failed"
    switch.mended = True
    assert (await engine.retry(run, "b", by="users/ada")).state == "running"
    assert (await states(engine, run))["c"] == "pending"
    seen = await carry(bench, engine, run)
    assert (seen.state, seen.failure) == ("succeeded", None)
    assert world.made == {"a": 1, "c": 1, "sibling": 1}
    assert switch.calls == 2


async def test_what_another_failure_blocks_stays_blocked_after_a_retry(bench: Bench, world: World) -> None:
    one, two = Switch(), Switch()
    engine = bench.engine(kind_of(Step("one", one.run), Step("two", two.run), world.step("both", "one", "two")))
    run = await begin(engine)
    await carry(bench, engine, run)
    one.mended = True
    await engine.retry(run, "one")
    assert (await carry(bench, engine, run)).state == "failed"
    assert (await engine.steps(run))[2].blocked_by == "two"
    two.mended = True
    await engine.retry(run, "two")
    assert (await carry(bench, engine, run)).state == "succeeded"


async def test_only_a_failed_step_can_be_retried(bench: Bench, world: World) -> None:
    engine = bench.engine(kind_of(world.step("a"), gate("a")))
    run = await begin(engine)
    await carry(bench, engine, run)
    with pytest.raises(WrongStepState, match="a is succeeded"):
        await engine.retry(run, "a")
    with pytest.raises(StepNotFound):
        await engine.retry(run, "nothing")
    with pytest.raises(RunNotFound):
        await engine.retry("run-nothing", "a")
    await engine.cancel(run)
    with pytest.raises(WrongRunState):
        await engine.retry(run, "a")


async def test_a_retry_after_another_run_has_begun_is_refused(bench: Bench) -> None:
    engine = bench.engine(kind_of(Step("a", Switch().run)))
    failed = await begin(engine)
    await carry(bench, engine, failed)
    other = await begin(engine, key="other")
    with pytest.raises(RunInProgress) as refusal:
        await engine.retry(failed, "a")
    assert refusal.value.run == other
    assert (await engine.status(failed)).state == "failed"


async def test_a_step_may_be_left_out_where_the_graph_says_so(bench: Bench, world: World) -> None:
    outputs: list[object] = []

    async def look(ctx: Context) -> None:
        outputs.append(ctx.output_of("b"))

    steps = (world.step("a"), Step("b", Switch().run, needs=("a",), skippable=True), Step("c", look, needs=("b",)))
    engine = bench.engine(kind_of(*steps))
    run = await begin(engine)
    assert (await carry(bench, engine, run)).state == "failed"
    with pytest.raises(StepNotSkippable):
        await engine.skip(run, "a", "no need")
    await engine.skip(run, "b", "done by hand", by="users/ada")
    assert (await carry(bench, engine, run)).state == "succeeded"
    assert outputs == [None]
    assert (await engine.steps(run))[1].reason == "done by hand"


async def test_leaving_out_the_last_failure_ends_the_run_well(bench: Bench) -> None:
    engine = bench.engine(kind_of(Step("a", Switch().run, skippable=True)))
    run = await begin(engine)
    await carry(bench, engine, run)
    assert (await engine.skip(run, "a", "not needed")).state == "succeeded"


async def test_a_step_that_waits_may_be_left_out_and_one_that_runs_may_not(bench: Bench) -> None:
    entered, let_end = asyncio.Event(), asyncio.Event()

    async def slow(_ctx: Context) -> None:
        entered.set()
        await let_end.wait()

    async def wait(ctx: Context) -> None:
        await ctx.signal("go")

    steps = (
        Step("slow", slow, skippable=True),
        Step("gate", wait, skippable=True),
        Step("z", slow, needs=("gate", "slow")),
    )
    engine = bench.engine(kind_of(*steps), poll=0.02)
    run = await begin(engine)

    async def waits() -> bool:
        return (await states(engine, run))["gate"] == "waiting"

    async with working(engine):
        await asyncio.wait_for(entered.wait(), 60)
        await holds(waits)
        with pytest.raises(WrongStepState, match="slow is running"):
            await engine.skip(run, "slow", "no patience")
        await engine.skip(run, "gate", "approved by telephone")
        let_end.set()
        await reaches(engine, run, "succeeded")


async def test_leaving_out_the_only_open_step_of_a_held_run_lets_its_holder_end_it(bench: Bench) -> None:
    asking, let_end = asyncio.Event(), asyncio.Event()

    async def poll(ctx: Context) -> None:
        if asking.is_set():
            await let_end.wait()
        asking.set()
        await ctx.again(after=timedelta())

    engine = bench.engine(kind_of(Step("poll", poll, skippable=True)), poll=0.02)
    run = await begin(engine)

    async def asked() -> bool:
        return (await states(engine, run))["poll"] == "waiting"

    async with working(engine):
        await asyncio.wait_for(asking.wait(), 60)
        await holds(asked)
        assert not (await engine.skip(run, "poll", "enough")).state.ended, "the question is still being asked"
        let_end.set()
        await reaches(engine, run, "succeeded")


async def test_a_pause_starts_nothing_more_and_lets_end_what_runs(bench: Bench, world: World) -> None:
    entered, let_end = asyncio.Event(), asyncio.Event()

    async def slow(_ctx: Context) -> None:
        entered.set()
        await let_end.wait()

    engine = bench.engine(kind_of(Step("a", slow), world.step("b", "a")), poll=0.02)
    run = await begin(engine)

    async def rests() -> bool:
        return (await engine.status(run)).wake_at is None

    async with working(engine):
        await asyncio.wait_for(entered.wait(), 60)
        assert (await engine.pause(run, reason="lunch", by="users/ada")).state == "paused"
        let_end.set()
        await holds(rests)
        assert await states(engine, run) == {"a": "succeeded", "b": "ready"}
        assert (await engine.pause(run)).paused_because == "lunch", "a second pause changes nothing"
        await engine.resume(run)
        await reaches(engine, run, "succeeded")


async def test_a_run_may_be_paused_before_it_begins(bench: Bench, world: World) -> None:
    engine = bench.engine(kind_of(world.step("a")))
    run = await begin(engine)
    await engine.pause(run)
    assert await engine.turn() == 0
    assert (await engine.resume(run)).state == "pending"
    assert (await carry(bench, engine, run)).state == "succeeded"


async def test_a_signal_during_a_pause_is_kept(bench: Bench) -> None:
    engine = bench.engine(kind_of(gate()))
    run = await begin(engine)
    await carry(bench, engine, run)
    await engine.pause(run)
    await engine.signal(run, "approve")
    assert await engine.turn() == 0
    await engine.resume(run)
    assert (await carry(bench, engine, run)).state == "succeeded"


async def test_commands_in_a_wrong_state_are_refused_and_change_nothing(bench: Bench, world: World) -> None:
    engine = bench.engine(kind_of(world.step("a", skippable=True)))
    run = await begin(engine)
    seen = await carry(bench, engine, run)
    for command in (engine.pause(run), engine.resume(run), engine.skip(run, "a", "late"), engine.cancel(run)):
        with pytest.raises(WrongRunState):
            await command
    assert (await engine.status(run)).seq == seen.seq
    assert (await codes(engine, run))[-1] == "run.succeeded"
