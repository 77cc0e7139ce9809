"""A manifest asks for a move, and gets it once."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from catalyst_continuum.domain.parsing import parse
from catalyst_continuum.domain.plan import Plan, Purpose
from catalyst_continuum.domain.runs import RegionInvalid, Run, RunState, over
from catalyst_continuum.domain.slots import Phase, Slot
from catalyst_continuum.domain.spec import Spec
from catalyst_continuum.domain.spec_rules import House
from catalyst_continuum.messages import EMITTED
from catalyst_continuum.store import Store, metadata
from catalyst_continuum.workers.triggers import Triggers, run_id
from catalyst_mesh import Database, Sealer, Work, migrate
from catalyst_testkit import eventually

from .manifests import EAST, WEST, having, stateless

SLOT = "demo/shop"


def wish(request: str, **more: Any) -> Spec:
    asked = {"requested": True, "targetRegion": WEST, "requestedBy": "ann", "reason": "rain", "requestId": request}
    return parse(
        having(stateless(), switchover={"mechanism": "stateless", **asked}, approval={"required": "never"}, **more),
        House("demo"),
    )  # fmt: skip


class FakePlans:
    """From the east to the west, until the slot is there."""

    def __init__(self) -> None:
        self.asked = 0
        self.blockers: tuple[str, ...] = ()
        self.holder = EAST

    async def plan(self, slot: Slot, spec: Spec, purpose: Purpose, *, to_region: str = "") -> Plan:
        self.asked += 1
        if to_region == self.holder:
            raise RegionInvalid(region=to_region, why="it holds the slot")
        return Plan(purpose, self.holder, to_region, 3, (), (), (), self.blockers, 0.0, None, None, 0, "0" * 16)


@pytest.mark.either_database
async def test_a_manifest_moves_a_slot_once_for_each_request(home: Path, database: str) -> None:
    db = await Database.open(database)
    await migrate(db, "catalyst_continuum", metadata)
    sealer = Sealer.from_file(home / "seal.key")
    work: Work[Any] = Work(
        db, Store, metadata=metadata, emitted=EMITTED, sealer=sealer, kept=metadata.tables["audit"]
    )  # fmt: skip

    async def begin(tx: Store) -> None:
        await tx.save(Slot("demo", "shop", EAST, Phase.PENDING, since=tx.now, created_at=tx.now))

    await work.again(begin)
    plans, stop, wished = FakePlans(), asyncio.Event(), [wish("one")]
    east = asyncio.create_task(Triggers(EAST, work, plans, lambda: [(SLOT, wished[-1])], look=0.01).run(stop))
    west = asyncio.create_task(Triggers(WEST, work, plans, lambda: [(SLOT, wished[-1])], look=0.01).run(stop))

    async def known(request: str) -> Run | None:
        async with work.reading() as tx:
            return await tx.run(SLOT, run_id(SLOT, request))

    run = await eventually(lambda: known("one"), within=60, what="it is begun")
    assert (run.source, run.target, run.initiated_by, run.reason) == (EAST, WEST, "ann", "rain")
    assert run.state is RunState.PENDING

    async def end(tx: Store) -> None:
        held = await tx.run(SLOT, run.id, lock=True)
        assert held is not None
        await tx.put_run(over(held, RunState.SUCCEEDED, 1.0))

    await work.again(end)
    wished.append(wish("two"))
    plans.blockers = ("lag: too much",)
    blocked = await eventually(lambda: known("two"), within=60, what="it is tried")
    assert (blocked.state, blocked.message) == (RunState.ABORTED, "lag: too much")
    plans.blockers, plans.holder = (), WEST
    wished.append(wish("three"))
    asked = plans.asked
    await eventually(lambda: plans.asked > asked + 2, within=60, what="it is where it is asked to be")
    assert await known("three") is None
    stop.set()
    await asyncio.gather(east, west)
    await db.close()
