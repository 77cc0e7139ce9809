"""What is shown of a run follows its events; all steps are asked for where an event does not tell enough."""

from typing import Any

import pytest
from catalyst_cli.progress import moved


def step(name: str, state: str, **more: Any) -> dict[str, Any]:
    return {"name": f"sovereigns/acme/runs/r1/steps/{name}", "state": state, **more}


STEPS = [step("network", "STATE_SUCCEEDED"), step("servers", "STATE_READY", error={"message": "busy"})]


def test_a_step_that_has_begun_and_one_that_is_done_are_shown_without_a_question() -> None:
    begun = moved(STEPS, {"code": "step.started", "step": "servers"})
    assert begun is not None
    assert (begun[0], begun[1]["state"], begun[1]["error"]) == (STEPS[0], "RUNNING", None)
    done = moved(begun, {"code": "step.succeeded", "step": "servers"})
    assert done is not None
    assert [one["state"] for one in done] == ["STATE_SUCCEEDED", "SUCCEEDED"]
    assert STEPS[1]["state"] == "STATE_READY"


def test_what_was_told_before_the_steps_were_asked_for_takes_nothing_back() -> None:
    assert moved(STEPS, {"code": "step.started", "step": "network"}) == STEPS


@pytest.mark.parametrize(
    "event",
    [
        {"code": "step.failed", "step": "servers"},
        {"code": "step.waiting", "step": "servers"},
        {"code": "step.started", "step": "added later"},
        {"code": "run.cancelled"},
    ],
)
def test_whatever_else_happens_is_asked_for(event: dict[str, str]) -> None:
    assert moved(STEPS, event) is None
