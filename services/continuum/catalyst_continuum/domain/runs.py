"""Runs: moves of a slot, as records. What is true about who may write stands in the register; a run only says how far it is.

Invariants
  named by the register   its `o` and `k` name the run and the phase in hand, so that any agent can go on with it;
  no way back             once the epoch has moved, a run only goes forward (I11);
  one at a time           a slot has at most one run that is not over.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from catalyst_sdk import Code, Refused

from .approvals import Approval, Need


class Kind(StrEnum):
    """What a run is for; its letter stands in the record."""

    SWITCHOVER = "s"
    FAILOVER = "f"
    FAILBACK = "b"
    GAME_DAY = "g"
    TAKEOVER = "t"
    DRILL = "d"

    @property
    def is_planned(self) -> bool:
        """Whether the region that gives takes part."""
        return self in (Kind.SWITCHOVER, Kind.FAILBACK, Kind.GAME_DAY)

    @property
    def word(self) -> str:
        """As approvals and plans call it."""
        return self.name.lower().replace("_", "-")

    @property
    def phases(self) -> tuple[str, ...]:
        """Its phases in order; the first is number 1."""
        if self is Kind.DRILL:
            return ISOLATED
        return PLANNED if self.is_planned else UNPLANNED


PLANNED = (
    "Precheck", "Approve", "Prepare", "Announce", "Drain", "FenceSource", "Handoff",
    "Accept", "Promote", "VerifyWrite", "FlipTraffic", "VerifyTraffic", "Reprotect", "Complete",
)  # fmt: skip
UNPLANNED = (
    "Suspect", "Confirm", "Claim", "FenceRemote", "Promote", "VerifyWrite", "FlipTraffic", "VerifyTraffic", "Announce",
    "Reprotect", "Done",
)  # fmt: skip
ISOLATED = ("Precheck", "Clone", "Promote", "VerifyWrite", "CleanUp")
"""Those of a drill on a copy: nothing moves."""
PARTS = {
    "claim": ("Claim", "Accept"),
    "fence": ("FenceSource", "FenceRemote"),
    "promote": ("Promote",),
    "verify": ("VerifyWrite",),
    "dns": ("FlipTraffic",),
    "converge": ("VerifyTraffic",),
}  # fmt: skip - a table
"""Parts of the time that a move takes, and the phases that they are made of."""
SOURCE_PHASES = 7
"""Phases of a planned run that the giving region executes."""
REVERSIBLE = range(3, 8)
"""Phases of a planned run that are taken back when it is aborted."""

BUDGET = 30.0
"""Seconds for a phase that the table below does not name."""
BUDGETS = {
    "Precheck": 10.0,
    "Prepare": 60.0,
    "Drain": 10.0,
    "FenceSource": 5.0,
    "Handoff": 30.0,
    "Accept": 5.0,
    "Promote": 10.0,
    "VerifyWrite": 3.0,
    "FlipTraffic": 2.0,
    "VerifyTraffic": 20.0,
    "Reprotect": 600.0,
    "Complete": 5.0,
}  # fmt: skip - a table
"""Seconds in which a phase should be over (continuum specification, 5.2): an alert looks at twice as much."""


@dataclass(frozen=True, slots=True)
class Mark:
    """What the record's `k` says: kind, and number of the phase in hand."""

    kind: Kind
    phase: int

    def __str__(self) -> str:
        return f"{self.kind}{self.phase}"

    @property
    def name(self) -> str:
        """Name of the phase."""
        return self.kind.phases[self.phase - 1]

    @property
    def is_sources(self) -> bool:
        """Whether the giving region executes it."""
        return self.kind.is_planned and self.phase <= SOURCE_PHASES

    @property
    def is_verified(self) -> bool:
        """Whether the holder has seen a write of its own come through, in this epoch."""
        return self.phase > self.kind.phases.index("VerifyWrite") + 1


def mark_of(text: str) -> Mark | None:
    """The mark that a record has; None: no run, or one of a version to come."""
    try:
        mark = Mark(Kind(text[:1]), int(text[1:]))
    except ValueError:
        return None
    return mark if 1 <= mark.phase <= len(mark.kind.phases) else None


class RunState(StrEnum):
    """Where a run stands."""

    PENDING = "pending"
    AWAITING_APPROVAL = "awaiting-approval"
    RUNNING = "running"
    ABORTING = "aborting"
    SUCCEEDED = "succeeded"
    ABORTED = "aborted"
    FAILED = "failed"

    @property
    def is_over(self) -> bool:
        return self in (RunState.SUCCEEDED, RunState.ABORTED, RunState.FAILED)


class StepState(StrEnum):
    """Where a step stands."""

    PENDING = "pending"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    COMPENSATED = "compensated"


@dataclass(frozen=True, slots=True)
class StepRecord:
    """One phase of a run; times are wall clock, to be shown."""

    phase: str
    state: StepState = StepState.PENDING
    attempt: int = 0
    began_at: float | None = None
    ended_at: float | None = None
    message: str = ""


@dataclass(frozen=True, slots=True)
class Run:
    """A move of `slot` from `source` to `target`; `epoch` is the one it was begun in, then the one it made."""

    id: str
    slot: str
    kind: Kind
    source: str
    target: str
    start_epoch: int
    epoch: int
    state: RunState = RunState.PENDING
    reason: str = ""
    initiated_by: str = "agent"
    plan_fingerprint: str = ""
    accept_data_loss: bool = False
    force: bool = False
    unwitnessed: bool = False
    """Whether it may go on without a majority of cells, as people decided."""
    message: str = ""
    created_at: float = 0.0
    updated_at: float = 0.0
    ended_at: float | None = None
    version: int = 1
    steps: tuple[StepRecord, ...] = ()
    measured: Mapping[str, float] = field(default_factory=dict)
    need: Need | None = None
    approvals: tuple[Approval, ...] = ()

    @property
    def executor(self) -> str:
        """Region that begins it."""
        return self.source if self.kind.is_planned else self.target

    @property
    def etag(self) -> str:
        """Quoted tag of this state."""
        return f'"{self.version}"'

    @property
    def name(self) -> str:
        """Resource name."""
        namespace, _, name = self.slot.partition("/")
        return f"namespaces/{namespace}/continuums/{name}/runs/{self.id}"

    @property
    def is_past_no_return(self) -> bool:
        return self.epoch > self.start_epoch


class RunInProgress(Refused):
    code, reason, message = Code.ALREADY_EXISTS, "RUN_IN_PROGRESS", "the slot has a run that is not over: {run}"


class EpochMoved(Refused):
    code, reason, message = Code.ABORTED, "EPOCH_MOVED", "the slot is in epoch {epoch}, expected was {expected}"


class PastNoReturn(Refused):
    code, reason, message = (
        Code.FAILED_PRECONDITION,
        "PAST_NO_RETURN",
        "{run} has moved the epoch, and only goes forward",
    )


class RunNotWaiting(Refused):
    code, reason, message = Code.FAILED_PRECONDITION, "RUN_NOT_WAITING", "{run} is {state}"


class RegionInvalid(Refused):
    code, reason, message = Code.INVALID_ARGUMENT, "REGION_INVALID", "{region} cannot take the slot: {why}"
    field = "to_region"


def moment(seconds: float) -> datetime:
    """A time of a run, as others have times."""
    return datetime.fromtimestamp(seconds, UTC)


def written(run: Run) -> str:
    """A run as text, for the store."""
    return json.dumps(asdict(run), default=datetime.isoformat)


def read(text: str) -> Run:
    """What `written` wrote."""
    row: dict[str, Any] = json.loads(text)
    need = row.pop("need")
    return Run(
        **{
            **row, "kind": Kind(row["kind"]), "state": RunState(row["state"]),
            "steps": tuple(StepRecord(**{**step, "state": StepState(step["state"])}) for step in row["steps"]),
            "approvals": tuple(Approval(**{**one, "at": datetime.fromisoformat(one["at"])}) for one in row["approvals"]),
        },
        need=Need(**{**need, "approvers": tuple(need["approvers"]), "until": datetime.fromisoformat(need["until"])})
        if need
        else None,
    )  # fmt: skip


def merged(kept: Run | None, told: Run) -> Run:
    """What an agent tells of a run, over what the store has of it: who asked for it, why, and who agreed stays.

    An agent that knows a run by the record alone tells less of it; nothing that is over is begun again.
    """
    if kept is None:
        return told
    if kept.state.is_over:
        # What was measured from outside comes after the end.
        is_measured = told.state is kept.state and told.measured and not kept.measured
        return replace(kept, measured=told.measured, version=kept.version + 1) if is_measured else kept
    steps = told.steps if any(step.state is not StepState.PENDING for step in told.steps) else kept.steps
    return replace(
        kept, state=told.state, epoch=max(kept.epoch, told.epoch), message=told.message or kept.message,
        updated_at=told.updated_at, ended_at=told.ended_at, steps=steps, measured=told.measured or kept.measured,
        version=max(kept.version + 1, told.version),
    )  # fmt: skip


def agreed(run: Run, approval: Approval, *, missing: int, now: float) -> Run:
    """One more approval; the last one that was needed lets the run begin."""
    state = RunState.PENDING if missing == 0 else run.state
    return _changed(run, now, approvals=(*run.approvals, approval), state=state)


def opened(run: Run, now: float) -> Run:
    """A run with all its phases before it."""
    steps = tuple(StepRecord(phase) for phase in run.kind.phases)
    return replace(run, steps=steps, created_at=now, updated_at=now)


def began(run: Run, phase: int, now: float) -> Run:
    """A phase is in hand, anew or again; whatever came before it is done."""
    before = tuple(
        replace(step, state=StepState.DONE, ended_at=step.ended_at or now) if step.state is not StepState.DONE else step
        for step in run.steps[: phase - 1]
    )
    step = run.steps[phase - 1]
    now_ = replace(step, state=StepState.RUNNING, attempt=step.attempt + 1, began_at=step.began_at or now, message="")
    return _changed(run, now, state=RunState.RUNNING, steps=(*before, now_, *run.steps[phase:]))


def reached(run: Run, phase: int, now: float, message: str = "") -> Run:
    """A phase was observed to be done."""
    return _changed(run, now, steps=_with(run, phase, state=StepState.DONE, ended_at=now, message=message))


def waits(run: Run, phase: int, now: float, why: str) -> Run:
    """A phase goes on, and says what it waits for."""
    return _changed(run, now, steps=_with(run, phase, message=why))


def moved(run: Run, epoch: int, now: float) -> Run:
    """The run has made a new epoch."""
    return _changed(run, now, epoch=epoch)


def aborting(run: Run, now: float, why: str) -> Run:
    """Take the run back. Raises PastNoReturn, RunNotWaiting."""
    if run.is_past_no_return:
        raise PastNoReturn(run=run.name)
    if run.state.is_over:
        raise RunNotWaiting(run=run.name, state=run.state.value)
    return _changed(run, now, state=RunState.ABORTING, message=why)


def parts(run: Run) -> Mapping[str, float]:
    """Seconds that parts of a move took, by its steps; those that were not seen are left out."""
    took = {
        step.phase: step.ended_at - step.began_at
        for step in run.steps
        if step.state is StepState.DONE and step.began_at is not None and step.ended_at is not None
    }
    return {
        name: sum(took[one] for one in phases if one in took) for name, phases in PARTS.items() if took.keys() & phases
    }


def measured(run: Run, figures: Mapping[str, float], now: float) -> Run:
    """What somebody outside saw of a run that is over."""
    return _changed(run, now, measured=dict(figures))


def compensated(run: Run, phase: int, now: float) -> Run:
    """The effect of a phase was taken back."""
    return _changed(run, now, steps=_with(run, phase, state=StepState.COMPENSATED, ended_at=now))


def over(run: Run, state: RunState, now: float, why: str = "") -> Run:
    """The run has ended."""
    return _changed(run, now, state=state, ended_at=now, message=why or run.message)


def must_be_free(runs: Sequence[Run]) -> None:
    """Raises RunInProgress where one is not over."""
    for run in runs:
        if not run.state.is_over:
            raise RunInProgress(run=run.name)


def _with(run: Run, phase: int, **changes: object) -> tuple[StepRecord, ...]:
    step = replace(run.steps[phase - 1], **changes)  # type: ignore[arg-type]  # the names are those of the record
    return (*run.steps[: phase - 1], step, *run.steps[phase:])


def _changed(run: Run, now: float, **changes: object) -> Run:
    return replace(run, version=run.version + 1, updated_at=now, **changes)  # type: ignore[arg-type]  # as above
