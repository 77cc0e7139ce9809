"""Calls to other daemons: one channel per peer, with token, deadline, trace and retries of what is safe to repeat.

Retries live here and nowhere else, in gRPC's own service config: UNAVAILABLE only, four tries at most, fewer while a peer
keeps failing. Who calls needs no loop of its own.
"""

import asyncio
import json
import time
from collections.abc import Callable
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

_OPTIONS = (
    ("grpc.service_config", SERVICE_CONFIG),
    ("grpc.enable_retries", 1),
    # A replica that was started again is found soon; gRPC's own pause grows to two minutes.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 1_000),
    ("grpc.max_reconnect_backoff_ms", 2_000),
    ("grpc.keepalive_time_ms", 60_000),
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
    interceptors: Any = [_Unary(*common), _UnaryStream(*common), _Streams(*common)]
    if tls is None or not tls.believes:
        return grpc.aio.insecure_channel(target, options=_OPTIONS, interceptors=interceptors)

    def build() -> grpc.aio.Channel:
        return grpc.aio.secure_channel(target, channel_credentials(tls), options=_OPTIONS, interceptors=interceptors)

    def version() -> int:
        tls.material()
        return tls.version

    return RenewedChannel(build, version)


class _Outgoing:
    def __init__(self, token: Callable[[], str], deadline: float, request_ids: bool = False) -> None:  # noqa: FBT001, RUF100
        self._token = token
        self._deadline = deadline
        self._request_ids = request_ids

    def _with(
        self, details: grpc.aio.ClientCallDetails, one: "_Measured", *, otherwise: float
    ) -> grpc.aio.ClientCallDetails:
        metadata = list(details.metadata or ())
        if token := self._token():
            metadata.append(("authorization", f"Bearer {token}"))
            serving = ongoing()
            if serving is not None and serving.token is not None:
                metadata.append((ON_BEHALF_OF, f"Bearer {serving.token.reveal()}"))
        # A gateway hands on the trace of its own caller.
        metadata = [(key, value) for key, value in metadata if key != "traceparent"]
        metadata.append(("traceparent", one.traceparent))
        return grpc.aio.ClientCallDetails(
            details.method,
            self._patience(details.timeout, otherwise),
            grpc.aio.Metadata(*metadata),
            details.credentials,
            details.wait_for_ready,
        )

    def _patience(self, stated: float | None, otherwise: float | None = None) -> float:
        """What this call may take: what it states, and never more than our own caller still waits."""
        serving = ongoing()
        if serving is None or serving.deadline is None:
            return (otherwise or self._deadline) if stated is None else stated
        remaining = max(0.001, serving.deadline - asyncio.get_running_loop().time() - MARGIN)
        return remaining if stated is None else min(stated, remaining)

    def _with_id(self, request: Any) -> Any:
        if not (self._request_ids and isinstance(request, Message)):
            return request
        if "request_id" not in request.DESCRIPTOR.fields_by_name or request.request_id:  # type: ignore[attr-defined]
            return request
        copy = type(request)()
        copy.CopyFrom(request)  # the caller's message stays as it was, and the next call with it is another wish
        copy.request_id = str(uuid4())  # type: ignore[attr-defined]  # as above
        return copy


class _Unary(_Outgoing, grpc.aio.UnaryUnaryClientInterceptor):  # type: ignore[type-arg]  # not generic at run time
    async def intercept_unary_unary(self, continuation: Any, details: Any, request: Any) -> Any:
        one = _Measured(details)
        call = await continuation(self._with(details, one, otherwise=self._deadline), self._with_id(request))
        try:
            code = await call.code()
        except asyncio.CancelledError:
            call.cancel()
            one.end("CANCELLED")
            raise
        trailing = await call.trailing_metadata()
        one.end(code.name, trailing)
        if code is not grpc.StatusCode.OK:
            raise CallFailed(code, await call.initial_metadata(), trailing, await call.details(), None)
        return call


class _UnaryStream(_Outgoing, grpc.aio.UnaryStreamClientInterceptor):  # type: ignore[type-arg]  # as above
    async def intercept_unary_stream(self, continuation: Any, details: Any, request: Any) -> Any:
        one = _Measured(details)
        return one.until_end_of(await continuation(self._with(details, one, otherwise=STREAM_DEADLINE), request))


class _Streams(_Outgoing, grpc.aio.StreamStreamClientInterceptor):  # type: ignore[type-arg]  # as above
    async def intercept_stream_stream(self, continuation: Any, details: Any, request_iterator: Any) -> Any:
        one = _Measured(details)
        with_all = self._with(details, one, otherwise=STREAM_DEADLINE)
        return one.until_end_of(await continuation(with_all, request_iterator))


class _Measured:
    """One call: its duration and, where there is a tracer, its span."""

    __slots__ = ("_began", "_ending", "_method", "_span", "_telemetry", "traceparent")

    def __init__(self, details: Any) -> None:
        self._began = time.monotonic()
        self._telemetry = here()
        method = details.method.decode() if isinstance(details.method, bytes) else str(details.method)
        self._method = method.lstrip("/")
        given = next((str(v) for key, v in details.metadata or () if key == "traceparent"), "")
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

    def end(self, status: str, trailing: Any = ()) -> None:
        """Tell how it ended."""
        if self._telemetry is not None:
            metrics = self._telemetry.metrics
            metrics.client_calls.labels(self._method, status).observe(time.monotonic() - self._began)
            if tries := next((int(value) for key, value in trailing or () if key == TRIES_KEY), 0):
                metrics.client_retries.labels(self._method, status).inc(tries)
        if self._span is not None:
            self._span.set("rpc.status_code", status)
            self._span.end(error="" if status == "OK" else status)

    def until_end_of(self, call: Any) -> Any:
        """Tell when the stream `call` has ended; the same call."""
        call.add_done_callback(self._ended)
        return call

    def _ended(self, call: Any) -> None:
        self._ending = asyncio.get_running_loop().create_task(self._end_of(call))

    async def _end_of(self, call: Any) -> None:
        self.end((await call.code()).name, await call.trailing_metadata())
