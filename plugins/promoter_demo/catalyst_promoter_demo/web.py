"""The little of HTTP that the demo application serves: JSON in, JSON out, one function a method and path."""

import asyncio
import hmac
import json
import logging
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

import uvicorn

LARGEST = 64 * 1024
"""Bytes of a request's body."""
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Request:
    """What was asked. `rest` is what follows the path of the route."""

    rest: str
    query: Mapping[str, str]
    body: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Answer:
    """What is answered."""

    status: int
    body: Mapping[str, Any]
    headers: Mapping[str, str] = field(default_factory=dict)


class BadRequest(Exception):
    """What was asked cannot be understood; the message says why."""


Handler = Callable[[Request], Awaitable[Answer]]
Routes = Mapping[tuple[str, str], Handler]
"""By method and first part of the path."""


class App:
    """An ASGI application over a table of routes.

    secret   what a caller has to show as a bearer token for paths in `guarded`
    """

    def __init__(self, routes: Routes, *, secret: str, guarded: frozenset[str]) -> None:
        self._routes = routes
        self._secret = secret
        self._guarded = guarded

    async def __call__(self, scope: Mapping[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        try:
            answer = await self._answer(scope, receive)
        except BadRequest as bad:
            answer = Answer(400, {"why": str(bad)})
        except Exception:  # the outermost place: a full disk, or a bug; the next one is served
            _LOG.exception("a request failed")
            answer = Answer(500, {"why": "the demo application failed"})
        body = json.dumps(answer.body).encode()
        headers = {"content-type": "application/json", "content-length": str(len(body)), "cache-control": "no-store"}
        raw = [(name.encode(), value.encode()) for name, value in {**headers, **answer.headers}.items()]
        await send({"type": "http.response.start", "status": answer.status, "headers": raw})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})

    async def _answer(self, scope: Mapping[str, Any], receive: Any) -> Answer:
        first, _, rest = scope["path"].lstrip("/").partition("/")
        method = "GET" if scope["method"] == "HEAD" else scope["method"]
        handler = self._routes.get((method, first))
        if handler is None:
            known = sorted(allowed for allowed, path in self._routes if path == first)
            if known:
                return Answer(405, {"why": f"only {', '.join(known)}"}, {"allow": ", ".join(known)})
            return Answer(404, {"why": f"there is no /{first}"})
        if first in self._guarded and not self._may(scope):
            return Answer(401, {"why": "the token is another one"}, {"www-authenticate": "Bearer"})
        query = dict(parse_qsl(scope["query_string"].decode("latin-1")))
        return await handler(Request(rest, query, await _body(receive)))

    def _may(self, scope: Mapping[str, Any]) -> bool:
        shown = dict(scope["headers"]).get(b"authorization", b"")
        return hmac.compare_digest(shown, f"Bearer {self._secret}".encode())


async def _body(receive: Any) -> Mapping[str, Any]:
    raw = b""
    while True:
        event = await receive()
        if event["type"] == "http.disconnect":
            raise BadRequest("the caller hung up")
        raw += event.get("body", b"")
        if len(raw) > LARGEST:
            raise BadRequest(f"a body has at most {LARGEST} bytes")
        if not event.get("more_body"):
            break
    if not raw:
        return {}
    try:
        found = json.loads(raw)
    except ValueError as error:
        raise BadRequest("the body is no JSON") from error
    if not isinstance(found, dict):
        raise BadRequest("the body is no JSON object")
    return found


def number(values: Mapping[str, Any], name: str, default: int | None = None) -> int:
    """A whole number from 0 on, below 2^63. Raises BadRequest."""
    value = values.get(name, default)
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 20:
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 1 << 63:
        raise BadRequest(f"{name} must be a whole number from 0 on, below 2^63")
    return value


def text(values: Mapping[str, Any], name: str, default: str | None = None) -> str:
    """A text. Raises BadRequest."""
    value = values.get(name, default)
    if not isinstance(value, str):
        raise BadRequest(f"{name} must be a text")
    return value


class Server(uvicorn.Server):
    """uvicorn without its own handling of signals; `listen` returns when it can be reached."""

    def __init__(self, app: App, host: str, port: int) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                host=host,
                port=port,
                http="h11",
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                timeout_graceful_shutdown=1,
                timeout_keep_alive=30,
            )
        )  # fmt: skip - one call

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def listen(self) -> "asyncio.Task[None]":
        """Serve in a task until `should_exit`. Raises OSError where the address cannot be bound."""
        serving = asyncio.create_task(self._serving())
        while not self.started:
            if serving.done():
                raise OSError(f"{self.config.host}:{self.config.port} cannot be bound")
            await asyncio.sleep(0.005)
        return serving

    async def _serving(self) -> None:
        try:
            await self.serve()
        except SystemExit:  # how uvicorn says that it could not start
            return
