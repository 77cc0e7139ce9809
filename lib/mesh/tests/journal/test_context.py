"""What a step may ask of the journal besides running: effects once, events, logs."""

import asyncio

import pytest
from catalyst_mesh.journal import Context, Step, logbook
from catalyst_sdk import Temporary

from .bench import NOON, Bench, World, begin, carry, events, holds, kind_of, working
from .test_waiting import gate


async def test_a_sub_effect_happens_once_over_tries(bench: Bench, world: World) -> None:
    results: list[object] = []

    async def run(ctx: Context) -> None:
        async def make() -> object:
            return world.make("server-1")

        results.append(await ctx.once("server-1", make))
        if ctx.attempt < 3:
            raise Temporary("the second half was not done")

    engine = bench.engine(kind_of(Step("servers", run)))
    assert (await carry(bench, engine, await begin(engine))).state == "succeeded"
    assert world.made["server-1"] == 1
    assert results == [{"made": "server-1"}] * 3


async def test_a_sub_effect_that_happened_without_being_noted_is_found_by_its_check(bench: Bench, world: World) -> None:
    asked: list[object] = []

    async def run(ctx: Context) -> object:
        async def make() -> None:
            world.make("server-1")
            raise Temporary("the answer was lost")

        async def find() -> object:
            asked.append(ctx.attempt)
            return world.found("server-1")

        return await ctx.once("server-1", make, check=find)

    engine = bench.engine(kind_of(Step("servers", run)))
    run_id = await begin(engine)
    assert (await carry(bench, engine, run_id)).state == "succeeded"
    assert (world.made["server-1"], asked) == (1, [2])
    assert (await engine.steps(run_id))[0].output == {"made": "server-1"}


async def test_a_sub_effect_is_forgotten_when_its_step_is_undone(bench: Bench, world: World) -> None:
    async def run(ctx: Context) -> None:
        async def make() -> object:
            return world.make("a")

        await ctx.once("make", make)

    engine = bench.engine(kind_of(world.step("a", run=run), gate("a")))
    run_id = await begin(engine)
    await carry(bench, engine, run_id)
    await engine.cancel(run_id, "compensate")
    await carry(bench, engine, run_id)
    async with bench.db.read() as sql:
        assert (await sql.exec_driver_sql("SELECT count(*) FROM journal_once")).scalar_one() == 0


async def test_an_author_s_events_stand_among_the_others(bench: Bench) -> None:
    async def run(ctx: Context) -> None:
        await ctx.emit("resource.created", "server made", data={"id": 7}, level="debug")

    engine = bench.engine(kind_of(Step("a", run)))
    run_id = await begin(engine)
    await carry(bench, engine, run_id)
    told = {event.code: event for event in await events(engine, run_id)}
    note = told["resource.created"]
    assert (note.type, note.step, note.attempt, note.level, note.message) == ("note", "a", 1, "debug", "server made")
    assert note.data == {"id": 7}
    assert told["step.started"].seq < note.seq < told["step.succeeded"].seq
    assert told["run.started"].type == "run"


async def test_log_lines_are_numbered_without_gaps_and_the_last_ones_are_there(bench: Bench) -> None:
    async def talk(ctx: Context) -> None:
        for n in range(20):
            await ctx.log(f"{ctx.step.name} line {n}\nand its second half", level="DEBUG")
        if ctx.step.name == "b":
            raise Temporary("after the last line")

    engine = bench.engine(kind_of(Step("a", talk), Step("b", talk, retries=0)))
    run = await begin(engine)
    assert (await carry(bench, engine, run)).state == "failed"
    lines = await engine.logs(run)
    assert [line.number for line in lines] == list(range(1, 81))
    assert [line.text for line in await engine.logs(run, step="b", after=0)][-2:] == [
        "b line 19",
        "and its second half",
    ]
    assert lines[0].level == "DEBUG"
    assert [line.number for line in await engine.logs(run, after=78)] == [79, 80]


async def test_lines_of_a_step_that_goes_on_are_there_soon(bench: Bench) -> None:
    let_end = asyncio.Event()

    async def talk(ctx: Context) -> None:
        await ctx.log("began")
        await let_end.wait()

    engine = bench.engine(kind_of(Step("a", talk)), poll=0.02)
    run = await begin(engine)

    async def there() -> bool:
        return [line.text for line in await engine.logs(run)] == ["began"]

    async with working(engine):
        await holds(there)
        let_end.set()


def line(text: str) -> logbook.Line:
    return logbook.Line(NOON, "a", 1, "INFO", text)


def test_a_full_log_says_so_once() -> None:
    kept, size = logbook.within([line("12345"), line("12345"), line("x")], room=8)
    assert [row.text for row in kept] == ["12345", "the log is full; what follows is not kept"]
    assert size > 8
    assert logbook.within([line("x")], room=8 - size) == ([], 0)
    assert logbook.within([line("x")], room=2)[1] == 2


@pytest.mark.parametrize("size", [logbook.LINE_MOST, logbook.LINE_MOST + 1])
async def test_a_line_that_is_too_long_is_cut_with_a_mark(size: int) -> None:
    written: list[logbook.Line] = []

    async def flush(lines: list[logbook.Line]) -> None:
        written.extend(lines)

    await logbook.Logbook(flush).write("a", 1, "x" * size, "INFO", line("").at)
    assert written[0].text.endswith("[cut]") is (size > logbook.LINE_MOST)
