"""How a run lives when nobody dies: the graph is stored, steps go by their needs, failures block only what needs them."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from catalyst_mesh.journal import (
    Context,
    GraphFault,
    KeyReused,
    KindUnknown,
    Limits,
    RunInProgress,
    RunNotFound,
    Step,
    StepFailed,
)
from catalyst_sdk import Permanent
from sqlalchemy import text

from .bench import SECOND, Bench, World, begin, carry, codes, holds, kind_of, reaches, states, working

pytestmark = pytest.mark.either_database


async def test_the_whole_graph_is_stored_before_anything_starts(bench: Bench, world: World) -> None:
    engine = bench.engine(kind_of(world.step("b", "a"), world.step("a", phase="prepare"), world.step("c", "a")))
    run = await begin(engine)
    graph = await engine.graph(run)
    assert [step.name for step in graph.steps] == ["a", "b", "c"], "in order of needs"
    assert set(graph.edges) == {("a", "b"), ("a", "c")}
    assert graph.steps[0].phase == "prepare"
    assert not graph.difference
    assert set((await states(engine, run)).values()) == {"pending"}
    assert not world.made


async def test_a_run_succeeds_with_each_step_done_once_in_order_of_needs(bench: Bench, world: World) -> None:
    engine = bench.engine(kind_of(world.step("a"), world.step("b", "a"), world.step("c", "b")))
    run = await begin(engine)
    seen = await carry(bench, engine, run)
    assert seen.state == "succeeded"
    assert world.made == {"a": 1, "b": 1, "c": 1}
    assert await codes(engine, run) == [
        "run.created", "run.started", "step.started a", "step.succeeded a", "step.started b", "step.succeeded b",
        "step.started c", "step.succeeded c", "run.succeeded",
    ]  # fmt: skip


async def test_a_transition_is_one_statement_on_postgresql_and_one_a_table_on_sqlite(
    bench: Bench, world: World
) -> None:
    points: list[str] = []
    engine = bench.engine(kind_of(world.step("a"), *(world.step(f"b{n}", "a") for n in range(9))), hook=points.append)
    assert (await carry(bench, engine, await begin(engine))).state == "succeeded"
    after = points[points.index("run:a.after") + 1 :]
    sent = ["fence"] if bench.db.dialect == "postgresql" else ["fence", "steps", "events"]
    expected = [f"{statement}.{when}" for statement in sent for when in ("before", "after")]
    assert after[: after.index("commit.before")] == expected, "one step has succeeded, nine others are ready"


async def test_siblings_run_at_the_same_time(bench: Bench) -> None:
    together = asyncio.Barrier(3)

    async def meet(_ctx: Context) -> None:
        await asyncio.wait_for(together.wait(), 60)

    engine = bench.engine(kind_of(*(Step(name, meet) for name in "abc")))
    assert (await carry(bench, engine, await begin(engine))).state == "succeeded"


async def test_a_failed_step_blocks_only_what_needs_it(bench: Bench, world: World) -> None:
    async def refuse(_ctx: Context) -> None:
        raise Permanent("QUOTA", "no more servers", provider="acme", user_action="ask for more")

    steps = (world.step("a"), Step("b", refuse, needs=("a",)), world.step("c", "b"), world.step("d", "c"))
    engine = bench.engine(kind_of(*steps, world.step("sibling", "a"), world.step("after", "sibling")))
    run = await begin(engine)
    seen = await carry(bench, engine, run)
    assert seen.state == "failed"
    assert seen.failure["step"] == "b"
    assert (seen.failure["reason"], seen.failure["user_action"]) == ("QUOTA", "ask for more")
    assert await states(engine, run) == {
        "a": "succeeded", "b": "failed", "c": "skipped", "d": "skipped", "sibling": "succeeded", "after": "succeeded",
    }  # fmt: skip
    assert {step.name: step.blocked_by for step in await engine.steps(run) if step.blocked_by} == {"c": "b", "d": "b"}


async def test_an_optional_failure_degrades_and_does_not_fail(bench: Bench, world: World) -> None:
    async def fail(_ctx: Context) -> None:
        raise StepFailed("NO_LUCK")

    extra = Step("extra", fail, optional=True)
    engine = bench.engine(kind_of(world.step("a"), extra, world.step("more", "extra", optional=True)))
    seen = await carry(bench, engine, await begin(engine))
    assert seen.state == "succeeded"
    assert seen.degraded == ("extra", "more")


async def test_a_required_step_behind_an_optional_failure_fails_the_run(bench: Bench, world: World) -> None:
    async def fail(_ctx: Context) -> None:
        raise StepFailed("NO_LUCK")

    engine = bench.engine(kind_of(Step("extra", fail, optional=True), world.step("must", "extra")))
    seen = await carry(bench, engine, await begin(engine))
    assert (seen.state, seen.failure["reason"], seen.failure["step"]) == ("failed", "STEP_BLOCKED", "must")


async def test_a_step_reads_input_and_the_outputs_of_what_it_needs(bench: Bench, world: World) -> None:
    seen: dict[str, object] = {}

    async def run(ctx: Context) -> None:
        seen.update(input=ctx.input, a=ctx.output_of("a"), by=ctx.started_by, subject=ctx.subject, attempt=ctx.attempt)
        with pytest.raises(LookupError, match="does not need stranger"):
            ctx.output_of("stranger")

    engine = bench.engine(
        kind_of(world.step("a"), world.step("b", "a"), world.step("stranger"), Step("c", run, needs=("b",)))
    )
    assert (await carry(bench, engine, await begin(engine))).state == "succeeded"
    assert seen == {
        "input": {"size": 3}, "a": {"made": "a"}, "by": "users/ada", "subject": "sovereigns/acme", "attempt": 1,
    }  # fmt: skip


async def test_a_start_with_the_same_key_finds_the_first_run(bench: Bench, world: World) -> None:
    engine = bench.engine(kind_of(world.step("a")))
    first = await begin(engine)
    assert await begin(engine) == first
    await carry(bench, engine, first)
    assert await begin(engine) == first, "also after its end"
    with pytest.raises(KeyReused):
        await begin(engine, subject="sovereigns/other")


async def test_of_many_equal_starts_at_once_there_is_one_run(bench: Bench, world: World) -> None:
    engine = bench.engine(kind_of(world.step("a")))
    assert len(set(await asyncio.gather(*(begin(engine) for _ in range(20))))) == 1


async def test_a_subject_has_one_run_at_a_time(bench: Bench, world: World) -> None:
    engine = bench.engine(kind_of(world.step("a")), kind_of(world.step("z"), name="destroy"))
    first = await begin(engine)
    with pytest.raises(RunInProgress) as refusal:
        await begin(engine, kind="destroy", key="other")
    assert refusal.value.run == first
    assert (refusal.value.code.name, refusal.value.metadata["run"]) == ("ALREADY_EXISTS", first)
    await begin(engine, subject="sovereigns/other", key="other")
    await carry(bench, engine, first)
    assert await begin(engine, kind="destroy", key="third") != first


async def test_a_run_exists_only_with_the_commit_of_its_caller(bench: Bench, world: World) -> None:
    engine = bench.engine(kind_of(world.step("a")))
    wish: dict[str, Any] = {"subject": "s", "key": "k", "input": {}}
    with pytest.raises(RuntimeError, match="changed my mind"):
        async with bench.db.begin() as sql:
            lost = await engine.start_in(sql, "build", **wish)
            raise RuntimeError("changed my mind")
    with pytest.raises(RunNotFound):
        await engine.status(lost.id)
    async with bench.db.begin() as sql:
        kept = await engine.start_in(sql, "build", **wish)
    assert (await engine.status(kept.id)).state == "pending"


async def test_a_graph_that_cannot_be_is_refused_before_anything_is_stored(bench: Bench, world: World) -> None:
    circle = kind_of(world.step("a", "b"), world.step("b", "a"))
    double = kind_of(world.step("a"), world.step("a"), name="double")
    hole = kind_of(world.step("a", "nothing"), name="hole")
    engine = bench.engine(circle, double, hole)
    for kind, why in (("build", "circle"), ("double", "two steps"), ("hole", "nothing")):
        with pytest.raises(GraphFault, match=why):
            await begin(engine, kind=kind)
    with pytest.raises(KindUnknown):
        await begin(engine, kind="unheard")
    assert not (await engine.list()).runs


async def test_an_empty_graph_succeeds(bench: Bench) -> None:
    engine = bench.engine(kind_of())
    assert (await carry(bench, engine, await begin(engine))).state == "succeeded"


async def test_callbacks_write_in_the_transaction_of_the_transition(bench: Bench, world: World) -> None:
    told: list[str] = []
    ends: list[tuple[str, int]] = []

    async def transition(sql, run, event) -> None:  # type: ignore[no-untyped-def]
        assert sql.in_transaction()
        assert run.seq >= event.seq
        told.append(f"{event.code} {event.step}".strip())

    async def settled(_sql, run) -> None:  # type: ignore[no-untyped-def]
        ends.append((str(run.state), run.progress.succeeded))

    engine = bench.engine(kind_of(world.step("a"), transition=transition, settled=settled))
    run = await begin(engine)
    await carry(bench, engine, run)
    assert told == await codes(engine, run)
    assert ends == [("succeeded", 1)]


async def test_a_callback_that_breaks_takes_the_transition_back_and_the_run_gets_stuck(
    bench: Bench, world: World
) -> None:
    async def transition(_sql, _run, event) -> None:  # type: ignore[no-untyped-def]
        if event.code == "step.succeeded":
            raise RuntimeError("a bug of the daemon")

    broken = kind_of(world.step("a"), transition=transition, takeovers=2)
    engine = bench.engine(broken, kind_of(world.step("z"), name="other"))
    run = await begin(engine)
    other = await begin(engine, kind="other", subject="sovereigns/other")
    assert (await carry(bench, engine, run)).state == "stuck"
    assert world.made["a"] == 1, "found by its check, not made again"
    assert "step.succeeded a" not in await codes(engine, run)
    assert (await engine.status(other)).state == "succeeded", "one broken run blocks no other"


@pytest.mark.parametrize(
    ("limits", "options"),
    [(Limits(steps_per_run=3), {}), (Limits(steps=3), {}), (Limits(), {"concurrency": 3})],
    ids=["in a run", "of a kind", "on a replica"],
)
async def test_steps_under_way_are_limited(bench: Bench, limits: Limits, options: dict[str, Any]) -> None:
    now, most, three = 0, 0, asyncio.Event()

    async def count(_ctx: Context) -> None:
        nonlocal now, most
        now += 1
        most = max(most, now)
        if now == 3:
            three.set()
        await asyncio.wait_for(three.wait(), 60)
        now -= 1

    engine = bench.engine(kind_of(*(Step(f"s{n}", count) for n in range(9)), limits=limits), **options)
    assert (await carry(bench, engine, await begin(engine))).state == "succeeded"
    assert most == 3


@pytest.mark.parametrize(
    ("limits", "options"), [(Limits(runs=2), {}), (Limits(), {"runs": 2})], ids=["of a kind", "on a replica"]
)
async def test_runs_at_hand_are_limited_and_the_rest_is_left_to_other_replicas(
    bench: Bench, limits: Limits, options: dict[str, Any]
) -> None:
    now, most, go_on = 0, 0, asyncio.Event()

    async def count(_ctx: Context) -> None:
        nonlocal now, most
        now += 1
        most = max(most, now)
        await asyncio.wait_for(go_on.wait(), 60)
        now -= 1

    kind = kind_of(Step("a", count), limits=limits)
    here, there = (bench.engine(kind, poll=0.02, **options) for _ in range(2))
    runs = [await begin(here, subject=f"s/{n}", key=str(n)) for n in range(5)]
    async with working(here):
        await holds(lambda: _is(lambda: now == 2))
        async with working(there):
            await holds(lambda: _is(lambda: now == 4))
            go_on.set()
            for run in runs:
                await reaches(here, run, "succeeded")
    assert most == 4


async def _is(check: Callable[[], bool]) -> bool:
    return check()


async def test_a_kind_at_its_limit_holds_up_no_other_kind(bench: Bench, world: World) -> None:
    let_end = asyncio.Event()

    async def slow(_ctx: Context) -> None:
        await asyncio.wait_for(let_end.wait(), 60)

    slowly = kind_of(Step("a", slow), name="slow", limits=Limits(runs=1))
    engine = bench.engine(slowly, kind_of(world.step("z")), poll=0.02)
    waiting = [await begin(engine, kind="slow", subject=f"slow/{n}", key=f"slow-{n}") for n in range(2)]
    run = await begin(engine)
    async with working(engine):
        await reaches(engine, run, "succeeded")
        assert sorted([str((await engine.status(w)).state) for w in waiting]) == ["pending", "running"]
        let_end.set()
        for one in waiting:
            await reaches(engine, one, "succeeded")


async def test_a_run_that_another_replica_is_just_claiming_is_passed_over_without_waiting(
    remote: Bench, world: World
) -> None:
    engine = remote.engine(kind_of(world.step("a")))
    first = await begin(engine, subject="s/1", key="1")
    remote.clock.advance(SECOND)
    second = await begin(engine, subject="s/2", key="2")
    async with remote.db.begin() as sql:  # as a claim does, before its commit
        await sql.execute(text("SELECT id FROM journal_run WHERE id = :id FOR UPDATE"), {"id": first})
        assert await asyncio.wait_for(engine.turn(), 60) == 1
        assert [str((await engine.status(run)).state) for run in (first, second)] == ["pending", "succeeded"]
    assert await engine.turn() == 1


async def test_the_longest_due_run_is_taken_first(bench: Bench) -> None:
    order: list[str] = []

    async def note(ctx: Context) -> None:
        order.append(ctx.subject)

    engine = bench.engine(kind_of(Step("a", note)), runs=1)
    for n in (1, 2, 3):
        await begin(engine, subject=f"s/{n}", key=str(n))
        bench.clock.advance(SECOND)
    while await engine.turn():
        pass
    assert order == ["s/1", "s/2", "s/3"]


async def test_another_version_of_the_code_pauses_before_steps_that_it_does_not_know(
    bench: Bench, world: World
) -> None:
    async def wait(ctx: Context) -> None:
        await ctx.signal("go")

    gate = Step("gate", wait)
    before = bench.engine(kind_of(world.step("a"), gate, world.step("old", "gate")))
    run = await begin(before)
    await carry(bench, before, run)
    after = bench.engine(kind_of(world.step("a"), gate, world.step("new", "gate")))
    difference = (await after.graph(run)).difference
    assert (difference.missing, difference.added) == (("old",), ("new",))
    await after.signal(run, "go")
    seen = await carry(bench, after, run)
    assert (seen.state, "old" in seen.paused_because) == ("paused", True)
    assert "new" not in await states(after, run)
    assert "run.graph_changed" in await codes(after, run)
    again = bench.engine(kind_of(world.step("a"), gate, world.step("old", "gate")))
    await again.resume(run)
    assert (await carry(bench, again, run)).state == "succeeded"
