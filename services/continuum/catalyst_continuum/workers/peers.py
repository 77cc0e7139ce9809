"""The agents of other regions, asked over `catalyst.continuum.v1.ContinuumPeerService`. No answer is None, never an exception.

What a peer says explains and never triggers; only its promise to hold off counts, and only from when it was asked.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Coroutine
from contextvars import Context
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any, TypeVar

import grpc
from catalyst.continuum.v1 import resources_pb2, service_pb2, service_pb2_grpc
from catalyst_mesh import CallFailed, span
from catalyst_sdk import Temporary
from catalyst_sdk.continuum import DatabaseView, DemotionToken, Role
from catalyst_sdk.witness import Carry

from catalyst_continuum.clock import boottime
from catalyst_continuum.domain.lease import position

from .memory import boot_id

VERSION = version("catalyst-continuum")
PATIENCE = 1.0
"""Seconds for a greeting."""
T = TypeVar("T")
_ROLES = {
    Role.PRIMARY: resources_pb2.DatabaseView.ROLE_PRIMARY,
    Role.REPLICA: resources_pb2.DatabaseView.ROLE_REPLICA,
    Role.STOPPED: resources_pb2.DatabaseView.ROLE_FENCED,
}


@dataclass(frozen=True)
class GrpcPeer:
    """One other region.

    region    of this agent
    patience  seconds for one answer
    """

    channel: grpc.aio.Channel
    region: str
    patience: float

    async def hold_off(self, *, slot: str, region: str, epoch: int, seconds: float) -> bool | None:
        """Whether it promises not to claim `slot` at `epoch` for so long."""
        request = service_pb2.HoldOffRequest(name=resource(slot), region=region, epoch=epoch)
        request.hold.FromNanoseconds(int(seconds * 1e9))
        answer = await self._asked(self._stub.HoldOff, request)
        return None if answer is None else bool(answer.granted)

    async def report(self, *, slot: str, view: DatabaseView, fresh: bool = False) -> DatabaseView | None:
        """Tell it what is seen here, and hear what it sees of its own; `fresh`: it looks before it answers."""
        request = service_pb2.ReportRequest(name=resource(slot), region=self.region, database=told(view), fresh=fresh)
        answer = await self._asked(self._stub.Report, request)
        return heard(answer.database, "") if answer is not None and answer.HasField("database") else None

    def carrying(self, slot: str) -> Carry:
        """The way of our signed messages to the cells of a slot through this peer."""

        async def carry(cell: str, message: bytes) -> bytes:
            request = service_pb2.RelaySwapRequest(name=resource(slot), cell=cell, message=message)
            request.timeout.FromNanoseconds(int(self.patience * 1e9))
            answer = await self._asked(self._stub.RelaySwap, request)
            if answer is None:
                raise Temporary(f"{cell} does not answer by way of a peer")
            return bytes(answer.message)

        return carry

    async def deliver(self, *, slot: str, run: str, token: DemotionToken) -> bool:
        """Give it the token of a demotion; whether it is kept there."""
        request = service_pb2.DeliverTokenRequest(
            name=resource(slot),
            run=f"{resource(slot)}/runs/{run}",
            epoch=token.epoch,
            token=json.dumps([token.region, token.opaque, token.lsn]).encode(),
            final_lsn=_lsn(token.lsn),
        )  # fmt: skip - one message
        answer = await self._asked(self._stub.DeliverToken, request)
        return answer is not None and bool(answer.stored)

    @property
    def _stub(self) -> Any:
        return service_pb2_grpc.ContinuumPeerServiceStub(self.channel)

    async def _asked(self, call: Callable[..., Awaitable[Any]], request: Any) -> Any:
        try:
            return await call(request, timeout=self.patience)
        except (CallFailed, grpc.aio.AioRpcError):
            return None


async def as_agent(question: Coroutine[Any, Any, T]) -> T:
    """Ask in a context of its own: within a call a channel speaks for the caller, who is no agent."""
    return await asyncio.create_task(question, context=Context())


async def hello(channel: grpc.aio.Channel, region: str) -> service_pb2.HelloResponse | None:
    """Greet the daemon behind a channel for the agent of `region`; None: it does not answer."""
    stub: Any = service_pb2_grpc.ContinuumPeerServiceStub(channel)
    greeting = service_pb2.HelloRequest(region=region, version=VERSION, boot_id=boot_id(), boottime=span(boottime()))
    try:
        answer: service_pb2.HelloResponse = await stub.Hello(greeting, timeout=PATIENCE)
    except (CallFailed, grpc.aio.AioRpcError):
        return None
    return answer


def resource(slot: str) -> str:
    """Resource name of `<namespace>/<name>`."""
    namespace, _, name = slot.partition("/")
    return f"namespaces/{namespace}/continuums/{name}"


def slot_of(resource_name: str) -> str:
    """`<namespace>/<name>` of a resource name."""
    _, namespace, _, name, *_ = resource_name.split("/")
    return f"{namespace}/{name}"


def token_of(request: service_pb2.DeliverTokenRequest) -> DemotionToken:
    """The token that a peer delivers. Raises ValueError for one that is none of ours."""
    # The position as the database wrote it: on the wire beside it, it has another form.
    region, opaque, lsn = json.loads(request.token)
    return DemotionToken(str(region), request.epoch, str(lsn), str(opaque))


def told(view: DatabaseView) -> resources_pb2.DatabaseView:
    """A view as a message; what is not known is left out."""
    message = resources_pb2.DatabaseView(
        role=_ROLES[view.role] if view.role is not None else resources_pb2.DatabaseView.ROLE_UNSPECIFIED,
        writable=view.writable,
        system_id=view.system_id or "",
        timeline=view.timeline,
        ready=view.ready,
        receive_lsn=_lsn(view.received),
        replay_lsn=_lsn(view.replayed),
        synchronous=sorted(view.sync or ()),
        epoch=view.epoch or 0,
    )  # fmt: skip - one message
    if view.committed_ms is not None:
        message.commit_time.FromMilliseconds(view.committed_ms)
    message.age.FromNanoseconds(int(max(0.0, view.age) * 1e9))
    if view.acts_after > 0:
        message.acts_after.FromNanoseconds(int(view.acts_after * 1e9))
    return message


def heard(message: resources_pb2.DatabaseView, region: str) -> DatabaseView:
    """What a peer told of the database in `region`; what it left out is None."""
    roles = {value: role for role, value in _ROLES.items()}
    return DatabaseView(
        region,
        role=roles.get(message.role),
        writable=message.writable if message.HasField("writable") else None,
        ready=message.ready if message.HasField("ready") else None,
        system_id=message.system_id or None,
        timeline=message.timeline if message.HasField("timeline") else None,
        received=message.receive_lsn or None,
        replayed=message.replay_lsn or None,
        committed_ms=message.commit_time.ToMilliseconds() if message.HasField("commit_time") else None,
        # An empty list says nothing: whoever does not lead does not know.
        sync=frozenset(message.synchronous) or None,
        epoch=message.epoch or None,
        age=message.age.ToNanoseconds() / 1e9,
        acts_after=message.acts_after.ToNanoseconds() / 1e9,
    )  # fmt: skip - one row


def _lsn(text: str | None) -> str:
    """A log position on the wire: `high/low`, also where the database counts with one number."""
    if text is None:
        return ""
    at = position(text)
    return f"{at >> 32:X}/{at & 0xFFFFFFFF:X}"
