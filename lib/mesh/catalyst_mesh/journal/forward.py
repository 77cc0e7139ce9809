"""Decisions on the way forward. Pure: `(flow, …, now) -> Decided`.

A decision that comes too late (a cancel or a skip was faster) changes nothing; whoever asked looks at the flow it gets.

Invariants
  told once     each change of a step's state is told by exactly one event; becoming ready or unblocked follows from others;
  bounded       no wait and no try goes on past the step's deadline, which a step that is blocked from outside has not;
  doubt first   a step that was interrupted is `in_doubt`, and never simply `ready` again.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from .draft import Decided, Draft
from .failures import Wait
from .settling import awaits_end, due, fail_step, next_wake, settle
from .states import Flow, RunState, StepState, StepView, Waits
from .verdicts import TIMED_OUT, Verdict

_UNDER_WAY = {StepState.RUNNING, StepState.IN_DOUBT}


def take_up(flow: Flow, now: datetime, *, owner: str, most: int) -> Decided:
    """A replica takes the run: the fence rises, and what was under way is in doubt.

    most   how often dead holders are forgiven without progress
    """
    draft = Draft(flow, now)
    died = flow.run.owner is not None
    draft.change_run(owner=owner, fence=flow.run.fence + 1, wake_at=now)
    if died:
        draft.change_run(takeovers=flow.run.takeovers + 1)
        draft.tell("run.taken_over", level="warn", data={"fence": draft.run.fence, "takeovers": draft.run.takeovers})
    _doubt(draft, (s.name for s in flow.steps.values()), message="its replica died" if died else "its replica stopped")
    if draft.run.takeovers > most:
        return _stuck(draft)
    if draft.run.state is RunState.PENDING:
        draft.change_run(state=RunState.RUNNING, started_at=now)
        draft.tell("run.started")
    settle(draft)
    return draft.decision()


def start(flow: Flow, name: str, now: datetime, *, timeout: timedelta | None) -> Decided:
    """`run` is about to be called, for the first time or again."""
    draft = Draft(flow, now)
    step = draft.step(name)
    if flow.run.state is RunState.CANCELLING and step.state is StepState.IN_DOUBT:
        return _leave_out(draft, name)
    retrying = step.state is StepState.WAITING and step.waits is Waits.RETRY
    if not flow.run.state.going or not (retrying or step.state in {StepState.READY, StepState.IN_DOUBT}):
        return draft.decision()
    if _over(step, now):
        fail_step(draft, name, _timed_out(step))
        return draft.decision()
    deadline = step.deadline or (now + timeout if timeout else None)
    draft.change(name, state=StepState.RUNNING, attempt=step.attempt + 1, deadline=deadline, **_RESTED)
    draft.change(name, started_at=step.started_at or now)
    draft.tell("step.started", name)
    settle(draft)
    return draft.decision()


def resume(flow: Flow, name: str, now: datetime) -> Decided:
    """A step that waited for a moment or a signal is entered again; the try is the same."""
    draft = Draft(flow, now)
    if flow.run.state.going and draft.step(name).state is StepState.WAITING:
        draft.change(name, state=StepState.RUNNING, **_RESTED)
        draft.tell("step.resumed", name)
        settle(draft)
    return draft.decision()


def succeed(flow: Flow, name: str, now: datetime, *, output: Any, evidence: bool = False) -> Decided:
    """`run` has returned `output`, or `check` found it done already."""
    draft = Draft(flow, now)
    if not _under_way(draft.step(name)):
        return draft.decision()
    draft.change(name, state=StepState.SUCCEEDED, output=output, failure=None, tries=0, finished_at=now, **_RESTED)
    draft.tell("step.succeeded", name, data={"evidence": True} if evidence else None)
    draft.progressed()
    settle(draft)
    return draft.decision()


def wait(flow: Flow, name: str, now: datetime, *, wish: Wait) -> Decided:
    """The step asks to be entered again at a moment or at a signal."""
    draft = Draft(flow, now)
    step = draft.step(name)
    if not _under_way(step):
        return draft.decision()
    if flow.run.state is RunState.CANCELLING:
        return _leave_out(draft, name)
    if _over(step, now):
        fail_step(draft, name, Verdict(TIMED_OUT))
        return draft.decision()
    # It was asked and has answered: failures before this count no more.
    draft.change(name, state=StepState.WAITING, waits=wish.waits, signal=wish.signal, tries=0, failure=None)
    draft.change(name, wake_at=_wake_at(flow, step, wish, now))
    if step.polling and wish.waits is Waits.POLL:
        # Asking the same question again is not news, and nothing is written for it: whoever takes over finds the moment of
        # an earlier question, and asks at once.
        return draft.decision(is_stored=step.failure is not None)
    draft.tell("step.waiting", name, data=_what(wish))
    settle(draft)
    return draft.decision()


def fail(flow: Flow, name: str, now: datetime, *, verdict: Verdict) -> Decided:
    """The step has failed: it rests until the next try, or has failed for good."""
    draft = Draft(flow, now)
    step = draft.step(name)
    if not _under_way(step):
        return draft.decision()
    draft.change(name, tries=step.tries + verdict.counts, failure=dict(verdict.failure))
    if verdict.blocked:
        draft.change(name, deadline=None)
    if verdict.delay is None or flow.run.state is RunState.CANCELLING:
        fail_step(draft, name, verdict)
    elif not verdict.blocked and _over(step, now):
        fail_step(draft, name, _timed_out(draft.step(name)))
    else:
        _rest(draft, name, verdict.delay, told=verdict)
    return draft.decision()


def doubt(flow: Flow, names: Iterable[str], now: datetime, *, message: str) -> Decided:
    """Nobody knows whether these steps happened: the time was over, or their replica is about to stop."""
    draft = Draft(flow, now)
    _doubt(draft, names, message)
    settle(draft)
    return draft.decision()


def conclude(flow: Flow, now: datetime) -> Decided:
    """The holder has nothing under way: what a command left for it to conclude is concluded."""
    draft = Draft(flow, now)
    settle(draft)
    return draft.decision()


def let_go(flow: Flow, now: datetime, *, interrupted: Iterable[str] = ()) -> Decided:
    """The holder has nothing to do now, or has to stop, and releases the run until something is due."""
    draft = Draft(flow, now)
    _doubt(draft, interrupted, "its replica stopped")
    after = draft.decision().flow
    draft.change_run(owner=None, wake_at=now if due(after, now) or awaits_end(after) else next_wake(after))
    return draft.decision()


def back_off(flow: Flow, now: datetime, *, rest: timedelta, most: int) -> Decided:
    """Carrying the run broke something that is no step's failure: a bug. It rests, and gets stuck when it goes on so."""
    draft = Draft(flow, now)
    draft.change_run(takeovers=flow.run.takeovers + 1, owner=None, wake_at=now + rest)
    _doubt(draft, (s.name for s in flow.steps.values()), message="the replica could not carry the run")
    return _stuck(draft) if draft.run.takeovers > most else draft.decision()


def pause_for_graph(flow: Flow, now: datetime, *, missing: tuple[str, ...]) -> Decided:
    """The code does not know steps that the stored graph still wants: a person decides, nothing is guessed."""
    draft = Draft(flow, now)
    if flow.run.state.going:
        message = f"this version of the code does not know: {', '.join(missing)}"
        draft.change_run(state=RunState.PAUSED, paused_because=message, paused_at=now)
        draft.tell("run.graph_changed", level="error", message=message, data={"missing": list(missing)})
    return draft.decision()


_RESTED: dict[str, Any] = {"waits": Waits.NOTHING, "signal": "", "wake_at": None}


def _under_way(step: StepView) -> bool:
    return step.state in _UNDER_WAY or step.polling


def _over(step: StepView, now: datetime) -> bool:
    return step.deadline is not None and now >= step.deadline


def _timed_out(step: StepView) -> Verdict:
    return Verdict({**TIMED_OUT, "last": step.failure} if step.failure else TIMED_OUT)


def _wake_at(flow: Flow, step: StepView, wish: Wait, now: datetime) -> datetime | None:
    if wish.signal and any(s.name == wish.signal and s.taken_by in {"", step.name} for s in flow.signals):
        return now  # it came while the step was on its way to wait
    moments = [moment for moment in (wish.until, step.deadline) if moment]
    return min(moments) if moments else None


def _what(wish: Wait) -> dict[str, str]:
    until = {"until": wish.until.isoformat()} if wish.until else {}
    return {"for": wish.waits, **until, **({"signal": wish.signal} if wish.signal else {})}


def _rest(draft: Draft, name: str, delay: timedelta, told: Verdict) -> None:
    step = draft.steps[name]
    wake_at = draft.now + delay
    draft.change(name, wake_at=min(wake_at, step.deadline) if step.deadline else wake_at)
    # A poll that something outside stands in the way of waits for that from now on, and whoever retries it is obeyed.
    if step.state is StepState.RUNNING or told.blocked:
        draft.change(name, state=StepState.WAITING, waits=Waits.RETRY)
    data = {**told.failure, "delay_seconds": round(delay.total_seconds(), 3), "tries": step.tries}
    draft.tell("step.retrying", name, level="warn", message=told.failure["message"], data=data)
    settle(draft)


def _doubt(draft: Draft, names: Iterable[str], message: str) -> None:
    for name in names:
        step = draft.steps[name]
        # A poll may have been asking when its replica died, and a question has no event of its own.
        if step.state is StepState.RUNNING or (step.polling and step.checkable):
            draft.change(name, state=StepState.IN_DOUBT, **_RESTED)
            draft.tell("step.in_doubt", name, level="warn", message=message)


def _leave_out(draft: Draft, name: str) -> Decided:
    draft.change(name, state=StepState.SKIPPED, reason="cancelled", finished_at=draft.now, **_RESTED)
    draft.tell("step.skipped", name, message="cancelled")
    return draft.decision()


def _stuck(draft: Draft) -> Decided:
    draft.change_run(state=RunState.STUCK, owner=None, wake_at=None)
    message = f"taken up {draft.run.takeovers} times without any progress"
    draft.tell("run.stuck", level="error", message=message, data={"takeovers": draft.run.takeovers})
    return draft.decision()
