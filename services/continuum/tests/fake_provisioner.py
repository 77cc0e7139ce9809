"""A provisioner that only knows what a test tells it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
from catalyst.provisioner.v1 import resources_pb2, service_pb2_grpc


class FakeProvisioner(service_pb2_grpc.SovereignServiceServicer):
    """Answers GetSovereign; `away` counts the questions that it does not answer."""

    def __init__(self) -> None:
        self.known: dict[str, resources_pb2.Sovereign] = {}
        self.asked: list[str] = []
        self.away = 0
        self.target = ""

    async def GetSovereign(self, request: Any, context: Any) -> resources_pb2.Sovereign:
        self.asked.append(request.name)
        if len(self.asked) <= self.away:
            await context.abort(grpc.StatusCode.UNAVAILABLE, "away")
        if request.name not in self.known:
            await context.abort(grpc.StatusCode.NOT_FOUND, "there is none")
        return self.known[request.name]


@asynccontextmanager
async def fake_provisioner() -> AsyncIterator[FakeProvisioner]:
    """One that listens for the block."""
    fake, server = FakeProvisioner(), grpc.aio.server()
    service_pb2_grpc.add_SovereignServiceServicer_to_server(fake, server)
    fake.target = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    await server.start()
    yield fake
    await server.stop(None)
