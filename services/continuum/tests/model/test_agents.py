"""Production's agents in worlds where regions die, freeze and are cut off, and in which nothing may ever go wrong.

HYPOTHESIS_PROFILE=long goes through thousands of worlds; a short run takes a sample. A broken one is seen again by its seed.
"""

import os
import random
from dataclasses import replace

import pytest
from catalyst_continuum.domain.antiflap import USUAL
from catalyst_continuum.domain.runs import Kind
from catalyst_continuum.workers.agent import Agent
from catalyst_sdk.continuum import Role

from .faults import Storm
from .region_world import CELLS, Broken, World
from .two_regions import EAST, WEST, ordered, part, two

LONG = os.environ.get("HYPOTHESIS_PROFILE") == "long"
SEEDS = range(2_000 if LONG else 3)
PACES = (3.0, 8.0, 15.0)


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


def test_a_standby_that_was_started_anew_with_rows_of_its_own_gives_them_up_and_follows(world: World) -> None:
    world.processes[EAST].kill()
    world.sites[EAST].is_up, world.sites[EAST].deadline = False, 0.0
    world.until(lambda: world.leader == WEST, 20, "the standby leads")
    world.sites[EAST].rows.append(-1)  # it was the last that was written there, and nobody was told that it was
    # Who supervises it starts it as a standby, before its agent looks for the first time.
    world.sites[EAST].is_up, world.sites[EAST].role, world.sites[EAST].follows = True, Role.REPLICA, ""
    world.start(EAST)
    world.until(lambda: EAST in world.sites[WEST].kept, 60, "it has every write again")
    assert -1 not in world.sites[EAST].rows
    assert (EAST, "rejoin.attempted", {"attempt": "1"}) in world.told


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
    failsafe = [(region, kind, dict(said)) for region, kind, said in world.told if kind.startswith("failsafe")]
    assert failsafe == [(EAST, "failsafe.entered", {"promised_by": WEST})], "once, however long it lasts"
    world.cut |= {(EAST, WEST), (WEST, EAST)}
    world.until(lambda: not world.agents[EAST].may_write(), 8, "the authority ends")
    world.until(lambda: not world.sites[EAST].is_open, 4, "the writers are stopped")
    assert (EAST, "failsafe.left", {"recovered": "no"}) in world.told
    world.until(lambda: "region.fenced" in (kind for _, kind, _ in world.told), 4, "and it is told")
    (fenced,) = (said for _, kind, said in world.told if kind == "region.fenced")
    assert (fenced["level"], 0 < float(fenced["took"]) < 3.3) == ("1", True)
    world.is_down.clear()
    world.until(lambda: bool(world.leader), 40, "somebody leads again")


def test_cells_that_come_back_end_what_the_peers_promised(world: World) -> None:
    world.is_down |= {"cell-1", "cell-2"}
    world.run_for(15)
    world.is_down.clear()
    world.run_for(5)
    assert (EAST, "failsafe.left", {"recovered": "yes"}) in world.told
    assert world.leader == EAST


def test_a_holder_that_is_cut_from_the_cells_renews_through_its_peer(world: World) -> None:
    world.has_relays = True
    world.processes[EAST].kill()
    world.start(EAST)
    world.until(lambda: world.leader == EAST, 5, "it leads")
    world.run_for(3)
    world.cut |= {(EAST, cell) for cell in CELLS} | {(cell, EAST) for cell in CELLS}
    before = world.committed[-1][1].seq
    world.run_for(40)
    assert world.leader == EAST
    assert world.committed[-1][1].epoch == 1
    assert world.committed[-1][1].seq > before + 3, "what it says goes through the other region"


def test_a_region_that_lost_the_slot_takes_it_back_by_itself_only_once_a_person_has_looked() -> None:
    world = two(bounds=USUAL)
    world.sites[EAST].deadline, world.sites[EAST].is_up = 0.0, False
    world.processes[EAST].kill()
    world.until(lambda: world.leader == WEST, 20, "the standby leads")
    world.sites[EAST].is_up = True
    world.start(EAST)
    world.until(lambda: EAST in world.sites[WEST].kept and world.committed[-1][1].sync != "0", 40, "it has every write")
    world.processes[WEST].kill()
    world.sites[WEST].is_up = False
    world.run_for(40)
    assert world.committed[-1][1].epoch == 2, "I13"
    assert "does not take it back" in world.agents[EAST].standing.trouble["anti-flap"]
    world.acknowledged_at = world.machines[EAST].clock().wall
    world.until(lambda: world.leader == EAST, 15, "it may")
    world.end()


def test_a_suspended_slot_stays_where_it_is_and_its_holder_goes_on(world: World) -> None:
    for agent in world.agents.values():
        agent.update(replace(agent.duty, suspended=True))
    world.processes[EAST].kill()
    world.run_for(60)
    assert world.committed[-1][1].epoch == 1, "I9"
    world.start(EAST)
    world.until(lambda: world.leader == EAST, 40, "the holder leads again")


def test_a_planned_move_that_is_taken_back_after_the_fence_leaves_a_holder_that_writes(world: World) -> None:
    world.on_trace = lambda region, event, _: part(world) if (region, event) == (EAST, "fenced") else None
    world.agents[EAST].order(ordered(Kind.SWITCHOVER))
    world.until(lambda: not world.sites[EAST].is_open, 15, "its writers are stopped")
    world.until(lambda: world.leader == EAST, 60, "it leads again, as the other region cannot be asked")
    assert world.committed[-1][1].epoch == 2, "a database that gave up in an epoch leads in it no more"
    world.on_trace = None
    world.cut.clear()
    world.until(lambda: world.committed[-1][1].sync != "0", 60, "the standby has every write again")


@pytest.mark.parametrize(("begin", "within"), [("planned", 7.0), ("gone", 3.0)])
def test_cells_that_take_their_time_hold_up_a_move_once_and_not_at_each_of_its_steps(begin: str, within: float) -> None:
    random.seed(1)
    world = two(busy=(0.1, 0.4), ttl=2, low_ttl=1, drain=1.0)
    if begin == "planned":
        world.run_for(3)
        world.agents[EAST].order(ordered(Kind.SWITCHOVER))
        world.until(lambda: not world.sites[EAST].is_open, 30, "its writers are stopped")
    else:
        world.processes[EAST].kill()
        world.sites[EAST].is_up, world.sites[EAST].deadline = False, 0.0
        world.until(lambda: world.committed[-1][1].holder == WEST, 20, "the slot is the standby's")
    closed = world.loop.time()
    at_west = lambda: world.sites[WEST].is_open and {name.holder for name in world.names} == {WEST}  # noqa: E731
    world.until(at_west, 30, "the names lead to who takes writes")
    assert world.loop.time() - closed < within
    world.end()
