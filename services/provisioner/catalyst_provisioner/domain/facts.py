"""What is told of a Sovereign: facts of the past, each with the Sovereign as it was right after."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from .grants import Grant
from .sovereign import Sovereign


@dataclass(frozen=True, slots=True)
class Created:
    sovereign: Sovereign
    actor: str


@dataclass(frozen=True, slots=True)
class Updated:
    sovereign: Sovereign
    paths: tuple[str, ...]
    actor: str


@dataclass(frozen=True, slots=True)
class Activated:
    sovereign: Sovereign
    run: str
    first: bool
    clusters: tuple[Mapping[str, Any], ...]
    size: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Destroyed:
    sovereign: Sovereign
    run: str
    clusters: tuple[Mapping[str, Any], ...]


@dataclass(frozen=True, slots=True)
class PlanCreated:
    sovereign: Sovereign
    plan: Mapping[str, Any]
    """The plan as stored: name, intent, hash, applicable, empty, cost, findings, expire_time."""
    actor: str


@dataclass(frozen=True, slots=True)
class PlanApplied:
    sovereign: Sovereign
    plan: str
    intent: str
    hash: str
    run: str
    actor: str


@dataclass(frozen=True, slots=True)
class RunTold:
    """Common part of what is told of a run."""

    sovereign: Sovereign
    run: str
    plan: str
    intent: str


@dataclass(frozen=True, slots=True)
class RunStarted(RunTold):
    steps: int
    order: str
    actor: str
    supersedes: str = ""


@dataclass(frozen=True, slots=True)
class RunPaused(RunTold):
    reason: str
    failure: Mapping[str, Any] | None = None
    paid_until: datetime | None = None
    """When paid resources of a failed run are taken away."""


@dataclass(frozen=True, slots=True)
class RunResumed(RunTold):
    actor: str


@dataclass(frozen=True, slots=True)
class RunSucceeded(RunTold):
    degraded: tuple[str, ...]
    seconds: float


@dataclass(frozen=True, slots=True)
class RunFailed(RunTold):
    order: str
    final: bool
    failed_step: str
    failure: Mapping[str, Any]
    leftovers: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True, slots=True)
class RunCancelled(RunTold):
    order: str
    final: bool
    clean: bool
    actor: str
    leftovers: tuple[Mapping[str, Any], ...] = ()
    superseded_by: str = ""


@dataclass(frozen=True, slots=True)
class StepTold:
    """A step came to an end."""

    sovereign: Sovereign
    run: str
    step: str
    attempt: int
    phase: str
    cluster: str
    component: str


@dataclass(frozen=True, slots=True)
class StepSucceeded(StepTold):
    seconds: float


@dataclass(frozen=True, slots=True)
class StepFailed(StepTold):
    failure: Mapping[str, Any]
    optional: bool


@dataclass(frozen=True, slots=True)
class ComponentChanged:
    sovereign: Sovereign
    cluster: str
    blueprint: str
    before: str
    after: str
    message: str
    version: str
    digest: str
    optional: bool
    run: str


@dataclass(frozen=True, slots=True)
class ClusterEnrolled:
    sovereign: Sovereign
    cluster: str
    provider: str
    region: str
    location_code: str
    simulated: bool
    run: str


@dataclass(frozen=True, slots=True)
class StepSkipped(StepTold):
    reason: str
    actor: str


@dataclass(frozen=True, slots=True)
class RunStuck:
    sovereign: Sovereign
    run: str
    steps: tuple[str, ...]
    takeovers: int


@dataclass(frozen=True, slots=True)
class GateOpened:
    sovereign: Sovereign
    run: str
    step: str
    gate: Mapping[str, Any]
    requester: str


@dataclass(frozen=True, slots=True)
class GateAnswered:
    """Somebody agreed, or refused."""

    sovereign: Sovereign
    run: str
    step: str
    kind: str
    actor: str
    comment: str


@dataclass(frozen=True, slots=True)
class GateApproved(GateAnswered):
    pass


@dataclass(frozen=True, slots=True)
class GateRejected(GateAnswered):
    pass


@dataclass(frozen=True, slots=True)
class PlanExpired:
    sovereign: Sovereign
    plan: str


@dataclass(frozen=True, slots=True)
class Degraded:
    sovereign: Sovereign
    health: str
    conditions: tuple[Any, ...]
    """Those that do not hold."""


@dataclass(frozen=True, slots=True)
class Recovered:
    sovereign: Sovereign
    since: datetime
    """Since when it was degraded."""


@dataclass(frozen=True, slots=True)
class ClusterTold:
    """A cluster was or was not heard of."""

    sovereign: Sovereign
    cluster: str
    provider: str
    region: str


@dataclass(frozen=True, slots=True)
class ClusterSilenced(ClusterTold):
    heartbeat_at: datetime


@dataclass(frozen=True, slots=True)
class ClusterLost(ClusterTold):
    heartbeat_at: datetime
    block: str
    reason: str


@dataclass(frozen=True, slots=True)
class ClusterRecovered(ClusterTold):
    silent_since: datetime
    lost: bool


@dataclass(frozen=True, slots=True)
class DriftDetected:
    sovereign: Sovereign
    report: Mapping[str, Any]
    plan: str


@dataclass(frozen=True, slots=True)
class DriftRepaired:
    sovereign: Sovereign
    run: str


@dataclass(frozen=True, slots=True)
class AccessGranted:
    sovereign: Sovereign
    grant: Grant


@dataclass(frozen=True, slots=True)
class AccessRevoked:
    sovereign: Sovereign
    grant: Grant


@dataclass(frozen=True, slots=True)
class LeftoverFound:
    sovereign: Sovereign
    run: str
    leftover: Mapping[str, Any]
