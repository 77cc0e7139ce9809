"""Agents come with a wish, hear of its changes, go with it, and need no store to go on."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any

from catalyst_continuum.domain import duties
from catalyst_continuum.domain.duty import Duty
from catalyst_continuum.domain.parsing import parse
from catalyst_continuum.domain.record import Lease, State
from catalyst_continuum.domain.spec import Spec
from catalyst_continuum.domain.spec_rules import House
from catalyst_continuum.workers.roster import Roster
from catalyst_sdk import Code, Refused
from catalyst_testkit import eventually

from .manifests import stateless

SLOT = "demo/shop"
SPEC = parse(stateless(), House("demo"))
REGION = SPEC.primary


class FakeAgent:
    def __init__(self, duty: Duty) -> None:
        self.duty = duty
        self.duties = [duty]
        self.is_running = False
        self.breaks = asyncio.Event()
        self.sight = SimpleNamespace(lease=None)

    def update(self, duty: Duty) -> None:
        self.duties.append(duty)

    async def run(self, stop: asyncio.Event) -> None:
        self.is_running = True
        ends = [asyncio.create_task(stop.wait()), asyncio.create_task(self.breaks.wait())]
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        for end in ends:
            end.cancel()
        self.is_running = False
        if self.breaks.is_set():
            raise ValueError("a bug")


@dataclass
class FakeSlots:
    wished: dict[str, Spec] = field(default_factory=dict)
    is_away: bool = False
    noted: list[tuple[str, Lease]] = field(default_factory=list)
    asked: int = 0

    async def wishes(self) -> Mapping[str, Spec]:
        self.asked += 1
        if self.is_away:
            raise OSError("the store is away")
        return dict(self.wished)

    async def note(self, slot: str, lease: Lease) -> None:
        self.noted.append((slot, lease))


class NoPromoter(Refused):
    code, reason, message = Code.UNAVAILABLE, "NO_PROMOTER", "there is no promoter"


@asynccontextmanager
async def working(slots: FakeSlots, region: str = REGION, refusals: int = 0) -> AsyncIterator[tuple[Roster, list[Any]]]:
    hired: list[Any] = []
    left = [refusals]

    def hire(slot: str, spec: Spec) -> Any:
        if left[0]:
            left[0] -= 1
            raise NoPromoter()
        hired.append(FakeAgent(duties.duty(slot, region, spec, promote=3.0)))
        return hired[-1]

    roster, stop = Roster(region, slots, hire=hire, promote=lambda slot, spec: 3.0), asyncio.Event()
    task = asyncio.create_task(roster.run(stop))
    try:
        yield roster, hired
    finally:
        stop.set()
        await task


async def test_an_agent_comes_with_a_wish_hears_of_its_change_and_goes_with_it() -> None:
    slots = FakeSlots({SLOT: SPEC})
    async with working(slots) as (roster, hired):
        await eventually(lambda: hired and hired[0].is_running, within=60)
        assert roster.of(SLOT) is hired[0]
        slots.wished[SLOT] = replace(SPEC, suspend=True)
        await eventually(lambda: [duty.suspended for duty in hired[0].duties] == [False, True], within=60)
        slots.wished.clear()
        await eventually(lambda: not hired[0].is_running, within=60)
        assert roster.of(SLOT) is None
        assert len(hired) == 1


async def test_a_region_that_takes_no_part_has_no_agent() -> None:
    slots = FakeSlots({SLOT: SPEC})
    async with working(slots, region="sb-north-rtz-dev") as (_, hired):
        await eventually(lambda: slots.asked > 1, within=60)
        assert hired == []


async def test_agents_go_on_while_the_store_is_away() -> None:
    slots = FakeSlots({SLOT: SPEC})
    async with working(slots) as (_, hired):
        await eventually(lambda: hired and hired[0].is_running, within=60)
        slots.is_away, before = True, slots.asked
        await eventually(lambda: slots.asked > before + 1, within=60)
        assert hired[0].is_running


async def test_an_agent_that_broke_is_followed_by_another_one_and_one_without_a_promoter_is_tried_again() -> None:
    slots = FakeSlots({SLOT: SPEC})
    async with working(slots, refusals=1) as (_, hired):
        await eventually(lambda: hired and hired[0].is_running, within=60)
        hired[0].breaks.set()
        await eventually(lambda: len(hired) == 2 and hired[1].is_running, within=60)


async def test_what_the_register_says_is_noted_once() -> None:
    slots, lease = FakeSlots({SLOT: SPEC}), Lease(1, 1, State.HELD, REGION)
    async with working(slots) as (_, hired):
        await eventually(lambda: bool(hired), within=60)
        hired[0].sight.lease = lease
        await eventually(lambda: bool(slots.noted), within=60)
        before = slots.asked
        await eventually(lambda: slots.asked > before + 1, within=60)
        assert slots.noted == [(SLOT, lease)]
