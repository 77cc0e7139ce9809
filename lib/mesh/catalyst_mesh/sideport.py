"""The second port: /metrics, /livez, /readyz. Small on purpose; it must answer when little else does."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

from .addresses import apart

Check = Callable[[], Awaitable[bool]]
PATIENCE = 2.0
"""Seconds that a check gets; less than what Kubernetes is told to wait for a probe."""


class SidePort:
    """Answers GET over HTTP/1.1, one request a connection.

    checks   without one of these the daemon cannot answer calls: /readyz says 503 and which
    helpers  without one of these it answers calls and does less, as when NATS is away and events wait in the outbox:
             /readyz says 200 and which; to take all daemons off the network would make it worse
    """

    def __init__(
        self, registry: CollectorRegistry, checks: Mapping[str, Check], helpers: Mapping[str, Check] | None = None
    ) -> None:
        self._registry = registry
        self._checks = checks
        self._helpers = helpers or {}
        self._server: asyncio.Server | None = None
        self.draining = False

    async def start(self, listen: str) -> int:
        """Listen; the port."""
        self._server = await asyncio.start_server(self._serve, *apart(listen))
        return int(self._server.sockets[0].getsockname()[1])

    async def stop(self) -> None:
        """Stop listening."""
        if self._server is not None:
            self._server.close()
            with suppress(TimeoutError):
                async with asyncio.timeout(1):
                    await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            line = await _line(reader)
            while (await _line(reader)).strip():
                pass
            parts = line.decode("latin-1").split()
            status, kind, body = await self._answer(parts[0], parts[1].split("?")[0]) if len(parts) == 3 else _BAD
            head = (
                f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
            )
            writer.write(head.encode() + body)
            await writer.drain()
        except (TimeoutError, ConnectionError, ValueError):  # ValueError: a line without end
            pass
        finally:
            writer.close()

    async def _answer(self, method: str, path: str) -> tuple[str, str, bytes]:
        if method not in ("GET", "HEAD"):
            return "405 Method Not Allowed", "text/plain", b"only GET\n"
        if path == "/livez":
            return "200 OK", "text/plain", b"ok\n"
        if path == "/readyz":
            return await self._ready()
        if path == "/metrics":
            return "200 OK", CONTENT_TYPE_LATEST, generate_latest(self._registry)
        return "404 Not Found", "text/plain", b"there are /metrics, /livez and /readyz\n"

    async def _ready(self) -> tuple[str, str, bytes]:
        missing, degraded = await asyncio.gather(failing(self._checks), failing(self._helpers))
        if self.draining:
            missing = ["draining", *missing]
        lines = [f"missing: {', '.join(missing)}"] if missing else []
        lines += [f"degraded: {', '.join(degraded)}"] if degraded else []
        status = "503 Service Unavailable" if missing else "200 OK"
        return status, "text/plain", ("\n".join(lines or ["ok"]) + "\n").encode()


async def _line(reader: asyncio.StreamReader) -> bytes:
    async with asyncio.timeout(5):
        return await reader.readline()


async def failing(checks: Mapping[str, Check]) -> list[str]:
    """The names of the checks that fail; all are asked at once, so that two that hang cost no more than one."""
    answers = await asyncio.gather(*(_is_fine(check) for check in checks.values()))
    return [name for name, fine in zip(checks, answers, strict=True) if not fine]


async def _is_fine(check: Check) -> bool:
    try:
        async with asyncio.timeout(PATIENCE):
            return await check()
    except Exception:
        return False


_BAD = ("400 Bad Request", "text/plain", b"bad request\n")
