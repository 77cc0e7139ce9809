"""The loop that brings slots to other cells rests while there is nothing to do."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from catalyst_continuum.messages import EMITTED
from catalyst_continuum.store import Store, metadata
from catalyst_continuum.workers.relocations import Relocations
from catalyst_mesh import Database, Leases, Work, migrate
from catalyst_testkit import eventually


class Counting(Work[Store]):
    """Counts how often somebody looks."""

    looks = 0

    @asynccontextmanager
    async def reading(self, *given: Any, **named: Any) -> AsyncIterator[Store]:
        self.looks += 1
        async with super().reading(*given, **named) as tx:
            yield tx


async def test_a_ring_is_answered_by_one_look_and_then_it_rests(database: str) -> None:
    db = await Database.open(database)
    await migrate(db, "catalyst_continuum", metadata)
    work = Counting(db, Store, metadata=metadata, emitted=EMITTED)
    work.bell.patience = 3600
    loop = Relocations("", work=work, registers=None, leases=Leases(db, metadata))  # type: ignore[arg-type]  # no slot, no register
    stop = asyncio.Event()
    task = asyncio.create_task(loop.run(stop))
    try:
        await eventually(lambda: work.looks == 1, within=60)
        work.bell.ring_here("slot")
        await eventually(lambda: work.looks > 1, within=60)
        for _ in range(20):  # as many looks of our own: whoever does not rest looks as often meanwhile
            await db.ping()
        assert work.looks == 2
    finally:
        stop.set()
        await asyncio.wait_for(task, 60)
        await db.close()
