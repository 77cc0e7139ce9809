"""A daemon that is about to end, as clients hear it that know nothing of grpc.health."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from catalyst.pooldomain.v1.resources_pb2 import Allocation
from catalyst.pooldomain.v1.service_pb2 import (
    GetAllocationRequest,
    WatchAllocationsRequest,
    WatchAllocationsResponse,
)
from catalyst.pooldomain.v1.service_pb2_grpc import (
    AllocationServiceServicer,
    AllocationServiceStub,
    add_AllocationServiceServicer_to_server,
)
from catalyst_mesh import SIGNED_IN, ChassisMetrics, Issuer, explain, rows
from catalyst_mesh.access import Access
from catalyst_mesh.interceptor import Interceptor
from catalyst_mesh.verifiers import KeyFileVerifier
from prometheus_client import CollectorRegistry

SERVICE = "catalyst.pooldomain.v1.AllocationService"
WISH = GetAllocationRequest(name="pools/omani.works/allocations/acme")
WATCH = WatchAllocationsRequest(parent="pools/omani.works")
PUSHBACK = "grpc-retry-pushback-ms"


class Names(AllocationServiceServicer):
    """Answers, and shows changes that never come."""

    def __init__(self) -> None:
        self.ended = asyncio.Event()

    async def GetAllocation(self, request: Any, context: Any) -> Any:
        return Allocation(name=request.name)

    async def WatchAllocations(self, request: Any, context: Any) -> AsyncIterator[Any]:
        yield WatchAllocationsResponse()
        try:
            await asyncio.Event().wait()
        finally:
            self.ended.set()


@asynccontextmanager
async def serving(home: Path, names: Names) -> AsyncIterator[tuple[Interceptor, AllocationServiceStub, Any]]:
    """A server behind the interceptor, a bare stub, and what a call must carry."""
    issuer = Issuer.open(home)
    door = Interceptor(
        verifier=KeyFileVerifier(home / "jwks.json"),
        access=Access(rows(SERVICE, GetAllocation=SIGNED_IN, WatchAllocations=SIGNED_IN)),
        metrics=ChassisMetrics(CollectorRegistry()),
    )
    server = grpc.aio.server(interceptors=[door])
    add_AllocationServiceServicer_to_server(names, server)  # type: ignore[no-untyped-call]  # generated
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield door, AllocationServiceStub(channel), (("authorization", f"Bearer {issuer.token('ada')}"),)
    await server.stop(None)


async def refused(call: Any) -> grpc.aio.AioRpcError:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return caught.value


async def test_who_comes_late_is_sent_elsewhere_and_told_when_to_ask(home: Path) -> None:
    async with serving(home, Names()) as (door, stub, mine):
        await stub.GetAllocation(WISH, metadata=mine, timeout=60)
        door.leave()
        for call in (
            stub.GetAllocation(WISH, metadata=mine, timeout=60),
            stub.WatchAllocations(WATCH, metadata=mine, timeout=60).read(),
        ):
            error = await refused(call)
            assert (error.code(), explain(error).reason) == (grpc.StatusCode.UNAVAILABLE, "STOPPING")
            assert int(dict(error.trailing_metadata() or ())[PUSHBACK]) >= 300  # type: ignore[arg-type]  # its own types


async def test_a_stream_that_nobody_ends_is_ended_and_who_watches_is_told_why(home: Path) -> None:
    names = Names()
    async with serving(home, names) as (door, stub, mine):
        stream = stub.WatchAllocations(WATCH, metadata=mine, timeout=60)
        await stream.read()
        door.leave()
        assert not names.ended.is_set()
        door.end_streams()
        error = await refused(stream.read())
        assert (error.code(), explain(error).reason) == (grpc.StatusCode.UNAVAILABLE, "STOPPING")
        assert names.ended.is_set()
