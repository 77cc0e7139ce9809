"""A replica dies at every single point of a run. Another takes over; the run ends as the one that nobody disturbed.

The suite draws some of the points anew each time, more of them on the cheaper database; HYPOTHESIS_PROFILE=long takes
all of them on both.
"""

import os
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from catalyst_mesh import Database
from catalyst_mesh.journal import Context, Engine, Kind, Step
from catalyst_sdk import Temporary

from .bench import SECOND, Bench, World, begin, carry, events, kind_of, states


class Crash(BaseException):
    """This replica is dead: from now on none of its statements and effects happens."""


class Death:
    """Strikes at the `at`-th point, and stays; counts the points on the way."""

    def __init__(self, at: int = 0) -> None:
        self._at = at
        self.points: list[str] = []

    def __call__(self, point: str) -> None:
        self.points.append(point)
        if self._at and len(self.points) >= self._at:
            raise Crash(point)


def twelve(world: World) -> Kind:
    """Twelve steps with all that a step may do: fan-out, sub-effects, a retry, a poll, a sleep, a signal, notes, logs."""

    async def servers(ctx: Context) -> dict[str, Any]:
        for name in ("server-1", "server-2"):

            async def make(name: str = name) -> object:
                return world.make(name)

            async def find(name: str = name) -> object:
                return world.found(name)

            await ctx.once(name, make, check=find)
            await ctx.emit("resource.created", data={"name": name})
        return {"servers": 2}

    async def flaky(ctx: Context) -> dict[str, str]:
        if "tried" not in world.there:
            world.there.add("tried")
            raise Temporary("busy", delay=SECOND)
        return world.make("dns")

    async def poll(ctx: Context) -> str:
        world.asked["nodes"] += 1
        if world.asked["nodes"] < 3:
            await ctx.again(after=SECOND)
        return "ready"

    async def nap(ctx: Context) -> None:
        await ctx.log("sleeps")
        await ctx.sleep("cool", timedelta(minutes=5))

    async def approve(ctx: Context) -> object:
        return await ctx.signal("approve")

    return kind_of(
        world.step("validate"),
        world.step("network", "validate"),
        Step("servers", servers, needs=("network",)),
        world.step("volume", "network"),
        world.step("dns", "servers", run=flaky),
        Step("nodes", poll, needs=("servers",)),
        Step("cool", nap, needs=("nodes",)),
        Step("gate", approve, needs=("servers",)),
        world.step("kit-a", "gate", "nodes"),
        world.step("kit-b", "gate", "nodes"),
        world.step("kit-c", "kit-a"),
        world.step("probe", "kit-b", "kit-c", "dns", "cool", "volume"),
        takeovers=50,
    )


SAMPLES = {"sqlite": 28, "postgresql": 8}
POINTS = {"sqlite": 800, "postgresql": 500}
"""So many there are at least; on PostgreSQL a transition is one statement, and can be cut only before and after it."""
Scenario = Callable[[Bench, Engine, str], Awaitable[None]]


async def to_the_end(bench: Bench, engine: Engine, run: str) -> None:
    await carry(bench, engine, run, signals={"approve": "yes"})


async def and_back(bench: Bench, engine: Engine, run: str) -> None:
    """Forward until the gate, then everything is undone."""
    await carry(bench, engine, run)
    await engine.cancel(run, "compensate")
    await carry(bench, engine, run)


@dataclass
class Story:
    """What is to be compared: the points that were met, the world, the ends of the steps and of the run."""

    points: list[str]
    world: World
    steps: dict[str, str]
    end: str


async def disturbed(bench: Bench, other: Database, scenario: Scenario, at: int) -> Story:
    """Play `scenario`; at its point number `at` (0: never) the first replica dies, and another plays it to its end."""
    world, death, key = World(), Death(at), f"{scenario.__name__}-{at}"
    first = bench.engine(twelve(world), hook=death)
    try:
        await scenario(bench, first, await begin(first, subject=key, key=key))
    except BaseException as error:
        if not _is_crash(error):
            raise
    second = bench.engine(twelve(world), db=other)
    run = await begin(second, subject=key, key=key)
    bench.pass_lease()
    if not (await second.status(run)).state.ended:
        await scenario(bench, second, run)
    await events(second, run)  # which asserts that they have no gap
    return Story(death.points, world, await states(second, run), str((await second.status(run)).state))


def _is_crash(error: BaseException) -> bool:
    if isinstance(error, BaseExceptionGroup):
        return all(_is_crash(inner) for inner in error.exceptions)
    return isinstance(error, Crash)


async def test_a_death_at_any_point_changes_neither_end_nor_effects(bench: Bench) -> None:
    other: Database = await bench.another_database()
    calm = {scenario: await disturbed(bench, other, scenario, 0) for scenario in (to_the_end, and_back)}
    assert [story.end for story in calm.values()] == ["succeeded", "cancelled_clean"]
    everywhere = [(scenario, at + 1) for scenario, story in calm.items() for at in range(len(story.points))]
    sample = len(everywhere) if os.environ.get("HYPOTHESIS_PROFILE") == "long" else SAMPLES[bench.db.dialect]
    chosen = random.sample(everywhere, sample)
    met = set()
    for scenario, at in chosen:
        expected, story = calm[scenario], await disturbed(bench, other, scenario, at)
        met |= {(scenario, at)} if len(story.points) >= at else set()
        where = f"death on the way {scenario.__name__} at point {at}, {story.points[-1]}"
        assert (story.end, story.steps) == (expected.end, expected.steps), where
        assert (story.world.made, story.world.there) == (expected.world.made, expected.world.there), where
        assert sorted(story.world.removed) == sorted(expected.world.removed), where
    assert len(met) > sample * 0.9, "a test that meets no points proves nothing"
    assert len(everywhere) > POINTS[bench.db.dialect]
