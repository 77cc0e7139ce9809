"""Facts of a slot as the messages of the contract."""

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, timedelta
from typing import Any

from catalyst.continuum.v1 import events_pb2, resources_pb2
from catalyst.mesh.v1 import resources_pb2 as mesh_pb2
from catalyst_mesh import Emitted, span, stamp
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message

from .domain import facts
from .domain.audit import Record
from .domain.facts import CellSeen, Measured

_ROOT = "catalyst.v1.continuum"


def record(told: Record) -> resources_pb2.AuditRecord:
    """A record as every event carries it."""
    return resources_pb2.AuditRecord(
        type=told.type, application_name=told.application, from_primary=told.from_primary, to_primary=told.to_primary,
        lag=span(told.lag), step=told.step, reason=told.reason, message=told.message,
        initiated_by=told.initiated_by, event_time=stamp(told.at), epoch=told.epoch, seq=told.seq, run=told.run,
        region=told.region, evidence=told.evidence, prev_hash=told.prev_hash, hash=told.hash,
    )  # fmt: skip


def record_of(schema: str, body: bytes) -> Record:
    """The record of an event, as whoever verifies a chain reads it."""
    event = getattr(events_pb2, schema.rpartition(".")[2]).FromString(body)
    told: resources_pb2.AuditRecord = event.record
    return Record(
        continuum=event.continuum, version=event.version, type=told.type, region=told.region, epoch=told.epoch, seq=told.seq,
        at=told.event_time.ToDatetime(tzinfo=UTC), application=told.application_name, from_primary=told.from_primary,
        to_primary=told.to_primary, lag=told.lag.ToTimedelta().total_seconds() if told.HasField("lag") else None,
        step=told.step, reason=told.reason, message=told.message, initiated_by=told.initiated_by, run=told.run,
        evidence=dict(told.evidence), prev_hash=told.prev_hash, hash=told.hash,
    )  # fmt: skip


def _common(fact: facts.Fact) -> dict[str, Any]:
    return {"continuum": fact.told.continuum, "version": fact.told.version, "record": record(fact.told)}


def _kind(word: str) -> resources_pb2.RunKind.ValueType:
    return resources_pb2.RunKind.Value(f"RUN_KIND_{word}")


def _run(fact: facts.RunFact) -> dict[str, Any]:
    return {**_common(fact), "kind": _kind(fact.kind), "plan_fingerprint": fact.plan_fingerprint}


def measurement(m: Measured) -> resources_pb2.Measurement:
    """What was measured; unknown parts stay absent."""
    return resources_pb2.Measurement(
        rto_observed=span(m.rto), rpo_observed=span(m.rpo), rpo_rows=m.rpo_rows, write_disruption=span(m.write_disruption),
        components={name: length(seconds) for name, seconds in m.components.items()},
    )  # fmt: skip


def length(seconds: float) -> Duration:
    """A span that is known."""
    made = Duration()
    made.FromTimedelta(timedelta(seconds=seconds))
    return made


def _cells(cells: Iterable[CellSeen]) -> resources_pb2.WitnessStatus:
    rows = [resources_pb2.WitnessCellStatus(name=c.name, reachable=c.reachable, message=c.message) for c in cells]
    return resources_pb2.WitnessStatus(cells=rows, quorum=len(rows) // 2 + 1 if rows else 0, size=len(rows))


def _move(fact: facts.Moved) -> dict[str, Any]:
    move = resources_pb2.MoveRecord(
        run=fact.run, end_time=stamp(fact.ended_at), from_region=fact.from_primary, to_region=fact.to_primary,
        reason=fact.reason, kind=_kind(fact.kind), measured=measurement(fact.measured), initiated_by=fact.by,
        result=resources_pb2.MoveRecord.Result.Value(f"RESULT_{fact.result}"), epoch=fact.told.epoch,
    )  # fmt: skip
    return {**_common(fact), "move": move}


def acquired(f: facts.LeaseAcquired) -> Message:
    return events_pb2.LeaseAcquired(**_common(f), holder=f.holder)


def lost(f: facts.LeaseLost) -> Message:
    return events_pb2.LeaseLost(**_common(f), holder=f.holder, new_holder=f.new_holder)


def collided(f: facts.LeaseCollided) -> Message:
    return events_pb2.LeaseCollided(**_common(f), refused=f.refused)


def epoch_advanced(f: facts.EpochAdvanced) -> Message:
    return events_pb2.EpochAdvanced(**_common(f), previous_epoch=f.previous, holder=f.holder)


def run_started(f: facts.RunStarted) -> Message:
    return events_pb2.RunStarted(**_run(f))


def run_progressed(f: facts.RunProgressed) -> Message:
    state = resources_pb2.RunStep.State.Value(f"STATE_{f.state}")
    step = resources_pb2.RunStep(
        number=f.number, phase=f.phase, executor=f.executor, state=state, attempt=f.attempt, message=f.message
    )
    return events_pb2.RunProgressed(**_common(f), kind=_kind(f.kind), step=step)


def run_completed(f: facts.RunCompleted) -> Message:
    state = resources_pb2.Run.State.Value(f"STATE_{f.state}")
    return events_pb2.RunCompleted(**_run(f), state=state, measured=measurement(f.measured))


def run_aborted(f: facts.RunAborted) -> Message:
    return events_pb2.RunAborted(**_run(f))


def switched_over(f: facts.SwitchoverCompleted) -> Message:
    return events_pb2.SwitchoverCompleted(**_move(f))


def failed_back(f: facts.FailbackCompleted) -> Message:
    return events_pb2.FailbackCompleted(**_move(f))


def failback_awaited(f: facts.FailbackAwaited) -> Message:
    return events_pb2.FailbackAwaited(**_common(f), stable_since_time=stamp(f.stable_since))


def lagged(f: facts.DatabaseLagged) -> Message:
    return events_pb2.DatabaseLagged(**_common(f), standby=f.standby, rpo=span(f.rpo), gap_bytes=f.gap_bytes)


def qualified(f: facts.DatabaseQualified) -> Message:
    return events_pb2.DatabaseQualified(**_common(f), standby=f.standby)


def created(f: facts.ContinuumCreated) -> Message:
    return events_pb2.ContinuumCreated(**_common(f), primary_region=f.primary, hot_standby_regions=f.standbys)


def updated(f: facts.ContinuumUpdated) -> Message:
    return events_pb2.ContinuumUpdated(**_common(f), generation=f.generation, changed_fields=f.changed)


def acknowledged(f: facts.FailoverAcknowledged) -> Message:
    return events_pb2.ContinuumUpdated(**_common(f), generation=f.generation)


def deleted(f: facts.ContinuumDeleted) -> Message:
    return events_pb2.ContinuumDeleted(**_common(f))


def reconciled(f: facts.ContinuumReconciled) -> Message:
    return events_pb2.ContinuumReconciled(**_common(f), generation=f.generation)


def errored(f: facts.ContinuumErrored) -> Message:
    condition = mesh_pb2.Condition(
        type=f.condition,
        status=mesh_pb2.Condition.STATUS_FALSE,
        reason=f.reason,
        message=f.message,
        since=stamp(f.told.at),
    )
    return events_pb2.ContinuumErrored(**_common(f), condition=condition)


def suspended(f: facts.ContinuumSuspended) -> Message:
    return events_pb2.ContinuumSuspended(**_common(f))


def resumed(f: facts.ContinuumResumed) -> Message:
    return events_pb2.ContinuumResumed(**_common(f))


def rejoin_attempted(f: facts.RejoinAttempted) -> Message:
    repair = resources_pb2.RejoinRepair(
        target=f.target, attempts=f.attempts, bounded=f.bounded, message=f.message,
        try_time=stamp(f.began_at) if f.began_at else None,
    )  # fmt: skip
    return events_pb2.RejoinAttempted(**_common(f), repair=repair)


def approval_requested(f: facts.ApprovalRequested) -> Message:
    return events_pb2.ApprovalRequested(**_run(f), approvals_required=f.needed, expire_time=stamp(f.until))


def approval_granted(f: facts.ApprovalGranted) -> Message:
    approval = resources_pb2.Approval(
        approver=f.approver, role=f.role, plan_fingerprint=f.plan_fingerprint, approve_time=stamp(f.approved_at)
    )
    return events_pb2.ApprovalGranted(**_run(f), approval=approval, approvals_missing=f.missing)


def fenced(f: facts.RegionFenced) -> Message:
    return events_pb2.RegionFenced(**_common(f), fenced_region=f.region, level=f.level, took=span(f.took))


def unfenced(f: facts.RegionUnfenced) -> Message:
    return events_pb2.RegionUnfenced(**_common(f), unfenced_region=f.region)


def witness_degraded(f: facts.WitnessDegraded) -> Message:
    return events_pb2.WitnessDegraded(**_common(f), witness=_cells(f.cells))


def witness_lost(f: facts.WitnessLost) -> Message:
    return events_pb2.WitnessLost(**_common(f), witness=_cells(f.cells))


def failsafe_entered(f: facts.FailsafeEntered) -> Message:
    return events_pb2.FailsafeEntered(**_common(f), promised_by=f.promised_by)


def failsafe_left(f: facts.FailsafeLeft) -> Message:
    return events_pb2.FailsafeLeft(**_common(f), recovered=f.recovered)


def splitbrain_suspected(f: facts.SplitbrainSuspected) -> Message:
    return events_pb2.SplitbrainSuspected(**_common(f), writable_regions=f.writable)


def effect_rejected(f: facts.EffectRejected) -> Message:
    return events_pb2.EffectRejected(**_common(f), effector=f.effector, stale_epoch=f.stale, stored_epoch=f.stored)


def drill_completed(f: facts.DrillCompleted) -> Message:
    drill = resources_pb2.DrillRecord(
        kind=resources_pb2.DrillSpec.Kind.Value(f"KIND_{f.kind}"), end_time=stamp(f.ended_at), passed=f.passed,
        rto=span(f.measured.rto), message=f.message,
    )  # fmt: skip
    return events_pb2.DrillCompleted(**_common(f), drill=drill, measured=measurement(f.measured))


def takeover_forced(f: facts.TakeoverForced) -> Message:
    rows = [resources_pb2.Approval(approver=a, role=r, plan_fingerprint=plan) for a, r, plan in f.approvals]
    return events_pb2.TakeoverForced(
        **_common(f), approvals=rows, unwitnessed=f.unwitnessed, accept_data_loss=f.accept_data_loss
    )


_MESSAGES: Mapping[type[facts.Fact], Callable[[Any], Message]] = {
    facts.LeaseAcquired: acquired,
    facts.LeaseLost: lost,
    facts.LeaseCollided: collided,
    facts.EpochAdvanced: epoch_advanced,
    facts.RunStarted: run_started,
    facts.RunProgressed: run_progressed,
    facts.RunCompleted: run_completed,
    facts.RunAborted: run_aborted,
    facts.SwitchoverCompleted: switched_over,
    facts.FailbackCompleted: failed_back,
    facts.FailbackAwaited: failback_awaited,
    facts.DatabaseLagged: lagged,
    facts.DatabaseQualified: qualified,
    facts.ContinuumCreated: created,
    facts.ContinuumUpdated: updated,
    facts.FailoverAcknowledged: acknowledged,
    facts.ContinuumDeleted: deleted,
    facts.ContinuumReconciled: reconciled,
    facts.ContinuumErrored: errored,
    facts.ContinuumSuspended: suspended,
    facts.ContinuumResumed: resumed,
    facts.RejoinAttempted: rejoin_attempted,
    facts.ApprovalRequested: approval_requested,
    facts.ApprovalGranted: approval_granted,
    facts.RegionFenced: fenced,
    facts.RegionUnfenced: unfenced,
    facts.WitnessDegraded: witness_degraded,
    facts.WitnessLost: witness_lost,
    facts.FailsafeEntered: failsafe_entered,
    facts.FailsafeLeft: failsafe_left,
    facts.SplitbrainSuspected: splitbrain_suspected,
    facts.EffectRejected: effect_rejected,
    facts.DrillCompleted: drill_completed,
    facts.TakeoverForced: takeover_forced,
}

EMITTED = tuple(
    Emitted(f"{_ROOT}.{fact.subject}", fact, to_message, lambda told: told.event_id)
    for fact, to_message in _MESSAGES.items()
)
"""Every fact, with the subject and the message by which it is told."""
