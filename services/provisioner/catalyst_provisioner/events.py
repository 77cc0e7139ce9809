"""What the provisioner tells: one row per fact."""

from collections.abc import Mapping, Sequence
from typing import Any

from catalyst.mesh.v1 import resources_pb2 as mesh
from catalyst.provisioner.v1 import events_pb2 as told
from catalyst.provisioner.v1 import resources_pb2
from catalyst_mesh import Emitted, span, stamp
from google.protobuf.json_format import ParseDict
from google.protobuf.message import Message

from .domain import facts
from .domain.sovereigns import Sovereign
from .failures import step_error

_ROOT = "catalyst.v1.provisioner"


def _head(s: Sovereign) -> dict[str, Any]:
    return {
        "sovereign": s.name,
        "version": s.version,
        "organization": s.organization,
        "event_time": stamp(s.updated_at),
    }


def created(fact: facts.Created) -> Message:
    s = fact.sovereign
    return told.SovereignCreated(**_head(s), uid=s.uid, actor=fact.actor, generation=s.generation)


def updated(fact: facts.Updated) -> Message:
    s = fact.sovereign
    return told.SovereignUpdated(**_head(s), generation=s.generation, changed_paths=fact.paths, actor=fact.actor)


def activated(fact: facts.Activated) -> Message:
    s = fact.sovereign
    return told.SovereignActivated(
        **_head(s), order=s.order, fqdn=s.fqdn, clusters=_clusters(fact.clusters), first=fact.first, run=fact.run,
        size=ParseDict(dict(fact.size), resources_pb2.SovereignSize()), generation=s.generation,
        placement=s.spec.get("placement", "single-region"), simulated=s.simulated,
    )  # fmt: skip


def destroyed(fact: facts.Destroyed) -> Message:
    s = fact.sovereign
    return told.SovereignDestroyed(
        **_head(s), order=s.order, run=fact.run, fqdn=s.fqdn, clusters=_clusters(fact.clusters),
        report=ParseDict(dict(s.report or {}), resources_pb2.DestroyReport()),
        activated=s.activated_at is not None, simulated=s.simulated,
    )  # fmt: skip


def plan_created(fact: facts.PlanCreated) -> Message:
    plan = fact.plan
    errors = [f["code"] for f in plan["findings"] if f["severity"] == "SEVERITY_ERROR"]
    return told.PlanCreated(
        **_head(fact.sovereign), plan=plan["name"], intent=_intent(plan["intent"]), hash=plan["hash"],
        applicable=plan["applicable"], empty=plan["empty"],
        difference=ParseDict(plan["cost"]["difference"], resources_pb2.Price()),
        error_codes=errors, expire_time=stamp(plan["expire_time"]), actor=fact.actor,
    )  # fmt: skip


def plan_applied(fact: facts.PlanApplied) -> Message:
    s = fact.sovereign
    return told.PlanApplied(
        **_head(s), plan=fact.plan, intent=_intent(fact.intent), hash=fact.hash, run=fact.run,
        generation=s.generation, actor=fact.actor,
    )  # fmt: skip


def run_started(fact: facts.RunStarted) -> Message:
    return told.RunStarted(
        **_run(fact), **_planned(fact), order=fact.order, steps=fact.steps, actor=fact.actor,
        simulated=fact.sovereign.simulated,
    )  # fmt: skip


def run_paused(fact: facts.RunPaused) -> Message:
    return told.RunPaused(**_run(fact), reason=fact.reason)


def run_resumed(fact: facts.RunResumed) -> Message:
    return told.RunResumed(**_run(fact), actor=fact.actor)


def run_succeeded(fact: facts.RunSucceeded) -> Message:
    return told.RunSucceeded(
        **_run(fact), **_planned(fact), degraded=fact.degraded, elapsed=span(fact.seconds),
        generation=fact.sovereign.generation,
    )  # fmt: skip


def run_failed(fact: facts.RunFailed) -> Message:
    return told.RunFailed(
        **_run(fact), **_planned(fact), order=fact.order, final=fact.final, failed_step=fact.failed_step,
        error=step_error(fact.failure), leftovers=_leftovers(fact.leftovers),
    )  # fmt: skip


def run_cancelled(fact: facts.RunCancelled) -> Message:
    return told.RunCancelled(
        **_run(fact), **_planned(fact), order=fact.order, final=fact.final, clean=fact.clean, actor=fact.actor,
        leftovers=_leftovers(fact.leftovers),
    )  # fmt: skip


def step_succeeded(fact: facts.StepSucceeded) -> Message:
    return told.StepSucceeded(**_step(fact), elapsed=span(fact.seconds))


def step_failed(fact: facts.StepFailed) -> Message:
    return told.StepFailed(**_step(fact), error=step_error(fact.failure), optional=fact.optional)


def component_changed(fact: facts.ComponentChanged) -> Message:
    states = resources_pb2.Component.State
    return told.ComponentChanged(
        **_head(fact.sovereign),
        component=f"{fact.sovereign.name}/clusters/{fact.cluster}/components/{fact.blueprint}",
        blueprint=fact.blueprint,
        previous_state=states.Value(f"STATE_{fact.before.upper()}"),
        state=states.Value(f"STATE_{fact.after.upper()}"),
        message=fact.message,
        component_version=fact.version,
        digest=fact.digest,
        optional=fact.optional,
        run=fact.run,
    )


def cluster_enrolled(fact: facts.ClusterEnrolled) -> Message:
    return told.ClusterEnrolled(
        **_head(fact.sovereign), cluster=fact.cluster, provider=fact.provider, region=fact.region,
        location_code=fact.location_code, run=fact.run, simulated=fact.simulated,
    )  # fmt: skip


EMITTED = (
    Emitted(f"{_ROOT}.sovereign.created", facts.Created, created),
    Emitted(f"{_ROOT}.sovereign.updated", facts.Updated, updated),
    Emitted(f"{_ROOT}.sovereign.activated", facts.Activated, activated),
    Emitted(f"{_ROOT}.sovereign.destroyed", facts.Destroyed, destroyed),
    Emitted(f"{_ROOT}.plan.created", facts.PlanCreated, plan_created),
    Emitted(f"{_ROOT}.plan.applied", facts.PlanApplied, plan_applied),
    Emitted(f"{_ROOT}.run.started", facts.RunStarted, run_started),
    Emitted(f"{_ROOT}.run.paused", facts.RunPaused, run_paused),
    Emitted(f"{_ROOT}.run.resumed", facts.RunResumed, run_resumed),
    Emitted(f"{_ROOT}.run.succeeded", facts.RunSucceeded, run_succeeded),
    Emitted(f"{_ROOT}.run.failed", facts.RunFailed, run_failed),
    Emitted(f"{_ROOT}.run.cancelled", facts.RunCancelled, run_cancelled),
    Emitted(f"{_ROOT}.step.succeeded", facts.StepSucceeded, step_succeeded),
    Emitted(f"{_ROOT}.step.failed", facts.StepFailed, step_failed),
    Emitted(f"{_ROOT}.component.changed", facts.ComponentChanged, component_changed),
    Emitted(f"{_ROOT}.cluster.enrolled", facts.ClusterEnrolled, cluster_enrolled),
)


def _run(fact: facts.RunTold) -> dict[str, Any]:
    return _head(fact.sovereign) | {"run": fact.run}


def _planned(fact: facts.RunTold) -> dict[str, Any]:
    return {"plan": fact.plan, "intent": _intent(fact.intent)}


def _step(fact: facts.StepTold) -> dict[str, Any]:
    keys = ("run", "step", "attempt", "phase", "cluster", "component")
    return _head(fact.sovereign) | {key: getattr(fact, key) for key in keys}


def _intent(name: str) -> Any:
    return resources_pb2.Plan.Intent.Value(name)


def _clusters(rows: Sequence[Mapping[str, Any]]) -> list[told.SovereignCluster]:
    return [told.SovereignCluster(**row) for row in rows]


def _leftovers(rows: Sequence[Mapping[str, Any]]) -> list[resources_pb2.Leftover]:
    return [resources_pb2.Leftover(**row) for row in rows]


assert mesh  # its descriptors belong to the messages above
