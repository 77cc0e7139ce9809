"""Production's agents in worlds where regions die, freeze and are cut off, and in which nothing may ever go wrong.

HYPOTHESIS_PROFILE=long goes through thousands of worlds; a short run takes a sample. A broken one is seen again by its seed.
"""

import os
import random
from collections.abc import Iterator
from dataclasses import replace

import pytest
from catalyst_continuum.workers.agent import Agent

from .faults import Storm
from .region_world import REGIONS, Broken, World

LONG = os.environ.get("HYPOTHESIS_PROFILE") == "long"
SEEDS = range(2_000 if LONG else 5)
PACES = (3.0, 8.0, 15.0)
EAST, WEST = REGIONS[:2]


def storm(seed: int, agents: type[Agent] = Agent) -> World:
    """A world that was in a storm, and that has healed. Raises Broken."""
    random.seed(seed)
    world = World(seed, 2 if seed % 4 else 3, agents, fails_after=4.0)
    try:
        for region in world.regions:
            world.start(region)
        world.until(lambda: bool(world.leader), 60, "a first leader")
        world.run_for(8)
        faults = Storm(world, PACES[seed % 3])
        world.run_for(60)
        faults.end()
        world.until(lambda: bool(world.leader), 90, "a leader once all is healed")
        world.run_for(15)
        world.until(lambda: bool(world.leader), 60, "a leader that stays")
        if lost := world.acked - set(world.sites[world.leader].rows):
            raise Broken(f"I6: {len(lost)} acknowledged writes are lost, the first is {min(lost)}")
        world.until(
            lambda: {name.epoch for name in world.names} == {world.committed[-1][1].epoch}, 30, "I12: the names"
        )
    except Broken as broken:
        raise Broken(f"{broken} (seed {seed})\n" + "\n".join(world.trail[-60:])) from None
    finally:
        world.end()
    return world


@pytest.mark.parametrize("seed", SEEDS)
def test_no_storm_breaks_what_must_hold(seed: int) -> None:
    assert storm(seed).faults


@pytest.fixture
def world() -> Iterator[World]:
    """Two regions, east leads, west has every write."""
    one = World(1, fails_after=4.0)
    for region in one.regions:
        one.start(region)
    one.until(lambda: bool(one.leader) and one.committed[-1][1].sync != "0", 30, "a leader with a standby")
    yield one
    one.end()


def test_a_region_that_is_gone_is_replaced_and_stays_a_standby_when_it_returns(world: World) -> None:
    acked = set(world.acked)
    world.processes[EAST].kill()
    world.sites[EAST].is_up, world.sites[EAST].deadline = False, 0.0
    world.until(lambda: world.leader == WEST, 20, "the standby leads")
    assert acked <= set(world.sites[WEST].rows)
    world.sites[EAST].is_up = True
    world.start(EAST)
    world.until(lambda: EAST in world.sites[WEST].sync, 40, "who was primary has every write again")
    world.run_for(60)
    assert world.leader == WEST, "I13"
    assert world.committed[-1][1].epoch == 2


def test_a_holder_that_slept_too_long_does_nothing_when_it_wakes_up(world: World) -> None:
    world.processes[EAST].freeze()
    world.until(lambda: world.leader == WEST, 25, "the standby leads")
    world.processes[EAST].thaw()
    world.run_for(1)
    assert not world.agents[EAST].may_write()
    assert not world.sites[EAST].is_open
    world.until(lambda: world.sites[EAST].follows == WEST, 30, "it follows")


def test_a_holder_whose_database_fails_yields_before_anybody_would_have_to_wait_for_its_silence(world: World) -> None:
    at = world.loop.time()
    world.sites[EAST].is_broken = True
    world.until(lambda: world.agents[EAST].view is not None and world.agents[EAST].view.failing is True, 10, "it sees")
    world.sites[EAST].is_broken = False  # it can be fenced, and its log be read; its time to start again is spent
    world.until(lambda: world.leader == WEST, 15, "the standby leads")
    assert world.loop.time() - at < 15


def test_without_cells_the_holder_goes_on_while_its_peer_promises_and_stops_when_it_does_not(world: World) -> None:
    world.is_down |= {"cell-1", "cell-2"}
    world.run_for(60)
    assert world.leader == EAST
    world.cut |= {(EAST, WEST), (WEST, EAST)}
    world.until(lambda: not world.agents[EAST].may_write(), 8, "the authority ends")
    world.until(lambda: not world.sites[EAST].is_open, 4, "the writers are stopped")
    world.is_down.clear()
    world.until(lambda: bool(world.leader), 40, "somebody leads again")


def test_a_restart_within_the_authority_goes_on_without_a_break(world: World) -> None:
    world.processes[EAST].kill()
    world.start(EAST)
    world.until(lambda: world.leader == EAST, 5, "it leads")
    assert world.committed[-1][1].epoch == 1


def test_a_suspended_slot_stays_where_it_is_and_its_holder_goes_on(world: World) -> None:
    for agent in world.agents.values():
        agent.update(replace(agent.duty, suspended=True))
    world.processes[EAST].kill()
    world.run_for(60)
    assert world.committed[-1][1].epoch == 1, "I9"
    world.start(EAST)
    world.until(lambda: world.leader == EAST, 40, "the holder leads again")
