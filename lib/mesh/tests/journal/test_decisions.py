"""Decisions by themselves: no database, no clock, no loop."""

from dataclasses import replace
from datetime import timedelta
from random import Random
from typing import Any

import pytest
from catalyst_mesh.journal import Context, Step, backward, commands, forward
from catalyst_mesh.journal.commands import create
from catalyst_mesh.journal.graph import GraphFault, ordered
from catalyst_mesh.journal.settling import due, next_wake, to_undo
from catalyst_mesh.journal.states import CancelMode, Flow, RunState, StepState
from hypothesis import given, settings
from hypothesis import strategies as st

from .bench import NOON, SECOND


async def nothing(_ctx: Context) -> None:
    pass


def flow(state: RunState, mode: str = "", **states: StepState) -> Flow:
    """A chain of steps, each needing the one before, in the states given; all were begun and can be undone."""
    names = list(states)
    needs = [(), *((name,) for name in names)]
    graph = ordered(Step(name, nothing, undo=nothing, needs=need) for name, need in zip(names, needs, strict=False))
    made = create("run-1", "k", subject="s", key="k", input={}, by="", graph=graph, now=NOON).flow
    steps = {name: replace(step, state=states[name], attempt=1) for name, step in made.steps.items()}
    return replace(made, run=replace(made.run, state=state, cancel_mode=mode), steps=steps)


def changed(given: Flow, name: str, **values: Any) -> Flow:
    return replace(given, steps={**given.steps, name: replace(given.steps[name], **values)})


@pytest.mark.parametrize("busy", [StepState.RUNNING, StepState.IN_DOUBT])
def test_nothing_is_due_to_be_undone_while_a_step_is_on_its_way(busy: StepState) -> None:
    cancelled = flow(RunState.CANCELLING, "compensate", a=StepState.SUCCEEDED, b=StepState.SKIPPED, c=busy)
    aside = changed(changed(cancelled, "b", attempt=0), "c", needs=(), wake_at=NOON + SECOND)
    assert due(aside, NOON) == ()
    assert due(changed(aside, "c", state=StepState.UNDONE), NOON) == ("a",)


@pytest.mark.parametrize("command", [
    lambda held: commands.cancel(held, NOON, mode=CancelMode.FINISH_STEP, by="ada"),
    lambda held: commands.skip(held, NOON, step="b", reason="enough", by="ada"),
])  # fmt: skip
def test_a_run_that_a_command_ends_while_its_holder_lets_it_go_is_ended_by_the_next(command: Any) -> None:
    waiting = changed(flow(RunState.WAITING, a=StepState.SUCCEEDED, b=StepState.WAITING), "b", skippable=True)
    held = replace(waiting, run=replace(waiting.run, owner="one"))
    looked = forward.conclude(held, NOON).flow
    let_go = forward.let_go(command(looked).flow, NOON).flow
    assert (let_go.run.owner, let_go.run.wake_at, let_go.run.state.ended) == (None, NOON, False)
    taken = forward.take_up(let_go, NOON, owner="two", most=3).flow
    ended = forward.conclude(taken, NOON) if taken.run.state.going else backward.finish_cancel(taken, NOON)
    assert ended.flow.run.state.ended


def test_undoing_begins_at_the_end_of_the_chain() -> None:
    cancelled = flow(RunState.CANCELLING, "compensate", **dict.fromkeys("abc", StepState.SUCCEEDED))
    assert to_undo(cancelled) == ("c",)
    assert to_undo(changed(cancelled, "c", state=StepState.UNDOING)) == ()
    assert to_undo(changed(cancelled, "c", state=StepState.UNDO_FAILED)) == ()
    assert to_undo(changed(cancelled, "c", state=StepState.UNDONE)) == ("b",)
    gone = changed(changed(cancelled, "b", undoable=False), "c", state=StepState.UNDO_FAILED)
    assert to_undo(gone) == (), "also through a step that leaves nothing behind"


@pytest.mark.parametrize("state", [state for state in RunState if not state.going and state is not RunState.CANCELLING])
def test_a_run_that_does_not_go_has_nothing_due(state: RunState) -> None:
    still = flow(state, a=StepState.SUCCEEDED, b=StepState.READY)
    assert due(still, NOON) == ()
    assert next_wake(changed(still, "b", state=StepState.WAITING, wake_at=NOON)) is None


def test_the_next_wake_leaves_out_what_is_being_asked() -> None:
    waiting = flow(RunState.WAITING, a=StepState.WAITING, b=StepState.WAITING)
    waiting = changed(changed(waiting, "a", wake_at=NOON), "b", wake_at=NOON + timedelta(hours=1))
    assert next_wake(waiting) == NOON
    assert next_wake(waiting, but={"a"}) == NOON + timedelta(hours=1)


@settings(deadline=None, max_examples=60)
@given(st.integers(1, 30), st.randoms(use_true_random=False))
def test_steps_come_after_their_needs_and_otherwise_as_they_were_given(count: int, chance: Random) -> None:
    names = [f"s{n}" for n in range(count)]
    chance.shuffle(names)
    needs = [tuple(chance.choices(names[:at], k=chance.randrange(3))) if at else () for at in range(count)]
    steps = [Step(name, nothing, needs=need) for name, need in zip(names, needs, strict=True)]
    chance.shuffle(steps)
    found = list(ordered(steps))
    left = list(steps)
    for name in found:  # always the first one given of those whose needs are there
        free = [step.name for step in left if not set(step.needs) & {other.name for other in left}]
        assert name == free[0]
        left = [step for step in left if step.name != name]
    assert not left


@pytest.mark.parametrize(
    ("needs", "why"),
    [({"a": ("b",), "b": ("a",), "c": ()}, "circle of needs: a, b"), ({"a": ("a",)}, "circle of needs: a"),
     ({"a": ("x", "y")}, "not there: x, y")],
    ids=str,
)  # fmt: skip
def test_a_graph_that_cannot_be_is_refused_with_the_names(needs: dict[str, tuple[str, ...]], why: str) -> None:
    with pytest.raises(GraphFault, match=why):
        ordered(Step(name, nothing, needs=need) for name, need in needs.items())
