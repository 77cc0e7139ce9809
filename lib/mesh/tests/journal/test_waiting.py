"""Waiting: for moments, signals and answers, over restarts, without holding anything."""

import asyncio
from datetime import timedelta

import pytest
from catalyst_mesh.journal import Context, Step, StepFailed, Wait, WrongRunState
from catalyst_sdk import Temporary

from .bench import SECOND, Bench, World, begin, carry, codes, events, kind_of, states

pytestmark = pytest.mark.either_database


def gate(*needs: str, name: str = "gate") -> Step:
    async def run(ctx: Context) -> object:
        answer = await ctx.signal("approve")
        if answer == "no":
            raise StepFailed("REJECTED")
        return answer

    return Step(name, run, needs=needs)


async def test_a_run_that_waits_is_held_by_nobody(bench: Bench, world: World) -> None:
    engine = bench.engine(kind_of(world.step("a"), gate("a"), world.step("b", "gate")))
    run = await begin(engine)
    seen = await carry(bench, engine, run)
    assert (seen.state, seen.wake_at) == ("waiting", None)
    assert await states(engine, run) == {"a": "succeeded", "gate": "waiting", "b": "pending"}
    assert await engine.turn() == 0


async def test_a_signal_is_taken_by_another_engine_after_a_restart(bench: Bench, world: World) -> None:
    kind = kind_of(gate(), world.step("b", "gate"))
    before = bench.engine(kind)
    run = await begin(before)
    await carry(bench, before, run)
    after = bench.engine(kind)
    await after.signal(run, "approve", {"comment": "fine"}, by="users/eve")
    assert (await carry(bench, after, run)).state == "succeeded"
    assert (await after.steps(run))[0].output == {"comment": "fine"}
    assert (await after.steps(run))[0].attempt == 1, "going on is not another try"


async def test_a_signal_may_come_before_anybody_waits(bench: Bench, world: World) -> None:
    engine = bench.engine(kind_of(world.step("a"), gate("a")))
    run = await begin(engine)
    await engine.signal(run, "approve", "early")
    assert (await carry(bench, engine, run)).state == "succeeded"
    assert "step.waiting gate" not in await codes(engine, run)


async def test_a_signal_that_comes_while_the_step_turns_to_wait_is_not_missed(bench: Bench) -> None:
    turning, sent = asyncio.Event(), asyncio.Event()

    async def run_it(ctx: Context) -> object:
        try:
            return await ctx.signal("approve")
        except Wait:
            turning.set()
            await asyncio.wait_for(sent.wait(), 60)
            raise

    kind = kind_of(Step("gate", run_it))
    engine, other = bench.engine(kind), bench.engine(kind, db=await bench.another_database())
    run = await begin(engine)
    carrying = asyncio.create_task(engine.turn())
    await asyncio.wait_for(turning.wait(), 60)
    await other.signal(run, "approve", "just in time")
    sent.set()
    await asyncio.wait_for(carrying, 60)
    assert (await engine.status(run)).state == "succeeded"


async def test_a_signal_of_another_name_wakes_nobody(bench: Bench) -> None:
    engine = bench.engine(kind_of(gate()))
    run = await begin(engine)
    await carry(bench, engine, run)
    await engine.signal(run, "reject")
    assert await engine.turn() == 0
    assert (await engine.status(run)).state == "waiting"


async def test_each_signal_is_taken_by_one_step(bench: Bench) -> None:
    engine = bench.engine(kind_of(gate(name="first"), gate("first", name="second")))
    run = await begin(engine)
    await engine.signal(run, "approve", 1)
    assert (await carry(bench, engine, run)).state == "waiting"
    await engine.signal(run, "approve", 2)
    assert (await carry(bench, engine, run)).state == "succeeded"
    assert [step.output for step in await engine.steps(run)] == [1, 2]


async def test_a_retried_gate_wants_a_new_signal(bench: Bench) -> None:
    engine = bench.engine(kind_of(gate()))
    run = await begin(engine)
    await engine.signal(run, "approve", "no")
    assert (await carry(bench, engine, run)).state == "failed"
    await engine.retry(run, "gate")
    assert (await carry(bench, engine, run)).state == "waiting"
    await engine.signal(run, "approve", "yes")
    assert (await carry(bench, engine, run)).state == "succeeded"


async def test_an_ended_run_takes_no_signal(bench: Bench, world: World) -> None:
    engine = bench.engine(kind_of(world.step("a")))
    run = await begin(engine)
    await carry(bench, engine, run)
    with pytest.raises(WrongRunState, match="is succeeded"):
        await engine.signal(run, "approve")


async def test_a_step_goes_on_at_its_moment_and_not_before(bench: Bench) -> None:
    entered: list[object] = []

    async def run_it(ctx: Context) -> None:
        entered.append(ctx.now())
        await ctx.sleep("cool", timedelta(hours=3))

    kind = kind_of(Step("nap", run_it))
    run = await begin(bench.engine(kind))
    began = bench.clock.now()
    while await bench.engine(kind).turn():
        pass
    bench.clock.advance(timedelta(hours=2, minutes=59))
    assert await bench.engine(kind).turn() == 0
    bench.clock.advance(timedelta(minutes=1))
    engine = bench.engine(kind)
    assert await engine.turn() == 1
    assert (await engine.status(run)).state == "succeeded"
    assert entered == [began, began + timedelta(hours=3)], "the sleep does not begin anew when it is entered again"


async def test_asking_again_makes_one_event_and_counts_no_try(bench: Bench) -> None:
    asked = 0

    async def run_it(ctx: Context) -> int:
        nonlocal asked
        asked += 1
        if asked < 50:
            await ctx.again(after=SECOND)
        return asked

    engine = bench.engine(kind_of(Step("poll", run_it, timeout=timedelta(minutes=5))))
    run = await begin(engine)
    assert (await carry(bench, engine, run)).state == "succeeded"
    (step,) = await engine.steps(run)
    assert (step.output, step.attempt, step.tries) == (50, 1, 0)
    assert (await codes(engine, run)).count("step.waiting poll") == 1
    assert len(await events(engine, run)) == 6


async def test_asking_again_writes_nothing_and_the_moment_of_the_next_question_is_kept_when_the_run_is_let_go(
    bench: Bench,
) -> None:
    asked: list[object] = []
    points: list[str] = []

    async def run_it(ctx: Context) -> None:
        asked.append(ctx.now())
        await ctx.again(after=timedelta() if len(asked) < 50 else timedelta(minutes=1))

    async def other(ctx: Context) -> None:
        if ctx.now() < began + SECOND:
            await ctx.again(after=SECOND)

    engine = bench.engine(kind_of(Step("poll", run_it), Step("other", other)), hook=points.append)
    began = bench.clock.now()
    run = await begin(engine)
    await engine.turn()
    assert len(asked) == 50
    assert points.count("commit.after") < 10
    bench.clock.advance(SECOND)
    await engine.turn()
    assert {step.name: step.state for step in await engine.steps(run)} == {"poll": "waiting", "other": "succeeded"}
    assert len(asked) == 50, "its minute is not over, though the run was at hand"


async def test_an_answer_forgives_the_failures_of_the_questions_before(bench: Bench) -> None:
    asked = 0

    async def run_it(ctx: Context) -> None:
        nonlocal asked
        asked += 1
        if asked % 3:
            raise Temporary("no answer")
        if asked < 30:
            await ctx.again(after=SECOND)

    engine = bench.engine(kind_of(Step("poll", run_it, retries=2)))
    run = await begin(engine)
    assert (await carry(bench, engine, run)).state == "succeeded"
    assert asked == 30


async def test_asking_again_ends_with_the_timeout_after_a_last_question(bench: Bench) -> None:
    asked: list[object] = []

    async def run_it(ctx: Context) -> None:
        asked.append(ctx.now())
        await ctx.again(after=timedelta(seconds=40))

    engine = bench.engine(kind_of(Step("poll", run_it, timeout=timedelta(seconds=60))))
    run = await begin(engine)
    began = bench.clock.now()
    seen = await carry(bench, engine, run)
    assert (seen.state, seen.failure["reason"]) == ("failed", "TIMED_OUT")
    assert asked == [began + timedelta(seconds=s) for s in (0, 40, 60)]


async def test_a_gate_fails_when_its_time_is_over(bench: Bench) -> None:
    async def run_it(ctx: Context) -> None:
        await ctx.signal("approve")

    engine = bench.engine(kind_of(Step("gate", run_it, timeout=timedelta(hours=1))))
    run = await begin(engine)
    began = bench.clock.now()
    seen = await carry(bench, engine, run)
    assert (seen.state, seen.failure["reason"]) == ("failed", "TIMED_OUT")
    assert bench.clock.now() - began == timedelta(hours=1)


async def test_a_pause_stops_the_clock_of_a_step(bench: Bench) -> None:
    async def run_it(ctx: Context) -> None:
        await ctx.signal("approve")

    engine = bench.engine(kind_of(Step("gate", run_it, timeout=timedelta(hours=1))))
    run = await begin(engine)
    while await engine.turn():
        pass
    await engine.pause(run)
    bench.clock.advance(timedelta(days=2))
    assert await engine.turn() == 0
    await engine.resume(run)
    await engine.turn()
    assert (await states(engine, run)) == {"gate": "waiting"}, "its hour is not over"
    await engine.signal(run, "approve")
    assert (await carry(bench, engine, run)).state == "succeeded"
