"""Drills: what is kept of them, and when they are told."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from catalyst.continuum.v1.resources_pb2 import ContinuumStatus, DrillSpec, MoveRecord
from catalyst_continuum.domain import drills, runs
from catalyst_continuum.domain.drills import Drill, drilled, last
from catalyst_continuum.domain.runs import Kind, Run, RunState, StepState
from catalyst_continuum.domain.slots import Phase, Slot
from catalyst_continuum.domain.spec import DrillKind
from catalyst_continuum.rpc.histories import HISTORY, fill

EAST, WEST = "sb-east-rtz-dev", "sb-west-rtz-dev"
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
SLOT = Slot("demo", "shop", EAST, Phase.HEALTHY, NOON, NOON)
WELL, BADLY = Drill(DrillKind.DRY_RUN, NOON, True, 6.0), Drill(DrillKind.DRY_RUN, NOON, False, 6.0, "lag: too much")


def after(*what: tuple[Drill, datetime]) -> tuple[Slot, list[int]]:
    """The slot after these drills, and how many facts each told."""
    slot, told = SLOT, []
    for drill, now in what:
        decision = drilled(slot, replace(drill, ended_at=now), now)
        slot = decision.state
        told.append(len(decision.events))
    return slot, told


def test_equal_dry_runs_are_told_once_a_day_and_other_news_at_once() -> None:
    soon, late = NOON + timedelta(minutes=30), NOON + drills.TOLD_EVERY
    slot, told = after((WELL, NOON), (WELL, soon), (WELL, late), (BADLY, late + timedelta(minutes=30)))
    assert told == [1, 0, 1, 1]
    assert slot.drilled_at == late, "what did not pass makes no drill current"
    found = last(slot)
    assert found is not None
    assert (found.passed, found.why) == (False, "lag: too much")
    game = replace(WELL, kind=DrillKind.GAME_DAY)
    assert after((game, NOON), (game, soon))[1] == [1, 1]
    assert last(SLOT) is None


def test_the_last_moves_are_shown_the_newest_first_and_one_that_was_taken_back_was_no_move() -> None:
    def run(n: int, state: RunState) -> Run:
        one = runs.opened(Run(f"run{n:07}", "demo/shop", Kind.SWITCHOVER, EAST, WEST, 1, 2), NOON.timestamp() + n)
        return one if state is RunState.RUNNING else runs.over(one, state, NOON.timestamp() + n)

    states = [RunState.RUNNING, RunState.ABORTED, *[RunState.SUCCEEDED] * HISTORY]
    known = [run(len(states) - n, state) for n, state in enumerate(states)]
    flip = replace(known[2].steps[10], state=StepState.DONE, began_at=100.0, ended_at=100.5)
    known[2] = replace(known[2], measured={"rto": 2.5, "rpo_rows": 0}, steps=(*known[2].steps[:10], flip))
    shown = ContinuumStatus()
    fill(shown, after((BADLY, NOON))[0], known)
    assert shown.run.run == known[0].name
    assert (len(shown.history), shown.history[0].result) == (HISTORY, MoveRecord.RESULT_ABORTED)
    assert shown.last_switchover.run == known[2].name
    measured = shown.last_switchover.measured
    assert (measured.rto_observed.nanos, measured.components["dns"].nanos, measured.rpo_rows) == (
        500000000,
        500000000,
        0,
    )
    assert (shown.last_drill.kind, shown.last_drill.passed) == (DrillSpec.KIND_DRY_RUN, False)
    empty = ContinuumStatus()
    fill(empty, SLOT, ())
    assert empty == ContinuumStatus()
