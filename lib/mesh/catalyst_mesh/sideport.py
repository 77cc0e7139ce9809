"""The second port: /metrics, /livez, /readyz. Small on purpose; it must answer when little else does."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

Check = Callable[[], Awaitable[bool]]


class SidePort:
    """Answers GET over HTTP/1.1, one request a connection."""

    def __init__(self, registry: CollectorRegistry, checks: Mapping[str, Check]) -> None:
        self._registry = registry
        self._checks = checks
        self._server: asyncio.Server | None = None
        self.draining = False

    async def start(self, listen: str) -> int:
        """Listen; the port."""
        host, _, port = listen.rpartition(":")
        self._server = await asyncio.start_server(self._serve, host, int(port))
        return int(self._server.sockets[0].getsockname()[1])

    async def stop(self) -> None:
        """Stop listening."""
        if self._server is not None:
            self._server.close()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._server.wait_closed(), 1)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            line = await asyncio.wait_for(reader.readline(), 5)
            while (await asyncio.wait_for(reader.readline(), 5)).strip():
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
        missing = ["draining"] if self.draining else []
        for name, check in self._checks.items():
            try:
                fine = await asyncio.wait_for(check(), 2)
            except Exception:
                fine = False
            missing += [] if fine else [name]
        if missing:
            return "503 Service Unavailable", "text/plain", f"missing: {', '.join(missing)}\n".encode()
        return "200 OK", "text/plain", b"ok\n"


_BAD = ("400 Bad Request", "text/plain", b"bad request\n")
