"""Two regions, of which the east leads and the west has every write: where most that may happen begins."""

from typing import Any

from catalyst_continuum.domain.runs import Kind, Run, opened
from catalyst_continuum.workers.agent import Agent

from .region_world import REGIONS, SLOT, World

EAST, WEST = REGIONS[:2]


def two(agents: type[Agent] = Agent, **told: Any) -> World:
    """Two regions, east leads, west has every write."""
    one = World(1, agents=agents, fails_after=4.0, **told)
    for region in one.regions:
        one.start(region)
    one.until(lambda: bool(one.leader) and one.committed[-1][1].sync != "0", 30, "a leader with a standby")
    return one


def ordered(kind: Kind, **more: Any) -> Run:
    return opened(Run("abcdefghij", SLOT, kind, EAST, WEST, 1, 1, **more), 0.0)


def part(world: World) -> None:
    """The regions do not reach each other any more."""
    world.cut |= {(EAST, WEST), (WEST, EAST)}
