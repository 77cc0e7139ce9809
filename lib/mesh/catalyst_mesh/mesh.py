"""The mesh as another Python service sees it: one object per daemon, the generated stubs behind it."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import grpc
from google.longrunning import operations_pb2, operations_pb2_grpc
from google.protobuf.message import Message

from .client import DEFAULT_DEADLINE, connect
from .errors import CallFailed, Explained, explain_status
from .identity import TokenFile
from .tls import CertificateFiles

Stub = TypeVar("Stub")
M = TypeVar("M", bound=Message)
FIRST_PAUSE, LONGEST_PAUSE = 0.2, 5.0
"""Seconds between two looks at an operation, longer each time."""


class OperationFailed(Exception):
    """An operation came to its end without success; `why` has reason and metadata."""

    def __init__(self, name: str, why: Explained) -> None:
        super().__init__(f"{name}: {why.reason or why.code}: {why.message}")
        self.name = name
        self.why = why
        self.reason = why.reason


class StillGoing(TimeoutError):
    """The time to wait is over; the operation goes on, and can be waited for again by its name."""

    def __init__(self, operation: operations_pb2.Operation, within: float) -> None:
        super().__init__(f"{operation.name} is not done after {within:g} s; it goes on")
        self.operation = operation


class Mesh:
    """Calls one daemon. Made within a running event loop, closed by its `async with` or `close()`.

    target    address of the daemon's gRPC port, `127.0.0.1:7406`
    token     the token itself, a file in which somebody renews it, or a function; asked at each call
    deadline  seconds for a call that states no `timeout`; a call made while serving another gets what is left of that
              one's time, less 50 ms
    tls       certificates to speak TLS with; None: plain, for a network that encrypts by itself

    A call that finds the daemon away is tried again, four times at most. A request without a `request_id` gets one, so that
    those tries have one effect; who wants to repeat a call later sets it and uses the same one again. A refusal raises
    CallFailed with reason and metadata.
    """

    def __init__(
        self,
        target: str,
        *,
        token: str | Path | Callable[[], str] = "",
        deadline: float = DEFAULT_DEADLINE,
        tls: CertificateFiles | None = None,
    ) -> None:
        self.target = target
        self._channel = connect(target, token=_asking(token), deadline=deadline, tls=tls, request_ids=True)

    def __repr__(self) -> str:
        return f"Mesh({self.target!r})"

    async def __aenter__(self) -> "Mesh":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connection; what is under way is cancelled."""
        await self._channel.close(None)

    def stub(self, kind: Callable[[grpc.aio.Channel], Stub]) -> Stub:
        """A generated stub that calls this daemon: `mesh.stub(AllocationServiceStub)`."""
        return kind(self._channel)

    async def finished(
        self,
        operation: operations_pb2.Operation,
        into: type[M],
        *,
        within: float,
        told: Callable[[operations_pb2.Operation], None] = lambda operation: None,
    ) -> M:
        """What a long-running operation comes to, waited for `within` seconds.

        into    type of the result, as the RPC's comment names it
        told    hears of the operation at each look, the first at once; its `metadata` says how far it is

        Raises OperationFailed, StillGoing; a daemon that is away meanwhile is asked again.
        """
        until, pause = asyncio.get_running_loop().time() + within, FIRST_PAUSE
        told(operation)
        while not operation.done:
            left = until - asyncio.get_running_loop().time()
            if left <= 0:
                raise StillGoing(operation, within)
            await asyncio.sleep(min(pause, left))
            pause = min(pause * 1.5, LONGEST_PAUSE)
            operation = await self._look(operation)
            told(operation)
        if operation.HasField("error"):
            raise OperationFailed(operation.name, explain_status(operation.error))
        result = into()
        if not operation.response.Unpack(result):
            raise TypeError(f"{operation.name} came to a {operation.response.TypeName()}, not to a {into.__name__}")
        return result

    async def _look(self, known: operations_pb2.Operation) -> operations_pb2.Operation:
        stub = self.stub(operations_pb2_grpc.OperationsStub)
        try:
            seen: operations_pb2.Operation = await stub.GetOperation(
                operations_pb2.GetOperationRequest(name=known.name)
            )
        except CallFailed as error:
            if error.code() not in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED):
                raise
            return known
        return seen


def _asking(token: str | Path | Callable[[], str]) -> Callable[[], str]:
    if isinstance(token, Path):
        return TokenFile(token)
    return (lambda: token) if isinstance(token, str) else token
