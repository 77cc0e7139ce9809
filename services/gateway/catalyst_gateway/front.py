"""The front door: what stands before every answer, page or stream, whoever makes it.

From the outside in: the caller's address, paths that are gone, limits, the answer itself, and on its way out headers for
browsers, conditions, compression and the audit line. One object, because each further layer costs every call something.
"""

import asyncio
import gzip
import hashlib
import re
import time
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from catalyst_mesh.calls import new_traceparent, read_traceparent
from catalyst_mesh.errors import Explained
from catalyst_mesh.waits import unless
from catalyst_sdk import Code, Refused

from . import problems
from .addresses import Proxies
from .audit import Audit, Line
from .limits import Limits

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Any, Any, Any], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]
Recognise = Callable[[Scope], Awaitable[str]]
Answered = Callable[[int, float], None]
"""Told the status and the seconds of an answer that begins."""
"""The subject of whoever sent a request; empty for nobody that is known. Never raises."""

FILES = "/static/"
"""Where style and script lie: the same for everybody, and about nobody."""
RETIRED = re.compile(r"(/api)?(/tenant)?/(provisioning/start|internal/.*|provisioning/internal/.*)")
"""Doors of the house before this one; what they did is done by gRPC among daemons, or not at all."""
ALIASES = {"/v1/dlq": "/v1/deadLetters"}
"""Beginnings of paths that are other names of others."""
LEAST_COMPRESSED = 1024
_COMPRESSED = (b"application/json", b"application/problem+json", b"text/javascript", b"text/css")
# Not pages: what another site makes a browser ask must not show by its length what a page of ours holds beside it.
_SECURITY: Headers = [
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), microphone=(), geolocation=(), payment=()"),
    (b"content-security-policy", b"default-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'"),
]
_STRICT = (b"strict-transport-security", b"max-age=31536000; includeSubDomains")
_EXPOSED = b"ETag, Retry-After, X-Request-Id"
_ALLOWED = b"Authorization, Content-Type, If-Match, If-None-Match, Idempotency-Key, Last-Event-ID, Traceparent"
_OWNED = re.compile(
    r"/v1/(?:organizations|billing/billingAccounts|billingAccounts|namespaces|billing/accounts)/([^/:]+)"
)
_ENVIRONMENT = re.compile(r"/v1/environments/([^/:]+)-[a-z]+(?:[/:]|$)")


class EndpointRetired(Refused):
    code, reason, message = Code.FAILED_PRECONDITION, "ENDPOINT_RETIRED", "{path} is gone; see /v1/openapi.json"


@dataclass
class Front:
    """Stands before `app`."""

    app: App
    proxies: Proxies
    limits: Limits
    audit: Audit
    recognise: Recognise
    cors_origins: Sequence[str] = ()
    answered: Answered = lambda status, seconds: None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        call = _Call(scope, self.proxies, self.cors_origins)
        call.subject = await self.recognise(scope)
        answer = _Answer(call, self._timed(send), self.audit)
        await self._answer(call, answer.heard(receive) if call.verb == "HEAD" else receive, answer.send)
        await answer.finish()

    def _timed(self, send: Send) -> Send:
        """`send`, which tells how long an answer took to begin: a stream may last for hours."""
        began = time.monotonic()

        async def timed(message: Message) -> None:
            if message["type"] == "http.response.start":
                self.answered(message["status"], time.monotonic() - began)
            await send(message)

        return timed

    async def _answer(self, call: "_Call", receive: Receive, send: Send) -> None:
        if RETIRED.fullmatch(call.path):
            await _refuse(call, problems.of_refusal(EndpointRetired(path=call.path)), send)
        elif call.is_preflight:
            await send({"type": "http.response.start", "status": 204, "headers": call.preflight()})
            await send({"type": "http.response.body", "body": b""})
        elif refusal := self.limits.refusal(call.path, call.subject, call.address):
            await _refuse(call, refusal, send)
        else:
            await self.app(call.inner, receive, send)


async def _refuse(call: "_Call", why: Explained, send: Send) -> None:
    call.state["reason"] = why.reason
    headers = {"content-type": problems.MEDIA_TYPE, **problems.headers_of(why)}
    raw = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": why.http_status, "headers": raw})
    await send({"type": "http.response.body", "body": problems.render(why, call.trace_id)})


class _Call:
    """One request, as far as the door has to know it."""

    def __init__(self, scope: Scope, proxies: Proxies, cors_origins: Sequence[str]) -> None:
        self.scope = scope
        self.began = datetime.now(UTC)
        self.subject = ""
        self._headers: list[tuple[bytes, bytes]] = scope["headers"]
        peer = scope["client"][0] if scope.get("client") else ""
        self.address = proxies.client(peer, self._all(b"x-forwarded-for"), self.header(b"x-real-ip"))
        self.is_secure = scope["scheme"] == "https" or (
            proxies.is_ours(peer) and self.header(b"x-forwarded-proto") == "https"
        )
        if scope.get("client"):
            scope["client"] = (self.address, scope["client"][1])
        self.verb, self.path = scope["method"], scope["path"]
        self._rename()
        self.state: dict[str, Any] = scope.setdefault("state", {})
        self.state["traceparent"] = new_traceparent(self.header(b"traceparent"))
        origin = self.header(b"origin")
        self.origin = origin if origin in cors_origins else ""

    def header(self, name: bytes) -> str:
        """The last value of a header; empty where there is none."""
        return (self._all(name) or [""])[-1]

    def _all(self, name: bytes) -> list[str]:
        return [value.decode("latin-1") for key, value in self._headers if key == name]

    def _rename(self) -> None:
        for alias, name in ALIASES.items():
            if self.path == alias or self.path.startswith((f"{alias}/", f"{alias}:")):
                self.scope["path"] = name + self.path.removeprefix(alias)
                self.scope["raw_path"] = self.scope["path"].encode()

    @property
    def trace_id(self) -> str:
        """Under which daemons log what they do for it; also the id of the request."""
        known = read_traceparent(str(self.state["traceparent"]))
        return known[0] if known else ""

    @property
    def inner(self) -> Scope:
        """The request as it is answered. HEAD is a GET whose body the server leaves out (RFC 9110, section 9.3.2)."""
        return {**self.scope, "method": "GET"} if self.verb == "HEAD" else self.scope

    @property
    def is_preflight(self) -> bool:
        """Whether a browser asks what a page of another origin may do."""
        return self.verb == "OPTIONS" and bool(self.origin) and bool(self.header(b"access-control-request-method"))

    def preflight(self) -> Headers:
        """The answer to that."""
        return [
            (b"access-control-allow-methods", b"GET, POST, PUT, PATCH, DELETE"),
            (b"access-control-allow-headers", _ALLOWED),
            (b"access-control-max-age", b"600"),
        ]

    def headers(self, given: Headers) -> Headers:
        """What every answer has, beside what it says itself."""
        named = {name.lower() for name, _ in given}
        more = [*_SECURITY, (b"x-request-id", self.trace_id.encode()), *([_STRICT] if self.is_secure else [])]
        if self.path.startswith(("/v1/", "/graphql")):
            more.append((b"cache-control", b"private, no-cache"))
        if self.origin:  # without credentials: a page elsewhere sends a token of its own, never our cookie
            more += [
                (b"access-control-allow-origin", self.origin.encode()),
                (b"access-control-expose-headers", _EXPOSED),
            ]
        return [*given, *((name, value) for name, value in more if name not in named), (b"vary", b"Origin")]

    def line(self, status: int) -> Line:
        """The audit line."""
        reason = str(self.state.get("reason", ""))
        return Line(
            self.began,
            self.subject,
            self.address,
            self.verb,
            self.path[:512],
            _owner(self.path),
            status,
            reason,
            self.trace_id,
        )  # fmt: skip - one row


def _owner(path: str) -> str:
    found = _OWNED.match(path) or _ENVIRONMENT.match(path)
    return found[1] if found else ""


@dataclass
class _Answer:
    """An answer on its way out. One that is whole is held until its audit line is kept; a stream goes as it comes."""

    call: _Call
    out: Send
    audit: Audit
    status: int = 0
    _start: Message | None = None
    _body: bytes = b""
    _is_whole: bool = field(default=False)
    _is_over: asyncio.Event = field(default_factory=asyncio.Event)

    def heard(self, receive: Receive) -> Receive:
        """What the application hears: after the head of a stream, where only that was asked for, that nobody listens."""

        async def hear() -> Message:
            return await unless(self._is_over, receive()) or {"type": "http.disconnect"}  # type: ignore[arg-type]  # a coroutine

        return hear

    async def send(self, message: Message) -> None:
        """Take what the application sends."""
        if message["type"] == "http.response.start":
            self.status, self._start = message["status"], message
            return
        if message["type"] != "http.response.body" or self._start is None:
            if not self._is_over.is_set():
                await self.out(message)
            return
        if message.get("more_body"):
            await self._tell()
            await self.out({**self._start, "headers": self.call.headers(list(self._start["headers"]))})
            self._start = None
            if self.call.verb == "HEAD":
                message = {"type": "http.response.body", "body": b"", "more_body": False}
                self._is_over.set()
            await self.out(message)
            return
        self._body, self._is_whole = message.get("body", b""), True

    async def finish(self) -> None:
        """Send what was held."""
        if self._start is None or not self._is_whole:
            return
        await self._tell()
        status, headers, body = self._conditional(
            self.status, self.call.headers(list(self._start["headers"])), self._body
        )
        headers, body = self._compressed(headers, body)
        await self.out({**self._start, "status": status, "headers": headers})
        await self.out({"type": "http.response.body", "body": body, "more_body": False})

    async def _tell(self) -> None:
        """Keep the audit line. Of the style and script of pages there is none: eight of them would stand before each page."""
        if not (self.status == 200 and self.call.path.startswith(FILES)):
            await self.audit.keep(self.call.line(self.status))

    def _conditional(self, status: int, headers: Headers, body: bytes) -> tuple[int, Headers, bytes]:
        """An entity tag for what was read, and nothing but it for who has read the same before (RFC 9110, section 13)."""
        if self.call.verb not in ("GET", "HEAD") or status != 200:
            return status, headers, body
        tag = _value(headers, b"etag")
        if not tag:
            tag = b'W/"%s"' % hashlib.sha256(body).hexdigest()[:32].encode()
            headers = [*headers, (b"etag", tag)]
        asked = {part.strip() for part in self.call.header(b"if-none-match").split(",")}
        if "*" in asked or tag.decode().removeprefix("W/") in {part.removeprefix("W/") for part in asked}:
            return 304, [h for h in headers if h[0].lower() not in (b"content-length", b"content-type")], b""
        return status, headers, body

    def _compressed(self, headers: Headers, body: bytes) -> tuple[Headers, bytes]:
        kind = _value(headers, b"content-type").split(b";")[0]
        if kind not in _COMPRESSED:
            return headers, body
        headers = [*headers, (b"vary", b"Accept-Encoding")]
        if len(body) < LEAST_COMPRESSED or not _takes_gzip(self.call.header(b"accept-encoding")):
            return headers, body
        small = _kept(body) if self.call.path.startswith(FILES) else gzip.compress(body, compresslevel=5, mtime=0)
        kept = [h for h in headers if h[0].lower() != b"content-length"]
        return [*kept, (b"content-encoding", b"gzip"), (b"content-length", str(len(small)).encode())], small


@lru_cache(maxsize=16)
def _kept(body: bytes) -> bytes:
    """A file of pages made small once, and as small as it can be; what daemons answer is never kept."""
    return gzip.compress(body, compresslevel=9, mtime=0)


def _value(headers: Headers, name: bytes) -> bytes:
    return next((value for key, value in headers if key.lower() == name), b"")


def _takes_gzip(accepted: str) -> bool:
    """Whether gzip is among the codings that a client takes, and not with a weight of 0 (RFC 9110, section 12.5.3)."""
    parts = [part.partition(";") for part in accepted.lower().split(",")]
    weights = {coding.strip(): weight.replace(" ", "") for coding, _, weight in parts}
    weight = weights.get("gzip", weights.get("*", "none"))
    return weight != "none" and not re.fullmatch(r"q=0(\.0*)?", weight)
