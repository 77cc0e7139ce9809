"""What continuum is asked to write."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from catalyst.continuum.v1 import service_pb2 as continuum
from catalyst.continuum.v1.resources_pb2 import RUN_KIND_SWITCHOVER
from catalyst_continuum.domain.approvals import Need
from catalyst_continuum.domain.runs import Kind as Move
from catalyst_continuum.domain.runs import Run, RunState
from catalyst_continuum.domain.slots import Phase, Slot

from ..mesh import Mesh
from .wish import Wish

_CONTINUUM = "catalyst.continuum.v1"


async def verification(m: Mesh) -> Any:
    """Of cells that do not answer, which is a report as well."""
    work: Any = m.daemons["continuum"].daemon.work
    name = m.fresh()

    async def step(tx: Any) -> None:
        await tx.save(Slot("other", name, "east", Phase.PENDING, since=tx.now, created_at=tx.now))

    await work.again(step)
    return continuum.VerifyWitnessRequest(name=f"namespaces/other/continuums/{name}")


async def a_slot(m: Mesh, namespace: str = "acme") -> Any:
    """A wish for a slot without standby; its cells do not answer here."""
    wish = continuum.CreateContinuumRequest(parent=f"namespaces/{namespace}", continuum_id=m.fresh())
    wish.continuum.spec.primary_region, wish.continuum.spec.lease_client.kind = "sb-east-rtz-dev", 1
    wish.continuum.spec.suspend = True
    return wish


async def slot(m: Mesh) -> Any:
    return await m.call(f"{_CONTINUUM}.ContinuumService/CreateContinuum", await a_slot(m))


async def planned_run(m: Mesh) -> Any:
    """Of a slot with a standby, without which no run leads anywhere."""
    wish, (east, west) = await a_slot(m), ("sb-east-rtz-dev", "sb-west-rtz-dev")
    spec = wish.continuum.spec
    spec.hot_standby_regions.append(west)
    for region in (east, west):
        spec.regions.add(name=region, agent_endpoint="127.0.0.1:1")
    spec.application_ref.name, spec.switchover.mechanism = "shop", spec.switchover.MECHANISM_STATELESS
    held = await m.call(f"{_CONTINUUM}.ContinuumService/CreateContinuum", wish)
    return continuum.PlanRunRequest(name=held.name, kind=RUN_KIND_SWITCHOVER)


APPROVERS = ("role:org-admin", "role:security-officer", "role:sovereign-admin")


async def waiting_run(m: Mesh) -> Run:
    """One that waits for an approval; agents begin runs, and none is here."""
    work: Any = m.daemons["continuum"].daemon.work
    key = "/".join((await slot(m)).name.split("/")[1::2])
    run = Run(
        m.fresh(), key, Move.SWITCHOVER, "sb-east-rtz-dev", "sb-west-rtz-dev", 1, 1, RunState.AWAITING_APPROVAL,
        initiated_by="ada", plan_fingerprint="0" * 16, need=Need(1, APPROVERS, False, datetime(2200, 1, 1, tzinfo=UTC)),
    )  # fmt: skip

    async def step(tx: Any) -> None:
        await tx.put_run(run)

    await work.again(step)
    return run


async def approved_run(m: Mesh) -> Any:
    run = await waiting_run(m)
    return continuum.ApproveRunRequest(name=run.name, plan_fingerprint=run.plan_fingerprint, etag=run.etag)


async def aborted_run(m: Mesh) -> Any:
    run = await waiting_run(m)
    return continuum.AbortRunRequest(name=run.name, etag=run.etag)


async def changed_slot(m: Mesh) -> Any:
    held = await slot(m)
    wish = continuum.UpdateContinuumRequest(etag=held.etag)
    wish.continuum.name, wish.continuum.spec.rto.seconds = held.name, 120
    return wish


async def gone_slot(m: Mesh) -> Any:
    held = await slot(m)
    return continuum.DeleteContinuumRequest(name=held.name, etag=held.etag)


async def suspended_slot(m: Mesh) -> Any:
    held = await slot(m)
    return continuum.SuspendRequest(name=held.name, etag=held.etag)


async def resumed_slot(m: Mesh) -> Any:
    held = await slot(m)
    return continuum.ResumeRequest(name=held.name, etag=held.etag)


async def acknowledged_slot(m: Mesh) -> Any:
    held = await slot(m)
    return continuum.AcknowledgeFailoverRequest(name=held.name, etag=held.etag)


WRITES: Mapping[str, Wish] = {
    f"{_CONTINUUM}.ContinuumService/VerifyWitness": verification,
    f"{_CONTINUUM}.ContinuumService/CreateContinuum": a_slot,
    f"{_CONTINUUM}.ContinuumService/UpdateContinuum": changed_slot,
    f"{_CONTINUUM}.ContinuumService/DeleteContinuum": gone_slot,
    f"{_CONTINUUM}.ContinuumService/Suspend": suspended_slot,
    f"{_CONTINUUM}.ContinuumService/Resume": resumed_slot,
    f"{_CONTINUUM}.ContinuumService/AcknowledgeFailover": acknowledged_slot,
    f"{_CONTINUUM}.ContinuumService/ApproveRun": approved_run,
    f"{_CONTINUUM}.ContinuumService/AbortRun": aborted_run,
}
"""Good requests by method."""

STEPS_OF_RUNS = {
    f"{_CONTINUUM}.ContinuumService/AdmitCell": "needs a cell that forgot, among others that answer",
    f"{_CONTINUUM}.ContinuumService/StartRun": "needs an agent of each region, and a plan that nothing stands against",
    f"{_CONTINUUM}.ContinuumService/ForceTakeover": "needs agents, as above",
}
"""Writers without a request here, with the reason; the daemon's own tests ask them."""
