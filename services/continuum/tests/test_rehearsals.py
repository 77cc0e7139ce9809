"""A slot that is held is rehearsed again and again; one rehearsal that breaks stops no other."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from catalyst_continuum.domain.drills import last
from catalyst_continuum.domain.parsing import parse
from catalyst_continuum.domain.plan import Plan, Purpose
from catalyst_continuum.domain.runs import RegionInvalid
from catalyst_continuum.domain.slots import Phase, Slot
from catalyst_continuum.domain.spec import Spec
from catalyst_continuum.domain.spec_rules import House
from catalyst_continuum.messages import EMITTED
from catalyst_continuum.store import Store, metadata
from catalyst_continuum.workers.rehearsals import Rehearsals
from catalyst_mesh import Database, Sealer, Work, migrate
from catalyst_testkit import eventually

from .manifests import EAST, stateless

SPEC = parse(stateless(), House("demo"))


@dataclass
class FakePlans:
    """Says what each slot's plan would; the words are those of its names."""

    asked: list[tuple[str, Purpose]] = field(default_factory=list)

    async def plan(self, slot: Slot, spec: Spec, purpose: Purpose) -> Plan:
        self.asked.append((slot.name, purpose))
        if slot.name == "nowhere":
            raise RegionInvalid(region="every other region", why="none may become primary")
        if slot.name == "broken":
            raise RuntimeError("a bug")
        return Plan(purpose, EAST, "", 1, (), (), (), ("lag: too much",), 0.0, None, None, 0, "0" * 16)


@pytest.mark.either_database
async def test_every_slot_that_is_held_is_rehearsed_whatever_becomes_of_the_others(home: Path, database: str) -> None:
    db = await Database.open(database)
    await migrate(db, "catalyst_continuum", metadata)
    work: Work[Any] = Work(
        db,
        Store,
        metadata=metadata,
        emitted=EMITTED,
        sealer=Sealer.from_file(home / "seal.key"),
        kept=metadata.tables["audit"],
    )
    names = ("broken", "nowhere", "shop")

    async def step(tx: Store) -> None:
        for name in names:
            await tx.save(Slot("demo", name, EAST, Phase.PENDING, since=tx.now, created_at=tx.now))

    await work.again(step)
    plans, stop = FakePlans(), asyncio.Event()

    def held() -> Sequence[tuple[str, Spec]]:
        return [(f"demo/{name}", SPEC) for name in (*names, "gone")]

    running = asyncio.create_task(Rehearsals(work, plans, held, every=0.0, again=0.0, look=0.01).run(stop))
    await eventually(lambda: len(plans.asked) >= 6, within=60, what="two rounds")
    stop.set()
    await running
    async with work.reading() as tx:
        shop, broken = await tx.get("demo", "shop"), await tx.get("demo", "broken")
    assert (last(shop).why, shop.drilled_at, last(broken)) == ("lag: too much", None, None)
    assert plans.asked[:6] == [(name, Purpose.SWITCHOVER) for name in names] * 2
    await db.close()
