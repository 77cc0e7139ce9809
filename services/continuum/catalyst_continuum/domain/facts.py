"""What can happen to a slot, as it is told: each fact with what all of them say, and with its own.

A fact is made without a record; `slots.told` gives it one, under the slot's lock, in the order in which they are told.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import ClassVar

from .audit import Record


class Mark(StrEnum):
    """What tells two events of one type and epoch apart, so that two agents which report one transition make one event."""

    EPOCH = "epoch"
    """Nothing: it happens once in an epoch."""
    SEQ = "seq"
    """The number of the register's write."""
    STEP = "step"
    """The run and its step."""
    OWN = "own"
    """It is the region's own: region and version."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """A fact. `subject` is its event's, below `catalyst.v1.continuum.`; `legacy` the word of the earlier system."""

    subject: ClassVar[str] = ""
    legacy: ClassVar[str] = ""
    mark: ClassVar[Mark] = Mark.OWN

    reason: str = ""
    message: str = ""
    by: str = "agent"
    from_primary: str = ""
    to_primary: str = ""
    lag: float | None = None
    step: str = ""
    run: str = ""
    evidence: Mapping[str, str] = field(default_factory=dict)
    record: Record | None = None

    @property
    def told(self) -> Record:
        """Its record, which it has as soon as it is told."""
        assert self.record is not None, "a fact is told with the slot that it is about"
        return self.record

    @property
    def event_id(self) -> str:
        """`<slot>:<epoch>:<seq or step>:<type>`."""
        record, names = self.told, self.told.continuum.split("/")
        marks = {
            Mark.EPOCH: "epoch",
            Mark.SEQ: str(record.seq),
            Mark.STEP: f"{self.run.rsplit('/', 1)[-1]}.{record.step.partition('/')[0]}",
            Mark.OWN: f"{record.region}.{record.version}",
        }
        return f"{names[1]}/{names[3]}:{record.epoch}:{marks[self.mark]}:{self.subject}"


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseAcquired(Fact):
    subject, legacy, mark = "lease.acquired", "lease-acquired", Mark.EPOCH
    holder: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseLost(Fact):
    subject, legacy, mark = "lease.lost", "lease-lost", Mark.OWN
    holder: str
    new_holder: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseCollided(Fact):
    subject, legacy = "lease.collided", "lease-collision"
    refused: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EpochAdvanced(Fact):
    subject, legacy, mark = "epoch.advanced", "epoch-advanced", Mark.EPOCH
    previous: int
    holder: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFact(Fact):
    """A fact of a run. `kind` as in the contract, without its prefix: `SWITCHOVER`."""

    mark = Mark.STEP
    kind: str
    plan_fingerprint: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunStarted(RunFact):
    subject, legacy = "run.started", "run-started"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunProgressed(RunFact):
    """A step ended. `took` in seconds, from its first attempt; `state` as in the contract, without its prefix."""

    subject, legacy = "run.progressed", "run-step"
    number: int
    phase: str
    executor: str = ""
    state: str = "DONE"
    attempt: int = 1
    took: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What a run cost, in seconds; None: unknown, and never an estimate."""

    rto: float | None = None
    rpo: float | None = None
    rpo_rows: int | None = None
    write_disruption: float | None = None
    components: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunCompleted(RunFact):
    subject, legacy = "run.completed", "run-completed"
    state: str
    measured: Measured = Measured()


@dataclass(frozen=True, slots=True, kw_only=True)
class RunAborted(RunFact):
    subject, legacy = "run.aborted", "run-aborted"


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved(RunFact):
    """The primary is in another region. `result` as in the contract, without its prefix."""

    ended_at: datetime
    result: str = "SUCCEEDED"
    measured: Measured = Measured()


@dataclass(frozen=True, slots=True, kw_only=True)
class SwitchoverCompleted(Moved):
    subject, legacy = "switchover.completed", "switchover"


@dataclass(frozen=True, slots=True, kw_only=True)
class FailbackCompleted(Moved):
    subject, legacy = "failback.completed", "failback-completed"


@dataclass(frozen=True, slots=True, kw_only=True)
class FailbackAwaited(Fact):
    subject, legacy, mark = "failback.awaited", "failback-pending", Mark.EPOCH
    stable_since: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseLagged(Fact):
    subject, legacy = "database.lagged", "cnpg-lag-breach"
    standby: str
    rpo: float
    gap_bytes: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseQualified(Fact):
    subject, legacy = "database.qualified", "cnpg-promotable"
    standby: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ContinuumCreated(Fact):
    subject, legacy = "continuum.created", "cr-created"
    primary: str
    standbys: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ContinuumUpdated(Fact):
    subject, legacy = "continuum.updated", "config-changed"
    generation: int = 0
    changed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ContinuumDeleted(Fact):
    subject, legacy = "continuum.deleted", "cr-deleted"


@dataclass(frozen=True, slots=True, kw_only=True)
class ContinuumReconciled(Fact):
    subject, legacy = "continuum.reconciled", "reconcile-success"
    generation: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ContinuumErrored(Fact):
    """The wish cannot be carried out: the condition that says so."""

    subject, legacy = "continuum.errored", "error"
    condition: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ContinuumSuspended(Fact):
    subject, legacy, mark = "continuum.suspended", "suspended", Mark.SEQ


@dataclass(frozen=True, slots=True, kw_only=True)
class ContinuumResumed(Fact):
    subject, legacy, mark = "continuum.resumed", "resumed", Mark.SEQ


@dataclass(frozen=True, slots=True, kw_only=True)
class FailoverAcknowledged(Fact):
    """A person has seen the last failovers: told as a change of the slot."""

    subject, legacy = "continuum.updated", "failover-acknowledged"
    generation: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class RejoinAttempted(Fact):
    subject, legacy = "rejoin.attempted", "rejoin-repair"
    target: str
    attempts: int
    bounded: bool = False
    began_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalRequested(RunFact):
    subject, legacy = "approval.requested", "approval-requested"
    needed: int
    until: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalGranted(RunFact):
    mark = Mark.OWN
    subject, legacy = "approval.granted", "approval-granted"
    approver: str
    role: str = ""
    approved_at: datetime
    missing: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RegionFenced(Fact):
    subject, legacy = "region.fenced", "region-fenced"
    region: str
    level: int
    took: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RegionUnfenced(Fact):
    subject, legacy = "region.unfenced", "region-unfenced"
    region: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CellSeen:
    """One cell as it was seen."""

    name: str
    reachable: bool
    message: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class WitnessDegraded(Fact):
    subject, legacy = "witness.degraded", "witness-degraded"
    cells: tuple[CellSeen, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class WitnessLost(Fact):
    subject, legacy = "witness.lost", "witness-lost"
    cells: tuple[CellSeen, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class FailsafeEntered(Fact):
    subject, legacy = "failsafe.entered", "failsafe-entered"
    promised_by: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class FailsafeLeft(Fact):
    subject, legacy = "failsafe.left", "failsafe-left"
    recovered: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitbrainSuspected(Fact):
    subject, legacy = "splitbrain.suspected", "splitbrain-suspected"
    writable: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class EffectRejected(Fact):
    subject, legacy = "effect.rejected", "stale-effect-rejected"
    effector: str
    stale: int
    stored: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DrillCompleted(Fact):
    """`kind` as in the contract, without its prefix."""

    subject, legacy = "drill.completed", "drill-completed"
    kind: str
    passed: bool
    ended_at: datetime
    measured: Measured = Measured()


@dataclass(frozen=True, slots=True, kw_only=True)
class TakeoverForced(Fact):
    """`approvals` as (approver, role, plan fingerprint)."""

    mark = Mark.EPOCH
    subject, legacy = "takeover.forced", "takeover-forced"
    approvals: tuple[tuple[str, str, str], ...]
    unwitnessed: bool = False
    accept_data_loss: bool = False
