"""Where runs and steps can be, and the records that say so.

`Flow` is the aggregate: one run, its steps in an order that respects their needs, and the signals that were sent to it.
Everything here is frozen; decisions make new ones.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any


class RunState(StrEnum):
    """States of a run."""

    PENDING = "pending"
    RUNNING = "running"
    WAITING = "waiting"
    PAUSED = "paused"
    CANCELLING = "cancelling"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED_CLEAN = "cancelled_clean"
    CANCELLED_WITH_LEFTOVERS = "cancelled_with_leftovers"
    STUCK = "stuck"

    @property
    def ended(self) -> bool:
        """Whether nothing goes on unless a person asks for it, and the subject is free for another run."""
        return self in _ENDED

    @property
    def going(self) -> bool:
        """Whether steps may start."""
        return self in _GOING


_ENDED = {
    RunState.SUCCEEDED,
    RunState.FAILED,
    RunState.CANCELLED_CLEAN,
    RunState.CANCELLED_WITH_LEFTOVERS,
}
_GOING = {RunState.RUNNING, RunState.WAITING}


class StepState(StrEnum):
    """States of a step."""

    PENDING = "pending"
    READY = "ready"
    RUNNING = "running"
    WAITING = "waiting"
    IN_DOUBT = "in_doubt"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    SKIPPED = "skipped"
    UNDOING = "undoing"
    UNDONE = "undone"
    UNDO_FAILED = "undo_failed"

    @property
    def settled(self) -> bool:
        """Whether the way forward is over for this step."""
        return self in _SETTLED


_SETTLED = {StepState.SUCCEEDED, StepState.FAILED, StepState.SKIPPED}


class CancelMode(StrEnum):
    """What a cancelled run does with what already stands."""

    FINISH_STEP = "finish_step"
    """Steps that run end; what stands is left, and named."""
    COMPENSATE = "compensate"
    """Steps that run end; then everything is undone in reverse order."""


class Waits(StrEnum):
    """What a waiting step waits for."""

    NOTHING = ""
    RETRY = "retry"
    MOMENT = "moment"
    POLL = "poll"
    SIGNAL = "signal"


@dataclass(frozen=True, slots=True)
class Run:
    """One row of `journal_run`, without what only the store needs."""

    id: str
    kind: str
    subject: str
    key: str
    input: Any
    started_by: str
    traceparent: str
    """Of the call that started it; empty where nobody's did."""
    state: RunState
    seq: int
    cancel_mode: str
    paused_because: str
    paused_step: str
    paused_at: datetime | None
    failure: Any
    takeovers: int
    owner: str | None
    fence: int
    wake_at: datetime | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None


@dataclass(frozen=True, slots=True)
class StepView:
    """A step as it is stored: its place in the graph, and how far it is."""

    name: str
    position: int
    needs: tuple[str, ...]
    state: StepState
    optional: bool
    skippable: bool
    checkable: bool
    undoable: bool
    compensate_on_cancel: bool
    phase: str
    cluster: str
    component: str
    attempt: int = 0
    """How often `run` was started."""
    tries: int = 0
    """Failures since the last answer; the limit of `retries` is counted by it."""
    waits: Waits = Waits.NOTHING
    signal: str = ""
    wake_at: datetime | None = None
    deadline: datetime | None = None
    output: Any = None
    failure: Any = None
    blocked_by: str = ""
    """The failed step because of which this one was skipped."""
    reason: str = ""
    """Why it was skipped by a person or a cancel."""
    started_at: datetime | None = None
    finished_at: datetime | None = None

    @property
    def satisfied(self) -> bool:
        """Whether steps that need this one may go on."""
        return self.state is StepState.SUCCEEDED or (self.state is StepState.SKIPPED and not self.blocked_by)

    @property
    def touched(self) -> bool:
        """Whether it may have left something in the world that `undo` knows how to remove."""
        return self.undoable and self.attempt > 0 and self.state is not StepState.UNDONE

    @property
    def polling(self) -> bool:
        return self.state is StepState.WAITING and self.waits is Waits.POLL


@dataclass(frozen=True, slots=True)
class Signal:
    """A message from outside to the steps of a run; `seq` is that of its event."""

    seq: int
    name: str
    payload: Any
    sent_by: str
    sent_at: datetime
    taken_by: str = ""


@dataclass(frozen=True, slots=True)
class Flow:
    """A run with its steps, in an order in which no step comes before what it needs."""

    run: Run
    steps: Mapping[str, StepView]
    signals: tuple[Signal, ...] = ()


@dataclass(frozen=True, slots=True)
class Note:
    """What an event will say; its number and moment are given with the commit."""

    code: str
    step: str = ""
    attempt: int = 0
    level: str = "info"
    message: str = ""
    data: Mapping[str, Any] | None = None
    type: str = ""

    @property
    def kind(self) -> str:
        """`run`, `step`, or `note` for what a step's author tells."""
        return self.type or self.code.partition(".")[0]
