"""Cancelling and undoing: nothing is cut, the order is reversed, what is left is named."""

import asyncio
from contextlib import suppress
from datetime import timedelta

import pytest
from catalyst_mesh.journal import Context, Step, StepFailed, WrongRunState
from catalyst_sdk import Permanent, Temporary

from .bench import SECOND, Bench, World, begin, carry, codes, holds, kind_of, reaches, states, working
from .test_waiting import gate

pytestmark = pytest.mark.either_database


def chain(world: World) -> tuple[Step, ...]:
    """network <- servers <- (dns, gate <- kit); volumes stand beside."""
    return (
        world.step("network"),
        world.step("servers", "network"),
        world.step("volumes"),
        world.step("dns", "servers"),
        gate("servers"),
        world.step("kit", "gate"),
    )


async def test_compensation_undoes_everything_in_reverse_order(bench: Bench, world: World) -> None:
    engine = bench.engine(kind_of(*chain(world)))
    run = await begin(engine)
    await carry(bench, engine, run)
    await engine.cancel(run, "compensate", by="users/ada")
    seen = await carry(bench, engine, run)
    assert (seen.state, seen.leftovers) == ("cancelled_clean", ())
    assert not world.there
    assert world.removed.index("dns") < world.removed.index("servers") < world.removed.index("network")
    assert await states(engine, run) == {
        "network": "undone", "servers": "undone", "volumes": "undone", "dns": "undone", "gate": "skipped", "kit": "skipped",
    }  # fmt: skip
    assert (await codes(engine, run))[-1] == "run.cancelled"


async def test_a_cancel_of_a_wait_is_immediate_and_names_what_stands(bench: Bench, world: World) -> None:
    engine = bench.engine(kind_of(*chain(world)))
    run = await begin(engine)
    await carry(bench, engine, run)
    seen = await engine.cancel(run)
    assert (seen.state, seen.leftovers) == ("cancelled_with_leftovers", ("network", "servers", "volumes", "dns"))
    assert not world.removed


async def test_a_run_that_has_not_begun_is_cancelled_clean_at_once(bench: Bench, world: World) -> None:
    engine = bench.engine(kind_of(*chain(world)))
    run = await begin(engine)
    assert (await engine.cancel(run, "compensate")).state == "cancelled_clean"
    assert await engine.turn() == 0
    assert await begin(engine, key="next") != run, "the subject is free"


async def test_leftovers_may_be_undone_later(bench: Bench, world: World) -> None:
    engine = bench.engine(kind_of(*chain(world)))
    run = await begin(engine)
    await carry(bench, engine, run)
    await engine.cancel(run)
    await engine.cancel(run, "compensate")
    assert (await carry(bench, engine, run)).state == "cancelled_clean"
    assert not world.there


async def test_a_failed_run_may_be_undone(bench: Bench, world: World) -> None:
    async def half(_ctx: Context) -> None:
        world.make("b")
        raise Permanent("BROKE_HALFWAY")

    engine = bench.engine(kind_of(world.step("a"), world.step("b", "a", run=half)))
    run = await begin(engine)
    assert (await carry(bench, engine, run)).state == "failed"
    await engine.cancel(run, "compensate")
    seen = await carry(bench, engine, run)
    assert (seen.state, seen.failure["reason"]) == ("cancelled_clean", "BROKE_HALFWAY")
    assert world.removed == ["b", "a"], "what a failed step has left half done as well"


async def test_only_marked_steps_are_undone_when_the_rest_is_left(bench: Bench, world: World) -> None:
    engine = bench.engine(kind_of(world.step("name", compensate_on_cancel=True), world.step("b"), gate("name", "b")))
    run = await begin(engine)
    await carry(bench, engine, run)
    await engine.cancel(run)
    seen = await carry(bench, engine, run)
    assert (seen.state, seen.leftovers, world.removed) == ("cancelled_with_leftovers", ("b",), ["name"])


async def test_what_could_not_be_undone_is_named_and_so_is_what_it_stands_on(bench: Bench, world: World) -> None:
    willing = False

    async def refuse(_ctx: Context) -> None:
        if not willing:
            raise Permanent("PROTECTED", "delete protection is on")
        world.remove("b")

    engine = bench.engine(kind_of(world.step("a"), world.step("b", "a", undo=refuse), world.step("c"), gate("b", "c")))
    run = await begin(engine)
    await carry(bench, engine, run)
    await engine.cancel(run, "compensate")
    seen = await carry(bench, engine, run)
    assert (seen.state, seen.leftovers) == ("cancelled_with_leftovers", ("a", "b"))
    assert world.there == {"a", "b"}, "nothing is pulled from under what still stands"
    assert (await states(engine, run))["b"] == "undo_failed"
    willing = True
    await engine.cancel(run, "compensate")
    assert (await carry(bench, engine, run)).state == "cancelled_clean"
    assert not world.there


async def test_undoing_is_tried_again_and_may_wait(bench: Bench, world: World) -> None:
    called = 0

    async def slowly(ctx: Context) -> None:
        nonlocal called
        called += 1
        if called == 1:
            raise Temporary("busy", delay=SECOND)
        if called < 6:
            await ctx.again(after=timedelta(minutes=1))
        world.remove("a")

    engine = bench.engine(kind_of(world.step("a", undo=slowly), gate("a")))
    run = await begin(engine)
    await carry(bench, engine, run)
    await engine.cancel(run, "compensate")
    assert (await carry(bench, engine, run)).state == "cancelled_clean"
    assert called == 6


async def test_undo_knows_the_output_of_its_step(bench: Bench, world: World) -> None:
    seen: list[object] = []

    async def undo(ctx: Context) -> None:
        seen.append(ctx.output)

    engine = bench.engine(kind_of(world.step("a", undo=undo), gate("a")))
    run = await begin(engine)
    await carry(bench, engine, run)
    await engine.cancel(run, "compensate")
    await carry(bench, engine, run)
    assert seen == [{"made": "a"}]


async def test_code_that_cannot_undo_any_more_leaves_the_step_by_name(bench: Bench, world: World) -> None:
    before = bench.engine(kind_of(world.step("a"), gate("a")))
    run = await begin(before)
    await carry(bench, before, run)
    after = bench.engine(kind_of(gate()))
    await after.cancel(run, "compensate")
    seen = await carry(bench, after, run)
    assert (seen.state, seen.leftovers) == ("cancelled_with_leftovers", ("a",))


async def test_a_call_under_way_is_awaited_and_then_undone(bench: Bench, world: World) -> None:
    entered, let_end = asyncio.Event(), asyncio.Event()

    async def slow(ctx: Context) -> dict[str, str]:
        entered.set()
        await let_end.wait()

        async def told() -> bool:
            return ctx.cancelled

        await holds(told)
        return world.make("a")

    engine = bench.engine(kind_of(world.step("a", run=slow), world.step("b", "a")), poll=0.02)
    run = await begin(engine)
    async with working(engine):
        await asyncio.wait_for(entered.wait(), 60)
        assert (await engine.cancel(run, "compensate")).state == "cancelling"
        let_end.set()
        await reaches(engine, run, "cancelled_clean")
    assert (world.made["a"], world.made["b"], world.there) == (1, 0, set())


async def test_nothing_is_undone_while_a_question_is_being_asked(bench: Bench, world: World) -> None:
    asked, undoing = 0, asyncio.Event()
    early: list[bool] = []

    async def poll(ctx: Context) -> None:
        async def told() -> bool:
            return ctx.cancelled

        nonlocal asked
        asked += 1
        if asked > 1:
            await holds(told)
            with suppress(TimeoutError):
                await asyncio.wait_for(undoing.wait(), 0.2)
            early.append(undoing.is_set())
        await ctx.again(after=timedelta())

    async def undo(_ctx: Context) -> None:
        undoing.set()
        world.remove("network")

    engine = bench.engine(kind_of(world.step("network", undo=undo), Step("ready", poll, needs=("network",))), poll=0.02)
    run = await begin(engine)

    async def asking_again() -> bool:
        return asked > 1

    async with working(engine):
        await holds(asking_again)
        await engine.cancel(run, "compensate")
        await reaches(engine, run, "cancelled_clean")
    assert early == [False]


async def test_a_question_that_is_being_asked_is_not_cut(bench: Bench) -> None:
    asked = 0
    ended: list[str] = []

    async def poll(ctx: Context) -> None:
        async def told() -> bool:
            return ctx.cancelled

        nonlocal asked
        asked += 1
        if asked > 1:
            await holds(told)
            ended.append("in order")
        await ctx.again(after=timedelta())

    engine = bench.engine(kind_of(Step("ready", poll)), poll=0.02)
    run = await begin(engine)

    async def asking_again() -> bool:
        return asked > 1

    async with working(engine):
        await holds(asking_again)
        assert (await engine.cancel(run)).state == "cancelling"
        await reaches(engine, run, "cancelled_clean")
    assert ended == ["in order"]


async def test_a_stronger_cancel_may_follow_and_a_second_one_changes_nothing(bench: Bench, world: World) -> None:
    async def stubborn(ctx: Context) -> None:
        await ctx.again(after=timedelta(minutes=1))

    engine = bench.engine(
        kind_of(world.step("a", compensate_on_cancel=True, undo=stubborn), world.step("b"), gate("a", "b"))
    )
    run = await begin(engine)
    await carry(bench, engine, run)
    first = await engine.cancel(run)
    assert (first.state, (await engine.cancel(run)).seq) == ("cancelling", first.seq)
    assert (await engine.cancel(run, "compensate")).cancel_mode == "compensate"
    assert (await engine.cancel(run)).cancel_mode == "compensate", "a weaker one changes nothing"
    while await engine.turn():
        pass
    assert world.removed == ["b"]


async def test_a_succeeded_run_cannot_be_cancelled(bench: Bench, world: World) -> None:
    engine = bench.engine(kind_of(world.step("a")))
    run = await begin(engine)
    await carry(bench, engine, run)
    with pytest.raises(WrongRunState, match="is succeeded; a cancel"):
        await engine.cancel(run)


async def test_a_cancelled_run_does_not_try_again(bench: Bench, world: World) -> None:
    entered, let_end = asyncio.Event(), asyncio.Event()

    async def slow(_ctx: Context) -> None:
        entered.set()
        await let_end.wait()
        raise Temporary("busy")

    engine = bench.engine(kind_of(Step("a", slow)), poll=0.02)
    run = await begin(engine)
    async with working(engine):
        await asyncio.wait_for(entered.wait(), 60)
        await engine.cancel(run)
        let_end.set()
        await reaches(engine, run, "cancelled_clean")
    assert (await states(engine, run)) == {"a": "failed"}


async def test_a_wait_that_a_cancel_ended_is_undone_too(bench: Bench, world: World) -> None:
    async def make_and_wait(ctx: Context) -> None:
        world.make("a")
        await ctx.again(after=SECOND)

    engine = bench.engine(kind_of(world.step("a", run=make_and_wait)))
    run = await begin(engine)
    while await engine.turn():
        pass
    await engine.cancel(run, "compensate")
    assert (await carry(bench, engine, run)).state == "cancelled_clean"
    assert world.removed == ["a"]


async def test_a_run_stuck_in_its_cancel_goes_on_cancelling(bench: Bench, world: World) -> None:
    async def transition(_sql, _run, event) -> None:  # type: ignore[no-untyped-def]
        if event.code == "step.undone" and broken:
            raise RuntimeError("a bug of the daemon")

    broken = True
    engine = bench.engine(kind_of(world.step("a"), gate("a"), transition=transition, takeovers=1))
    run = await begin(engine)
    await carry(bench, engine, run)
    await engine.cancel(run, "compensate")
    assert (await carry(bench, engine, run)).state == "stuck"
    broken = False
    await engine.resume(run)
    assert (await carry(bench, engine, run)).state == "cancelled_clean"


async def test_a_step_fails_once_and_is_not_forgotten(bench: Bench, world: World) -> None:
    async def fail(_ctx: Context) -> None:
        raise StepFailed("NO_LUCK")

    engine = bench.engine(kind_of(Step("a", fail), world.step("b", "a")))
    run = await begin(engine)
    await carry(bench, engine, run)
    assert (await engine.cancel(run)).state == "cancelled_clean"
    assert (await states(engine, run)) == {"a": "failed", "b": "skipped"}
