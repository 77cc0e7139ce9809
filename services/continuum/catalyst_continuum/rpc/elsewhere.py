"""Calls that another region's daemon answers: it begins the run, or it alone knows the slot.

The person's own token goes with the call, so that nobody may do more there than by asking there; and a call is handed on once,
or two regions that each take the other for the right one would do so for ever.
"""

import asyncio
import functools
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeVar

import grpc
from catalyst.continuum.v1 import resources_pb2, service_pb2, service_pb2_grpc
from catalyst_mesh import CallFailed, Context, OperationService
from catalyst_mesh.calls import current
from catalyst_sdk import Code, Refused
from google.longrunning import operations_pb2, operations_pb2_grpc
from google.protobuf.message import Message

HANDED_ON = "x-catalyst-handed-on"
"""Metadata of a call that comes from another daemon of ours: why it is asked."""
LOOKING, EXECUTING = "looking", "executing"
"""Whether it knows what was asked for (it may hand that on to the region that executes it); or as it is to execute it."""
PAGE = 500
PATIENCE = 3.0
"""Seconds for a region that may know something; who executes has as long as the caller waits."""
UNKNOWN = ("CONTINUUM_NOT_FOUND", "RUN_NOT_FOUND", "OPERATION_NOT_FOUND", "CALL_DENIED", "UNAUTHENTICATED")
"""Reasons for which another region is asked."""
M = TypeVar("M", bound=Callable[..., Any])


class AgentUnreachable(Refused):
    code, reason = Code.UNAVAILABLE, "AGENT_UNREACHABLE"
    message = "the agent of {region} begins this run, and is not here; ask the daemon of that region"


class AgentSilent(AgentUnreachable):
    """Of a change that is made in every region or in none."""

    message = "{region} does not answer, and must know of this as the other regions do; nothing was changed"


class RefusedElsewhere(AgentUnreachable):
    """What the daemon of another region says, as it says it."""

    message = "{sentence}"

    def __init__(self, failure: CallFailed) -> None:
        why = failure.why
        # Each instance is a refusal of its own kind: whoever asked is told by code and reason what was told to us.
        self.code, self.reason = Code[why.code], why.reason  # type: ignore[misc]
        super().__init__(violations=why.violations, **{**why.metadata, "sentence": why.message})


class Elsewhere:
    """channels   to the daemons of other regions, without a token of their own"""

    def __init__(self, channels: Mapping[str, grpc.aio.Channel]) -> None:
        self._channels = channels

    def knows(self, region: str) -> bool:
        """Whether the daemon of a region can be asked."""
        return region in self._channels

    async def at(self, region: str, method: str, request: Message) -> Any:
        """The answer of one region. Raises AgentUnreachable, and what it refuses with."""
        try:
            return await self._asked(region, method, request, EXECUTING)
        except CallFailed as failure:
            if failure.reason:
                raise RefusedElsewhere(failure) from failure
            raise AgentUnreachable(region=region) from failure

    async def found(self, method: str, request: Message) -> Any:
        """The answer of the first region that knows what is asked for; None: none does. Raises what it refuses with."""
        for region in self._channels:
            try:
                return await self._asked(region, method, request, LOOKING)
            except CallFailed as failure:
                if failure.reason and failure.reason not in UNKNOWN:
                    raise RefusedElsewhere(failure) from failure
        return None

    async def keeper(self, slot: str) -> str | None:
        """The first region that knows a slot."""
        for region in self._channels:
            try:
                await self._asked(region, "GetContinuum", service_pb2.GetContinuumRequest(name=slot), LOOKING)
            except CallFailed:
                continue
            return region
        return None

    async def all_found(self, method: str, request: Message) -> Mapping[str, Any]:
        """The answers of the regions that know what is asked for, by region. Raises AgentUnreachable where one is silent."""
        found = {}
        for region in self._channels:
            try:
                found[region] = await self._asked(region, method, request, LOOKING)
            except CallFailed as failure:
                if not failure.reason:
                    raise AgentSilent(region=region) from failure
                if failure.reason not in UNKNOWN:
                    raise RefusedElsewhere(failure) from failure
        return found

    async def streamed(self, method: str, request: Message) -> AsyncIterator[Any] | None:
        """The same of a stream, from its first message on."""
        for channel in self._channels.values():
            open_ = getattr(service_pb2_grpc.ContinuumServiceStub(channel), method)
            stream = aiter(open_(request, metadata=_as_the_person(LOOKING)))
            try:
                first = await anext(stream, None)
            except grpc.aio.AioRpcError:
                continue
            if first is not None:
                return _going_on(first, stream)
        return None

    async def listed(self, request: service_pb2.ListContinuumsRequest) -> Mapping[str, resources_pb2.Continuum]:
        """Slots that the first region that answers knows, by name: each is wished for in all of its regions."""
        for region in self._channels:
            found: dict[str, resources_pb2.Continuum] = {}
            asked = service_pb2.ListContinuumsRequest(parent=request.parent, filter=request.filter, page_size=PAGE)
            try:
                while True:
                    page = await self._asked(region, "ListContinuums", asked, LOOKING)
                    found |= {one.name: one for one in page.continuums}
                    asked.page_token = page.next_page_token
                    if not page.next_page_token:
                        return found
            except CallFailed:
                continue
        return {}

    async def runs(self, request: service_pb2.ListRunsRequest) -> Sequence[resources_pb2.Run] | None:
        """Runs that the other regions know, a page of each: one that was taken back is known only where it was to begin.

        None: none of them knows the slot.
        """
        told = await asyncio.gather(
            *(self._asked(region, "ListRuns", request, LOOKING) for region in self._channels), return_exceptions=True
        )
        pages = [page for page in told if isinstance(page, service_pb2.ListRunsResponse)]
        return [run for page in pages for run in page.runs] if pages else None

    async def run_told(self, name: str) -> list[resources_pb2.Run]:
        """One run as the other regions that know it tell it."""
        request = service_pb2.GetRunRequest(name=name)
        told = await asyncio.gather(
            *(self._asked(region, "GetRun", request, LOOKING) for region in self._channels), return_exceptions=True
        )
        return [run for run in told if isinstance(run, resources_pb2.Run)]

    async def _asked(self, region: str, method: str, request: Message, why: str) -> Any:
        channel = self._channels[region]
        is_operation = isinstance(request, operations_pb2.GetOperationRequest)
        stub: Any = (operations_pb2_grpc.OperationsStub if is_operation else service_pb2_grpc.ContinuumServiceStub)(
            channel
        )
        patience = PATIENCE if why == LOOKING else None
        return await getattr(stub, method)(request, metadata=_as_the_person(why), timeout=patience)


def _as_the_person(why: str) -> tuple[tuple[str, str], ...]:
    token = current().token
    shown = (("authorization", f"Bearer {token.reveal()}"),) if token is not None else ()
    return (*shown, (HANDED_ON, why))


async def _going_on(first: Any, stream: AsyncIterator[Any]) -> AsyncIterator[Any]:
    yield first
    async for message in stream:
        yield message


def was_handed_on(context: Context, *whys: str) -> bool:
    """Whether the call comes from another daemon of ours already; with `whys`, for one of these reasons."""
    given = [value for name, value in context.invocation_metadata() or () if name == HANDED_ON]
    return bool(set(given) & set(whys)) if whys else bool(given)


def anywhere(method: M) -> M:
    """A method on a slot or a run: what is unknown here is asked for in the other regions."""

    @functools.wraps(method)
    async def asked(self: Any, request: Message, context: Context) -> Any:
        try:
            return await method(self, request, context)
        except Refused as unknown:
            if unknown.reason not in UNKNOWN or was_handed_on(context):
                raise
            answer = await self._elsewhere.found(method.__name__, request)
            if answer is None:
                raise
            return answer

    return asked  # type: ignore[return-value]


def known_anywhere(method: M) -> M:
    """A method that takes its time: what is unknown here is asked for at the first region that knows the slot."""

    @functools.wraps(method)
    async def asked(self: Any, request: Any, context: Context) -> Any:
        try:
            return await method(self, request, context)
        except Refused as unknown:
            if unknown.reason not in UNKNOWN or was_handed_on(context):
                raise
            region = await self._elsewhere.keeper(request.name)
            if region is None:
                raise
            return await self._elsewhere.at(region, method.__name__, request)

    return asked  # type: ignore[return-value]


def watched_anywhere(method: M) -> M:
    """The same for a stream."""

    @functools.wraps(method)
    async def watched(self: Any, request: Message, context: Context) -> AsyncIterator[Any]:
        try:
            async for answer in method(self, request, context):
                yield answer
            return
        except Refused as unknown:
            if unknown.reason not in UNKNOWN or was_handed_on(context):
                raise
            stream = await self._elsewhere.streamed(method.__name__, request)
            if stream is None:
                raise
        async for answer in stream:
            yield answer

    return watched  # type: ignore[return-value]


class Operations(OperationService):
    """Operations of this daemon, and of those of other regions."""

    def __init__(self, find: Callable[[str], Awaitable[operations_pb2.Operation]], elsewhere: Elsewhere) -> None:
        super().__init__(find)
        self._elsewhere = elsewhere

    @anywhere
    async def GetOperation(self, request: operations_pb2.GetOperationRequest, context: Any) -> operations_pb2.Operation:
        return await super().GetOperation(request, context)
