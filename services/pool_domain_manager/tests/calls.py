"""Calls on the name of the demonstration, as its provisioner makes them."""

from uuid import uuid4

from catalyst.pooldomain.v1.resources_pb2 import Allocation, Target
from catalyst.pooldomain.v1.service_pb2 import (
    CommitAllocationRequest,
    GetAllocationRequest,
    ReleaseAllocationRequest,
    ReserveAllocationRequest,
    ReserveAllocationResponse,
    WaitAllocationRequest,
)
from catalyst.pooldomain.v1.service_pb2_grpc import AllocationServiceStub
from catalyst_testkit.daemons import RunningDaemon
from google.protobuf.duration_pb2 import Duration
from sqlalchemy import text

POOL = "pools/omani.works"
NAME = f"{POOL}/allocations/omantel"
FQDN = "omantel.omani.works"
ZONE = f"{FQDN}."
HOME = Target(slot="default", address="127.7.0.1")
ELSEWHERE = Target(slot="default", address="127.7.0.2")


def provisioner(daemon: RunningDaemon) -> AllocationServiceStub:
    return daemon.stub(AllocationServiceStub, "provisioner", service="provisioner")


def reservation(
    label: str = "omantel", owner: str = "organizations/omantel", **rest: object
) -> ReserveAllocationRequest:
    return ReserveAllocationRequest(parent=POOL, label=label, owner=owner, **rest)


async def reserve(daemon: RunningDaemon, label: str = "omantel", **rest: object) -> ReserveAllocationResponse:
    return await provisioner(daemon).ReserveAllocation(reservation(label, **rest))


def commitment(token: str, *targets: Target, label: str = "omantel") -> CommitAllocationRequest:
    return CommitAllocationRequest(
        name=f"{POOL}/allocations/{label}", reservation_token=token, sovereign_fqdn=f"{label}.omani.works",
        targets=targets or (HOME,),
    )  # fmt: skip


async def until(
    daemon: RunningDaemon,
    state: "Allocation.State.ValueType",
    *,
    name: str = NAME,
    generation: int = 0,
    within: int = 30,
) -> Allocation:
    request = WaitAllocationRequest(name=name, state=state, generation=generation, timeout=Duration(seconds=within))
    a = await provisioner(daemon).WaitAllocation(request, timeout=within + 5)
    assert a.state == state, a
    return a


async def made_active(daemon: RunningDaemon, label: str = "omantel") -> str:
    """Reserve, commit and wait; the token."""
    token = (await reserve(daemon, label)).reservation_token
    await provisioner(daemon).CommitAllocation(commitment(token, label=label))
    await until(daemon, Allocation.STATE_ACTIVE, name=f"{POOL}/allocations/{label}")
    return token


async def get(daemon: RunningDaemon, name: str = NAME) -> Allocation:
    return await provisioner(daemon).GetAllocation(GetAllocationRequest(name=name))


async def release(daemon: RunningDaemon, name: str = NAME, **rest: object) -> Allocation:
    request = ReleaseAllocationRequest(name=name, reason="torn down", request_id=str(uuid4()), **rest)
    return await provisioner(daemon).ReleaseAllocation(request)


async def outbox(daemon: RunningDaemon) -> list[tuple[str, str, int]]:
    """What was told, in order: aggregate, event, version; of names and zones."""
    async with daemon.daemon.db.read() as sql:
        rows = await sql.execute(text("SELECT aggregate, subject, version FROM outbox ORDER BY number"))
        found = [(a, s.removeprefix("catalyst.v1.pooldomain."), v) for a, s, v in rows]
    return [row for row in found if not row[0].startswith("pools/") or "/allocations/" in row[0]]
