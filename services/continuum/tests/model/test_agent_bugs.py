"""Agents with a bug in them: the worlds must see it, or they prove nothing."""

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from typing import Any

import pytest
from catalyst_continuum.domain.actions import Action, Decision
from catalyst_continuum.domain.authority import Authority
from catalyst_continuum.domain.lease import NO_WRITERS
from catalyst_continuum.domain.record import Lease
from catalyst_continuum.domain.runs import Kind, Run, opened
from catalyst_continuum.workers.agent import Agent
from catalyst_continuum.workers.rights import Rights

from .region_world import CELLS, SLOT, Broken, World
from .two_regions import EAST, WEST, ordered, two


def renew_on_the_way(world: World) -> None:
    """A renewal is on its way to cells that take their time while the slot is offered."""

    def late(region: str, event: str, effect: str) -> None:
        if (region, event, effect) == (EAST, "step", "Handoff before-effect"):
            world.processes[EAST].start(renewed(world.agents[EAST]))

    async def renewed(agent: Agent) -> None:
        await agent.rights.renew()

    world.run_for(3)
    world.busy = (0.35, 0.38)
    world.on_trace = late
    world.agents[EAST].order(ordered(Kind.SWITCHOVER))
    world.until(lambda: world.committed[-1][1].epoch == 2, 60, "it is taken")
    world.run_for(2)


class Unforgetting(Rights):
    """Takes a renewal for authority, whatever was done since it was sent."""

    def _grant(self, lease: Lease, sent_at: float) -> None:
        self._standing.offering = False
        super()._grant(lease, sent_at)


class RenewsWhatItOffers(Agent):
    def __init__(self, *args: Any, **told: Any) -> None:
        super().__init__(*args, **told)
        self.rights.__class__ = Unforgetting


class ForcesAtOnce(Agent):
    """Acts as soon as the record names it."""

    def _tick(self) -> None:
        self.standing.succeeds = (2, 0.0)
        super()._tick()


def force(world: World) -> None:
    """People take the slot from a holder that lives, and hears nothing of it."""
    world.forced.add(2)
    world.cut |= {(EAST, cell) for cell in CELLS} | {(cell, EAST) for cell in CELLS} | {(EAST, WEST), (WEST, EAST)}
    world.agents[WEST].order(ordered(Kind.TAKEOVER, force=True))
    world.run_for(30)


class NeverFences(Agent):
    """Goes on when its authority is over."""

    def _fence(self, told: Decision) -> None:
        self.standing.authority = Authority(self.standing.epoch, float("inf"))
        self.rights._told(self.standing.authority)


class Believes(Rights):
    """Counts authority from when the answer was heard."""

    def _grant(self, lease: Lease, sent_at: float) -> None:
        super()._grant(lease, self._clock().boot)
        held = Authority(lease.epoch, self._clock().boot + self.duty.profile.ttl)
        self._standing.authority = held
        self._told(held)


class CountsFromTheAnswer(Agent):
    def __init__(self, *args: Any, **told: Any) -> None:
        super().__init__(*args, **told)
        self.rights.__class__ = Believes


class IsImpatient(Agent):
    """Takes half of the holder's time for all of it."""

    def _tick(self) -> None:
        if self.sight.watch is not None:
            self.sight.watch = replace(self.sight.watch, ttl=self.duty.profile.ttl / 2)
        super()._tick()


class BreaksPromises(Agent):
    """Says yes, and forgets it."""

    def hold_off(self, *, region: str, epoch: int, seconds: float) -> bool:
        return True


class GivesWithoutFence(Agent):
    """Offers the slot with a proof of nothing."""

    def _move(self, action: Action) -> None:
        run = self.moves.ordered
        if run is None:
            super()._move(action)
        else:
            self._chores.start("run", lambda: self.rights.hand_off(run.target, "0/0", run.id, NO_WRITERS))


def cut_off(world: World) -> None:
    """The holder reaches neither cells nor peers, just after a renewal."""

    def cut(region: str, event: str, effect: str) -> None:
        if (region, event) == (EAST, "authority"):
            world.cut |= {(EAST, other) for other in (*CELLS, WEST)} | {(other, EAST) for other in (*CELLS, WEST)}

    world.on_trace = cut
    world.run_for(25)


def promise_and_lose_the_cells(world: World) -> None:
    """No cells for a while, in which the peer promises; then they are back, for the peer alone."""
    world.is_down |= {"cell-1", "cell-2"}
    world.run_for(15)
    world.cut |= {(EAST, cell) for cell in CELLS}
    world.is_down.clear()
    world.run_for(25)


def switch_over(world: World) -> None:
    """A planned move."""
    world.agents[EAST].order(opened(Run("abcdefghij", SLOT, Kind.SWITCHOVER, EAST, WEST, 1, 1), 0.0))
    world.run_for(25)


@pytest.mark.parametrize(
    ("bug", "befalls", "seen"),
    [
        (NeverFences, cut_off, "I1: "),
        (CountsFromTheAnswer, cut_off, "I1: "),
        (IsImpatient, cut_off, "I16: "),
        (BreaksPromises, promise_and_lose_the_cells, "I1: "),
        (GivesWithoutFence, switch_over, "I5: "),
        (ForcesAtOnce, force, "I1: "),
        (RenewsWhatItOffers, renew_on_the_way, "I1: "),
    ],
)
def test_a_bug_is_seen(bug: type[Agent], befalls: Callable[[World], None], seen: str) -> None:
    for agents in (Agent, bug):
        world = two(agents, rates=(0.9, 1.1))
        try:
            with pytest.raises(Broken, match=seen) if agents is bug else nullcontext():
                befalls(world)
        finally:
            world.end()
