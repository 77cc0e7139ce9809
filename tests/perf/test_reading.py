"""Reading over the wire: one resource, a page far down a list, and the same by REST."""

from pathlib import Path

import httpx
from catalyst.pooldomain.v1 import service_pb2, service_pb2_grpc
from catalyst_mesh import Issuer, connect
from catalyst_testkit import eventually
from catalyst_testkit.servers import NatsServer, free_port

from .harness import Goal, compare, measured, one_by_one, steadily
from .serving import serving
from .table import Table

ROWS, PAGE = 10_000, 100
NAME = "pools/omani.works/allocations/n05000"
Stub = service_pb2_grpc.AllocationServiceStub


async def page(stub: Stub, token: str) -> service_pb2.ListAllocationsResponse:
    """One page of the list."""
    request = service_pb2.ListAllocationsRequest(parent="pools/-", page_size=PAGE, page_token=token)
    return await stub.ListAllocations(request)  # type: ignore[no-any-return]


@measured
async def test_reading(table: Table, home: Path, nats: NatsServer) -> None:
    """GetAllocation and ListAllocations of the real daemon on SQLite."""
    (home / "pdm").mkdir()
    with (
        serving("echo", home=str(home / "issuer")) as echo,
        serving("pdm", home=str(home / "pdm"), nats_url=nats.url, rows=ROWS) as pdm,
    ):
        own = Issuer.open(home / "issuer").token("service:perf", service="perf")
        theirs = connect(pdm["target"], token=lambda: pdm["token"])
        ours, bare = Stub(theirs), connect(f"127.0.0.1:{echo['chain']}", token=lambda: own)
        get = service_pb2.GetAllocationRequest(name=NAME)
        check = service_pb2.CheckNameRequest(parent="pools/omani.works", label="acme")
        row = await compare(
            "read one resource by name, SQLite", Goal("p50", 2.5, "echo through the chain"),
            ours=lambda: one_by_one(lambda: ours.GetAllocation(get), 300),
            bare=lambda: one_by_one(lambda: Stub(bare).CheckName(check), 300),
        )  # fmt: skip
        table.add(row)
        tokens = [""]
        while len(tokens) < ROWS // PAGE:
            tokens.append((await page(ours, tokens[-1])).next_page_token)
        row = await compare(
            f"list: page {len(tokens)} of {ROWS:,} allocations, SQLite", Goal("p50", 1.2, "page 1"),
            ours=lambda: one_by_one(lambda: page(ours, tokens[-1]), 30),
            bare=lambda: one_by_one(lambda: page(ours, ""), 30),
        )  # fmt: skip
        table.add(row)
        await _rest(table, home, nats, pdm, ours)
        for channel in (theirs, bare):
            await channel.close(None)


async def _rest(table: Table, home: Path, nats: NatsServer, pdm: dict[str, str], grpc_stub: Stub) -> None:
    """The same resource by REST through a gateway in a process of its own."""
    (home / "gateway").mkdir()
    port, get = free_port(), service_pb2.GetAllocationRequest(name=NAME)
    settings = {"home": str(home / "gateway"), "nats_url": nats.url, "pdm": pdm["target"], "port": port}
    headers = {"authorization": f"Bearer {pdm['token']}"}
    with serving("gateway", **settings):
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", headers=headers, timeout=30) as http:

            async def asked() -> bool:
                try:
                    return (await http.get(f"/v1/{NAME}")).status_code == 200
                except httpx.TransportError:
                    return False

            await eventually(asked, within=30)
            row = await compare(
                "gateway: REST", Goal("p50", 3, "the gRPC call behind it"),
                ours=lambda: one_by_one(lambda: http.get(f"/v1/{NAME}"), 200),
                bare=lambda: one_by_one(lambda: grpc_stub.GetAllocation(get), 200),
            )  # fmt: skip
            table.add(row)
            row = await compare(
                "gateway: 200 reads a second by REST (aim p95 50 ms)", Goal("p95", 3, "as many gRPC calls behind it"),
                ours=lambda: steadily(lambda: http.get(f"/v1/{NAME}"), 1000, per_second=200),
                bare=lambda: steadily(lambda: grpc_stub.GetAllocation(get), 1000, per_second=200),
            )  # fmt: skip
            table.add(row)
