"""What peers are told of this daemon (grpc.health.v1): that it serves, or that another replica is better asked.

Our clients watch it, so a daemon that says NOT_SERVING is sent nothing new: this is what makes a drain lose no call, as
gRPC cancels what arrives at a server between its last look and its end (`tests/chaos/README.md`).

Invariants
  the base    without its database a daemon serves nothing; a look that fails once may be slow, three in a row are an outage;
  for good    once it drains it never says SERVING again;
  no hold     watchers hold up no end: their streams end with `end`.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping
from typing import Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from .sideport import Check, failing
from .waits import rest, unless

LOOK = 2.0
"""Seconds between two looks at the checks."""
LOOK_AGAIN = 0.5
"""The same while something is missing."""
FAILURES = 3

Answer = health_pb2.HealthCheckResponse


class Health(health_pb2_grpc.HealthServicer):  # type: ignore[misc]  # its distribution has no types
    """Answers for the daemon and for each of its services; a worker that looks at `checks`."""

    def __init__(self, services: Iterable[str], checks: Mapping[str, Check]) -> None:
        self._services = frozenset({"", *services})
        self._checks = checks
        self._failures = 0
        self._draining = False
        self._ended = False
        self._changed = asyncio.Event()

    async def Check(self, request: Any, context: "grpc.aio.ServicerContext[Any, Any]") -> Any:
        if request.service not in self._services:
            await context.abort(grpc.StatusCode.NOT_FOUND)
        return Answer(status=self._status(request.service))

    async def Watch(self, request: Any, context: "grpc.aio.ServicerContext[Any, Any]") -> AsyncIterator[Any]:
        told = None
        while True:
            changed, status = self._changed, self._status(request.service)
            if status != told:
                told = status
                yield Answer(status=status)
            if self._ended:
                return
            await changed.wait()

    async def run(self, stop: asyncio.Event) -> None:
        """Look at the checks until `stop`."""
        while not stop.is_set():
            await unless(stop, self.look())
            await rest(stop, LOOK_AGAIN if self._failures else LOOK)

    async def look(self) -> None:
        """Ask the checks once."""
        self._failures = self._failures + 1 if await failing(self._checks) else 0
        self._tell()

    def drain(self) -> None:
        """Send everybody elsewhere."""
        self._draining = True
        self._tell()

    def end(self) -> None:
        """Let go of those who watch."""
        self._ended = True
        self._tell()

    def _status(self, service: str) -> Any:
        if service not in self._services:
            return Answer.SERVICE_UNKNOWN
        return Answer.NOT_SERVING if self._draining or self._failures >= FAILURES else Answer.SERVING

    def _tell(self) -> None:
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()
