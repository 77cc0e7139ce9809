"""A base for fakes of registrars: real HTTP on loopback, domains in memory. What nobody can be asked to lend for a test.

A fake of one registrar subclasses `FakeRegistrar` and answers in that registrar's documented shapes. Faults of the line
are made by a proxy before it (`spoiling`); faults of the registrar itself are switches here.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

PLAIN = {"accept", "accept-encoding", "connection", "content-length", "content-type", "host", "user-agent"}
"""Headers that tell nothing of who asks."""
REASONS = {200: "OK", 204: "No Content", 400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 404: "Not Found"}


@dataclass(frozen=True, slots=True)
class FakeRequest:
    """What a client sent. `url` is as it was signed: scheme, host and the raw target."""

    method: str
    url: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    text: str

    def json(self) -> Any:
        """The body as JSON; None where there is none."""
        return json.loads(self.text) if self.text else None


@dataclass(frozen=True, slots=True)
class FakeAnswer:
    """What is answered; anything but text is sent as JSON."""

    status: int = 200
    body: Any = ""
    kind: str = "application/json"


@dataclass
class FakeDomain:
    """A domain in the account.

    hidden   what was written and does not show yet
    """

    ns: list[str]
    ds: list[Any] = field(default_factory=list)
    glue: dict[str, list[str]] = field(default_factory=dict)
    locked: bool = False
    hidden: Any = None


class FakeRegistrar:
    """One registrar with one account.

    seen        every request
    writes      how many of them changed something, or would have
    is_slow     changes show only after `finish`
    is_deaf     changes are accepted and never made
    is_parrot   every request is answered with what it said, as an error page may do
    """

    def __init__(self) -> None:
        self.port = 0
        self.domains: dict[str, FakeDomain] = {}
        self.seen: list[FakeRequest] = []
        self.writes = 0
        self.is_slow = False
        self.is_deaf = False
        self.is_parrot = False

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    def answer(self, request: FakeRequest) -> FakeAnswer:
        """What the registrar answers."""
        raise NotImplementedError

    def spares(self, request: FakeRequest) -> bool:
        """Whether a parrot answers this one well, because nobody would say more after it."""
        return False

    def change(self, domain: FakeDomain, **values: Any) -> None:
        """Take a change over: at once, later, or never."""
        self.writes += 1
        if self.is_deaf:
            return
        if self.is_slow:
            domain.hidden = values
            return
        for name, value in values.items():
            setattr(domain, name, value)

    def finish(self) -> None:
        """Let every change show that was accepted."""
        for domain in self.domains.values():
            for name, value in (domain.hidden or {}).items():
                setattr(domain, name, value)
            domain.hidden = None

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, one request."""
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            line, *lines = head.rstrip().split("\r\n")
            headers = {name.lower(): value.strip() for name, _, value in (one.partition(":") for one in lines)}
            text = (await reader.readexactly(int(headers.get("content-length", 0)))).decode()
            writer.write(self._answered(_request(line, headers, text)))
            await writer.drain()
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()

    def _answered(self, request: FakeRequest) -> bytes:
        self.seen.append(request)
        answer = _parroted(request) if self.is_parrot and not self.spares(request) else self.answer(request)
        body = answer.body if isinstance(answer.body, str) else json.dumps(answer.body)
        status = f"{answer.status} {REASONS.get(answer.status, 'Something')}"
        content = f"Content-Type: {answer.kind}\r\nContent-Length: {len(body.encode())}\r\nConnection: close\r\n\r\n"
        return f"HTTP/1.1 {status}\r\n{content}{body}".encode()


def _request(line: str, headers: dict[str, str], text: str) -> FakeRequest:
    method, target, _ = line.split(" ", 2)
    parts = urlsplit(target)
    return FakeRequest(
        method,
        f"http://{headers.get('host', '')}{target}",
        unquote(parts.path),
        dict(parse_qsl(parts.query, keep_blank_values=True)),
        headers,
        text,
    )  # fmt: skip - one value


def _parroted(request: FakeRequest) -> FakeAnswer:
    # The telling headers first: what quotes an answer cuts it short.
    own = [f"{n}: {v}" for n, v in request.headers.items() if n not in PLAIN]
    text = " ".join([*own, request.url, request.text])
    return FakeAnswer(400, {"error": text, "message": text, "errors": [{"code": 1, "message": text}]})


@asynccontextmanager
async def serving(fake: FakeRegistrar) -> AsyncIterator[FakeRegistrar]:
    """The fake on a port of loopback, for the block."""
    server = await asyncio.start_server(fake.serve, "127.0.0.1", 0)
    fake.port = int(server.sockets[0].getsockname()[1])
    try:
        yield fake
    finally:
        server.close()
        await server.wait_closed()
