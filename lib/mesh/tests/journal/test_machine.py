"""A state machine: random graphs, failures, deaths, cancels, retries, skips, pauses, signals, in any order, on a clock that
is moved by hand. After each command what was told must agree with what is stored; at the end what stands must be named.

Most of the stories are played on the cheaper database; HYPOTHESIS_PROFILE=long plays many more on both.
"""

import asyncio
import os
from collections.abc import Coroutine
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, ClassVar

from catalyst_mesh import Database
from catalyst_mesh.journal import Context, Engine, Kind, RunView, Step, StepBlocked, StepFailed
from catalyst_sdk import Permanent, RateLimited, Refused, Temporary
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from .bench import SECOND, Bench, World, carry, events, kind_of
from .test_crash import Crash, Death, _is_crash

LONG = os.environ.get("HYPOTHESIS_PROFILE") == "long"
STORIES = {"sqlite": 20, "postgresql": 6}
HAPPENINGS = ["temporary", "lost answer", "rate limit", "blocked", "permanent", "pause", "bug", "poll", "nap", "signal"]


@dataclass
class Plan:
    """What one step will do, call by call, and then succeed."""

    name: str
    needs: tuple[str, ...]
    runs: list[str]
    undos: list[str]
    checked: bool
    flags: dict[str, bool] = field(default_factory=dict)


@st.composite
def plans(draw: st.DrawFn) -> list[Plan]:
    found: list[Plan] = []
    for n in range(draw(st.integers(1, 6))):
        needs = draw(st.sets(st.sampled_from([plan.name for plan in found]), max_size=2)) if found else set()
        flags = {name: draw(st.booleans()) for name in ("optional", "skippable", "compensate_on_cancel")}
        runs = draw(st.lists(st.sampled_from(HAPPENINGS), max_size=3))
        undos = draw(st.lists(st.sampled_from(["temporary", "permanent", "poll"]), max_size=2))
        found.append(Plan(f"s{n}", tuple(sorted(needs)), runs, undos, draw(st.booleans()), flags))
    return found


def step_of(plan: Plan, world: World, entered: list[str]) -> Step:
    async def run(ctx: Context) -> Any:
        entered.append(plan.name)
        if "nap" in plan.runs[:1]:
            await ctx.sleep("nap", 60 * SECOND)
        happening = plan.runs.pop(0) if plan.runs else ""
        if happening == "signal":
            plan.runs.insert(0, "signal")
            await ctx.signal("go")
            plan.runs.pop(0)
        return await happen(ctx, happening, lambda: world.make(plan.name))

    async def check(_ctx: Context) -> dict[str, str] | None:
        return world.found(plan.name)

    async def undo(ctx: Context) -> None:
        await happen(ctx, plan.undos.pop(0) if plan.undos else "", lambda: None)
        world.remove(plan.name)

    return Step(plan.name, run, check if plan.checked else None, undo, plan.needs, **plan.flags)  # type: ignore[arg-type]


async def happen(ctx: Context, what: str, effect: Any) -> Any:
    match what:
        case "temporary":
            raise Temporary("busy", delay=SECOND)
        case "lost answer":
            effect()
            raise Temporary("the answer was lost")
        case "blocked":
            raise StepBlocked(Permanent("QUOTA"), after=5 * SECOND)
        case "rate limit":
            raise RateLimited("slowly", retry_after=5 * SECOND)
        case "permanent":
            raise Permanent("NO")
        case "pause":
            raise StepFailed("WRONG_TOKEN", pause=True)
        case "bug":
            raise ZeroDivisionError
        case "poll":
            await ctx.again(after=2 * SECOND)
    return effect()


TOLD = {
    "step.started": {"running"},
    "step.resumed": {"running"},
    "step.waiting": {"waiting", "undoing"},
    "step.retrying": {"waiting", "undoing", "in_doubt"},
    "step.in_doubt": {"in_doubt"},
    "step.succeeded": {"succeeded"},
    "step.failed": {"failed"},
    "step.retried": {"ready"},
    "step.skipped": {"skipped", "pending", "ready"},  # what a retry makes possible again is not told step by step
    "step.undoing": {"undoing"},
    "step.undone": {"undone"},
    "step.undo_failed": {"undo_failed"},
}


class Journal(RuleBasedStateMachine):
    runner: ClassVar[asyncio.Runner]
    bench: ClassVar[Bench]
    other: ClassVar[Database]
    stories: ClassVar[int] = 0
    deaths: ClassVar[int] = 0

    @initialize(plans=plans(), dies_at=st.sampled_from([1, 2, 3, 5, 8, 13]))
    def begin(self, plans: list[Plan], dies_at: int) -> None:
        Journal.stories += 1
        self.world = World()
        self.entered: list[str] = []
        self.plans = plans
        self.kind: Kind = kind_of(*(step_of(plan, self.world, self.entered) for plan in plans), takeovers=1000)
        self.engine = self.bench.engine(self.kind)
        name = f"story-{Journal.stories}"
        self.run_id = self.do(self.engine.start("build", subject=name, key=name, input={})).id
        self.turn(dies_at)  # the rules are drawn, and a draw may have no death at all; here each story has its own

    def do(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self.runner.run(asyncio.wait_for(work, 60))

    def ask(self, work: Coroutine[Any, Any, RunView]) -> None:
        with suppress(Refused):
            self.do(work)

    @rule(dies_at=st.sampled_from([0, 0, 3, 6, 9, 14, 20]))
    def turn(self, dies_at: int) -> None:
        """Carry on; the replica dies at that point, if it meets so many (0: never)."""
        if not dies_at:
            self.do(self.engine.turn())
            return
        try:
            self.do(self.bench.engine(self.kind, hook=Death(dies_at), db=self.other).turn())
        except BaseException as error:
            if not _is_crash(error):
                raise
            Journal.deaths += 1

    @rule(seconds=st.sampled_from([1, 5, 16, 70]))
    def pass_time(self, seconds: int) -> None:
        self.bench.clock.advance(timedelta(seconds=seconds))

    @rule()
    def signal(self) -> None:
        self.ask(self.engine.signal(self.run_id, "go"))

    @rule(mode=st.sampled_from(["finish_step", "compensate"]))
    def cancel(self, mode: str) -> None:
        self.ask(self.engine.cancel(self.run_id, mode))

    @rule(n=st.integers(0, 5))
    def retry(self, n: int) -> None:
        self.ask(self.engine.retry(self.run_id, f"s{n}"))

    @rule(n=st.integers(0, 5))
    def skip(self, n: int) -> None:
        self.ask(self.engine.skip(self.run_id, f"s{n}", "no need"))

    @rule()
    def pause(self) -> None:
        self.ask(self.engine.pause(self.run_id))

    @rule()
    def resume(self) -> None:
        self.ask(self.engine.resume(self.run_id))

    @invariant()
    def what_was_told_is_what_is_stored(self) -> None:
        if not hasattr(self, "run_id"):
            return
        told = self.do(events(self.engine, self.run_id))
        last = {event.step: event.code for event in told if event.step and event.code in TOLD}
        for step in self.do(self.engine.steps(self.run_id)):
            expected = TOLD[last[step.name]] if step.name in last else {"pending", "ready"}
            assert str(step.state) in expected, f"{step.name} is {step.state}, last told {last.get(step.name)}"

    @invariant()
    def nothing_that_is_checked_is_made_twice(self) -> None:
        if hasattr(self, "run_id"):
            doubled = {name for name, times in self.world.made.items() if times > 1}
            assert not doubled & {plan.name for plan in self.plans if plan.checked}

    @invariant()
    def nothing_starts_before_what_it_needs(self) -> None:
        if not hasattr(self, "run_id"):
            return
        steps = {step.name: step for step in self.do(self.engine.steps(self.run_id))}
        begun = [step for step in steps.values() if step.attempt]
        for step in begun:
            for need in step.needs:
                assert steps[need].state in {"succeeded", "skipped", "undoing", "undone", "undo_failed"}
                assert not steps[need].blocked_by

    @invariant()
    def an_ended_run_is_free(self) -> None:
        if not hasattr(self, "run_id"):
            return
        seen = self.do(self.engine.status(self.run_id))
        if seen.state.ended:
            assert (seen.wake_at, bool(seen.finished_at)) == (None, True)
            if seen.state == "succeeded":
                assert seen.failure is None

    def teardown(self) -> None:
        """Everything comes to an end, and then away: what still stands is named."""
        if not hasattr(self, "run_id"):
            return
        self.bench.pass_lease()
        seen = self.do(self.to_an_end(self.bench.engine(self.kind)))
        assert seen.state.ended
        self.what_was_told_is_what_is_stored()
        if seen.state in {"failed", "cancelled_with_leftovers"}:
            self.do(self.engine.cancel(self.run_id, "compensate"))
            seen = self.do(carry(self.bench, self.engine, self.run_id))
        if seen.state != "succeeded":
            assert seen.state in {"cancelled_clean", "cancelled_with_leftovers"}
            assert self.world.there <= set(seen.leftovers)
            assert (seen.state == "cancelled_clean") == (not seen.leftovers)

    async def to_an_end(self, engine: Engine) -> RunView:
        for _ in range(20):
            seen = await carry(self.bench, engine, self.run_id, signals={"go": 1})
            if seen.state.ended:
                return seen
            if seen.state in {"paused", "stuck"}:
                await engine.resume(self.run_id)
        raise AssertionError(f"no end: {seen}")


def played(stories: int) -> settings:
    return settings(
        max_examples=stories,
        stateful_step_count=30 if LONG else 14,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        print_blob=True,
    )


def test_any_story_ends_and_what_was_told_is_true(database: str) -> None:
    with asyncio.Runner() as runner:
        bench = runner.run(Bench.open(database))
        stories = 400 if LONG else STORIES[bench.db.dialect]
        Journal.runner, Journal.bench, Journal.stories, Journal.deaths = runner, bench, 0, 0
        Journal.other = runner.run(bench.another_database())
        try:
            run_state_machine_as_test(Journal, settings=played(stories))
        finally:
            runner.run(bench.close())
    assert Journal.deaths > 0 or stories < STORIES["sqlite"], "a machine in which nobody dies proves little"


def test_the_machine_knows_how_to_die() -> None:
    assert _is_crash(BaseExceptionGroup("", [Crash("x"), BaseExceptionGroup("", [Crash("y")])]))
    assert not _is_crash(BaseExceptionGroup("", [Crash("x"), ValueError()]))
