"""How tests ask a running catalogue."""

import json
from collections.abc import Callable
from typing import Any

import grpc
import pytest
from catalyst.catalog.v1 import resources_pb2 as pb
from catalyst.catalog.v1 import service_pb2 as rpc
from catalyst.catalog.v1 import service_pb2_grpc as stubs
from catalyst_catalog.store import tables
from catalyst_mesh import explain
from catalyst_testkit import eventually
from catalyst_testkit.daemons import RunningDaemon
from google.longrunning import operations_pb2, operations_pb2_grpc
from sqlalchemy import func, select

Start = Callable[..., Any]


def catalog(daemon: RunningDaemon, **who: Any) -> "stubs.CatalogServiceAsyncStub":
    claims = who or {"subject": "provisioner", "service": "provisioner"}
    return daemon.stub(stubs.CatalogServiceStub, **claims)


def sources(daemon: RunningDaemon) -> "stubs.SourceServiceAsyncStub":
    return daemon.admin(stubs.SourceServiceStub)


def operations(daemon: RunningDaemon) -> Any:
    return daemon.admin(operations_pb2_grpc.OperationsStub)


def storefront(daemon: RunningDaemon) -> "stubs.StorefrontServiceAsyncStub":
    return daemon.stub(stubs.StorefrontServiceStub, token="")


async def read(daemon: RunningDaemon) -> None:
    """Wait until every source was read once."""

    async def done() -> bool:
        found = (await sources(daemon).ListSources(rpc.ListSourcesRequest())).sources
        return all(source.observed_generation for source in found)

    await eventually(done, within=60, what="the first sync")


async def sync(daemon: RunningDaemon, name: str = "sources/public") -> pb.Source:
    """Ask for a sync and wait for its end."""
    stub = sources(daemon)
    operation = await stub.SyncSource(rpc.SyncSourceRequest(name=name))
    done = await operations(daemon).WaitOperation(operations_pb2.WaitOperationRequest(name=operation.name))
    assert done.done
    assert bool(done.error.message) == (not done.HasField("response"))
    return await stub.GetSource(rpc.GetSourceRequest(name=name))


async def outbox(daemon: RunningDaemon) -> list[str]:
    t = tables.metadata.tables["outbox"]
    async with daemon.daemon.db.read() as sql:
        rows = (await sql.execute(select(t.c.subject).order_by(t.c.number))).scalars().all()
    return [subject.removeprefix("catalyst.v1.catalog.") for subject in rows]


async def written(daemon: RunningDaemon) -> dict[str, Any]:
    """Everything that a sync could have written."""
    found: dict[str, Any] = {}
    async with daemon.daemon.db.read() as sql:
        for name, table in tables.metadata.tables.items():
            if name != "lease":
                found[name] = [tuple(row) for row in (await sql.execute(select(table))).all() if name != "outbox"]
        outbox_rows = select(func.count()).select_from(tables.metadata.tables["outbox"])
        found["outbox"] = (await sql.execute(outbox_rows)).scalar_one()
    return found


async def names(stub: "stubs.CatalogServiceAsyncStub") -> list[str]:
    return [card.name for card in (await stub.SearchCards(rpc.SearchCardsRequest())).cards]


async def refusal(call: Any) -> str:
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await call
    told = explain(refused.value)
    return json.dumps([told.code, told.reason, told.message, dict(told.metadata)])
