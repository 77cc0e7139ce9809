"""A proxy before a real HTTP server that loses, delays, cuts and falsifies answers: what a plugin must live with."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from enum import StrEnum


class Spoil(StrEnum):
    """What becomes of a request."""

    LOST = "the answer is lost"
    """It took effect, and the connection was closed before the answer."""
    SILENT = "no answer ever comes"
    """It took effect, and the client waits."""
    CUT = "the answer ends in the middle of its text"
    TORN = "the connection ends in the middle of the answer"
    REFUSED = "status 500, nothing done"
    AWAY = "status 503 with Retry-After, nothing done"
    BUSY = "status 429 with Retry-After, nothing done"
    STRANGER = "status 401, nothing done"
    PAGE = "status 200 with a page of HTML, nothing done"
    EMPTY = "status 204, nothing done"
    GONE = "status 404 with a page of HTML, nothing done"


_PAGE = "<html><body>Sign in</body></html>"
_INSTEAD = {
    Spoil.REFUSED: ("500 Internal Server Error", "", "database is locked"),
    Spoil.AWAY: ("503 Service Unavailable", "Retry-After: 7\r\n", ""),
    Spoil.BUSY: ("429 Too Many Requests", "Retry-After: 7\r\n", ""),
    Spoil.STRANGER: ("401 Unauthorized", "", "Unauthorized"),
    Spoil.PAGE: ("200 OK", "Content-Type: text/html\r\n", _PAGE),
    Spoil.EMPTY: ("204 No Content", "", ""),
    Spoil.GONE: ("404 Not Found", "Content-Type: text/html\r\n", _PAGE),
}


@dataclass
class SpoilingProxy:
    """Passes everything on, but for what it was told to spoil.

    seen   every request, as `METHOD path`
    """

    upstream: int
    port: int = 0
    seen: list[str] = field(default_factory=list)
    _rule: tuple[str, Spoil] | None = None

    def spoil(self, begins: str, how: Spoil) -> None:
        """From now on spoil every request whose `METHOD path` begins so."""
        self._rule = (begins, how)

    @property
    def is_silent(self) -> bool:
        """Whether nothing at all is answered: nobody needs to be waited for."""
        return self._rule == ("", Spoil.SILENT)

    def heal(self) -> None:
        """Spoil nothing more."""
        self._rule = None

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, one request: the server behind closes after each answer, too."""
        try:
            await self._one(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await _message(reader)
        method, path, _ = request.split(b"\r\n", 1)[0].decode().split(" ", 2)
        self.seen.append(f"{method} {path}")
        how = self._rule[1] if self._rule and self.seen[-1].startswith(self._rule[0]) else None
        if how in _INSTEAD:
            status, headers, body = _INSTEAD[how]
            writer.write(f"HTTP/1.1 {status}\r\n{headers}Content-Length: {len(body)}\r\n\r\n{body}".encode())
            await writer.drain()
            return
        answer = await self._asked(request)
        if how is Spoil.SILENT:
            await reader.read()  # until the client goes
        elif how is not Spoil.LOST:
            writer.write(_spoiled(answer, how))
            await writer.drain()

    async def _asked(self, request: bytes) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.upstream)
        try:
            writer.write(request)
            return await _message(reader)
        finally:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()


def _spoiled(answer: bytes, how: Spoil | None) -> bytes:
    head, _, body = answer.partition(b"\r\n\r\n")
    if how is Spoil.TORN:
        return head + b"\r\n\r\n" + body[: len(body) // 2] if body else head[: len(head) // 2]
    if how is Spoil.CUT and body:
        body = body[: len(body) // 2]
        lines = [line for line in head.split(b"\r\n") if not line.lower().startswith(b"content-length")]
        return b"\r\n".join([*lines, f"Content-Length: {len(body)}".encode()]) + b"\r\n\r\n" + body
    return answer


async def _message(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return head + await reader.readexactly(int(line.partition(b":")[2]))
    return head


@asynccontextmanager
async def spoiling(upstream: int) -> AsyncIterator[SpoilingProxy]:
    """A proxy before the port `upstream` of this machine, for the block."""
    proxy = SpoilingProxy(upstream)
    server = await asyncio.start_server(proxy.serve, "127.0.0.1", 0)
    proxy.port = int(server.sockets[0].getsockname()[1])
    try:
        yield proxy
    finally:
        server.close()
        await server.wait_closed()
