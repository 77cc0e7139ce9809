"""Calls to other daemons: one channel per peer, with token, deadline, trace and retries of what is safe to repeat.

Retries live here and nowhere else, in gRPC's own service config: UNAVAILABLE only, four tries at most, fewer while a peer
keeps failing. Who calls needs no loop of its own.
"""

import asyncio
import json
import time
from collections.abc import Callable, Generator
from typing import Any
from uuid import uuid4

import grpc
from google.protobuf.message import Message

from .calls import ON_BEHALF_OF, current, ongoing
from .channels import RenewedChannel
from .errors import CallFailed
from .telemetry import Span, here
from .tls import CertificateFiles, channel_credentials

SERVICE_CONFIG = json.dumps(
    {
        "methodConfig": [
            {
                "name": [{}],
                "retryPolicy": {
                    "maxAttempts": 4,
                    "initialBackoff": "0.1s",
                    "maxBackoff": "1s",
                    "backoffMultiplier": 2,
                    "retryableStatusCodes": ["UNAVAILABLE"],
                },
            }
        ],
        # Of several addresses each call goes to the next one that lives; so that a dead replica costs a retry at most.
        "loadBalancingConfig": [{"round_robin": {}}],
        # A daemon that says NOT_SERVING, as each does before it stops, is sent nothing new.
        "healthCheckConfig": {"serviceName": ""},
        "retryThrottling": {"maxTokens": 10, "tokenRatio": 0.1},
    }
)
DEFAULT_DEADLINE = 10.0
"""Seconds for a call that is made outside of any call."""
STREAM_DEADLINE = 3600.0
"""Seconds for a stream that states none; longer than any lives, since servers close connections after half an hour."""
MARGIN = 0.05
"""Seconds kept back of what remains, so that our caller still gets our answer."""

TRIES_KEY = "catalyst-previous-tries"
"""Trailing metadata in which a daemon says how many tries it knows of before the one that it answered.

gRPC tells the server and not the client (measured, grpcio 1.85)."""

PING_MS = 60_000
"""A call that waits in silence, such as a watch without news, asks that often whether the other side still lives."""

_OPTIONS = (
    ("grpc.service_config", SERVICE_CONFIG),
    ("grpc.enable_retries", 1),
    # A replica that was started again is found soon; gRPC's own pause grows to two minutes.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 1_000),
    ("grpc.max_reconnect_backoff_ms", 2_000),
    ("grpc.keepalive_time_ms", PING_MS),
    ("grpc.keepalive_permit_without_calls", 0),
    ("grpc.max_receive_message_length", 16 * 1024 * 1024),
)


def connect(
    target: str,
    *,
    token: Callable[[], str] = lambda: "",
    deadline: float = DEFAULT_DEADLINE,
    tls: CertificateFiles | None = None,
    request_ids: bool = False,
) -> grpc.aio.Channel:
    """A channel to `target`; hand it to the generated stubs. Close it when the daemon stops.

    target       `host:port`, or all replicas of the daemon: `ipv4:host:port,host:port`, or a name with several addresses
    token        asked at each call, so that a renewed token is used at once
    deadline     seconds for calls that state none and are not made within another call
    tls          certificates to speak TLS with, watched: stubs go on over a new channel when the files change; None, or
                 without authorities: plain
    request_ids  whether a request without a `request_id` gets one, so that a retry of ours has one effect

    A unary call that fails raises CallFailed; a stream raises AioRpcError, which `explain` reads.
    """
    common = (token, deadline, request_ids)
    interceptors: Any = [_UnaryStream(*common), _Streams(*common)]
    unary = _Outgoing(*common)
    if tls is None or not tls.believes:
        return _OwnChannel(grpc.aio.insecure_channel(target, options=_OPTIONS, interceptors=interceptors), unary)

    def build() -> grpc.aio.Channel:
        credentials = channel_credentials(tls)
        plain = grpc.aio.secure_channel(target, credentials, options=_OPTIONS, interceptors=interceptors)
        return _OwnChannel(plain, unary)

    def version() -> int:
        tls.material()
        return tls.version

    return RenewedChannel(build, version)


class _Outgoing:
    def __init__(self, token: Callable[[], str], deadline: float, request_ids: bool = False) -> None:  # noqa: FBT001, RUF100
        self._token = token
        self._deadline = deadline
        self._request_ids = request_ids

    def metadata(self, given: Any, one: "_Measured") -> grpc.aio.Metadata:
        """What goes with a call: what its caller gave, who asks, and the trace."""
        # A gateway hands on the trace of its own caller.
        metadata = [(key, value) for key, value in given or () if key != "traceparent"]
        if token := self._token():
            metadata.append(("authorization", f"Bearer {token}"))
            serving = ongoing()
            if serving is not None and serving.token is not None:
                metadata.append((ON_BEHALF_OF, f"Bearer {serving.token.reveal()}"))
        metadata.append(("traceparent", one.traceparent))
        return grpc.aio.Metadata(*metadata)

    def patience(self, stated: float | None, otherwise: float | None = None) -> float:
        """What this call may take: what it states, and never more than our own caller still waits."""
        serving = ongoing()
        if serving is None or serving.deadline is None:
            return (otherwise or self._deadline) if stated is None else stated
        remaining = max(0.001, serving.deadline - asyncio.get_running_loop().time() - MARGIN)
        return remaining if stated is None else min(stated, remaining)

    def with_id(self, request: Any) -> Any:
        """The request, with a `request_id` where it lacks one and is to have it."""
        if not (self._request_ids and isinstance(request, Message)):
            return request
        if "request_id" not in request.DESCRIPTOR.fields_by_name or request.request_id:  # type: ignore[attr-defined]
            return request
        copy = type(request)()
        copy.CopyFrom(request)  # the caller's message stays as it was, and the next call with it is another wish
        copy.request_id = str(uuid4())  # type: ignore[attr-defined]  # as above
        return copy


class _OwnChannel(grpc.aio.Channel):
    """A channel whose unary calls carry what ours carry. gRPC's own interceptors, by which streams get it, cost a unary call
    more than all that is done here (measured, grpcio 1.85)."""

    def __init__(self, plain: grpc.aio.Channel, outgoing: _Outgoing) -> None:
        self._plain = plain
        self._outgoing = outgoing

    def unary_unary(self, method: str, *rest: Any, **named: Any) -> Any:
        make: Any = self._plain.unary_unary(method, *rest, **named)
        outgoing, name = self._outgoing, str(method).lstrip("/")

        def call(request: Any, *, timeout: float | None = None, metadata: Any = None, **options: Any) -> "_UnaryCall":
            one = _Measured(name, metadata)
            carried = outgoing.metadata(metadata, one)
            begun = make(outgoing.with_id(request), timeout=outgoing.patience(timeout), metadata=carried, **options)
            return _UnaryCall(begun, one)

        return call

    def unary_stream(self, method: str, *rest: Any, **named: Any) -> Any:
        return self._plain.unary_stream(method, *rest, **named)

    def stream_unary(self, method: str, *rest: Any, **named: Any) -> Any:
        return self._plain.stream_unary(method, *rest, **named)

    def stream_stream(self, method: str, *rest: Any, **named: Any) -> Any:
        return self._plain.stream_stream(method, *rest, **named)

    async def close(self, grace: float | None = None) -> None:
        await self._plain.close(grace)

    async def __aenter__(self) -> "_OwnChannel":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close(None)

    def get_state(self, try_to_connect: bool = False) -> grpc.ChannelConnectivity:  # noqa: FBT001, FBT002, RUF100 - gRPC's
        return self._plain.get_state(try_to_connect)

    async def wait_for_state_change(self, last_observed_state: grpc.ChannelConnectivity) -> None:
        await self._plain.wait_for_state_change(last_observed_state)

    async def channel_ready(self) -> None:
        await self._plain.channel_ready()


class _UnaryCall:
    """gRPC's own call, under way, which raises CallFailed where it is awaited. How it ended is told then."""

    __slots__ = ("_call", "_one")

    def __init__(self, call: Any, one: "_Measured") -> None:
        self._call = call
        self._one = one

    def __await__(self) -> Generator[Any, None, Any]:
        try:
            answer = yield from self._call.__await__()
        except asyncio.CancelledError:
            self._one.end("CANCELLED")
            raise
        except grpc.aio.AioRpcError as error:
            initial: Any = error.initial_metadata()
            trailing: Any = error.trailing_metadata()
            self._one.end(error.code().name, trailing)
            raise CallFailed(error.code(), initial, trailing, error.details(), None) from None
        if self._one.is_told:
            self._one.end("OK", (yield from self._call.trailing_metadata().__await__()))
        return answer

    def __getattr__(self, name: str) -> Any:
        return getattr(self._call, name)


class _UnaryStream(_Outgoing, grpc.aio.UnaryStreamClientInterceptor):  # type: ignore[type-arg]  # not generic at run time
    async def intercept_unary_stream(self, continuation: Any, details: Any, request: Any) -> Any:
        one = _Measured.of(details)
        return one.until_end_of(await continuation(_with(self, details, one), request))


class _Streams(_Outgoing, grpc.aio.StreamStreamClientInterceptor):  # type: ignore[type-arg]  # as above
    async def intercept_stream_stream(self, continuation: Any, details: Any, request_iterator: Any) -> Any:
        one = _Measured.of(details)
        return one.until_end_of(await continuation(_with(self, details, one), request_iterator))


def _with(outgoing: _Outgoing, details: Any, one: "_Measured") -> grpc.aio.ClientCallDetails:
    """The details of a stream with what ours carry."""
    return grpc.aio.ClientCallDetails(
        details.method,
        outgoing.patience(details.timeout, STREAM_DEADLINE),
        outgoing.metadata(details.metadata, one),
        details.credentials,
        details.wait_for_ready,
    )


class _Measured:
    """One call: its duration and, where there is a tracer, its span."""

    __slots__ = ("_began", "_ending", "_method", "_span", "_telemetry", "traceparent")

    def __init__(self, method: str, metadata: Any) -> None:
        self._began = time.monotonic()
        self._telemetry = here()
        self._method = method
        given = next((str(v) for key, v in metadata or () if key == "traceparent"), "")
        self.traceparent = given or current().traceparent
        self._span: Span | None = None
        if self._telemetry is not None and self._telemetry.tracer is not None:
            self._span = self._telemetry.tracer.start(
                self._method,
                kind="CLIENT",
                parent=self.traceparent,
                links=(),
                attributes={"rpc.system.name": "grpc", "rpc.method": self._method},
            )  # fmt: skip - name and parent in one look
            self.traceparent = self._span.traceparent

    @classmethod
    def of(cls, details: Any) -> "_Measured":
        """A stream that begins."""
        method = details.method.decode() if isinstance(details.method, bytes) else str(details.method)
        return cls(method.lstrip("/"), details.metadata)

    @property
    def is_told(self) -> bool:
        """Whether somebody wants to know how it ends, and does not know it yet."""
        return self._telemetry is not None

    def end(self, status: str, trailing: Any = ()) -> None:
        """Tell how it ended, once."""
        if self._telemetry is not None:
            metrics = self._telemetry.metrics
            metrics.client_calls.labels(self._method, status).observe(time.monotonic() - self._began)
            if tries := next((int(value) for key, value in trailing or () if key == TRIES_KEY), 0):
                metrics.client_retries.labels(self._method, status).inc(tries)
        if self._span is not None:
            self._span.set("rpc.status_code", status)
            self._span.end(error="" if status == "OK" else status)
        self._telemetry = self._span = None

    def until_end_of(self, call: Any) -> Any:
        """Tell when the stream `call` has ended; the same call."""
        call.add_done_callback(self._ended)
        return call

    def _ended(self, call: Any) -> None:
        self._ending = asyncio.get_running_loop().create_task(self._end_of(call))

    async def _end_of(self, call: Any) -> None:
        self.end((await call.code()).name, await call.trailing_metadata())
