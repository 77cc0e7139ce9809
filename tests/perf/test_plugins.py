"""Row 14 of quality, section 4: what calls feel of plugins that crash, hang, answer rubbish and refuse by 429."""

from pathlib import Path

import grpc
from catalyst.pooldomain.v1 import service_pb2, service_pb2_grpc
from catalyst_mesh import Issuer

from .harness import Goal, Round, compare, measured, one_by_one
from .serving import serving
from .table import Table

REQUEST = service_pb2.CheckNameRequest(parent="pools/omani.works", label="acme")


@measured
async def test_spoilt_plugins(table: Table, home: Path) -> None:
    """Calls one after the other, of a daemon that asks four spoilt plugins 50 times a second each, and of one that has none."""
    folder = str(home / "issuer")
    with serving("troubled", home=folder) as troubled, serving("echo", home=folder) as quiet:
        carried = (("authorization", f"Bearer {Issuer.open(home / 'issuer').token('service:perf', service='perf')}"),)

        async def calls(port: int) -> Round:
            async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
                check = service_pb2_grpc.AllocationServiceStub(channel).CheckName
                return await one_by_one(lambda: check(REQUEST, timeout=10, metadata=carried), 1_000)

        row = await compare(
            "call beside spoilt plugins",
            Goal("p99", 1.2, "the same without them"),
            ours=lambda: calls(troubled["chain"]),
            bare=lambda: calls(quiet["chain"]),
        )  # fmt: skip - one call
        table.add(row)
