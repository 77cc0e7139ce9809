"""Servers in a process of their own: `python child.py <role> <json>`. Says its ports in one line of JSON."""

import asyncio
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import grpc
import uvloop
from catalyst.pooldomain.v1 import service_pb2, service_pb2_grpc
from catalyst_mesh import SIGNED_IN, ChassisMetrics, Issuer, Verifier, rows
from catalyst_mesh.access import Access
from catalyst_mesh.interceptor import Interceptor
from prometheus_client import CollectorRegistry

SERVICE = "catalyst.pooldomain.v1.AllocationService"


class Echo(service_pb2_grpc.AllocationServiceServicer):
    """Answers with nothing, at once."""

    async def CheckName(self, request: Any, context: Any) -> Any:
        return service_pb2.CheckNameResponse()


async def echo(home: str) -> None:
    """One servicer behind the chain and the same one bare, each on a port of its own."""
    Issuer.open(Path(home))
    verifier = Verifier(Path(home) / "jwks.json")
    metrics = ChassisMetrics(CollectorRegistry())
    chain = Interceptor(verifier=verifier, access=Access(rows(SERVICE, CheckName=SIGNED_IN)), metrics=metrics)
    ports = {}
    servers = {"chain": grpc.aio.server(interceptors=[chain]), "bare": grpc.aio.server()}
    for name, server in servers.items():
        service_pb2_grpc.add_AllocationServiceServicer_to_server(Echo(), server)
        ports[name] = server.add_insecure_port("127.0.0.1:0")
        await server.start()
    say(ports)
    await asyncio.gather(*(server.wait_for_termination() for server in servers.values()))


def say(ports: Mapping[str, Any]) -> None:
    """What the parent waits for."""
    print(json.dumps(ports), flush=True)  # noqa: T201 - the parent reads it


if __name__ == "__main__":
    uvloop.run({"echo": echo}[sys.argv[1]](**json.loads(sys.argv[2])))
