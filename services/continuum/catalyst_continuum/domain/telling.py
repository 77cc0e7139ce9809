"""What is told of a run, from how it was to how it is; and what is told of an agent's own doing."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from . import facts
from .approvals import Approval
from .facts import Fact
from .runs import SOURCE_PHASES, Kind, Run, RunState, StepState, parts
from .spec import Policy, Spec
from .status import Condition
from .status import Facts as Known


def of_run(before: Run | None, after: Run, now: datetime) -> Iterator[Fact]:
    """The facts of one change of a run, in order."""
    common: dict[str, Any] = {
        "run": after.name, "by": after.initiated_by, "reason": after.reason, "message": after.message,
        "from_primary": after.source, "to_primary": after.target,
    }  # fmt: skip
    said = {"kind": _word(after.kind), "plan_fingerprint": after.plan_fingerprint, **common}
    was = before.state if before is not None else RunState.PENDING
    if before is None and after.state is RunState.AWAITING_APPROVAL and after.need is not None:
        yield facts.ApprovalRequested(**said, needed=after.need.quorum, until=after.need.until)
    if was in (RunState.PENDING, RunState.AWAITING_APPROVAL) and after.state is RunState.RUNNING:
        yield facts.RunStarted(**said)
        if after.force:
            given = tuple((one.approver, one.role, one.plan_fingerprint) for one in after.approvals)
            yield facts.TakeoverForced(
                **common, approvals=given, unwitnessed=after.unwitnessed, accept_data_loss=after.accept_data_loss
            )
    known = {step.phase for step in before.steps if step.state is StepState.DONE} if before is not None else set()
    for number, step in enumerate(after.steps, 1):
        if step.state is StepState.DONE and step.phase not in known and step.attempt:
            is_sources = after.kind.is_planned and number <= SOURCE_PHASES
            yield facts.RunProgressed(
                **said, step=f"{number}/{len(after.steps)}", number=number, phase=step.phase, attempt=step.attempt,
                executor=after.source if is_sources else after.target,
                took=step.ended_at - step.began_at if step.began_at is not None and step.ended_at is not None else None,
            )  # fmt: skip
    if was.is_over or not after.state.is_over:
        return
    if after.state is RunState.ABORTED:
        yield facts.RunAborted(**said)
        return
    yield facts.RunCompleted(**said, state=after.state.name)
    if after.state is RunState.SUCCEEDED and after.source != after.target and after.kind is not Kind.DRILL:
        moved = facts.FailbackCompleted if after.kind is Kind.FAILBACK else facts.SwitchoverCompleted
        yield moved(**said, ended_at=now, measured=facts.Measured(components=parts(after)))


def _word(kind: Kind) -> str:
    """The contract's, without its prefix."""
    return "DRILL_ISOLATED" if kind is Kind.DRILL else kind.name


def approved(run: Run, given: Approval, missing: int) -> Fact:
    """One more person has agreed to a run."""
    return facts.ApprovalGranted(
        kind=_word(run.kind), plan_fingerprint=given.plan_fingerprint, run=run.name, by=given.approver, reason=given.comment,
        from_primary=run.source, to_primary=run.target, approver=given.approver, role=given.role, approved_at=given.at,
        missing=missing,
    )  # fmt: skip


def of_conditions(before: Sequence[Condition], after: Sequence[Condition], known: Known, rpo: float) -> Iterator[Fact]:
    """What is worse than it was when it was last told: cells that do not answer, a standby that is behind its goal."""
    was = {one.type: one.reason for one in before}
    for one in after:
        if was.get(one.type) == one.reason:
            continue
        if one.reason == "QuorumLost":
            yield facts.WitnessLost(reason=one.reason, message=one.message)
        elif one.reason == "MinorityDown" and was.get(one.type) != "QuorumLost":
            yield facts.WitnessDegraded(reason=one.reason, message=one.message)
        elif one.reason == "LagExceeded":
            behind = {region: lag for region, lag in known.lags.items() if lag is not None}
            standby = max(behind, key=behind.__getitem__, default="")
            yield facts.DatabaseLagged(
                standby=standby, rpo=rpo, gap_bytes=known.gaps.get(standby), lag=behind.get(standby), reason=one.reason,
                message=one.message,
            )  # fmt: skip


def of_way_back(known: Known, spec: Spec, stable: float | None, now: datetime) -> Iterator[Fact]:
    """The preferred region has had every write for as long as is wished: people may ask for the way back.

    stable   seconds for which it has, as the holder knows; None: it has not, or nobody knows
    """
    is_away = known.record == "held" and known.holder == known.region != spec.primary
    if not is_away or spec.failback.policy is Policy.NEVER or stable is None or stable < spec.failback.stable_for:
        return
    yield facts.FailbackAwaited(
        stable_since=now - timedelta(seconds=stable), from_primary=known.holder, to_primary=spec.primary,
        message=f"{spec.primary} has had every write for {stable:.0f} s",
    )  # fmt: skip


def of_agent(kind: str, region: str, why: str, evidence: Mapping[str, str]) -> Fact | None:
    """The fact that an agent tells by its kind; None: it is told otherwise, by the record or by the run."""
    if kind == "region.fenced":
        level = int(evidence.get("level", "1"))
        return facts.RegionFenced(
            region=region, level=level, took=float(evidence.get("took", "0")), reason=why, evidence=evidence
        )
    if kind == "region.unfenced":
        return facts.RegionUnfenced(region=region, reason=why)
    if kind == "effect.rejected":
        return facts.EffectRejected(
            effector=evidence["effector"], stale=int(evidence["stale"]), stored=int(evidence["stored"]), reason=why
        )
    if kind == "lease.collided":
        return facts.LeaseCollided(refused=region, reason=why)
    if kind == "failsafe.entered":
        return facts.FailsafeEntered(promised_by=tuple(filter(None, evidence["promised_by"].split(","))), reason=why)
    if kind == "failsafe.left":
        return facts.FailsafeLeft(recovered=evidence["recovered"] == "yes", reason=why)
    if kind == "database.qualified":
        return facts.DatabaseQualified(standby=region, reason=why)
    if kind == "continuum.errored":
        return facts.ContinuumErrored(condition=evidence["condition"], reason=evidence["reason"], message=why)
    if kind == "splitbrain.suspected":
        return facts.SplitbrainSuspected(writable=(region,), reason=why)
    if kind == "rejoin.attempted":
        return facts.RejoinAttempted(target=region, attempts=int(evidence.get("attempt", "1")), reason=why)
    return None
