"""Daemons that answer what a test wrote, over real gRPC and by the real contracts: what they say is fake, its shape cannot be."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import grpc
from catalyst_gateway.app import services
from catalyst_mesh.errors import to_status
from catalyst_sdk import Refused
from google.longrunning import operations_pb2
from google.protobuf import json_format
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from grpc_status import rpc_status

Answer = Mapping[str, Any] | Refused | Callable[[Any], Mapping[str, Any] | Refused]


class FakeDaemons(grpc.GenericRpcHandler):
    """All daemons in one server.

    A method that was given no answer says an empty message: an empty list, a resource without a value.
    """

    def __init__(self) -> None:
        known = [*services(), *operations_pb2.DESCRIPTOR.services_by_name.values()]
        self._methods = {
            f"/{service.full_name}/{method.name}": method for service in known for method in service.methods
        }
        self._answers: dict[str, Answer] = {}
        self._silent: set[str] = set()
        self.asked: list[tuple[str, Any]] = []
        """What was called, by the method's path, with its request."""
        self.target = ""

    def answer(self, method: str, answer: Answer) -> None:
        """Let `ListSovereigns` answer with JSON of its message, refuse, or do as a function of the request says.

        method   of names that several daemons have, `provisioner.ListRuns` says whose
        """
        (path,) = self._paths(method)
        self._answers[path] = answer

    def silence(self, method: str) -> None:
        """Let a method hear and never answer."""
        self._silent.update(self._paths(method))

    def refuse_changes(self, why: Refused) -> None:
        """Let everything refuse that is more than a look."""
        looks = ("Get", "List", "Plan", "Preview", "Check", "Advise", "Watch")
        self._answers |= {
            path: why for path, method in self._methods.items() if not method.name.startswith(looks)
        }  # fmt: skip - one rule

    def _paths(self, method: str) -> list[str]:
        package, _, name = method.rpartition(".")
        return [
            p for p in self._methods if p.endswith(f"/{name}") and (not package or p.startswith(f"/catalyst.{package}"))
        ]

    def wishes(self, method: str) -> list[Any]:
        """The requests of one method."""
        paths = self._paths(method)
        return [request for path, request in self.asked if path in paths]

    def service(self, call: grpc.HandlerCallDetails) -> Any:
        method = self._methods[call.method]

        async def unary(request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> Message:
            self.asked.append((call.method, request))
            if call.method in self._silent:
                await asyncio.Event().wait()  # the caller gives up
            given = self._answers.get(call.method, {})
            said = given(request) if callable(given) else given
            if isinstance(said, Refused):
                await context.abort_with_status(rpc_status.to_status(to_status(said)))
            answer: Message = GetMessageClass(method.output_type)()
            return json_format.ParseDict(said, answer)

        async def stream(request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> AsyncIterator[Message]:
            yield await unary(request, context)

        make: Any = (
            grpc.unary_stream_rpc_method_handler if method.server_streaming else grpc.unary_unary_rpc_method_handler
        )
        return make(
            stream if method.server_streaming else unary,
            request_deserializer=GetMessageClass(method.input_type).FromString,
            response_serializer=lambda message: message.SerializeToString(),
        )


@asynccontextmanager
async def fake_daemons() -> AsyncIterator[FakeDaemons]:
    """Them, on a port of their own."""
    daemons, server = FakeDaemons(), grpc.aio.server()
    server.add_generic_rpc_handlers((daemons,))
    daemons.target = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    await server.start()
    try:
        yield daemons
    finally:
        await server.stop(None)
