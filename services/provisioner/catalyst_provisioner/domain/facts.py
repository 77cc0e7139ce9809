"""What is told of a Sovereign: facts of the past, each with the Sovereign as it was right after."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .sovereigns import Sovereign


@dataclass(frozen=True, slots=True)
class Created:
    sovereign: "Sovereign"
    actor: str


@dataclass(frozen=True, slots=True)
class Updated:
    sovereign: "Sovereign"
    paths: tuple[str, ...]
    actor: str


@dataclass(frozen=True, slots=True)
class Activated:
    sovereign: "Sovereign"
    run: str
    first: bool
    clusters: tuple[Mapping[str, Any], ...]
    size: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Destroyed:
    sovereign: "Sovereign"
    run: str
    clusters: tuple[Mapping[str, Any], ...]


@dataclass(frozen=True, slots=True)
class PlanCreated:
    sovereign: "Sovereign"
    plan: Mapping[str, Any]
    """The plan as stored: name, intent, hash, applicable, empty, cost, findings, expire_time."""
    actor: str


@dataclass(frozen=True, slots=True)
class PlanApplied:
    sovereign: "Sovereign"
    plan: str
    intent: str
    hash: str
    run: str
    actor: str


@dataclass(frozen=True, slots=True)
class RunTold:
    """Common part of what is told of a run."""

    sovereign: "Sovereign"
    run: str
    plan: str
    intent: str


@dataclass(frozen=True, slots=True)
class RunStarted(RunTold):
    steps: int
    order: str
    actor: str


@dataclass(frozen=True, slots=True)
class RunPaused(RunTold):
    reason: str


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


@dataclass(frozen=True, slots=True)
class StepTold:
    """A step came to an end."""

    sovereign: "Sovereign"
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
    sovereign: "Sovereign"
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
    sovereign: "Sovereign"
    cluster: str
    provider: str
    region: str
    location_code: str
    simulated: bool
    run: str
