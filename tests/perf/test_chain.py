"""What stands between the wire and a servicer, beside nothing at all."""

from pathlib import Path

import grpc
from catalyst.pooldomain.v1 import service_pb2, service_pb2_grpc
from catalyst_mesh import Issuer, connect

from .harness import WIDTH, Goal, Round, compare, crowd, measured, one_by_one
from .serving import serving
from .table import Table

REQUEST = service_pb2.CheckNameRequest(parent="pools/omani.works", label="acme")
Stub = service_pb2_grpc.AllocationServiceStub


@measured
async def test_chain(table: Table, home: Path) -> None:
    """Deadline, caller by signed token, trace, rules of fields, access, errors; the same servicer, message and machine."""
    with serving("echo", home=str(home / "issuer")) as ports:
        token = Issuer.open(home / "issuer").token("service:perf", service="perf")
        ours = connect(f"127.0.0.1:{ports['chain']}", token=lambda: token)
        half = grpc.aio.insecure_channel(f"127.0.0.1:{ports['chain']}")
        bare = grpc.aio.insecure_channel(f"127.0.0.1:{ports['bare']}")
        carried = (("authorization", f"Bearer {token}"),)

        async def full(count: int = 1_920) -> Round:
            return await crowd([lambda: Stub(ours).CheckName(REQUEST)] * WIDTH, count)

        async def server_only(count: int = 1_920) -> Round:
            check = Stub(half).CheckName
            return await crowd([lambda: check(REQUEST, timeout=10, metadata=carried)] * WIDTH, count)

        async def nothing(count: int = 1_920) -> Round:
            check = Stub(bare).CheckName
            return await crowd([lambda: check(REQUEST)] * WIDTH, count)

        async def alone(channel: grpc.aio.Channel) -> Round:
            check = Stub(channel).CheckName
            return await one_by_one(lambda: check(REQUEST), 1_000)

        goal = Goal("throughput", 0.75, "bare grpc.aio echo")
        table.add(await compare(f"chain, {WIDTH} in flight, our client too", goal, ours=full, bare=nothing))
        table.add(await compare(f"chain, {WIDTH} in flight, plain client", goal, ours=server_only, bare=nothing))
        row = await compare(
            "chain, one call at a time", goal, ours=lambda: alone(ours), bare=lambda: alone(bare)
        )  # fmt: skip - one call
        table.add(row)
        for channel in (ours, half, bare):
            await channel.close(None)
