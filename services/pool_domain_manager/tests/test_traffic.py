"""Traffic of a host name over real servers: who is up is told, and an older right to steer moves nothing."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import grpc
import pytest
from catalyst.pooldomain.v1.resources_pb2 import Allocation, Target, TrafficMember, TrafficPolicy, TrafficProbe
from catalyst.pooldomain.v1.service_pb2 import UpdateAllocationRequest
from catalyst.pooldomain.v1.service_pb2_grpc import AllocationServiceStub
from catalyst_mesh import explain
from catalyst_testkit import eventually
from catalyst_testkit.daemons import RunningDaemon, reason_of
from catalyst_testkit.servers import free_port
from google.protobuf.duration_pb2 import Duration
from google.protobuf.field_mask_pb2 import FieldMask

from .calls import ELSEWHERE, FQDN, NAME, commitment, made_active, provisioner, reserve, until
from .conftest import Dns, Start

on_one_database = pytest.mark.parametrize("database", ["sqlite"], indirect=True)
HOST = f"console.{FQDN}"
FIRST, SECOND = "127.7.1.1", "127.7.1.2"


def policy(
    strategy: "TrafficPolicy.Strategy.ValueType", epoch: int = 0, probe: TrafficProbe | None = None
) -> TrafficPolicy:
    members = [TrafficMember(address=FIRST, rank=0), TrafficMember(address=SECOND, rank=1)]
    return TrafficPolicy(hostname=HOST, strategy=strategy, members=members, probe=probe, epoch=epoch)


def steering(*policies: TrafficPolicy, epoch: int = 0) -> UpdateAllocationRequest:
    a = Allocation(name=NAME, traffic=policies)
    return UpdateAllocationRequest(allocation=a, update_mask=FieldMask(paths=["traffic"]), epoch=epoch)


@asynccontextmanager
async def healthy(address: str, port: int) -> AsyncIterator[None]:
    """A member that answers `GET /healthz`."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(b"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, address, port)
    try:
        yield
    finally:
        server.close()
        await server.wait_closed()


@on_one_database
async def test_scenario_10_the_first_that_is_up_is_told_and_all_when_none_is(start: Start, dns: Dns) -> None:
    async def told(*addresses: str) -> None:
        async def are() -> bool:
            seen = await dns.resolver.resolve(HOST, "A")
            return seen.secure and set(seen.records) == set(addresses)

        await eventually(are, within=60, every=0.2, what=f"{HOST} is {addresses}")

    port = free_port()
    probe = TrafficProbe(
        url=f"http://{HOST}:{port}/healthz", interval=Duration(seconds=1), timeout=Duration(seconds=5), down_after=2
    )
    async with start() as daemon:
        token = (await reserve(daemon)).reservation_token
        wish = commitment(token)
        wish.traffic.append(policy(TrafficPolicy.STRATEGY_ORDERED, probe=probe))
        await provisioner(daemon).CommitAllocation(wish)
        await told(FIRST, SECOND)
        async with healthy(SECOND, port):
            await told(SECOND)
            async with healthy(FIRST, port):
                await told(FIRST)
            await told(SECOND)
        await told(FIRST, SECOND)
        answers = {(await dns.resolver.resolve(HOST, "A")).records for _ in range(5)}
        assert len({tuple(sorted(records)) for records in answers}) == 1, "the same on each question"


@on_one_database
async def test_scenario_17_a_stale_epoch_cannot_move_traffic(start: Start, dns: Dns) -> None:
    async with start() as daemon:
        await made_active(daemon)
        continuum = daemon.stub(AllocationServiceStub, "continuum", service="continuum")
        moved = await continuum.UpdateAllocation(steering(policy(TrafficPolicy.STRATEGY_SINGLE, epoch=7)))
        assert (moved.generation, moved.traffic[0].epoch) == (2, 7)
        await until(daemon, Allocation.STATE_ACTIVE, generation=2)
        assert set((await dns.resolver.resolve(HOST, "A")).records) == {FIRST, SECOND}
        with pytest.raises(grpc.aio.AioRpcError) as stale:
            await continuum.UpdateAllocation(steering(policy(TrafficPolicy.STRATEGY_SINGLE), epoch=6))
        why = explain(stale.value)
        assert (why.code, why.reason, why.metadata["stored"]) == ("ABORTED", "EPOCH_STALE", "7")
        assert await reason_of(continuum.UpdateAllocation(steering())) == "EPOCH_STALE", "to drop it is to steer too"
        assert await reason_of(continuum.UpdateAllocation(steering(epoch=8))) == "OK"
        a = await until(daemon, Allocation.STATE_ACTIVE, generation=3)
        assert list(a.traffic) == []
        assert (await dns.resolver.resolve(HOST, "A")).records == ("127.7.0.1",)
        targets = UpdateAllocationRequest(allocation=Allocation(name=NAME, targets=[ELSEWHERE]))
        assert await reason_of(continuum.UpdateAllocation(targets)) == "ROLE_DENIED", "addresses are the owner's"


@on_one_database
async def test_what_a_backend_cannot_do_is_refused_when_it_is_wished(start: Start) -> None:
    async with start() as daemon:
        token = (await reserve(daemon)).reservation_token
        wish = commitment(token)
        wish.traffic.append(policy(TrafficPolicy.STRATEGY_WEIGHTED))
        assert await reason_of(provisioner(daemon).CommitAllocation(wish)) == "BACKEND_CAPABILITY_MISSING"
        wrong = commitment(token, Target(slot="x", address="127.7.0.1"))
        wrong.traffic.append(
            TrafficPolicy(hostname="console.rival.omani.works", members=[TrafficMember(address="1.2")])
        )
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await provisioner(daemon).CommitAllocation(wrong)
        assert [v.field for v in explain(refused.value).violations] == [
            "targets[0].slot", "traffic[0].hostname", "traffic[0].members[0].address",
        ]  # fmt: skip


async def steered(daemon: RunningDaemon, wish: TrafficPolicy) -> None:
    a = await provisioner(daemon).UpdateAllocation(steering(wish))
    await until(daemon, Allocation.STATE_ACTIVE, generation=a.generation, within=60)
