"""Moves whose agents die: at each thing that they do or note, once before it and once after, and go on in a new life (I10).

HYPOTHESIS_PROFILE=long dies at every one; a short run takes a sample.
"""

import asyncio
import os
import random
from collections.abc import Callable

import pytest
from catalyst_continuum.domain.runs import Kind, Run, RunState, opened

from .region_world import REGIONS, SLOT, Broken, World

LONG = os.environ.get("HYPOTHESIS_PROFILE") == "long"
EAST, WEST = REGIONS[:2]
RUN = "abcdefghij"
SOON, LATE = 0.5, 9.0
"""Seconds until the next life: within the authority of the one before, or well after it."""


class Case:
    """One world, in which the agent that does the `nth` thing of the move dies there; None: nobody does."""

    def __init__(self, begin: Callable[[World], None], nth: int | None, away: float) -> None:
        random.seed(1)
        self.points: list[str] = []
        self.world = world = World(1, fails_after=4.0, ttl=2, low_ttl=1, drain=1.0)
        self._nth, self._away = nth, away
        for region in world.regions:
            world.start(region)
        world.until(lambda: bool(world.leader) and world.committed[-1][1].sync != "0", 30, "a leader with a standby")
        world.run_for(3)
        self.before = set(world.acked)
        world.on_trace = self._at
        begin(world)

    def _at(self, region: str, event: str, effect: str) -> None:
        self.points.append(f"{event} {effect}")
        if self._nth is not None and len(self.points) == self._nth + 1:
            world = self.world
            world.processes[region].kill()
            world.loop.outside(self._away, world.start, region)
            raise asyncio.CancelledError  # nothing of what was under way goes on in this turn either

    def end(self) -> str:
        """Who leads at the end. Raises Broken where anything is wrong with it."""
        world = self.world
        try:
            if self._nth is None:
                world.until(lambda: world.leader == WEST, 40, "the gaining region leads")
            else:
                world.until(lambda: len(self.points) > (self._nth or 0), 40, "the agent dies")
                world.run_for(self._away + 0.1)
                world.until(lambda: bool(world.leader), 60, "somebody leads")
            world.until(
                self._is_settled, 90, "the run is over, the names lead to the holder, a standby has every write"
            )
            world.run_for(1)  # the other region sees it too
            if lost := world.acked - set(world.sites[world.leader].rows):
                raise Broken(f"I6: {len(lost)} acknowledged writes are lost")
            assert self.before <= world.acked
            return world.leader
        except Broken as broken:
            point = self.points[self._nth] if self._nth is not None and len(self.points) > self._nth else "nowhere"
            raise Broken(f"{broken}, died at {self._nth} ({point})\n" + "\n".join(world.trail[-60:])) from None
        finally:
            world.end()

    def _is_settled(self) -> bool:
        world, lease = self.world, self.world.committed[-1][1]
        at_holder = all((name.epoch, name.holder) == (lease.epoch, lease.holder) for name in world.names)
        return world.leader == lease.holder and not lease.run and lease.sync != "0" and at_holder


def switch(world: World) -> None:
    epoch = world.committed[-1][1].epoch
    world.agents[EAST].order(opened(Run(RUN, SLOT, Kind.SWITCHOVER, EAST, WEST, epoch, epoch), 0.0))


def lose(world: World) -> None:
    world.processes[EAST].kill()
    world.sites[EAST].is_up, world.sites[EAST].deadline = False, 0.0
    world.loop.outside(25.0, back, world)


def back(world: World) -> None:
    world.sites[EAST].is_up = True
    world.start(EAST)


@pytest.mark.parametrize("begin", [switch, lose])
def test_a_move_ends_well_wherever_its_agent_dies(begin: Callable[[World], None]) -> None:
    whole = Case(begin, None, 0.0)
    assert whole.end() == WEST
    moved = {f"{event}" for event in whole.points}
    assert len(moved) > 40, "there are that many places to die at"
    step = 1 if LONG else 23
    for nth in range(0, len(whole.points), step):
        for away in (SOON, LATE) if LONG else (random.Random(nth).choice((SOON, LATE)),):
            case = Case(begin, nth, away)
            leader = case.end()
            run = case.world.runs.get(f"{EAST} {RUN}")
            if begin is lose or (run is not None and run.state is RunState.SUCCEEDED):
                assert leader == WEST


def test_a_planned_move_stops_writes_for_a_few_seconds_and_loses_none() -> None:
    case = Case(switch, None, 0.0)
    assert case.end() == WEST
    run = case.world.runs[f"{WEST} {RUN}"]
    assert run.state is RunState.SUCCEEDED
    assert case.world.runs[f"{EAST} {RUN}"].state is RunState.SUCCEEDED
    assert run.is_past_no_return
