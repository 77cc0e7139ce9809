"""One HTTP/1.1 request on a connection of its own, which is all that PowerDNS offers: it closes after each answer.

h11 reads the protocol, and nothing else stands between a call and its socket: what a client with pools, cookies, redirects and
hooks does for each request, none of which is used here, costs more than the whole rest of a call.
"""

import asyncio
import json
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import h11

_CHUNK = 1 << 16


@dataclass(frozen=True, slots=True)
class Reply:
    """A whole answer; names of headers are in lower case."""

    status: int
    headers: Mapping[str, str]
    content: bytes

    @property
    def text(self) -> str:
        """What it says, whatever it is."""
        return self.content.decode(errors="replace")

    def json(self) -> Any:
        """What it says in JSON. Raises ValueError."""
        return json.loads(self.content)


class Lost(Exception):
    """No whole answer came; whether the request arrived nobody knows. Its text names no header and no value."""


class Wire:
    """Where one server listens.

    url       base of its addresses, without a final slash
    patience  seconds for one request, from the connection to the last octet
    """

    def __init__(self, url: str, patience: float) -> None:
        parts = urlsplit(url)
        self._base = parts.path
        self._authority = parts.netloc.rpartition("@")[2]
        is_safe = parts.scheme == "https"
        self._place = parts.hostname or "", parts.port or (443 if is_safe else 80)
        # Whom to trust with the key; without TLS nobody, so that no certificate need be read.
        self._trusted = ssl.create_default_context() if is_safe else None
        self._patience = patience

    async def ask(self, method: str, path: str, content: bytes, headers: Mapping[str, str]) -> Reply:
        """The answer. Raises Lost."""
        try:
            async with asyncio.timeout(self._patience):
                reader, writer = await asyncio.open_connection(*self._place, ssl=self._trusted)
                try:
                    return await self._exchanged(reader, writer, self._request(method, path, content, headers), content)
                finally:
                    writer.transport.abort()  # and no waiting for whoever does not hang up
        except (OSError, TimeoutError, h11.RemoteProtocolError) as error:
            raise Lost(type(error).__name__) from error
        except h11.LocalProtocolError:
            raise Lost("a header cannot be sent as it is") from None  # its text quotes the header

    def _request(self, method: str, path: str, content: bytes, headers: Mapping[str, str]) -> h11.Request:
        about = {"Host": self._authority, "Accept": "application/json", "Connection": "close", **headers}
        if content or method not in ("GET", "DELETE"):
            about["Content-Length"] = str(len(content))
        return h11.Request(
            method=method, target=self._base + path, headers=[(n.encode(), v.encode()) for n, v in about.items()]
        )

    async def _exchanged(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: h11.Request, content: bytes
    ) -> Reply:
        http = h11.Connection(h11.CLIENT)
        writer.write(b"".join(filter(None, (http.send(e) for e in (request, h11.Data(content), h11.EndOfMessage())))))
        await writer.drain()
        head: h11.Response | None = None
        body: list[bytes] = []
        while not isinstance(event := http.next_event(), h11.EndOfMessage):
            if event is h11.NEED_DATA:
                http.receive_data(await reader.read(_CHUNK))
            elif isinstance(event, h11.Response):
                head = event
            elif isinstance(event, h11.Data):
                body.append(bytes(event.data))
            elif isinstance(event, h11.ConnectionClosed):
                break
        if head is None:
            raise h11.RemoteProtocolError("it hung up without an answer")
        named = {name.decode("latin-1"): value.decode("latin-1") for name, value in head.headers}
        return Reply(head.status_code, named, b"".join(body))
