"""A run as the contract shows it."""

from catalyst.continuum.v1 import resources_pb2
from catalyst_mesh import stamp
from google.protobuf.timestamp_pb2 import Timestamp

from ..domain import runs
from ..domain.approvals import Approval
from ..domain.facts import Measured
from ..domain.runs import Kind, Run, RunState, StepRecord, StepState
from ..messages import measurement

_Run, _Step = resources_pb2.Run, resources_pb2.RunStep
KINDS = {
    resources_pb2.RUN_KIND_SWITCHOVER: Kind.SWITCHOVER,
    resources_pb2.RUN_KIND_FAILOVER: Kind.FAILOVER,
    resources_pb2.RUN_KIND_FAILBACK: Kind.FAILBACK,
    resources_pb2.RUN_KIND_DRILL_ISOLATED: Kind.DRILL,
    resources_pb2.RUN_KIND_GAME_DAY: Kind.GAME_DAY,
    resources_pb2.RUN_KIND_TAKEOVER: Kind.TAKEOVER,
}
_KINDS = {kind: number for number, kind in KINDS.items()}
_STATES = {
    RunState.PENDING: _Run.STATE_PENDING,
    RunState.AWAITING_APPROVAL: _Run.STATE_AWAITING_APPROVAL,
    RunState.RUNNING: _Run.STATE_RUNNING,
    RunState.ABORTING: _Run.STATE_ABORTING,
    RunState.SUCCEEDED: _Run.STATE_SUCCEEDED,
    RunState.ABORTED: _Run.STATE_ABORTED,
    RunState.FAILED: _Run.STATE_FAILED,
}
_STEPS = {
    StepState.PENDING: _Step.STATE_PENDING,
    StepState.RUNNING: _Step.STATE_RUNNING,
    StepState.DONE: _Step.STATE_DONE,
    StepState.FAILED: _Step.STATE_FAILED,
    StepState.COMPENSATED: _Step.STATE_COMPENSATED,
}


def message(run: Run) -> resources_pb2.Run:
    """All that is known of a run."""
    return _Run(
        name=run.name, kind=_KINDS[run.kind], state=_STATES[run.state], from_region=run.source, to_region=run.target,
        reason=run.reason, initiated_by=run.initiated_by, plan_fingerprint=run.plan_fingerprint,
        accept_data_loss=run.accept_data_loss, force=run.force, progress=progress(run),
        steps=[_step(run, number, step) for number, step in enumerate(run.steps, 1)],
        approvals=map(_approval, run.approvals), approvals_required=run.need.quorum if run.need else 0,
        start_epoch=run.start_epoch, epoch=run.epoch, past_no_return=run.is_past_no_return, message=run.message,
        create_time=stamp(runs.moment(run.created_at)), update_time=stamp(runs.moment(run.updated_at)), etag=run.etag,
        version=run.version, approval_expire_time=stamp(run.need.until) if run.need else None,
        end_time=_at(run.ended_at), measured=measured(run),
    )  # fmt: skip


def measured(run: Run) -> resources_pb2.Measurement | None:
    """What a run was seen to cost, from outside, and how long its parts took; None: it is not over, or nobody saw it."""
    known, parts = run.measured, runs.parts(run) if run.state.is_over else {}
    if not known and not parts:
        return None
    rows = known.get("rpo_rows")
    return measurement(
        Measured(
            rto=known.get("rto"), rpo=known.get("rpo"), rpo_rows=None if rows is None else int(rows),
            write_disruption=known.get("write_disruption"), components=parts,
        )
    )  # fmt: skip


def move(run: Run) -> resources_pb2.MoveRecord:
    """A run that is over, as history."""
    return resources_pb2.MoveRecord(
        run=run.name, end_time=_at(run.ended_at), from_region=run.source, to_region=run.target, reason=run.reason,
        kind=_KINDS[run.kind], measured=measured(run), initiated_by=run.initiated_by, epoch=run.epoch,
        result=resources_pb2.MoveRecord.Result.Value(f"RESULT_{run.state.name}"),
    )  # fmt: skip


def progress(run: Run) -> resources_pb2.RunProgress:
    """A run in short."""
    number, step = _in_hand(run)
    return resources_pb2.RunProgress(
        run=run.name, kind=_KINDS[run.kind], from_region=run.source, to_region=run.target, phase=step.phase,
        step=f"{number}/{len(run.steps)}", epoch=run.epoch, start_time=stamp(runs.moment(run.created_at)),
        attempt=step.attempt, waiting_for=step.message, deadline_time=_deadline(run, step),
    )  # fmt: skip


def _deadline(run: Run, step: StepRecord) -> Timestamp | None:
    """When the phase in hand should be over."""
    if run.state is RunState.AWAITING_APPROVAL:
        return stamp(run.need.until) if run.need else None
    return None if step.began_at is None else _at(step.began_at + runs.BUDGETS.get(step.phase, runs.BUDGET))


def metadata(run: Run) -> resources_pb2.RunMetadata:
    """How far an operation is that is a run."""
    number, step = _in_hand(run)
    done = sum(one.state is StepState.DONE for one in run.steps)
    return resources_pb2.RunMetadata(
        run=run.name, state=_STATES[run.state], phase=step.phase, step=f"{number}/{len(run.steps)}",
        progress_percent=100 if run.state.is_over else 100 * done // max(1, len(run.steps)), epoch=run.epoch,
    )  # fmt: skip


def _in_hand(run: Run) -> tuple[int, StepRecord]:
    """The step under way; before the first that one, after the last the last."""
    for number, step in enumerate(run.steps, 1):
        if step.state is not StepState.DONE:
            return number, step
    return len(run.steps), run.steps[-1] if run.steps else StepRecord("")


def _step(run: Run, number: int, step: StepRecord) -> resources_pb2.RunStep:
    is_sources = run.kind.is_planned and number <= runs.SOURCE_PHASES
    return _Step(
        number=number, phase=step.phase, executor=run.source if is_sources else run.target, state=_STEPS[step.state],
        attempt=step.attempt, message=step.message, start_time=_at(step.began_at), end_time=_at(step.ended_at),
    )  # fmt: skip


def _at(seconds: float | None) -> Timestamp | None:
    return stamp(runs.moment(seconds)) if seconds is not None else None


def _approval(one: Approval) -> resources_pb2.Approval:
    return resources_pb2.Approval(
        approver=one.approver, role=one.role, plan_fingerprint=one.plan_fingerprint, approve_time=stamp(one.at)
    )
