"""What is told of a run."""

from dataclasses import replace

from catalyst_continuum.domain import accounts, runs
from catalyst_continuum.domain.facts import Fact, RunCompleted, RunProgressed
from catalyst_continuum.domain.runs import Kind, Run, RunState

from services.continuum.tests.manifests import EAST, WEST

FIRST = runs.opened(
    Run("abcdefghij", "demo/shop", Kind.SWITCHOVER, EAST, WEST, 3, 3, reason="why", initiated_by="ann"), 10.0
)


def told(before: Run | None, after: Run) -> list[str]:
    return [fact.subject for fact in accounts.happened(before, after)]


def test_a_run_that_goes_well_is_told_from_its_first_step_to_the_move() -> None:
    story: list[Fact] = [*accounts.happened(None, FIRST)]
    run = FIRST
    for phase in range(1, 15):
        for after in (began := runs.began(run, phase, 11.0), runs.reached(began, phase, 12.0)):
            moved = replace(after, epoch=4) if phase >= 8 else after
            story += accounts.happened(run, moved)
            run = moved
    after = runs.over(replace(run, measured={"rto": 12.5, "rpo_rows": 0.0}), RunState.SUCCEEDED, 20.0)
    story += accounts.happened(run, after)
    assert [fact.subject for fact in story] == (
        ["run.started"] + ["run.progressed"] * 14 + ["run.completed", "switchover.completed"]
    )
    steps = [fact.step for fact in story if isinstance(fact, RunProgressed)]
    assert steps == [f"{n}/14" for n in range(1, 15)]
    (end,) = [fact for fact in story if isinstance(fact, RunCompleted)]
    assert (end.measured.rto, end.measured.rpo_rows, end.measured.rpo) == (12.5, 0, None), (
        "what was not measured is unknown"
    )


def test_the_same_record_again_tells_nothing() -> None:
    assert told(FIRST, FIRST) == []
    ended = runs.over(FIRST, RunState.FAILED, 20.0)
    assert told(ended, replace(ended, version=9)) == []


def test_a_run_that_was_taken_back_moved_nothing() -> None:
    assert told(FIRST, runs.over(FIRST, RunState.ABORTED, 20.0, "asked")) == ["run.aborted"]


def test_a_failure_after_the_epoch_moved_is_a_move_that_failed() -> None:
    moved = runs.moved(FIRST, 4, 15.0)
    assert told(moved, runs.over(moved, RunState.FAILED, 20.0)) == ["run.completed", "switchover.completed"]


def test_a_failback_and_a_drill_are_told_as_such() -> None:
    back = replace(FIRST, kind=Kind.FAILBACK, epoch=4)
    assert told(back, runs.over(back, RunState.SUCCEEDED, 20.0))[-1] == "failback.completed"
    drill = replace(FIRST, kind=Kind.DRILL)
    assert told(drill, runs.over(drill, RunState.SUCCEEDED, 20.0))[-1] == "drill.completed"
