"""The cluster's load balancer: a small HTTP/1.1 server on its own loopback address. One request a connection."""

import asyncio
import contextlib
from collections.abc import Callable
from http import HTTPStatus

from .pages import Page

LARGEST_HEAD = 16 * 1024
PATIENCE = 5.0
"""Seconds for a request to arrive."""

Respond = Callable[[str, str], Page]
"""From host and path to a page."""


async def listen(address: str, port: int, respond: Respond) -> asyncio.Server:
    """Serve until the answer is closed. Raises OSError where the address cannot be bound."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, TimeoutError):
            async with asyncio.timeout(PATIENCE):
                head = await reader.readuntil(b"\r\n\r\n")
                writer.write(_answer(head, respond))
                await writer.drain()
        with contextlib.suppress(OSError):
            writer.close()

    return await asyncio.start_server(serve, address, port, limit=LARGEST_HEAD)


def _answer(head: bytes, respond: Respond) -> bytes:
    first, *rest = head.decode("latin-1").split("\r\n")
    parts = first.split(" ")
    if len(parts) != 3 or not parts[2].startswith("HTTP/1."):
        return _wire(Page(400, "not an HTTP request (simulated)\n", "text/plain"), "GET")
    method, target = parts[0], parts[1]
    if method not in ("GET", "HEAD"):
        return _wire(Page(405, "only GET and HEAD (simulated)\n", "text/plain"), method)
    headers = {key.strip().lower(): value.strip() for key, _, value in (line.partition(":") for line in rest)}
    return _wire(respond(headers.get("host", ""), target.split("?", 1)[0]), method)


def _wire(page: Page, method: str) -> bytes:
    body = page.body.encode()
    status = HTTPStatus(page.status)
    lines = [
        f"HTTP/1.1 {status.value} {status.phrase}",
        f"Content-Type: {page.type}",
        f"Content-Length: {len(body)}",
        "X-Catalyst-Simulated: true",
        "Cache-Control: no-store",
        "Connection: close",
        *(["Retry-After: 1"] if page.status == 503 else []),
        "",
        "",
    ]
    return "\r\n".join(lines).encode() + (b"" if method == "HEAD" else body)
