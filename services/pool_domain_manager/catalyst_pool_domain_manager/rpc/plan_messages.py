"""Plans, between the contract's messages and the domain's values."""

from datetime import datetime

from catalyst.pooldomain.v1 import resources_pb2
from catalyst_mesh import stamp
from catalyst_sdk.dns import Change
from catalyst_sdk.dns_rules import Key

from catalyst_pool_domain_manager.domain.changes import Step
from catalyst_pool_domain_manager.domain.plans import DELEGATION_PLAN, Plan
from catalyst_pool_domain_manager.domain.record_sets import full_name

from .delegation_messages import to_plan_change
from .messages import etag
from .zone_messages import from_set, to_set

_PLAN = resources_pb2.Plan
_CHANGE = resources_pb2.PlanChange


def to_plan(plan: Plan, now: datetime) -> resources_pb2.Plan:
    """A plan as it is shown."""
    safety = [
        resources_pb2.SafetyFinding(
            rule=f.rule, refused=f.refused, forceable=f.forceable, detail=f.detail, changes=f.changes
        )
        for f in plan.safety
    ]
    base = resources_pb2.PlanBase(serial=plan.base.serial, revision=plan.base.revision, etag=plan.base.etag)
    return _PLAN(
        name=plan.name, kind=_PLAN.KIND_DELEGATION if plan.kind == DELEGATION_PLAN else _PLAN.KIND_ZONE,
        changes=[to_plan_change(plan)] if plan.kind == DELEGATION_PLAN else [to_change(step) for step in plan.changes],
        hash=plan.hash, base=base, safety=safety,
        reverse_plan=plan.reverse_plan, reverts=plan.reverts, state=_PLAN.State.Value(f"STATE_{plan.state_at(now).name}"),
        created_by=plan.created_by, create_time=stamp(plan.created_at), expire_time=stamp(plan.expires_at),
        apply_time=stamp(plan.applied_at), etag=etag(plan.version), version=plan.version,
    )  # fmt: skip


def to_change(step: Step) -> resources_pb2.PlanChange:
    """One step."""
    answer = _CHANGE(
        action=_CHANGE.Action.Value(f"ACTION_{step.action.name}"), sentence=step.sentence, warning=step.warning
    )
    if step.before:
        answer.before.CopyFrom(to_set(step.before))
    if step.after:
        answer.after.CopyFrom(to_set(step.after))
    return answer


def from_change(wish: resources_pb2.RecordChange, origin: str) -> Change:
    """A wished change."""
    given = from_set(wish.record_set, origin)
    if wish.action == resources_pb2.RecordChange.ACTION_DELETE:
        return Change(given.name, given.type)
    return Change(given.name, given.type, given.ttl, given.records)


def from_key(wish: resources_pb2.RecordKey, origin: str) -> Key:
    """Name and type."""
    return full_name(wish.name, origin), wish.type
