"""A slot that people take: from a holder that renews, or without its region and without a majority of cells."""

from dataclasses import replace

import pytest
from catalyst_continuum.domain.runs import Kind

from .region_world import CELLS, REGIONS, World
from .two_regions import EAST, WEST, ordered, two


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
