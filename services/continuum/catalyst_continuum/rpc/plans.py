"""Dry runs of moves."""

from contextlib import suppress
from datetime import datetime

from catalyst.continuum.v1 import resources_pb2, service_pb2
from catalyst_mesh import Context, caller, span, stamp
from catalyst_sdk.continuum import Verdict

from ..domain.checks import Check
from ..domain.plan import Plan, PlannedStep, Purpose
from . import specs
from .calls import Calls, organization
from .elsewhere import EXECUTING, AgentUnreachable, anywhere, was_handed_on

PLANNERS = ("sovereign-admin", "org-developer", "org-admin")

PURPOSES = {
    resources_pb2.RUN_KIND_SWITCHOVER: Purpose.SWITCHOVER,
    resources_pb2.RUN_KIND_FAILOVER: Purpose.FAILOVER,
    resources_pb2.RUN_KIND_FAILBACK: Purpose.FAILBACK,
    resources_pb2.RUN_KIND_DRILL_ISOLATED: Purpose.DRILL_ISOLATED,
    resources_pb2.RUN_KIND_GAME_DAY: Purpose.GAME_DAY,
}
"""What may be planned; a takeover is not."""
_KINDS = {purpose: kind for kind, purpose in PURPOSES.items()}
_RESULTS = {
    Verdict.PASS: resources_pb2.Check.RESULT_PASS,
    Verdict.WARN: resources_pb2.Check.RESULT_WARN,
    Verdict.BLOCK: resources_pb2.Check.RESULT_BLOCK,
    Verdict.UNKNOWN: resources_pb2.Check.RESULT_UNKNOWN,
}


class PlanCalls(Calls):
    """PlanRun."""

    @anywhere
    async def PlanRun(self, request: service_pb2.PlanRunRequest, context: Context) -> resources_pb2.PlanReport:
        async with self._work.reading() as tx:
            slot, now = await self._seen(tx, request.name), tx.now
        # What is seen by a role here is not planned for by a role elsewhere.
        caller().require(*PLANNERS, org=organization(slot.namespace), resource=request.name)
        spec, purpose = specs.understood(slot, self._house, self._profile), PURPOSES[request.kind]
        if not was_handed_on(context, EXECUTING):
            # Whoever will begin the run knows best what stands in its way, and its plan is the one that is approved.
            source, target = await self._planner.ends(slot, spec, purpose, request.to_region)
            region = source if purpose.is_planned else target
            if region != self._region and self._elsewhere.knows(region):
                with suppress(AgentUnreachable):
                    return await self._elsewhere.at(region, "PlanRun", request)  # type: ignore[no-any-return]
        made = await self._planner.plan(
            slot, spec, purpose, to_region=request.to_region, accepts_loss=request.accept_data_loss
        )
        return report(made, now)


def report(plan: Plan, now: datetime) -> resources_pb2.PlanReport:
    """A plan as the contract shows it."""
    return resources_pb2.PlanReport(
        plan_fingerprint=plan.fingerprint, kind=_KINDS[plan.purpose], from_region=plan.source, to_region=plan.target,
        epoch=plan.epoch, steps=map(_step, plan.steps), checks=map(_check, plan.checks), warnings=plan.warnings,
        blockers=plan.blockers, estimated_write_disruption=span(plan.disruption), estimated_loss=span(plan.loss),
        estimated_loss_bytes=plan.loss_bytes, approvals_required=plan.approvals, create_time=stamp(now),
    )  # fmt: skip


def _step(step: PlannedStep) -> resources_pb2.PlannedStep:
    return resources_pb2.PlannedStep(
        number=step.number, phase=step.phase, executor=step.region, preconditions_met=step.ready,
        estimated_duration=span(step.duration), budget=span(step.budget), notes=step.notes,
    )  # fmt: skip


def _check(check: Check) -> resources_pb2.Check:
    return resources_pb2.Check(
        name=check.name, result=_RESULTS[check.found.verdict], critical=check.critical, message=check.found.message
    )
