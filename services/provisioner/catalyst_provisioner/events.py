"""What the provisioner tells: one row per fact."""

from collections.abc import Mapping, Sequence
from typing import Any

from catalyst.mesh.v1 import resources_pb2 as mesh
from catalyst.provisioner.v1 import events_pb2 as told
from catalyst.provisioner.v1 import resources_pb2
from catalyst_mesh import Emitted, span, stamp
from google.protobuf.json_format import ParseDict
from google.protobuf.message import Message

from .domain import credentials, facts
from .domain.credentials import Credential
from .domain.sovereign import Sovereign
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
        supersedes=fact.supersedes,        simulated=fact.sovereign.simulated,
    )  # fmt: skip


def run_paused(fact: facts.RunPaused) -> Message:
    return told.RunPaused(
        **_run(fact), reason=fact.reason, error=step_error(fact.failure), paid_expire_time=stamp(fact.paid_until)
    )


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
        leftovers=_leftovers(fact.leftovers), superseded_by=fact.superseded_by,
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


def step_skipped(fact: facts.StepSkipped) -> Message:
    keys = ("phase", "cluster", "component", "reason", "actor")
    named = {key: getattr(fact, key) for key in keys}
    return told.StepSkipped(**_head(fact.sovereign), run=fact.run, step=fact.step, **named)


def run_stuck(fact: facts.RunStuck) -> Message:
    return told.RunStuck(**_head(fact.sovereign), run=fact.run, steps=fact.steps, takeovers=fact.takeovers)


def gate_opened(fact: facts.GateOpened) -> Message:
    return told.GateOpened(
        **_head(fact.sovereign), run=fact.run, step=f"{fact.run}/steps/{fact.step}", requester=fact.requester,
        gate=ParseDict(dict(fact.gate), resources_pb2.Gate()),
    )  # fmt: skip


def gate_approved(fact: facts.GateApproved) -> Message:
    return told.GateApproved(**_gate(fact))


def gate_rejected(fact: facts.GateRejected) -> Message:
    return told.GateRejected(**_gate(fact))


def plan_expired(fact: facts.PlanExpired) -> Message:
    return told.PlanExpired(**_head(fact.sovereign), plan=fact.plan)


def degraded(fact: facts.Degraded) -> Message:
    return told.SovereignDegraded(
        **_head(fact.sovereign), health=resources_pb2.Sovereign.Health.Value(fact.health),
        conditions=[
            mesh.Condition(type=c.type, status=mesh.Condition.Status.Value(c.status), reason=c.reason, message=c.message,
                           since=stamp(c.since))
            for c in fact.conditions
        ],
    )  # fmt: skip


def recovered(fact: facts.Recovered) -> Message:
    return told.SovereignRecovered(**_head(fact.sovereign), degrade_time=stamp(fact.since))


def cluster_silenced(fact: facts.ClusterSilenced) -> Message:
    return told.ClusterSilenced(**_heard(fact), heartbeat_time=stamp(fact.heartbeat_at))


def cluster_lost(fact: facts.ClusterLost) -> Message:
    return told.ClusterLost(
        **_heard(fact), heartbeat_time=stamp(fact.heartbeat_at), building_block=fact.block, reason=fact.reason
    )


def cluster_recovered(fact: facts.ClusterRecovered) -> Message:
    return told.ClusterRecovered(**_heard(fact), silence_time=stamp(fact.silent_since), lost=fact.lost)


def drift_detected(fact: facts.DriftDetected) -> Message:
    rows = fact.report["drifts"]
    counts = {kind: sum(row["kind"] == f"KIND_{kind.upper()}" for row in rows) for kind in
              ("changed", "missing", "unexpected")}  # fmt: skip
    return told.DriftDetected(
        **_head(fact.sovereign), **counts, report=f"{fact.sovereign.name}/drift", plan=fact.plan,
        addresses=[row["address"] for row in rows],
    )  # fmt: skip


def drift_repaired(fact: facts.DriftRepaired) -> Message:
    return told.DriftRepaired(**_head(fact.sovereign), report=f"{fact.sovereign.name}/drift", run=fact.run)


def leftover_found(fact: facts.LeftoverFound) -> Message:
    return told.LeftoverFound(
        **_head(fact.sovereign), run=fact.run, leftover=ParseDict(dict(fact.leftover), resources_pb2.Leftover())
    )


def access_granted(fact: facts.AccessGranted) -> Message:
    g = fact.grant
    return told.AccessGranted(
        **_head(fact.sovereign), grant=g.name, cluster=g.cluster, role=g.role, grantee=g.grantee, reason=g.reason,
        expire_time=stamp(g.expires_at),
    )  # fmt: skip


def access_revoked(fact: facts.AccessRevoked) -> Message:
    g = fact.grant
    return told.AccessRevoked(
        **_head(fact.sovereign), grant=g.name, cluster=g.cluster, grantee=g.grantee, actor=g.revoked_by,
        reason=g.revoke_reason,
    )  # fmt: skip


def _credential(c: Credential) -> dict[str, Any]:
    return {
        "credential": c.name, "version": c.version, "credential_version": c.newest, "kind": c.kind,
        "provider": c.provider, "organization": c.organization, "event_time": stamp(c.updated_at),
    }  # fmt: skip


def credential_rotated(fact: credentials.Rotated) -> Message:
    return told.CredentialRotated(**_credential(fact.credential), actor=fact.actor)


def credential_rejected(fact: credentials.Rejected) -> Message:
    check = fact.credential.last_check or {}
    return told.CredentialRejected(
        **_credential(fact.credential), state=resources_pb2.CredentialCheck.State.Value(check["state"]),
        missing=check["missing"], users=fact.users, message=check["message"],
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
    Emitted(f"{_ROOT}.sovereign.degraded", facts.Degraded, degraded),
    Emitted(f"{_ROOT}.sovereign.recovered", facts.Recovered, recovered),
    Emitted(f"{_ROOT}.plan.expired", facts.PlanExpired, plan_expired),
    Emitted(f"{_ROOT}.run.stuck", facts.RunStuck, run_stuck),
    Emitted(f"{_ROOT}.step.skipped", facts.StepSkipped, step_skipped),
    Emitted(f"{_ROOT}.gate.opened", facts.GateOpened, gate_opened),
    Emitted(f"{_ROOT}.gate.approved", facts.GateApproved, gate_approved),
    Emitted(f"{_ROOT}.gate.rejected", facts.GateRejected, gate_rejected),
    Emitted(f"{_ROOT}.cluster.silenced", facts.ClusterSilenced, cluster_silenced),
    Emitted(f"{_ROOT}.cluster.lost", facts.ClusterLost, cluster_lost),
    Emitted(f"{_ROOT}.cluster.recovered", facts.ClusterRecovered, cluster_recovered),
    Emitted(f"{_ROOT}.drift.detected", facts.DriftDetected, drift_detected),
    Emitted(f"{_ROOT}.drift.repaired", facts.DriftRepaired, drift_repaired),
    Emitted(f"{_ROOT}.credential.rotated", credentials.Rotated, credential_rotated),
    Emitted(f"{_ROOT}.credential.rejected", credentials.Rejected, credential_rejected),
    Emitted(f"{_ROOT}.access.granted", facts.AccessGranted, access_granted),
    Emitted(f"{_ROOT}.access.revoked", facts.AccessRevoked, access_revoked),
    Emitted(f"{_ROOT}.leftover.found", facts.LeftoverFound, leftover_found),
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


def _gate(fact: facts.GateAnswered) -> dict[str, Any]:
    step = f"{fact.run}/steps/{fact.step}"
    named = {"run": fact.run, "step": step, "kind": fact.kind, "actor": fact.actor, "comment": fact.comment}
    return _head(fact.sovereign) | named


def _heard(fact: facts.ClusterTold) -> dict[str, Any]:
    cluster = f"{fact.sovereign.name}/clusters/{fact.cluster}"
    return _head(fact.sovereign) | {"cluster": cluster, "provider": fact.provider, "region": fact.region}


def _intent(name: str) -> Any:
    return resources_pb2.Plan.Intent.Value(name)


def _clusters(rows: Sequence[Mapping[str, Any]]) -> list[told.SovereignCluster]:
    return [told.SovereignCluster(**row) for row in rows]


def _leftovers(rows: Sequence[Mapping[str, Any]]) -> list[resources_pb2.Leftover]:
    return [ParseDict(dict(row), resources_pb2.Leftover()) for row in rows]
