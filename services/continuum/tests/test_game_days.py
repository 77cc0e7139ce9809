"""A slot comes back from a game day by itself, once, and people hear how it went."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from catalyst_continuum.domain import game_days, status
from catalyst_continuum.domain.drills import Drill, last
from catalyst_continuum.domain.parsing import parse
from catalyst_continuum.domain.plan import Plan, Purpose
from catalyst_continuum.domain.runs import Kind, Run, RunState, began, opened, over
from catalyst_continuum.domain.slots import Phase, Slot
from catalyst_continuum.domain.spec import DrillKind, Spec
from catalyst_continuum.domain.spec_rules import House
from catalyst_continuum.domain.status import Condition, Truth
from catalyst_continuum.messages import EMITTED
from catalyst_continuum.store import Store, metadata
from catalyst_continuum.workers.game_days import GameDays
from catalyst_mesh import Database, Sealer, Work, migrate
from catalyst_testkit import eventually

from .manifests import EAST, WEST, stateless

SLOT = "demo/shop"
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
SPEC = parse(stateless(), House("demo"))
THERE = over(
    opened(replace(Run("aaaaaaaaaa", SLOT, Kind.GAME_DAY, EAST, WEST, 1, 2), initiated_by="ann"), NOON.timestamp()),
    RunState.SUCCEEDED, NOON.timestamp(),
)  # fmt: skip
PLAN = Plan(Purpose.SWITCHOVER, WEST, EAST, 2, (), (), (), (), 0.0, None, None, 0, "0" * 16)
BACK = game_days.way_back(THERE, PLAN, "bbbbbbbbbb", NOON)


def test_the_way_back_is_due_where_the_slot_was_gained_and_only_after_a_game_day_that_went_well() -> None:
    assert game_days.due([THERE], WEST) == THERE
    assert (BACK.source, BACK.target, BACK.initiated_by, BACK.state) == (WEST, EAST, "ann", RunState.PENDING)
    others = [
        ([], WEST), ([THERE], EAST), ([BACK, THERE], WEST), ([replace(THERE, state=RunState.ABORTED)], WEST),
        ([replace(THERE, kind=Kind.SWITCHOVER)], WEST), ([over(BACK, RunState.SUCCEEDED, 1.0), THERE], EAST),
    ]  # fmt: skip
    assert [game_days.due(runs, region) for runs, region in others] == [None] * len(others)


def test_a_game_day_ends_with_its_way_back_and_is_kept_once() -> None:
    done = over(replace(BACK, measured={"write_disruption": 1.5}), RunState.SUCCEEDED, NOON.timestamp() + 60)
    kept = game_days.ended([done, THERE], WEST, None)
    assert kept is not None
    assert (kept.kind, kept.passed, kept.seconds) == (DrillKind.GAME_DAY, True, 1.5)
    assert game_days.ended([done, THERE], WEST, kept) is None
    assert game_days.ended([BACK, THERE], WEST, None) is None
    failed = game_days.ended([over(BACK, RunState.ABORTED, 99.0, "lag"), THERE], WEST, None)
    assert failed is not None
    assert (failed.passed, failed.why) == (False, "lag")


def test_what_stands_in_the_way_for_an_hour_ends_the_game_day() -> None:
    assert game_days.given_up(THERE, ["lag: too much"], NOON + timedelta(minutes=59), None) is None
    drill = game_days.given_up(THERE, ["lag: too much"], NOON + timedelta(hours=1), None)
    assert drill is not None
    assert (drill.passed, drill.why) == (False, "the way back is blocked: lag: too much")
    assert game_days.given_up(THERE, ["lag: too much"], NOON + timedelta(hours=2), drill) is None
    assert game_days.given_up(THERE, [], NOON + timedelta(hours=1), Drill(DrillKind.DRY_RUN, NOON, True)) is not None


LEAVING = began(
    opened(replace(THERE, id="cccccccccc", epoch=1, state=RunState.PENDING, steps=()), NOON.timestamp()), 5, 1.0
)
RINGS = Condition("StandbyAvailable", Truth.FALSE, "StandbyGone", "nobody follows", NOON + timedelta(seconds=9))


def test_an_alarm_calls_a_game_day_off_as_long_as_its_writers_go_on() -> None:
    assert game_days.alarm([LEAVING], EAST, [RINGS]) == "StandbyAvailable: nobody follows"
    others: list[tuple[list[Run], str, Condition]] = [
        ([began(LEAVING, 6, 2.0)], EAST, RINGS), ([LEAVING], WEST, RINGS), ([THERE], EAST, RINGS), ([], EAST, RINGS),
        ([replace(LEAVING, kind=Kind.SWITCHOVER)], EAST, RINGS), ([LEAVING], EAST, replace(RINGS, status=Truth.UNKNOWN)),
        ([LEAVING], EAST, replace(RINGS, since=NOON - timedelta(seconds=1))),
        ([LEAVING], EAST, replace(RINGS, type="DrillCurrent")),
    ]  # fmt: skip
    assert [game_days.alarm(runs, region, [found]) for runs, region, found in others] == [""] * len(others)


class FakePlans:
    """Blocked at first."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def plan(self, slot: Slot, spec: Spec, purpose: Purpose, *, to_region: str = "") -> Plan:
        self.asked.append(to_region)
        return replace(PLAN, blockers=("lag: too much",) if len(self.asked) < 3 else ())


@pytest.mark.either_database
async def test_the_way_back_is_begun_as_soon_as_nothing_stands_in_it_and_once(home: Path, database: str) -> None:
    db = await Database.open(database)
    await migrate(db, "catalyst_continuum", metadata)
    sealer = Sealer.from_file(home / "seal.key")
    work: Work[Any] = Work(
        db, Store, metadata=metadata, emitted=EMITTED, sealer=sealer, kept=metadata.tables["audit"]
    )  # fmt: skip

    async def begin(tx: Store) -> None:
        await tx.save(Slot("demo", "shop", WEST, Phase.PENDING, since=tx.now, created_at=tx.now))
        await tx.put_run(replace(THERE, ended_at=tx.now.timestamp()))

    await work.again(begin)
    plans, stop = FakePlans(), asyncio.Event()
    running = asyncio.create_task(GameDays(WEST, work, plans, lambda: [(SLOT, SPEC)], look=0.01).run(stop))

    async def is_open() -> list[Run]:
        async with work.reading() as tx:
            return list(await tx.open_runs(SLOT))

    (back,) = await eventually(is_open, within=60, what="the way back is opened")
    assert (back.kind, back.source, back.target, plans.asked) == (Kind.SWITCHOVER, WEST, EAST, [EAST] * 3)

    async def end(tx: Store) -> None:
        run = await tx.run(SLOT, back.id, lock=True)
        assert run is not None
        await tx.put_run(over(run, RunState.SUCCEEDED, tx.now.timestamp()))

    await work.again(end)

    async def is_kept() -> bool:
        async with work.reading() as tx:
            drill = last(await tx.get("demo", "shop"))
        return drill is not None and drill.passed and drill.kind is DrillKind.GAME_DAY

    await eventually(is_kept, within=60, what="people hear of it")
    assert not await is_open()

    async def leave(tx: Store) -> None:
        slot = await tx.lock("demo", "shop")
        assert slot is not None
        # Of the region that gives now, newer than every other run.
        leaving = replace(LEAVING, source=WEST, target=EAST, created_at=tx.now.timestamp())
        await tx.put_run(leaving)
        rings = replace(RINGS, since=tx.now + timedelta(seconds=1))
        await tx.observe(slot, WEST, status.write(status.Facts(WEST), [rings]))

    await work.again(leave)

    async def is_called_off() -> bool:
        (run,) = await is_open()
        return (run.state, run.message) == (
            RunState.ABORTING,
            "called off by an alarm: StandbyAvailable: nobody follows",
        )

    await eventually(is_called_off, within=60, what="an alarm calls it off")
    stop.set()
    await running
    await db.close()
