"""Calls to other daemons: one channel per peer, with token, deadline, trace and retries of what is safe to repeat."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

import grpc

from .calls import ON_BEHALF_OF, current

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
        "retryThrottling": {"maxTokens": 10, "tokenRatio": 0.1},
    }
)
DEFAULT_DEADLINE = 10.0
"""Seconds for a call that is made outside of any call."""
MARGIN = 0.05
"""Seconds kept back of what remains, so that our caller still gets our answer."""

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
    target: str, *, token: Callable[[], str] = lambda: "", deadline: float = DEFAULT_DEADLINE
) -> grpc.aio.Channel:
    """A channel to `target`; hand it to the generated stubs. Close it when the daemon stops.

    target     `host:port`, or all replicas of the daemon: `ipv4:host:port,host:port`, or a name with several addresses
    token      asked at each call, so that a renewed token is used at once
    deadline   seconds for calls that state none and are not made within another call
    """
    interceptors: Any = [_Unary(token, deadline), _UnaryStream(token, deadline), _Streams(token, deadline)]
    return grpc.aio.insecure_channel(
        target,
        options=_OPTIONS,
        interceptors=interceptors,
    )


class _Outgoing:
    def __init__(self, token: Callable[[], str], deadline: float) -> None:
        self._token = token
        self._deadline = deadline

    def _with(self, details: grpc.aio.ClientCallDetails, *, bounded: bool) -> grpc.aio.ClientCallDetails:
        metadata = list(details.metadata or ())
        if token := self._token():
            metadata.append(("authorization", f"Bearer {token}"))
            if (person := current().token) is not None:
                metadata.append((ON_BEHALF_OF, f"Bearer {person.reveal()}"))
        metadata.append(("traceparent", current().traceparent))
        return grpc.aio.ClientCallDetails(
            details.method,
            self._patience(details.timeout) if bounded else details.timeout,
            grpc.aio.Metadata(*metadata),
            details.credentials,
            details.wait_for_ready,
        )

    def _patience(self, stated: float | None) -> float:
        """What this call may take: what it states, and never more than our own caller still waits."""
        deadline = current().deadline
        if deadline is None:
            return self._deadline if stated is None else stated
        remaining = max(0.001, deadline - asyncio.get_running_loop().time() - MARGIN)
        return remaining if stated is None else min(stated, remaining)


class _Unary(_Outgoing, grpc.aio.UnaryUnaryClientInterceptor):  # type: ignore[type-arg]  # not generic at run time
    async def intercept_unary_unary(self, continuation: Any, details: Any, request: Any) -> Any:
        return await continuation(self._with(details, bounded=True), request)


class _UnaryStream(_Outgoing, grpc.aio.UnaryStreamClientInterceptor):  # type: ignore[type-arg]  # as above
    async def intercept_unary_stream(self, continuation: Any, details: Any, request: Any) -> Any:
        return await continuation(self._with(details, bounded=False), request)


class _Streams(_Outgoing, grpc.aio.StreamStreamClientInterceptor):  # type: ignore[type-arg]  # as above
    async def intercept_stream_stream(self, continuation: Any, details: Any, request_iterator: Any) -> Any:
        return await continuation(self._with(details, bounded=False), request_iterator)
