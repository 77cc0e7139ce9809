"""What the runs of this daemon come to, by their kind."""

from collections.abc import Mapping

from catalyst.pooldomain.v1 import resources_pb2
from catalyst_mesh.journal import RunView
from google.protobuf.message import Message

from catalyst_pool_domain_manager.domain import refusals
from catalyst_pool_domain_manager.domain.dnssec import DISABLE, ROLL
from catalyst_pool_domain_manager.domain.imports import ImportNotFound
from catalyst_pool_domain_manager.domain.plans import PlanNotFound
from catalyst_pool_domain_manager.store import Store
from catalyst_pool_domain_manager.workers.applying import APPLY
from catalyst_pool_domain_manager.workers.flips import BACK, FLIP
from catalyst_pool_domain_manager.workers.importing import IMPORT

from .delegation_messages import to_delegation
from .operations import Result
from .plan_messages import to_plan
from .zone_imports import to_import


async def _plan(tx: Store, run: RunView) -> Message:
    plan = await tx.plan(run.input["zone"], run.input["plan"])
    if plan is None:
        raise PlanNotFound(name=f"zones/{run.input['zone']}/plans/{run.input['plan']}")
    return to_plan(plan, tx.now)


async def _import(tx: Store, run: RunView) -> Message:
    found = await tx.zone_import(run.input["zone"], run.input["import"])
    if found is None:
        raise ImportNotFound(name=f"zones/{run.input['zone']}/imports/{run.input['import']}")
    return to_import(found)


async def _delegation(tx: Store, run: RunView) -> Message:
    d = await tx.delegation(run.input["zone"])
    if d is None:
        raise refusals.ZoneNotFound(name=f"zones/{run.input['zone']}")
    return to_delegation(d, tx.now)


async def _dnssec(tx: Store, run: RunView) -> Message:
    """Where it came to as the journal has it; keys and DS in full are read by GetDnssec."""
    return resources_pb2.ZoneDnssec(
        name=f"zones/{run.input['zone']}/dnssec",
        state=resources_pb2.ZoneDnssec.STATE_UNSIGNED if run.kind == DISABLE else resources_pb2.ZoneDnssec.STATE_ACTIVE,
    )


RESULTS: Mapping[str, Result] = {
    APPLY: _plan,
    IMPORT: _import,
    FLIP: _delegation,
    BACK: _delegation,
    ROLL: _dnssec,
    DISABLE: _dnssec,
}
