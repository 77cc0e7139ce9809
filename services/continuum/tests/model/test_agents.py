"""Production's agents in worlds where regions die, freeze and are cut off, and in which nothing may ever go wrong.

HYPOTHESIS_PROFILE=long goes through thousands of worlds; a short run takes a sample. A broken one is seen again by its seed.
"""

import asyncio
import os
import random
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import replace
from typing import Any

import pytest
from catalyst_continuum.domain.antiflap import USUAL
from catalyst_continuum.domain.authority import Authority
from catalyst_continuum.domain.decide import Action, Decision
from catalyst_continuum.domain.lease import NO_WRITERS
from catalyst_continuum.domain.record import Lease
from catalyst_continuum.domain.runs import Kind, Run, opened
from catalyst_continuum.workers.agent import Agent
from catalyst_continuum.workers.rights import Rights
from catalyst_sdk.continuum import Role

from .faults import Storm
from .region_world import CELLS, REGIONS, SLOT, Broken, World

LONG = os.environ.get("HYPOTHESIS_PROFILE") == "long"
SEEDS = range(2_000 if LONG else 3)
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
    one = two()
    yield one
    one.end()


def two(agents: type[Agent] = Agent, **told: Any) -> World:
    """Two regions, east leads, west has every write."""
    one = World(1, agents=agents, fails_after=4.0, **told)
    for region in one.regions:
        one.start(region)
    one.until(lambda: bool(one.leader) and one.committed[-1][1].sync != "0", 30, "a leader with a standby")
    return one


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


def test_a_restart_within_the_authority_goes_on_without_a_break(world: World) -> None:
    world.processes[EAST].kill()
    world.start(EAST)
    world.until(lambda: world.leader == EAST, 5, "it leads")
    assert world.committed[-1][1].epoch == 1


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


def ordered(kind: Kind, **more: Any) -> Run:
    return opened(Run("abcdefghij", SLOT, kind, EAST, WEST, 1, 1, **more), 0.0)


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


def part(world: World) -> None:
    """The regions do not reach each other any more."""
    world.cut |= {(EAST, WEST), (WEST, EAST)}


def test_a_run_whose_agent_died_at_its_end_is_over_and_stands_in_no_other_s_way(world: World) -> None:
    left = opened(Run("klmnopqrst", SLOT, Kind.FAILOVER, EAST, EAST, 1, 1, reason="taken up again"), 0.0)
    world.agents[EAST].moves.known[left.id] = left  # as its logbook brings it from the store
    world.run_for(3)
    assert world.runs[f"{EAST} {left.id}"].state.is_over
    assert world.leader == EAST


def test_a_holder_that_renews_is_taken_from_by_force_and_nobody_acts_before_its_promise_is_over(world: World) -> None:
    world.run_for(12)  # whoever started just now may have promised something in the life before
    acked, at = set(world.acked), world.loop.time()
    world.forced.add(2)
    world.agents[WEST].order(ordered(Kind.TAKEOVER, force=True))
    world.until(lambda: world.committed[-1][1].holder == WEST, 5, "the record is the other region's at once")
    world.until(lambda: world.leader == WEST, 25, "it leads")
    assert world.loop.time() - at >= 10 / 1.1, "the promise is over first"
    assert acked <= set(world.sites[WEST].rows)
    world.until(lambda: EAST in world.sites[WEST].sync, 60, "who was cut short follows")


def test_of_two_regions_that_take_at_once_one_is_refused_and_says_so() -> None:
    north, world = REGIONS[2], World(1, 3)
    for region in world.regions:
        world.start(region)
    follow = lambda: all(world.sites[region].follows == EAST for region in (WEST, north))  # noqa: E731
    world.until(lambda: world.leader == EAST and follow(), 60, "a leader with two standbys")
    world.run_for(12)  # whoever started just now may have promised something in the life before
    world.forced.add(2)
    for region, id in ((WEST, "abcdefghij"), (north, "klmnopqrst")):
        world.agents[region].order(
            replace(ordered(Kind.TAKEOVER, force=True, accept_data_loss=True), id=id, target=region)
        )
    world.until(lambda: "lease.collided" in [kind for _, kind, _ in world.told], 10, "one is refused")
    (refused,) = [region for region, kind, _ in world.told if kind == "lease.collided"]
    assert {refused, world.committed[-1][1].holder} == {WEST, north}
    world.end()


def test_who_took_by_force_and_starts_anew_waits_all_the_same(world: World) -> None:
    world.run_for(12)
    world.forced.add(2)
    world.cut |= {(EAST, cell) for cell in CELLS} | {(cell, EAST) for cell in CELLS} | {(EAST, WEST), (WEST, EAST)}
    world.agents[WEST].order(ordered(Kind.TAKEOVER, force=True))
    world.until(lambda: world.committed[-1][1].holder == WEST, 5, "the record is the other region's")
    world.processes[WEST].kill()
    world.start(WEST)
    world.until(lambda: world.leader == WEST, 60, "it leads, and never was there authority in both")


def bury(world: World) -> None:
    """The holder's region and a majority of the cells are gone, and two people give the slot to the other one."""
    world.processes[EAST].kill()
    world.sites[EAST].is_up, world.sites[EAST].deadline = False, 0.0
    world.is_down |= {"cell-1", "cell-2"}
    give(world)


def give(world: World) -> None:
    """Two people give the slot to the region that sees no cells."""
    world.until(lambda: not world.agents[WEST].sight.is_readable, 10, "it sees no cells")
    world.given[2] = WEST
    world.agents[WEST].order(ordered(Kind.TAKEOVER, force=True, unwitnessed=True))


def test_without_region_and_cells_nothing_goes_on_by_itself_and_people_give_the_slot_away(world: World) -> None:
    world.run_for(3)  # the other region has read that it has every write
    acked = set(world.acked)
    bury(world)
    world.agents[WEST].moves.ordered = None
    world.run_for(60)
    assert world.leader == ""
    bury(world)
    world.until(lambda: world.leader == WEST, 10, "it leads, as the holder has been silent for long")
    assert acked <= set(world.sites[WEST].rows)
    world.run_for(30)
    assert world.leader == WEST
    assert world.agents[WEST].standing.unconfirmed is not None
    assert "split-brain" in world.agents[WEST].standing.trouble
    world.is_down.clear()
    world.until(lambda: world.committed[-1][1].holder == WEST, 10, "the cells confirm it")
    world.sites[EAST].is_up = True
    world.start(EAST)
    world.until(lambda: world.committed[-1][1].sync != "0", 60, "who was primary has every write again")
    assert (world.leader, world.committed[-1][1].epoch) == (WEST, 2)
    assert world.agents[WEST].standing.unconfirmed is None
    assert "split-brain" not in world.agents[WEST].standing.trouble
    assert world.acked - acked <= set(world.sites[WEST].rows), "nothing of the time without cells is lost"
    world.until(lambda: world.runs[f"{WEST} abcdefghij"].state.value == "succeeded", 5, "the run is over")


def test_people_do_not_hurry_a_holder_s_promise(world: World) -> None:
    world.run_for(12)
    at = world.loop.time()
    bury(world)
    world.until(lambda: world.leader == WEST, 30, "it leads")
    assert world.loop.time() - at >= 10 / 1.1


def test_a_holder_that_lived_all_the_same_is_right_and_who_was_given_the_slot_gives_way(world: World) -> None:
    world.run_for(3)
    world.cut |= {(WEST, other) for other in ("cell-1", "cell-2", EAST)}
    world.cut |= {(other, WEST) for other in ("cell-1", "cell-2", EAST)}
    world.may_split = True
    give(world)
    world.until(lambda: world.sites[WEST].is_open, 40, "both take writes: the risk that people took")
    world.cut.clear()
    world.until(lambda: not world.sites[WEST].is_open, 10, "it stops its writers as soon as the cells say so")
    world.may_split = False
    world.run_for(5)
    assert (world.leader, world.committed[-1][1].epoch) == (EAST, 1)
    assert world.agents[WEST].standing.unconfirmed is None
    assert world.runs[f"{WEST} abcdefghij"].state.value == "failed"


@pytest.mark.parametrize(("away", "goes_on"), [(0.5, True), (20.0, False)])
def test_who_dies_without_cells_goes_on_within_its_time_and_else_stops_its_writers(away: float, goes_on: bool) -> None:
    world = two()
    world.run_for(3)
    bury(world)
    world.until(lambda: world.leader == WEST, 30, "it leads")
    world.processes[WEST].kill()
    world.run_for(away)
    world.start(WEST)
    world.run_for(5)
    assert (world.leader == WEST) is goes_on
    assert world.sites[WEST].is_open is goes_on
    world.is_down.clear()
    world.until(lambda: world.committed[-1][1].epoch == 2, 40, "the cells are back, and confirm it")
    world.until(lambda: world.leader == WEST, 20, "it leads")
    world.end()


def test_a_renewal_that_nobody_saw_any_more_is_waited_for_and_not_taken_for_a_living_holder(world: World) -> None:
    world.run_for(3)
    world.cut |= {(WEST, cell) for cell in CELLS} | {(cell, WEST) for cell in CELLS}
    seq = world.committed[-1][1].seq
    world.until(lambda: world.committed[-1][1].seq > seq, 10, "the holder renews")
    bury(world)
    world.until(lambda: world.leader == WEST, 30, "it leads")
    world.is_down.clear()
    world.cut.clear()
    world.run_for(5)
    assert world.leader == WEST
    assert world.committed[-1][1].epoch == 1, "the holder would have renewed within its time"
    world.until(lambda: world.committed[-1][1].holder == WEST, 15, "the cells confirm it")
    assert world.leader == WEST


def test_what_it_would_lose_is_not_known_and_people_have_to_say_that_they_take_it(world: World) -> None:
    bury(world)  # before it has read that it has every write
    world.run_for(30)
    assert world.leader == ""
    world.agents[WEST].order(ordered(Kind.TAKEOVER, force=True, unwitnessed=True, accept_data_loss=True))
    world.until(lambda: world.leader == WEST, 10, "it leads")


def test_cells_that_come_back_while_it_is_promoted_confirm_it_under_way(world: World) -> None:
    world.run_for(3)
    bury(world)
    world.until(lambda: world.agents[WEST].standing.unconfirmed is not None, 30, "it has taken it")
    world.is_down.clear()
    world.until(lambda: world.leader == WEST and world.committed[-1][1].holder == WEST, 30, "it leads, confirmed")
    assert world.agents[WEST].standing.unconfirmed is None


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


# Ways to break it, each of which must be seen.


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
