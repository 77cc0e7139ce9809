"""What follows from the states of the steps: who may start, who is blocked, what has become of the run. Pure.

Invariants
  needs first     a step is ready only when everything it needs has succeeded or was left out by a person;
  only dependants a failed step blocks what needs it, directly or not, and nothing else;
  honest end      a run succeeds only if each required step did, or a person left it out.
"""

from collections.abc import Collection
from datetime import datetime

from .draft import Draft
from .states import Flow, RunState, StepState, StepView, Waits
from .verdicts import Verdict

_ACTIVE = {StepState.READY, StepState.RUNNING, StepState.IN_DOUBT}


def settle(draft: Draft, *, may_end: bool = True) -> None:
    """Draw all conclusions from the steps of `draft`.

    may_end   False where another replica holds the run and may be in a call: it draws the last conclusion itself
    """
    if draft.run.state in {RunState.CANCELLING, RunState.PENDING} or draft.run.state.ended:
        return
    for name, step in draft.steps.items():  # in order of needs, so one pass is enough
        if step.state is StepState.PENDING or step.blocked_by:
            _unfold(draft, name)
    states = {step.state for step in draft.steps.values()}
    if all(state.settled for state in states):
        if may_end and not (draft.run.state is RunState.PAUSED and draft.run.paused_step):
            _finish(draft)
    elif draft.run.state.going:
        waiting = StepState.WAITING in states and not states & _ACTIVE
        draft.change_run(state=RunState.WAITING if waiting else RunState.RUNNING)


def _unfold(draft: Draft, name: str) -> None:
    step = draft.steps[name]
    blocked = step.state is StepState.SKIPPED and step.blocked_by
    if step.state is not StepState.PENDING and not blocked:
        return
    blocker, satisfied = "", True
    for need in step.needs:
        needed = draft.steps[need]
        blocker = blocker or _blocker(needed)
        satisfied = satisfied and needed.satisfied
    ready = satisfied and not blocker
    state = StepState.SKIPPED if blocker else StepState.READY if ready else StepState.PENDING
    if (state, blocker) != (step.state, step.blocked_by):
        draft.change(name, state=state, blocked_by=blocker)
    if blocker and not blocked:
        draft.tell("step.skipped", name, level="warn", message=f"{blocker} failed", data={"because": blocker})


def _blocker(step: StepView) -> str:
    return step.name if step.state is StepState.FAILED else step.blocked_by


def _finish(draft: Draft) -> None:
    lacking = [step for step in draft.steps.values() if not step.satisfied and not step.optional]
    end(draft, RunState.FAILED if lacking else RunState.SUCCEEDED, failure=_failure_of(lacking))
    if lacking:
        draft.tell("run.failed", level="error", message=draft.run.failure["message"], data=draft.run.failure)
    else:
        degraded = [step.name for step in draft.steps.values() if not step.satisfied]
        draft.tell("run.succeeded", data={"degraded": degraded} if degraded else None)


def _failure_of(lacking: list[StepView]) -> object:
    for step in lacking:
        if step.state is StepState.FAILED:
            return {**step.failure, "step": step.name}
    for step in lacking:
        message = f"{step.name} needs {step.blocked_by}, which failed"
        return {"class": "blocked", "reason": "STEP_BLOCKED", "message": message, "step": step.name}
    return None


def end(draft: Draft, state: RunState, failure: object = None) -> None:
    """End the run: nobody holds it, nothing wakes it, its subject is free."""
    draft.change_run(
        state=state,
        failure=failure,
        finished_at=draft.now,
        owner=None,
        wake_at=None,
        paused_because="",
        paused_step="",
        paused_at=None,
    )


def fail_step(draft: Draft, name: str, verdict: Verdict) -> None:
    """`name` has failed for good; what needs it is skipped, and the run pauses if the verdict says so."""
    draft.change(
        name,
        state=StepState.FAILED,
        failure=dict(verdict.failure),
        finished_at=draft.now,
        waits=Waits.NOTHING,
        signal="",
        wake_at=None,
    )
    draft.tell("step.failed", name, level="error", message=verdict.failure["message"], data=verdict.failure)
    draft.progressed()
    if verdict.pause and draft.run.state.going:
        message = f"{name} failed: {verdict.failure['message']}"
        draft.change_run(state=RunState.PAUSED, paused_because=message, paused_step=name, paused_at=draft.now)
        draft.tell("run.paused", message=message, data={"step": name})
    settle(draft)


def due(flow: Flow, now: datetime) -> tuple[str, ...]:
    """Steps that somebody should do something about now, on the way forward or back."""
    if flow.run.state.going:
        return tuple(s.name for s in flow.steps.values() if _forward_due(s, now))
    if flow.run.state is RunState.CANCELLING:
        doubtful = tuple(s.name for s in flow.steps.values() if s.state is StepState.IN_DOUBT and _woken(s, now))
        return doubtful or _backward_due(flow, now)
    return ()


def next_wake(flow: Flow, *, but: Collection[str] = ()) -> datetime | None:
    """The first moment at which a step will be due by itself; None when only something from outside can wake the run.

    but   steps that are being asked right now
    """
    if not flow.run.state.going and flow.run.state is not RunState.CANCELLING:
        return None
    resting = {StepState.WAITING, StepState.IN_DOUBT, StepState.UNDOING}
    moments = (s.wake_at for s in flow.steps.values() if s.state in resting and s.name not in but)
    return min((moment for moment in moments if moment), default=None)


def to_undo(flow: Flow) -> tuple[str, ...]:
    """Steps that this cancel wants undone, has not begun to undo, and that nothing above keeps; in reverse order."""
    held: set[str] = set()
    found: list[str] = []
    for step in reversed(list(flow.steps.values())):
        wished = step.state.settled and step.touched and _wanted(flow, step)
        if wished and step.name not in held:
            found.append(step.name)
        standing = wished or step.state in {StepState.UNDOING, StepState.UNDO_FAILED}
        if standing or step.name in held:
            held.update(step.needs)
    return tuple(found)


def quiet(flow: Flow) -> bool:
    """Whether no step is on its way, in either direction."""
    busy = {StepState.RUNNING, StepState.IN_DOUBT, StepState.WAITING, StepState.UNDOING}
    return not any(step.state in busy for step in flow.steps.values())


def awaits_end(flow: Flow) -> bool:
    """Whether nothing is left to do but to end the run. A cancel or a skip leaves that to whoever holds the run, who may
    have looked for the last time just before; no step would wake anybody for it."""
    return (flow.run.state.going or flow.run.state is RunState.CANCELLING) and quiet(flow)


def _forward_due(step: StepView, now: datetime) -> bool:
    if step.state is StepState.WAITING:
        return step.wake_at is not None and step.wake_at <= now
    return step.state is StepState.READY or (step.state is StepState.IN_DOUBT and _woken(step, now))


def _backward_due(flow: Flow, now: datetime) -> tuple[str, ...]:
    # Undoing waits until nothing runs forward any more: a step under way may still lean on what would be removed.
    if any(step.state in {StepState.RUNNING, StepState.IN_DOUBT} for step in flow.steps.values()):
        return ()
    begun = tuple(s.name for s in flow.steps.values() if s.state is StepState.UNDOING and _woken(s, now))
    return begun + to_undo(flow)


def _woken(step: StepView, now: datetime) -> bool:
    return step.wake_at is None or step.wake_at <= now


def _wanted(flow: Flow, step: StepView) -> bool:
    return flow.run.cancel_mode == "compensate" or step.compensate_on_cancel
