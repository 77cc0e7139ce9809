"""Agents that die and begin anew: what their disk says, what the record says, and what is still so."""

import asyncio
from dataclasses import replace

from catalyst_continuum.domain.runs import Kind, Run, opened

from .region_world import CELLS, SLOT, World
from .two_regions import EAST, WEST, ordered, part


def test_who_dies_while_it_is_promoted_does_not_wait_for_its_promises_a_second_time(world: World) -> None:
    world.processes[EAST].kill()
    world.sites[EAST].is_up, world.sites[EAST].deadline = False, 0.0
    world.until(lambda: world.sites[WEST].role.value == "primary", 25, "the standby is promoted")
    assert world.leader == "", "and has not led yet"
    world.processes[WEST].kill()
    world.start(WEST)
    world.until(lambda: world.leader == WEST, 8, "it goes on at once")


def test_who_dies_between_two_fences_that_it_lifts_does_not_take_itself_for_open(world: World) -> None:
    world.processes[EAST].freeze()
    world.cut |= {(WEST, cell) for cell in CELLS}  # nobody takes over
    world.run_for(12)
    world.processes[EAST].thaw()
    world.until(lambda: world.agents[EAST].standing.proof is not None, 10, "its writers are stopped, gateway and all")

    def die(region: str, event: str, effect: str) -> None:
        if (region, event, effect) == (EAST, "done", "unfence-1"):
            world.on_trace = None
            world.processes[EAST].kill()
            world.loop.outside(0.5, world.start, EAST)
            raise asyncio.CancelledError

    world.on_trace = die
    world.until(lambda: world.on_trace is None, 20, "it dies with its database open and its gateway shut")
    world.until(lambda: world.leader == EAST and world.sites[EAST].is_open, 30, "it takes writes again")
    assert (EAST, "region.unfenced", {}) in world.told


def test_a_holder_that_gave_up_and_found_nobody_to_take_over_begins_anew_in_its_next_life(world: World) -> None:
    world.sites[EAST].is_broken = True
    world.until(lambda: world.agents[EAST].view is not None and world.agents[EAST].view.failing is True, 10, "it sees")
    world.processes[WEST].freeze()
    world.sites[EAST].is_broken = False
    world.until(lambda: world.sites[EAST].demoted == 1, 10, "it gave up")
    world.processes[EAST].kill()
    world.start(EAST)
    world.run_for(2)
    world.processes[WEST].thaw()
    world.until(lambda: bool(world.leader), 60, "somebody leads")


def test_what_the_disk_says_of_an_older_epoch_lets_nobody_act_in_this_one(world: World) -> None:
    disk = world.disks[EAST]
    old = disk.read(SLOT)
    world.on_trace = lambda region, event, _: part(world) if (region, event) == (EAST, "fenced") else None
    world.agents[EAST].order(ordered(Kind.SWITCHOVER))
    world.until(lambda: world.committed[-1][1].epoch == 2 and world.leader == EAST, 90, "it leads in a new epoch")
    world.processes[EAST].kill()
    # As when a disk was set back, or another process had made the epoch.
    disk.keep(SLOT, replace(old, sent_at=world.machines[EAST].clock().boot))
    told = list[str]()
    world.on_trace = lambda region, event, _: told.append(event) if region == EAST else None
    world.start(EAST)
    world.until(lambda: "authority" in told, 30, "it has authority again")
    assert "fenced" in told[: told.index("authority")], "before a renewal in this epoch nothing is proven"
    world.until(lambda: world.leader == EAST, 30, "it leads")


def test_a_run_whose_agent_died_at_its_end_is_over_and_stands_in_no_other_s_way(world: World) -> None:
    left = opened(Run("klmnopqrst", SLOT, Kind.FAILOVER, EAST, EAST, 1, 1, reason="taken up again"), 0.0)
    world.agents[EAST].moves.known[left.id] = left  # as its logbook brings it from the store
    world.run_for(3)
    assert world.runs[f"{EAST} {left.id}"].state.is_over
    assert world.leader == EAST


def test_a_restart_within_the_authority_goes_on_without_a_break(world: World) -> None:
    world.processes[EAST].kill()
    world.start(EAST)
    world.until(lambda: world.leader == EAST, 5, "it leads")
    assert world.committed[-1][1].epoch == 1
