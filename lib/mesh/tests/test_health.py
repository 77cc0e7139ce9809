"""What a daemon says of itself to its peers, and that its clients hear it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import grpc
import pytest
from catalyst_mesh import connect
from catalyst_mesh.health import FAILURES, Health
from catalyst_testkit import eventually
from catalyst_testkit.daemons import reason_of, running
from catalyst_testkit.postgres import PostgresServer
from catalyst_testkit.servers import NatsServer
from grpc_health.v1 import health_pb2, health_pb2_grpc

from .toy import ToySettings, compose

ASKED = health_pb2.HealthCheckRequest(service="")
SERVING, NOT_SERVING = health_pb2.HealthCheckResponse.SERVING, health_pb2.HealthCheckResponse.NOT_SERVING


class Database:
    """A check that a test switches."""

    answers = True

    async def __call__(self) -> bool:
        return self.answers


@asynccontextmanager
async def asking(health: Health, *, ours: bool = False) -> AsyncIterator[health_pb2_grpc.HealthStub]:
    """A server of nothing else, for the block; asked by a client that knows nothing of health, or by one of `ours`."""
    server = grpc.aio.server()
    health_pb2_grpc.add_HealthServicer_to_server(health, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with connect(f"127.0.0.1:{port}") if ours else grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield health_pb2_grpc.HealthStub(channel)  # type: ignore[no-untyped-call]  # generated
    await server.stop(None)


async def test_a_check_that_fails_once_takes_nobody_away_and_one_that_fails_three_times_does() -> None:
    database = Database()
    health = Health(["catalyst.toy.v1.ToyService"], {"database": database})
    async with asking(health) as stub:
        database.answers = False
        for wanted in (SERVING, SERVING, NOT_SERVING, NOT_SERVING):
            await health.look()
            assert (await stub.Check(ASKED)).status == wanted
        database.answers = True
        await health.look()
        assert (await stub.Check(ASKED)).status == SERVING


async def test_who_watches_hears_each_change_and_the_end() -> None:
    database = Database()
    health = Health([], {"database": database})
    async with asking(health) as stub:
        stream = stub.Watch(ASKED)
        assert (await stream.read()).status == SERVING
        database.answers = False
        for _ in range(FAILURES):
            await health.look()
        assert (await stream.read()).status == NOT_SERVING
        database.answers = True
        await health.look()
        assert (await stream.read()).status == SERVING
        health.drain()
        await health.look()
        assert (await stream.read()).status == NOT_SERVING, "and a look at what works changes nothing any more"
        health.end()
        assert await stream.read() == grpc.aio.EOF


async def test_a_service_that_is_not_here_is_not_known() -> None:
    other = health_pb2.HealthCheckRequest(service="catalyst.other.v1.OtherService")
    async with asking(Health(["catalyst.toy.v1.ToyService"], {})) as stub:
        assert (await stub.Watch(other).read()).status == health_pb2.HealthCheckResponse.SERVICE_UNKNOWN
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub.Check(other)
        assert caught.value.code() is grpc.StatusCode.NOT_FOUND


async def test_a_daemon_without_its_database_says_so_and_says_when_it_is_back(
    home: Path, nats: NatsServer, own_postgres: PostgresServer
) -> None:
    url = await own_postgres.database()
    async with (
        running(compose, ToySettings, home, nats_url=nats.url, database_url=url) as daemon,
        grpc.aio.insecure_channel(daemon.target) as channel,
    ):
        stub = health_pb2_grpc.HealthStub(channel)  # type: ignore[no-untyped-call]  # generated

        async def says(status: int) -> bool:
            return bool((await stub.Check(ASKED)).status == status)

        assert await says(SERVING)
        await asyncio.to_thread(own_postgres.stop)
        await eventually(lambda: says(NOT_SERVING), within=60)
        await asyncio.to_thread(own_postgres.start)
        await eventually(lambda: says(SERVING), within=60)


async def test_a_daemon_that_stops_tells_who_watches_and_is_not_held_up_by_them(home: Path, nats: NatsServer) -> None:
    async with AsyncExitStack() as stack:
        daemon = await stack.enter_async_context(running(compose, ToySettings, home, nats_url=nats.url))
        async with grpc.aio.insecure_channel(daemon.target) as channel:
            stream = health_pb2_grpc.HealthStub(channel).Watch(ASKED)  # type: ignore[no-untyped-call]  # generated
            assert (await stream.read()).status == SERVING
            stopping = asyncio.create_task(stack.aclose())
            assert (await stream.read()).status == NOT_SERVING
            assert await stream.read() == grpc.aio.EOF
            await stopping


async def test_our_clients_send_nothing_new_to_a_daemon_that_drains_and_come_back_to_one_that_serves() -> None:
    database = Database()
    health = Health([], {"database": database})
    async with asking(health, ours=True) as stub:
        assert (await stub.Check(ASKED)).status == SERVING

        async def is_let_through() -> bool:
            told = await reason_of(stub.Check(ASKED, timeout=60))
            return {"OK": True, "UNAVAILABLE": False}[told]

        database.answers = False
        for _ in range(FAILURES):
            await health.look()
        await eventually(lambda: _not(is_let_through()), within=60)
        database.answers = True
        await health.look()
        await eventually(is_let_through, within=60)
        health.drain()
        await eventually(lambda: _not(is_let_through()), within=60)


async def _not(answer: Awaitable[bool]) -> bool:
    return not await answer
