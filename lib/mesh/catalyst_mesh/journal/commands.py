"""Decisions on what people and other daemons ask of a run. Pure: `(flow, …, now) -> Decided`; a refusal raises.

Invariants
  said twice   a command whose wish is already true changes nothing and refuses nothing;
  only that    a retry runs the step, and what was skipped because of it, and nothing that has succeeded;
  awaited      a cancel never cuts a call: waits end at once, calls under way are awaited.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from .backward import finish_cancel, pause_shift
from .draft import Decided, Draft
from .graph import Step
from .refusals import StepNotSkippable, WrongRunState, WrongStepState
from .settling import settle
from .states import CancelMode, Flow, Run, RunState, Signal, StepState, Waits

_STOPPED_SHORT = {RunState.FAILED, RunState.STUCK}
_OPEN = {RunState.RUNNING, RunState.WAITING, RunState.PAUSED, RunState.FAILED, RunState.STUCK}
_PAUSABLE = {RunState.PENDING, RunState.RUNNING, RunState.WAITING}
_CANCELLABLE = _OPEN | {RunState.PENDING, RunState.CANCELLING}
_SKIPPABLE = {StepState.PENDING, StepState.READY, StepState.WAITING, StepState.FAILED, StepState.SKIPPED}


def create(
    run_id: str,
    kind: str,
    *,
    subject: str,
    key: str,
    input: Any,
    by: str,
    graph: Mapping[str, Step],
    now: datetime,
    traceparent: str = "",
) -> Decided:
    """A new run, whole graph included, before anything has started."""
    run = Run(
        id=run_id,
        kind=kind,
        subject=subject,
        key=key,
        input=input,
        started_by=by,
        traceparent=traceparent,
        state=RunState.PENDING,
        seq=0,
        cancel_mode="",
        paused_because="",
        paused_step="",
        paused_at=None,
        failure=None,
        takeovers=0,
        owner=None,
        fence=0,
        wake_at=now,
        created_at=now,
        started_at=None,
        finished_at=None,
    )
    steps = {name: step.stored(position) for position, (name, step) in enumerate(graph.items())}
    draft = Draft(Flow(run, steps), now)
    draft.tell("run.created", data={"steps": len(steps), "by": by})
    return draft.decision()


def cancel(flow: Flow, now: datetime, *, mode: CancelMode, by: str) -> Decided:
    """End the run before its end. A stronger mode may follow a weaker one, also after the run has ended with leftovers."""
    draft = Draft(flow, now)
    run = flow.run
    again = mode is CancelMode.COMPENSATE and run.state is RunState.CANCELLED_WITH_LEFTOVERS
    if run.state in {RunState.CANCELLED_CLEAN, RunState.CANCELLED_WITH_LEFTOVERS} and not again:
        return draft.decision()
    if run.state is RunState.CANCELLING and run.cancel_mode in {mode, CancelMode.COMPENSATE}:
        return draft.decision()
    if not again:
        _demand(run, _CANCELLABLE, "a cancel")
    draft.change_run(
        state=RunState.CANCELLING, cancel_mode=str(mode), paused_because="", paused_step="", finished_at=None
    )
    draft.change_run(paused_at=None, takeovers=0)
    draft.tell("run.cancelling", data={"mode": str(mode), "by": by})
    for name in flow.steps:
        _call_off(draft, name)
    draft.wake()
    decided = draft.decision()
    if run.owner is not None:
        return decided  # its holder may be in a call; it ends the run when that has returned
    ended = finish_cancel(decided.flow, now)
    return Decided(ended.flow, decided.notes + ended.notes)


def pause(flow: Flow, now: datetime, *, reason: str, by: str) -> Decided:
    """Start no more steps; those under way end."""
    draft = Draft(flow, now)
    if flow.run.state is RunState.PAUSED:
        return draft.decision()
    _demand(flow.run, _PAUSABLE, "a pause")
    draft.change_run(state=RunState.PAUSED, paused_because=reason or "asked for", paused_step="", paused_at=now)
    if flow.run.owner is None:
        draft.change_run(wake_at=None)
    draft.tell("run.paused", message=reason, data={"by": by})
    return draft.decision()


def resume(flow: Flow, now: datetime, *, by: str) -> Decided:
    """Go on after a pause, or after somebody has mended what made the run stuck."""
    draft = Draft(flow, now)
    if flow.run.state.going:
        return draft.decision()
    _demand(flow.run, {RunState.PAUSED, RunState.STUCK}, "to resume")
    _go_on(draft, by)
    return draft.decision()


def retry(flow: Flow, now: datetime, *, step: str, by: str) -> Decided:
    """Run a failed step again, and what was skipped because of it; one that rests before its next try tries now."""
    draft = Draft(flow, now)
    failed = draft.step(step)
    _demand(flow.run, _OPEN, "a retry")
    if failed.state is StepState.WAITING and failed.waits is Waits.RETRY:
        draft.change(step, wake_at=now)
        draft.tell("step.hurried", step, data={"by": by})
        if flow.run.state.going:
            draft.wake()
        return draft.decision()
    if failed.state is not StepState.FAILED:
        raise WrongStepState(step=step, state=failed.state, action="a retry", possible=StepState.FAILED)
    # The signals that it took were an answer to the try that failed; a new one needs new ones.
    draft.signals = tuple(s for s in flow.signals if s.taken_by != step)
    draft.change(step, state=StepState.READY, tries=0, deadline=None, failure=None, finished_at=None)
    draft.tell("step.retried", step, data={"by": by})
    _reopen(draft, step, by)
    return draft.decision()


def skip(flow: Flow, now: datetime, *, step: str, reason: str, by: str) -> Decided:
    """Leave a step out; what needs it goes on as if it had succeeded, without an output."""
    draft = Draft(flow, now)
    row = draft.step(step)
    if row.state is StepState.SKIPPED and not row.blocked_by:
        return draft.decision()
    _demand(flow.run, _OPEN | {RunState.PENDING}, "to skip a step")
    if not row.skippable:
        raise StepNotSkippable(run=flow.run.id, step=step)
    if row.state not in _SKIPPABLE:
        possible = ", ".join(sorted(_SKIPPABLE))
        raise WrongStepState(step=step, state=row.state, action="to skip it", possible=possible)
    draft.change(step, state=StepState.SKIPPED, blocked_by="", reason=reason, failure=None, **_STILL, finished_at=now)
    draft.tell("step.skipped", step, message=reason, data={"by": by})
    _reopen(draft, step, by)
    return draft.decision()


def signal(flow: Flow, now: datetime, *, name: str, payload: Any, by: str) -> Decided:
    """Tell something to the steps; the first that waits or will wait for `name` takes it."""
    draft = Draft(flow, now)
    _demand(flow.run, set(RunState) - {s for s in RunState if s.ended}, "a signal")
    draft.signals = (*flow.signals, Signal(flow.run.seq + 1, name, payload, by, now))
    for row in flow.steps.values():
        if row.state is StepState.WAITING and row.signal == name:
            draft.change(row.name, wake_at=now)
            if flow.run.state.going:
                draft.wake()
    draft.tell("run.signalled", data={"signal": name, "by": by})
    return draft.decision()


_STILL: dict[str, Any] = {"waits": Waits.NOTHING, "signal": "", "wake_at": None}


def _demand(run: Run, possible: set[RunState], action: str) -> None:
    if run.state not in possible:
        raise WrongRunState(run=run.id, state=run.state, action=action, possible=", ".join(sorted(possible)))


def _call_off(draft: Draft, name: str) -> None:
    step = draft.steps[name]
    if step.state in {StepState.PENDING, StepState.READY, StepState.WAITING}:
        draft.change(name, state=StepState.SKIPPED, reason="cancelled", finished_at=draft.now, **_STILL)
        draft.tell("step.skipped", name, message="cancelled")
    elif step.state is StepState.UNDO_FAILED:  # a second cancel tries again what the first could not undo
        draft.change(name, state=StepState.UNDOING, tries=0, wake_at=None)
        draft.tell("step.undoing", name)
    elif step.state is StepState.IN_DOUBT:
        draft.change(name, wake_at=None)


def _reopen(draft: Draft, step: str, by: str) -> None:
    """After a change to `step`: go on if the run had ended, was stuck, or was paused because of this very step."""
    run = draft.run
    if run.state in _STOPPED_SHORT or run.paused_step == step:
        _go_on(draft, by)
    else:
        settle(draft, may_end=run.owner is None)
        if draft.run.state.going:
            draft.wake()


def _go_on(draft: Draft, by: str) -> None:
    run = draft.run
    shift = pause_shift(Flow(run, draft.steps), draft.now)
    for step in list(draft.steps.values()):
        if step.deadline and not step.state.settled:
            draft.change(step.name, deadline=step.deadline + shift)
    state = RunState.CANCELLING if run.cancel_mode else RunState.RUNNING if run.started_at else RunState.PENDING
    draft.change_run(state=state, paused_because="", paused_step="", paused_at=None)
    draft.change_run(takeovers=0, failure=None, finished_at=None)
    draft.tell("run.resumed", data={"by": by})
    settle(draft, may_end=run.owner is None)
    if not draft.run.state.ended:
        draft.wake()
