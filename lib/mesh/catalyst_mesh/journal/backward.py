"""Decisions of a cancelled run: undoing, and its end. Pure: `(flow, …, now) -> Decided`.

Invariants
  reverse      a step is undone only when nothing that needs it still stands or is being undone;
  named        what still stands at the end is listed by name;
  at rest      a cancelled run ends only when nothing is on its way any more.
"""

from datetime import datetime, timedelta

from .draft import Decided, Draft
from .failures import Wait
from .settling import end, quiet, to_undo
from .states import Flow, RunState, StepState, Waits
from .verdicts import UNDO_MISSING, Verdict
from .views import leftovers


def begin_undo(flow: Flow, name: str, now: datetime) -> Decided:
    """`undo` is about to be called for the first time."""
    draft = Draft(flow, now)
    if flow.run.state is RunState.CANCELLING and name in to_undo(flow):
        draft.change(name, state=StepState.UNDOING, tries=0, wake_at=None, waits=Waits.NOTHING, finished_at=None)
        draft.tell("step.undoing", name)
    return draft.decision()


def undone(flow: Flow, name: str, now: datetime) -> Decided:
    """`undo` has returned."""
    draft = Draft(flow, now)
    if draft.step(name).state is StepState.UNDOING:
        draft.change(name, state=StepState.UNDONE, wake_at=None, waits=Waits.NOTHING, failure=None, finished_at=now)
        draft.tell("step.undone", name)
        draft.progressed()
    return draft.decision()


def wait_undo(flow: Flow, name: str, now: datetime, *, wish: Wait) -> Decided:
    """`undo` asks to be called again at a moment."""
    draft = Draft(flow, now)
    step = draft.step(name)
    if step.state is StepState.UNDOING:
        draft.change(name, wake_at=wish.until, waits=wish.waits, tries=0)
        if step.waits is not wish.waits:
            draft.tell("step.waiting", name, data={"for": wish.waits, "undo": True})
    return draft.decision()


def fail_undo(flow: Flow, name: str, now: datetime, *, verdict: Verdict) -> Decided:
    """`undo` has failed: it rests until the next try, or the step is left over."""
    draft = Draft(flow, now)
    step = draft.step(name)
    if step.state is not StepState.UNDOING:
        return draft.decision()
    told = {**verdict.failure, "undo": True}
    draft.change(name, tries=step.tries + verdict.counts, failure=dict(verdict.failure), waits=Waits.NOTHING)
    if verdict.delay is None:
        draft.change(name, state=StepState.UNDO_FAILED, wake_at=None, finished_at=now)
        draft.tell("step.undo_failed", name, level="error", message=verdict.failure["message"], data=told)
        draft.progressed()
    else:
        draft.change(name, wake_at=now + verdict.delay, waits=Waits.RETRY)
        draft.tell("step.retrying", name, level="warn", message=verdict.failure["message"], data=told)
    return draft.decision()


def forget_undo(flow: Flow, name: str, now: datetime) -> Decided:
    """The code has no function any more that could undo this step."""
    begun = begin_undo(flow, name, now)
    failed = fail_undo(begun.flow, name, now, verdict=Verdict(UNDO_MISSING))
    return Decided(failed.flow, begun.notes + failed.notes)


def finish_cancel(flow: Flow, now: datetime) -> Decided:
    """The run is cancelled, if nothing is left to do for it."""
    draft = Draft(flow, now)
    if flow.run.state is RunState.CANCELLING and quiet(flow) and not to_undo(flow):
        names = list(leftovers(flow))
        end(draft, RunState.CANCELLED_WITH_LEFTOVERS if names else RunState.CANCELLED_CLEAN, failure=flow.run.failure)
        message = f"still there: {', '.join(names)}" if names else "nothing is left"
        level = "warn" if names else "info"
        draft.tell("run.cancelled", level=level, message=message, data={"leftovers": names})
    return draft.decision()


def pause_shift(flow: Flow, now: datetime) -> timedelta:
    """How long the run was paused, by which deadlines move."""
    return now - flow.run.paused_at if flow.run.paused_at else timedelta()
