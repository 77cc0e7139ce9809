"""The one interceptor: deadline, caller, trace, request id, rules of fields, access, errors, in this order.

One object, because each further layer costs some 5 µs a call (conventions, section 3).
"""

import asyncio
import hashlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from typing import Any, NamedTuple, NoReturn

import grpc
import protovalidate
from catalyst_sdk import Code, Refused, Secret, Violation
from google.protobuf.message import Message

from .access import Access
from .calls import ANONYMOUS, ON_BEHALF_OF, Call, Caller, current, enter, new_traceparent
from .client import TRIES_KEY
from .database import is_outage
from .errors import (
    DETAILS_KEY,
    DeadlineRequired,
    InvalidRequest,
    StoreUnavailable,
    Unauthenticated,
    to_status,
)
from .logs import get_logger
from .memberships import Memberships, TokenMemberships
from .metrics import ChassisMetrics
from .shapes import broken
from .streams import Stopping
from .telemetry import Span, here
from .verifiers import Verifier
from .work import Contended, LostRace

DEFAULT_DEADLINE = 10.0
"""Seconds for a unary call from outside that states no deadline of its own."""
UNGUARDED = "/grpc.health.v1.Health/"
"""Open to everybody, and asked by every peer all the time it lives: no call of anybody that would be told of."""
ELSEWHERE = (("grpc-retry-pushback-ms", "500"),)
"""Tells a client of gRPC when to try again: not before the connection on which it asked is closed."""
FAULTS = frozenset({"UNKNOWN", "DEADLINE_EXCEEDED", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS"})
"""Statuses that are the server's fault; the others are answers, and their spans are no errors."""


class DeadlineExceeded(Refused):
    code, reason, message = Code.DEADLINE_EXCEEDED, "DEADLINE_EXCEEDED", "time ran out; whether it happened is unknown"


class MethodNotServed(Refused):
    code, reason, message = Code.UNIMPLEMENTED, "METHOD_NOT_SERVED", "{method} is not served by this release"


class Internal(Refused):
    code, reason, message = Code.INTERNAL, "INTERNAL", "an internal error; report trace {trace_id}"


class _Admitted(NamedTuple):
    """Whom the handler sees, the person's token, to be shown to daemons that it asks in turn, and who waits how long."""

    caller: Caller
    token: Secret | None
    remaining: float | None
    """Seconds; None where the call states no deadline."""


class Interceptor(grpc.aio.ServerInterceptor):  # type: ignore[type-arg]  # not generic at run time
    """Stands between the wire and each servicer of a daemon."""

    def __init__(
        self,
        *,
        verifier: Verifier,
        access: Access,
        metrics: ChassisMetrics,
        memberships: Memberships | None = None,
    ) -> None:
        self._verifier = verifier
        self._memberships = memberships or TokenMemberships()
        self._access = access
        self._metrics = metrics
        self._log = get_logger("rpc")
        self._guarded: dict[str, Any] = {}
        self._leaves = False
        self._ends = False
        self._streams: set[asyncio.Task[Any]] = set()
        """Those that wait for something to show. One that is being sent must not be cancelled: gRPC would end it without a
        status, and who watches would wait for his deadline."""

    def leave(self) -> None:
        """Take no new call from here on. Who asks hears STOPPING, and when to ask again, by then another replica.

        A server that ends cancels what it has not looked at yet, and CANCELLED is tried again by nobody.
        """
        self._leaves = True

    def end_streams(self) -> None:
        """End the streams that are open with STOPPING: who watches goes on elsewhere, and does not hold up the end."""
        self._leaves = self._ends = True
        for task in self._streams:
            task.cancel()

    async def intercept_service(
        self, continuation: Callable[[Any], Awaitable[Any]], details: grpc.HandlerCallDetails
    ) -> Any:
        method = str(details.method)
        if method not in self._guarded:
            handler = await continuation(details)
            if handler is None:  # whoever asks chooses the name, so it is not remembered
                return self._guard(handler, method)
            self._guarded[method] = self._guard(handler, method)
        return self._guarded[method]

    def _guard(self, handler: Any, method: str) -> Any:
        """What stands before `handler`; it is the same for each call, and nothing else is made for one."""
        if handler is not None and method.startswith(UNGUARDED):
            return handler
        if handler is None or not _is_served(handler):
            return grpc.stream_stream_rpc_method_handler(self._not_served(method))
        if handler.unary_unary:
            make: Any = grpc.unary_unary_rpc_method_handler
            guarded = self._unary(handler.unary_unary, method)
        elif handler.unary_stream:
            make, guarded = grpc.unary_stream_rpc_method_handler, self._stream(handler.unary_stream, method)
        elif handler.stream_stream:
            make, guarded = grpc.stream_stream_rpc_method_handler, self._stream(handler.stream_stream, method)
        else:
            raise NotImplementedError(f"{method}: calls that stream to us and answer once are not guarded yet")
        return make(
            guarded,
            request_deserializer=handler.request_deserializer,
            response_serializer=handler.response_serializer,
        )

    def _unary(self, serve: Callable[..., Any], method: str) -> Callable[..., Any]:
        name = method.lstrip("/")

        async def call(request: Message, context: grpc.aio.ServicerContext[Any, Any]) -> Any:
            metadata = _metadata(context)
            one = _Served(name, metadata, self._metrics)
            try:
                # A refusal is logged with its trace.
                enter(Call(method=name, traceparent=one.traceparent))
                if self._leaves:
                    raise Stopping
                admitted = await self._admit(method, metadata, context)
                patience = DEFAULT_DEADLINE if admitted.remaining is None else admitted.remaining
                enter(_call(name, one.traceparent, admitted, request, patience))
                check_fields(request)
                if admitted.remaining is None:
                    async with asyncio.timeout(patience):
                        answer = await serve(request, context)
                else:  # gRPC itself cancels this task when the call's deadline has passed
                    answer = await serve(request, context)
                if one.tries:
                    context.set_trailing_metadata(one.tries)
                return answer
            except asyncio.CancelledError:
                one.status = "DEADLINE_EXCEEDED" if _is_late(context) else "CANCELLED"
                raise
            except Exception as error:
                refusal = self._refusal(error, method)
                one.status = refusal.code.name
                await _abort(context, refusal, one.tries)
            finally:
                one.end()

        return call

    def _stream(self, serve: Callable[..., Any], method: str) -> Callable[..., Any]:
        name = method.lstrip("/")

        async def call(request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> AsyncIterator[Any]:
            metadata = _metadata(context)
            one = _Served(name, metadata, self._metrics)
            task: Any = asyncio.current_task()
            try:
                enter(Call(method=name, traceparent=one.traceparent))  # as above
                if self._leaves:
                    raise Stopping
                admitted = await self._admit(method, metadata, context)
                single = request if isinstance(request, Message) else None
                enter(_call(name, one.traceparent, admitted, single, None))
                if single is not None:
                    check_fields(single)
                self._waits(task)
                async for answer in serve(request, context):
                    self._streams.discard(task)
                    yield answer
                    self._waits(task)
                if one.tries:
                    context.set_trailing_metadata(one.tries)
            except (asyncio.CancelledError, GeneratorExit) as ended:
                one.status = "CANCELLED"
                if not self._leaves or isinstance(ended, GeneratorExit) or context.cancelled():
                    raise
                one.status = "UNAVAILABLE"
                await _abort(context, Stopping(), one.tries)
            except Exception as error:
                refusal = self._refusal(error, method)
                one.status = refusal.code.name
                await _abort(context, refusal, one.tries)
            finally:
                self._streams.discard(task)
                one.end()

        return call

    def _waits(self, task: "asyncio.Task[Any]") -> None:
        """A stream is about to wait for what it will show next. Raises Stopping."""
        if self._ends:
            raise Stopping
        self._streams.add(task)

    def _not_served(self, method: str) -> Callable[..., Any]:
        """Answers for a method that is not here, of whatever shape it is elsewhere, and reads no request.

        Where the table has a row for it, those who may not call it hear that first.
        """

        async def call(_requests: Any, context: grpc.aio.ServicerContext[Any, Any]) -> AsyncIterator[Any]:
            try:
                if self._access.names(method):
                    await self._admit(method, _metadata(context), context)
                raise MethodNotServed(method=method.lstrip("/"))
            except Exception as error:
                await _abort(context, self._refusal(error, method))
            yield

        return call

    async def _admit(
        self, method: str, metadata: dict[str, Any], context: grpc.aio.ServicerContext[Any, Any]
    ) -> _Admitted:
        token, between = _bearer(metadata, "authorization"), _bearer(metadata, ON_BEHALF_OF)
        asks = await self._caller(method, token)
        try:
            # Rubbish in the person's place is refused like a bad token: without it the daemon would count for itself.
            person = await self._known(between) if ON_BEHALF_OF in metadata else None
            caller = self._access.admit(asks, method, person)
            remaining = context.time_remaining()
            if remaining is None and asks.service:
                raise DeadlineRequired
        except Exception:
            enter(replace(current(), caller=asks))  # whom the refusal is about
            raise
        shown = Secret(between or token) if caller.is_person() else None
        return _Admitted(caller, shown, remaining)

    async def _caller(self, method: str, token: str) -> Caller:
        if token:
            return await self._known(token)
        if self._access.is_public(method):
            return ANONYMOUS
        raise Unauthenticated(why="there is none; send `authorization: Bearer <token>`")

    async def _known(self, token: str) -> Caller:
        caller = await self._verifier.check(token)
        if not caller.is_person():
            return caller
        groups = await self._memberships.of(caller)
        return caller if groups == caller.groups else replace(caller, groups=groups)

    def _refusal(self, error: Exception, method: str) -> Refused:
        if isinstance(error, Refused):
            if error.code in (Code.PERMISSION_DENIED, Code.UNAUTHENTICATED):
                who = error.metadata.get("subject", "")
                self._log.warning("call refused", method=method, reason=error.reason, subject=who)
            return error
        if isinstance(error, TimeoutError):
            return DeadlineExceeded()
        if isinstance(error, NotImplementedError):  # what the generated base class raises
            return MethodNotServed(method=method.lstrip("/"))
        if isinstance(error, LostRace):
            return Contended()
        if is_outage(error):
            self._log.error("database away", method=method, error=type(error).__name__)
            return StoreUnavailable()
        self._log.error("bug", method=method, exc_info=error)
        return Internal(trace_id=current().trace_id)


def _is_served(handler: Any) -> bool:
    """Whether the servicer has the method of its own; the generated base class only says that it has not."""
    serve = handler.unary_unary or handler.unary_stream or handler.stream_unary or handler.stream_stream
    return not str(getattr(serve, "__module__", "")).endswith("_pb2_grpc")


def _is_late(context: grpc.aio.ServicerContext[Any, Any]) -> bool:
    """Whether the deadline that the call states has passed."""
    remaining = context.time_remaining()
    return remaining is not None and remaining <= 0


def _metadata(context: grpc.aio.ServicerContext[Any, Any]) -> dict[str, Any]:
    return dict(context.invocation_metadata() or ())


def _bearer(metadata: dict[str, Any], key: str) -> str:
    kind, _, token = str(metadata.get(key, "")).partition(" ")
    return token if kind.lower() == "bearer" else ""


def _call(name: str, traceparent: str, admitted: _Admitted, request: Message | None, patience: float | None) -> Call:
    request_id = str(getattr(request, "request_id", "")) if request is not None else ""
    return Call(
        method=name,
        caller=admitted.caller,
        token=admitted.token,
        request_id=request_id,
        # Only a call that can be repeated pays for the hash.
        request_hash=hashlib.sha256(request.SerializeToString(deterministic=True)).digest()
        if request and request_id
        else b"",
        deadline=None if patience is None else asyncio.get_running_loop().time() + patience,
        traceparent=traceparent,
    )


class _Served:
    """One call that is served: its duration and, where there is a tracer, its span."""

    __slots__ = ("_began", "_method", "_metrics", "_span", "status", "traceparent", "tries")

    def __init__(self, name: str, metadata: dict[str, Any], metrics: ChassisMetrics) -> None:
        self._began = time.monotonic()
        self._method = name
        self._metrics = metrics
        self.status = "OK"
        earlier = str(metadata.get("grpc-previous-rpc-attempts", ""))
        self.tries = ((TRIES_KEY, earlier),) if earlier else ()
        """Told to the client, whom gRPC does not tell."""
        self.traceparent = str(metadata.get("traceparent", ""))
        self._span: Span | None = None
        telemetry = here()
        if telemetry is None or telemetry.tracer is None:
            self.traceparent = new_traceparent(self.traceparent)
            return
        self._span = telemetry.tracer.start(
            self._method,
            kind="SERVER",
            parent=self.traceparent,
            links=(),
            attributes={"rpc.system.name": "grpc", "rpc.method": self._method},
        )  # fmt: skip - name and parent in one look
        self.traceparent = self._span.traceparent

    def end(self) -> None:
        """Tell how it ended."""
        self._metrics.served(self._method, self.status, time.monotonic() - self._began)
        if self._span is not None:
            self._span.set("rpc.status_code", self.status)
            self._span.end(error=self.status if self.status in FAULTS else "")


def check_fields(request: Message) -> None:
    """Whether a request keeps the rules of its contract. Raises InvalidRequest with all that it breaks."""
    found = protovalidate.collect_violations(request)
    if found:
        raise InvalidRequest(tuple(_violation(v) for v in found))


def _violation(found: protovalidate.Violation) -> Violation:
    steps = found.proto.field.elements if found.proto.field else ()
    path, rule = ".".join(_step(step) for step in steps), found.proto.rule_id or ""
    said, pattern, text = found.proto.message or "", found.rule_value, found.field_value
    if rule == "string.pattern" and isinstance(pattern, str) and isinstance(text, str):
        said = broken(pattern, text)
    return Violation(path, said, rule)


def _step(step: Any) -> str:
    subscript = getattr(step, "subscript", None)
    value = getattr(subscript, "value", None) if subscript is not None else None
    return f"{step.field_name}[{value}]" if value is not None else str(step.field_name)


async def _abort(
    context: grpc.aio.ServicerContext[Any, Any], refusal: Refused, tries: tuple[tuple[str, str], ...] = ()
) -> NoReturn:
    status = to_status(refusal)
    pause = ELSEWHERE if isinstance(refusal, Stopping) else ()
    trailing = ((DETAILS_KEY, status.SerializeToString()), *tries, *pause)
    await context.abort(grpc.StatusCode[refusal.code.name], status.message, trailing)
    raise AssertionError("abort raises")
