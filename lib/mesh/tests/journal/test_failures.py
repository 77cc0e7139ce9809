"""What a step may raise, and what follows from it."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest
from catalyst_mesh.journal import Backoff, Context, Step, StepBlocked, StepFailed
from catalyst_sdk import Code, NotSupported, Permanent, RateLimited, Refused, Secret, Temporary

from .bench import SECOND, Bench, World, begin, carry, codes, events, kind_of

pytestmark = pytest.mark.either_database


def failing(*errors: Exception, **rest: object) -> tuple[Step, list[int]]:
    """A step that raises `errors` one after another and then succeeds; and at which attempts it was called."""
    called: list[int] = []

    async def run(ctx: Context) -> str:
        called.append(ctx.attempt)
        if len(called) <= len(errors):
            raise errors[len(called) - 1]
        return "done"

    return Step("a", run, **rest), called  # type: ignore[arg-type]


class Gone(Refused):
    reason, message = "GONE", "it is gone"


class Away(Refused):
    code, reason, message = Code.UNAVAILABLE, "AWAY", "{peer} is away"


async def test_a_temporary_failure_is_tried_again_after_its_delay(bench: Bench) -> None:
    step, called = failing(Temporary("busy", delay=timedelta(seconds=90)))
    engine = bench.engine(kind_of(step))
    run = await begin(engine)
    began = bench.clock.now()
    assert (await carry(bench, engine, run)).state == "succeeded"
    assert called == [1, 2]
    assert bench.clock.now() - began == timedelta(seconds=90)
    assert (await codes(engine, run)).count("step.retrying a") == 1


async def test_temporary_failures_end_with_the_last_retry(bench: Bench) -> None:
    step, called = failing(*[Temporary("busy")] * 9, retries=4)
    engine = bench.engine(kind_of(step))
    seen = await carry(bench, engine, await begin(engine))
    assert (seen.state, seen.failure["class"], len(called)) == ("failed", "temporary", 5)


async def test_rests_grow_to_their_most_and_are_jittered(bench: Bench) -> None:
    backoff = Backoff(first=SECOND, most=timedelta(seconds=8))
    step, _ = failing(*[Temporary("busy")] * 9, retries=9, backoff=backoff)
    engine = bench.engine(kind_of(step))
    run = await begin(engine)
    await carry(bench, engine, run)
    rests = [event.data["delay_seconds"] for event in await events(engine, run) if event.code == "step.retrying"]
    assert all(rest <= ceiling for rest, ceiling in zip(rests, (1, 2, 4, 8, 8, 8, 8, 8, 8), strict=True))
    assert len(set(rests)) == 9


async def test_rate_limits_cost_no_try(bench: Bench) -> None:
    step, called = failing(*[RateLimited("slow down", retry_after=timedelta(seconds=30))] * 40, retries=0)
    engine = bench.engine(kind_of(step))
    run = await begin(engine)
    began = bench.clock.now()
    assert (await carry(bench, engine, run)).state == "succeeded"
    assert len(called) == 41
    assert bench.clock.now() - began == timedelta(seconds=30) * 40


async def test_rate_limits_end_with_the_timeout(bench: Bench) -> None:
    storm = [RateLimited("slow down", retry_after=timedelta(seconds=30))] * 40
    step, called = failing(*storm, timeout=timedelta(seconds=100))
    engine = bench.engine(kind_of(step))
    seen = await carry(bench, engine, await begin(engine))
    assert (seen.failure["reason"], seen.failure["last"]["reason"]) == ("TIMED_OUT", "RATE_LIMITED")
    assert len(called) == 4


async def test_a_question_that_is_blocked_from_outside_waits_for_that_and_a_retry_asks_it_at_once(bench: Bench) -> None:
    asked: list[int] = []

    async def ask(ctx: Context) -> str:
        asked.append(ctx.attempt)
        if len(asked) == 1:
            await ctx.again(SECOND)
        if len(asked) == 2:
            raise StepBlocked(Permanent("QUOTA"), after=timedelta(hours=9))
        return "done"

    engine = bench.engine(kind_of(Step("a", ask)))
    run = await begin(engine)
    await engine.turn()
    bench.clock.advance(SECOND)
    await engine.turn()
    assert [(s.state, s.waits) for s in await engine.steps(run)] == [("waiting", "retry")]
    await engine.retry(run, "a", by="ada")
    assert (await carry(bench, engine, run)).state == "succeeded"
    assert asked == [1, 1, 2]


async def test_what_is_blocked_from_outside_is_looked_at_again_and_none_of_it_is_the_steps_time(bench: Bench) -> None:
    blocked = [StepBlocked(Permanent("QUOTA"), after=timedelta(seconds=60))] * 40
    step, called = failing(*blocked, timeout=timedelta(seconds=100), retries=0)
    engine = bench.engine(kind_of(step))
    run = await begin(engine)
    assert (await carry(bench, engine, run)).state == "succeeded"
    assert len(called) == 41
    assert [e.data["reason"] for e in await events(engine, run) if e.code == "step.retrying"] == ["QUOTA"] * 40


async def test_a_step_that_rests_before_its_next_try_can_be_hurried(bench: Bench) -> None:
    step, called = failing(StepBlocked(Permanent("QUOTA"), after=timedelta(hours=9)))
    engine = bench.engine(kind_of(step))
    run = await begin(engine)
    began = bench.clock.now()
    await engine.turn()
    waiting = await engine.status(run)
    assert (waiting.state, (await engine.steps(run))[0].failure["reason"]) == ("waiting", "QUOTA")
    await engine.retry(run, "a", by="ada")
    assert (await carry(bench, engine, run)).state == "succeeded"
    assert (called, bench.clock.now() - began) == ([1, 2], timedelta())
    assert "step.hurried a" in await codes(engine, run)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (Permanent("AUTH_REJECTED"), "AUTH_REJECTED"),
        (NotSupported("private_lb"), "NOT_SUPPORTED"),
        (Gone(), "GONE"),
        (StepFailed("PLAN_DIVERGED", "other changes"), "PLAN_DIVERGED"),
    ],
)
async def test_what_will_not_work_fails_at_once(bench: Bench, error: Exception, reason: str) -> None:
    step, called = failing(error)
    engine = bench.engine(kind_of(step))
    seen = await carry(bench, engine, await begin(engine))
    assert (seen.state, seen.failure["reason"], called) == ("failed", reason, [1])


async def test_a_refusal_that_passes_is_tried_again(bench: Bench) -> None:
    step, called = failing(Away(peer="billing"))
    engine = bench.engine(kind_of(step))
    assert (await carry(bench, engine, await begin(engine))).state == "succeeded"
    assert called == [1, 2]


async def test_an_unknown_error_fails_after_three_tries_and_its_text_stays_inside(bench: Bench) -> None:
    step, called = failing(*[RuntimeError("https://user:hunter2@example.com")] * 9)
    engine = bench.engine(kind_of(step))
    run = await begin(engine)
    seen = await carry(bench, engine, run)
    assert (seen.failure["reason"], len(called)) == ("UNKNOWN", 3)
    assert seen.failure["message"].startswith("RuntimeError at test_failures.py:")
    assert "hunter2" not in repr(await events(engine, run))


async def test_a_failure_that_wants_a_person_pauses_the_run_until_the_retry(bench: Bench, world: World) -> None:
    step, called = failing(StepFailed("WRONG_TOKEN", pause=True))
    engine = bench.engine(kind_of(step, world.step("b", "a"), world.step("sibling")))
    run = await begin(engine)
    seen = await carry(bench, engine, run)
    assert (seen.state, "WRONG_TOKEN" in seen.paused_because) == ("paused", True)
    assert await engine.turn() == 0
    await engine.retry(run, "a", by="ada")
    assert (await carry(bench, engine, run)).state == "succeeded"
    assert called == [1, 2]


async def test_a_repetition_looks_first_whether_it_happened(bench: Bench, world: World) -> None:
    async def run(_ctx: Context) -> None:
        world.make("a")
        raise Temporary("the answer was lost")

    engine = bench.engine(kind_of(world.step("a", run=run)))
    run_id = await begin(engine)
    assert (await carry(bench, engine, run_id)).state == "succeeded"
    assert world.made["a"] == 1
    assert (await engine.steps(run_id))[0].output == {"made": "a"}, "the evidence is the output"


def hanging(world: World, *, happens: bool) -> Callable[[Context], Awaitable[None]]:
    async def run(_ctx: Context) -> None:
        if happens:
            world.make("a")
        await asyncio.Event().wait()

    return run


@pytest.mark.parametrize(("happens", "state"), [(True, "succeeded"), (False, "failed")])
async def test_a_step_beyond_its_time_is_in_doubt_and_its_check_decides(
    bench: Bench, world: World, happens: bool, state: str
) -> None:
    step = world.step("a", run=hanging(world, happens=happens), timeout=timedelta(milliseconds=50))
    engine = bench.engine(kind_of(step))
    run = await begin(engine)
    assert (await carry(bench, engine, run)).state == state
    assert "step.in_doubt a" in await codes(engine, run)


async def test_a_call_beyond_its_time_is_asked_to_stop_and_awaited(bench: Bench) -> None:
    stopped: list[str] = []

    async def run(_ctx: Context) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            stopped.append("in order")

    engine = bench.engine(kind_of(Step("a", run, timeout=timedelta(milliseconds=50))))
    assert (await carry(bench, engine, await begin(engine))).failure["reason"] == "TIMED_OUT"
    assert stopped == ["in order"]


@pytest.mark.parametrize("output", [Secret("hunter2"), object(), float("nan")], ids=["secret", "object", "nan"])
async def test_an_output_that_is_no_json_fails_the_step(bench: Bench, output: object) -> None:
    async def run(_ctx: Context) -> object:
        return {"token": output}

    engine = bench.engine(kind_of(Step("a", run)))
    run_id = await begin(engine)
    seen = await carry(bench, engine, run_id)
    assert seen.failure["reason"] == "OUTPUT_NOT_JSON"
    assert "hunter2" not in repr(await events(engine, run_id))
