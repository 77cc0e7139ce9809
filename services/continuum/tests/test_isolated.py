"""A promotion is tried on a copy, and nothing else moves."""

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from catalyst_continuum.domain import runs
from catalyst_continuum.domain.drills import last
from catalyst_continuum.domain.parsing import parse
from catalyst_continuum.domain.runs import Kind, Run, RunState, StepState
from catalyst_continuum.domain.slots import Phase, Slot
from catalyst_continuum.domain.spec import DrillKind
from catalyst_continuum.domain.spec_rules import House
from catalyst_continuum.messages import EMITTED
from catalyst_continuum.store import Store, metadata
from catalyst_continuum.workers.isolated import IsolatedDrills, over
from catalyst_mesh import Database, Sealer, Work, migrate
from catalyst_sdk import Temporary
from catalyst_sdk.continuum import Rehearsed
from catalyst_testkit import eventually

from .manifests import EAST, WEST, stateless

SLOT = "demo/shop"
SPEC = parse(stateless(), House("demo"))
RUN = runs.opened(Run("aaaaaaaaaa", SLOT, Kind.DRILL, EAST, WEST, 3, 3, initiated_by="ann"), 1000.0)
WHOLE = {"clone": 2.0, "promote": 0.5, "verify": 0.25, "clean": 0.25}


def test_the_phases_have_the_times_that_the_promoter_measured() -> None:
    done = over(runs.began(RUN, 2, 1000.0), Rehearsed(True, WHOLE), 1010.0)
    assert (done.state, [step.phase for step in done.steps]) == (RunState.SUCCEEDED, list(runs.ISOLATED))
    assert [step.state for step in done.steps] == [StepState.DONE] * 5
    assert [step.ended_at for step in done.steps[1:]] == [1009.0, 1009.5, 1009.75, 1010.0]
    broken = over(runs.began(RUN, 2, 1000.0), Rehearsed(False, {"clone": 2.0}, "no room"), 1010.0)
    assert (broken.state, broken.message) == (RunState.FAILED, "no room")
    assert broken.steps[2].state is StepState.PENDING


class FakePromoter:
    def __init__(self, *answers: Rehearsed | Exception) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []

    async def rehearse(self, *, region: str, run: str) -> Rehearsed:
        self.asked.append(f"{region} {run}")
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


@pytest.mark.either_database
async def test_a_drill_is_carried_out_by_the_region_that_would_gain_and_kept(home: Path, database: str) -> None:
    db = await Database.open(database)
    await migrate(db, "catalyst_continuum", metadata)
    sealer = Sealer.from_file(home / "seal.key")
    work: Work[Any] = Work(
        db, Store, metadata=metadata, emitted=EMITTED, sealer=sealer, kept=metadata.tables["audit"]
    )  # fmt: skip

    async def begin(tx: Store) -> None:
        await tx.save(Slot("demo", "shop", EAST, Phase.PENDING, since=tx.now, created_at=tx.now))
        await tx.put_run(RUN)
        # A life before died in it.
        await tx.put_run(replace(runs.began(RUN, 2, 1001.0), id="bbbbbbbbbb", version=1))

    await work.again(begin)
    promoter, stop, booked = FakePromoter(Rehearsed(True, WHOLE), Temporary("no room")), asyncio.Event(), list[Run]()
    drills = {
        region: IsolatedDrills(
            region, work, lambda: [(SLOT, SPEC)], lambda slot, spec: promoter, booked.append, lambda: 2000.0, look=0.01
        )
        for region in (EAST, WEST)
    }
    running = [asyncio.create_task(one.run(stop)) for one in drills.values()]

    async def is_kept() -> bool:
        async with work.reading() as tx:
            drill = last(await tx.get("demo", "shop"))
        return len(booked) == 4 and drill is not None and drill.kind is DrillKind.ISOLATED

    await eventually(is_kept, within=60, what="both are over, and kept")
    stop.set()
    await asyncio.gather(*running)
    assert sorted(promoter.asked) == [f"{WEST} aaaaaaaaaa", f"{WEST} bbbbbbbbbb"]
    assert sorted(run.state for run in booked if run.state.is_over) == [RunState.FAILED, RunState.SUCCEEDED]
    await db.close()
