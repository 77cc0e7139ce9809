"""Requests over connections that are kept: a handshake for each renewal would cost more than the renewal."""

import asyncio
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field

import httpx

MOST_OCTETS = 64 * 1024
"""Of an answer that is worth reading."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back; `cell` is the id that it shows, empty where it shows none; `date` as it says it, in HTTP's words."""

    status: int
    cell: str
    etag: str
    body: bytes = field(repr=False)
    date: str = ""


class Wire:
    """timeout   seconds for one request, with all that belongs to it"""

    def __init__(self, timeout: float) -> None:
        self._timeout = timeout
        self._transports: dict[str, httpx.AsyncBaseTransport] = {}
        self._loop: asyncio.AbstractEventLoop | None = None

    async def send(self, method: str, url: str, headers: Mapping[str, str], body: bytes) -> Answer | None:
        """None: no answer came, and nobody knows what became of it. Nothing is sent twice, and no redirect is followed."""
        # Not by httpx.AsyncClient, which logs every URL.
        sent = {"User-Agent": "catalyst", "Accept-Encoding": "identity", **headers}
        request = httpx.Request(method, url, headers=sent, content=body)
        request.extensions["timeout"] = httpx.Timeout(self._timeout).as_dict()
        try:
            async with asyncio.timeout(self._timeout):
                return await _read(await self._transport(url).handle_async_request(request))
        except (httpx.TransportError, httpx.DecodingError, TimeoutError, OSError):
            # The error holds the request, and with it the token: it goes no further.
            return None

    def _transport(self, url: str) -> httpx.AsyncBaseTransport:
        """Of this event loop; what was made on another one, whose connections died with it, is let go."""
        if self._loop is not asyncio.get_running_loop():
            self._loop, self._transports = asyncio.get_running_loop(), {}
        scheme = url.partition(":")[0]
        if scheme not in self._transports:
            # Without TLS nobody is trusted, so that no certificate need be read. No proxy of the environment: it could keep an
            # answer, or send a request again.
            trusted = True if scheme == "https" else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            self._transports[scheme] = httpx.AsyncHTTPTransport(verify=trusted, trust_env=False, retries=0)
        return self._transports[scheme]


async def _read(response: httpx.Response) -> Answer | None:
    found = bytearray()
    try:
        async for part in response.aiter_bytes():
            found += part
            if len(found) > MOST_OCTETS:
                return None
    finally:
        await response.aclose()
    cell, etag, date = (response.headers.get(name, "") for name in ("catalyst-cell", "etag", "date"))
    return Answer(response.status_code, cell, etag, bytes(found), date)
