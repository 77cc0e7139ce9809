"""What callers and observers see of a run."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from .states import Flow, Note, RunState, StepState, StepView


@dataclass(frozen=True, slots=True)
class Progress:
    """How many steps are where."""

    total: int
    pending: int
    running: int
    waiting: int
    succeeded: int
    failed: int
    skipped: int
    undone: int

    @property
    def finished(self) -> int:
        return self.succeeded + self.failed + self.skipped + self.undone


@dataclass(frozen=True, slots=True)
class RunView:
    """A run as callers see it."""

    id: str
    kind: str
    subject: str
    key: str
    input: Any
    started_by: str
    state: RunState
    seq: int
    """Number of the newest event."""
    cancel_mode: str
    paused_because: str
    failure: Any
    """Of the first required step that failed; None while none has."""
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    wake_at: datetime | None
    progress: Progress
    leftovers: tuple[str, ...]
    """After a cancel: steps whose effects still stand."""
    degraded: tuple[str, ...]
    """Optional steps that failed, and what was skipped because of them."""


@dataclass(frozen=True, slots=True)
class EventView:
    """One event of a run. `seq` starts at 1 and has no gaps."""

    run: str
    seq: int
    at: datetime
    type: str
    step: str
    attempt: int
    level: str
    code: str
    message: str
    data: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line that a step wrote. Numbers start at 1 and have no gaps."""

    run: str
    number: int
    at: datetime
    step: str
    attempt: int
    level: str
    text: str


@dataclass(frozen=True, slots=True)
class Difference:
    """How the code's graph of today differs from the stored one. Nothing of it is acted upon unasked."""

    missing: tuple[str, ...] = ()
    """Stored and not yet run, but the code has no function for it any more: the run pauses before it."""
    added: tuple[str, ...] = ()
    rewired: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.missing or self.added or self.rewired)


@dataclass(frozen=True, slots=True)
class GraphView:
    """The stored graph, and how the code of today differs from it."""

    steps: tuple[StepView, ...]
    edges: tuple[tuple[str, str], ...]
    """`(needed, needs it)`."""
    difference: Difference


_PLACE = {
    StepState.PENDING: "pending",
    StepState.READY: "pending",
    StepState.RUNNING: "running",
    StepState.IN_DOUBT: "running",
    StepState.UNDOING: "running",
    StepState.WAITING: "waiting",
    StepState.SUCCEEDED: "succeeded",
    StepState.FAILED: "failed",
    StepState.UNDO_FAILED: "failed",
    StepState.SKIPPED: "skipped",
    StepState.UNDONE: "undone",
}
_CANCELLED = {RunState.CANCELLED_CLEAN, RunState.CANCELLED_WITH_LEFTOVERS}


def progress(flow: Flow) -> Progress:
    """Count the steps of `flow`."""
    count = Counter(_PLACE[step.state] for step in flow.steps.values())
    return Progress(
        total=len(flow.steps),
        pending=count["pending"],
        running=count["running"],
        waiting=count["waiting"],
        succeeded=count["succeeded"],
        failed=count["failed"],
        skipped=count["skipped"],
        undone=count["undone"],
    )


def leftovers(flow: Flow) -> tuple[str, ...]:
    """Steps that know how to undo what they did, and did not, or could not."""
    return tuple(step.name for step in flow.steps.values() if step.touched)


def degraded(flow: Flow) -> tuple[str, ...]:
    """Optional steps that came to nothing."""
    failed = (s for s in flow.steps.values() if s.optional and (s.state is StepState.FAILED or s.blocked_by))
    return tuple(step.name for step in failed)


def view(flow: Flow) -> RunView:
    """What callers see of `flow`."""
    run = flow.run
    return RunView(
        id=run.id,
        kind=run.kind,
        subject=run.subject,
        key=run.key,
        input=run.input,
        started_by=run.started_by,
        state=run.state,
        seq=run.seq,
        cancel_mode=run.cancel_mode,
        paused_because=run.paused_because,
        failure=run.failure,
        created_at=run.created_at,
        started_at=run.started_at,
        finished_at=run.finished_at,
        wake_at=run.wake_at,
        progress=progress(flow),
        leftovers=leftovers(flow) if run.state in _CANCELLED else (),
        degraded=degraded(flow),
    )


def event(run: str, seq: int, at: datetime, note: Note) -> EventView:
    """The event that `note` becomes."""
    return EventView(
        run, seq, at, note.kind, note.step, note.attempt, note.level, note.code, note.message, note.data or {}
    )
