"""Delegations, between the contract's messages and the domain's values."""

from catalyst.pooldomain.v1 import resources_pb2
from catalyst_mesh import stamp
from catalyst_sdk.registrar import DsRecord, Glue

from catalyst_pool_domain_manager.domain.allocations import Allocation
from catalyst_pool_domain_manager.domain.conditions import DELEGATED
from catalyst_pool_domain_manager.domain.delegations import Delegation, Observed
from catalyst_pool_domain_manager.domain.plans import Plan
from catalyst_pool_domain_manager.events import to_records
from catalyst_pool_domain_manager.kept.delegations import target_out

from .messages import etag, to_condition

_D = resources_pb2.Delegation


def to_delegation(d: Delegation, now: object) -> resources_pb2.Delegation:
    """A delegation as it is shown."""
    shown = _D(
        name=d.name, parent=_D.Parent.Value(f"PARENT_{d.parent.name}"), wished=to_records(d.wished),
        observed=[_observed(one) for one in d.observed], rollback_until_time=stamp(d.rollback_until),
        retain_old_until_time=stamp(d.retain_until), registrar_account=d.account,
        state=_D.State.Value(f"STATE_{d.state_at(now).name}"), uid=d.uid,  # type: ignore[arg-type]
        etag=etag(d.version), version=d.version, create_time=stamp(d.created_at), update_time=stamp(d.updated_at),
        generation=d.generation, observed_generation=d.observed_generation,
        conditions=[to_condition(one) for one in d.conditions],
    )  # fmt: skip
    if d.snapshot:
        shown.snapshot.CopyFrom(
            resources_pb2.DelegationSnapshot(
                records=to_records(d.snapshot.records), etag=d.snapshot.etag, create_time=stamp(d.snapshot.at)
            )
        )
    return shown


def of_child(a: Allocation) -> resources_pb2.Delegation:
    """The delegation of a name in a pool, which goes with the name."""
    stands = any(c.type == DELEGATED and c.status == "True" for c in a.conditions)
    return _D(
        name=f"zones/{a.fqdn}/delegation", parent=_D.PARENT_POOL, uid=a.uid, etag=etag(a.version), version=a.version,
        state=_D.STATE_DELEGATED if stands else _D.STATE_NONE, create_time=stamp(a.created_at),
        update_time=stamp(a.updated_at), generation=a.generation, observed_generation=a.observed_generation,
        conditions=[to_condition(one) for one in a.conditions],
    )  # fmt: skip


def from_ds(wish: resources_pb2.DelegationRecords) -> tuple[DsRecord, ...]:
    """The wished DS."""
    return tuple(DsRecord(d.key_tag, d.algorithm, d.digest_type, d.digest.lower()) for d in wish.ds)


def from_glue(wish: resources_pb2.DelegationRecords) -> tuple[Glue, ...]:
    """The wished addresses."""
    return tuple(Glue(g.host.strip().lower().rstrip(".") + ".", tuple(g.addresses)) for g in wish.glue)


def to_plan_change(plan: Plan) -> resources_pb2.PlanChange:
    """The one change of a delegation's plan."""
    before, after = target_out(plan.extra["before"]), target_out(plan.extra["after"])
    action = resources_pb2.PlanChange.ACTION_UPDATE if before.ns else resources_pb2.PlanChange.ACTION_CREATE
    return resources_pb2.PlanChange(
        action=action, sentence=plan.extra["says"], delegation_before=to_records(before),
        delegation_after=to_records(after),
    )  # fmt: skip


def _observed(one: Observed) -> resources_pb2.ObservedDelegation:
    return resources_pb2.ObservedDelegation(
        server=one.server.rstrip("."), address=one.address, records=to_records(one.records), error=one.error,
        observe_time=stamp(one.at),
    )  # fmt: skip
