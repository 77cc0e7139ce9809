"""A driver whose own work breaks, apart from any engine."""

import asyncio
from datetime import timedelta
from random import Random
from typing import Any

import pytest
from catalyst_mesh.journal.bells import Bells
from catalyst_mesh.journal.driver import Driver, Slots
from catalyst_mesh.journal.hold import Hold

from .bench import Bench, World, begin, holds, kind_of


class Breaking(Driver):
    """Two steps end at one moment: the first as it should, the second by a bug of the journal."""

    def __init__(self, *args: Any, **rest: Any) -> None:
        super().__init__(*args, **rest)
        self.begun: list[str] = []
        self.gate = asyncio.Event()

    async def _perform(self, name: str, forwards: bool) -> None:
        self.begun.append(name)
        await self.gate.wait()
        if name == "second":
            raise ZeroDivisionError


@pytest.mark.either_database
async def test_a_run_that_broke_begins_nothing_more_even_where_news_come_at_the_same_moment(bench: Bench) -> None:
    """The end of the first step wakes the driver's loop at the moment when the group is about to end."""
    kind = kind_of(*(World().step(name) for name in ("first", "second")))
    engine = bench.engine(kind)
    await begin(engine)
    worker = engine._worker
    flow = await worker._claims.take(bench.clock.now(), kinds=["build"], but=())
    assert flow is not None
    hold = Hold(
        bench.db, worker._store, flow, clock=bench.clock, bells=Bells(None), asked=worker._store.terms.monotonic()
    )
    slots = Slots(asyncio.Semaphore(9), asyncio.Semaphore(9), 9)
    driver = Breaking(hold, kind, slots, rng=Random(1), linger=timedelta())
    driving = asyncio.create_task(driver.drive())
    await holds(lambda: _both(driver))
    driver.gate.set()
    # Not by `wait_for`: who cancels it after a while gets the same error from one that would have waited for ever.
    await asyncio.wait({driving}, timeout=60)
    assert driving.done(), "it waits for news that nobody will bring"
    broke = driving.exception()
    assert isinstance(broke, BaseExceptionGroup)
    assert [type(error) for error in broke.exceptions] == [ZeroDivisionError], "it tried to begin another"
    assert driver.begun == ["first", "second"]


async def _both(driver: Breaking) -> bool:
    return len(driver.begun) == 2
