"""A daemon asks its own services: what comes in by another door than gRPC passes the same checks and transactions."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

from google.protobuf.message import Message

from .calls import Call, Caller, enter, ongoing
from .interceptor import check_fields
from .roles import SERVICE

PATIENCE = 30.0
"""Seconds that one question may take."""
A = TypeVar("A")


class Within:
    """Stands where a servicer expects the context of a call; `metadata` is what the call would carry."""

    def __init__(self, metadata: Sequence[tuple[str, str]] = ()) -> None:
        self._metadata = metadata

    def invocation_metadata(self) -> Sequence[tuple[str, str]]:
        """As gRPC has it."""
        return self._metadata

    def time_remaining(self) -> float | None:
        """As gRPC has it."""
        return None


class Inward:
    """service   the daemon's name; it asks in its own right, about whosever resources, as a row `own:<service>` would let it"""

    def __init__(self, service: str, metadata: Sequence[tuple[str, str]] = ()) -> None:
        self._caller = Caller(subject=f"{SERVICE}{service}", service=service, everywhere=True)
        self._within = Within(metadata)

    async def __call__(
        self, serve: Callable[[Any, Any], Awaitable[A]], request: Message, *, person: Caller | None = None
    ) -> A:
        """What a method of a servicer answers. Raises Refused, TimeoutError, and what the database raises.

        person   who asks, where it is not the daemon: believed, so whoever names somebody has asked who it is
        """
        check_fields(request)
        before, loop = ongoing(), asyncio.get_running_loop()
        enter(Call(method=serve.__qualname__, caller=person or self._caller, deadline=loop.time() + PATIENCE))
        try:
            async with asyncio.timeout(PATIENCE):
                return await serve(request, self._within)
        finally:
            enter(before)
