"""What pages ask the daemons: REST's own routes, bodies and answers, without the way over HTTP.

So a page knows nothing that `curl` could not know, and the command shown beside an action is the action.
"""

import asyncio
import json
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import uuid4

import grpc
from catalyst_sdk import Code, Refused
from google.protobuf.message_factory import GetMessageClass

from .. import conditions, events
from ..operations import Operations
from ..plugins import all_plugins
from ..routes import Routes
from ..transcode import to_json, to_request

Answer = dict[str, Any]
_PAGE = 1000
_MOST = 20
"""Pages of a list that one page of the console asks for at the most: twenty thousand rows are for a command."""


PATIENCE = 10.0
"""Seconds after which a page says that a daemon does not answer: a person looks at nothing meanwhile."""
LITTLE = 3.0
"""The same, of what a page can do without."""


class NoRoute(Refused):
    """A page asks for a path that no contract has: somebody made up the last word of an action's path."""

    code, reason, message = Code.NOT_FOUND, "PATH_NOT_FOUND", "nothing can be done by {verb} {path}"


class Api:
    """Calls as one person.

    own        the gateway's part of what every daemon is asked for
    metadata   the person's token and the trace of the request
    seconds    deadline of a call
    """

    def __init__(
        self,
        routes: Routes,
        channels: Mapping[str, grpc.aio.Channel],
        *,
        own: Any = None,
        seconds: float,
        metadata: Sequence[tuple[str, str]],
    ) -> None:
        self._routes = routes
        self._channels = channels
        self._asked = {**channels, **({"gateway": own} if own else {})}
        self._seconds = seconds
        self._metadata = tuple(metadata)

    async def get(self, path: str, **query: object) -> Answer:
        """One GET. Query names are those of REST; an empty value is left out. Raises AioRpcError."""
        return await self._call("GET", path, query, None, "")

    async def perhaps(self, path: str, **query: object) -> Answer:
        """One GET of what a page can do without: empty for whoever may not ask, and where nobody answers soon."""
        try:
            return await self._call("GET", path, query, None, "", most=LITTLE)
        except (grpc.aio.AioRpcError, Refused):
            return {}

    async def all(self, path: str, field: str, **query: object) -> list[Answer]:
        """The rows of every page of a list, `field` of the answers."""
        rows: list[Answer] = []
        token = ""
        for _ in range(_MOST):
            answer = await self.get(path, pageSize=_PAGE, pageToken=token, **query)
            rows += answer[field]
            token = answer.get("nextPageToken", "")
            if not token:
                break
        return rows

    async def send(
        self, verb: str, path: str, body: Mapping[str, Any] | None = None, *, etag: str = "", **query: object
    ) -> Answer:
        """One write, under an id of its own. Raises AioRpcError, or InvalidRequest for a body that fits no contract."""
        return await self._call(verb, path, query, dict(body or {}), etag)

    async def _call(
        self,
        verb: str,
        path: str,
        query: Mapping[str, object],
        body: Answer | None,
        etag: str,
        most: float = 0,
    ) -> Answer:
        found = self._routes.find(verb, path)
        if found is None:
            raise NoRoute(verb=verb, path=path)
        one, variables = found
        pairs = [(name, _text(value)) for name, value in query.items() if value not in ("", None)]
        message = to_request(one, variables, pairs, json.dumps(body).encode() if body and one.body else b"")
        if verb != "GET":
            conditions.demand(message, etag)
            conditions.retry(message, str(uuid4()))

        seconds = min(self._seconds, most or PATIENCE) if verb == "GET" else self._seconds

        async def call(channel: grpc.aio.Channel) -> Any:
            method = channel.unary_unary(
                one.rpc,
                request_serializer=_serialized,
                response_deserializer=GetMessageClass(one.method.output_type).FromString,
            )
            return await method(message, timeout=seconds, metadata=self._metadata)

        if one.package == events.PACKAGE:  # what every daemon serves is asked of all, or of the one that it names
            return _read(await events.ask(self._asked, message, call))
        return _read(await call(self._channels[one.package]))

    async def heard(self, path: str, **query: object) -> list[Answer]:
        """Every message of a stream that ends by itself. Raises AioRpcError."""
        found = self._routes.find("GET", path)
        if found is None:
            raise NoRoute(verb="GET", path=path)
        one, variables = found
        pairs = [(name, _text(value)) for name, value in query.items() if value not in ("", None)]
        method = self._channels[one.package].unary_stream(
            one.rpc,
            request_serializer=_serialized,
            response_deserializer=GetMessageClass(one.method.output_type).FromString,
        )
        call = method(to_request(one, variables, pairs, b""), timeout=self._seconds, metadata=self._metadata)
        return [_read(message) async for message in call]

    async def operation(self, name: str) -> Answer:
        """A long-running operation of any daemon as it stands. Raises AioRpcError, OperationNotFound."""
        asked = Operations(self._channels, self._seconds)
        return _read(await asked.get(name.removeprefix("operations/"), self._metadata))

    async def plugins(self) -> list[Answer]:
        """The plugins of all daemons that answer."""
        return await all_plugins(self._channels, self._metadata)


def _serialized(message: Any) -> bytes:
    return bytes(message.SerializeToString())


def _read(answer: Any) -> Answer:
    read: Answer = json.loads(to_json(answer))
    return read


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


async def together(*calls: Any) -> Any:
    """Several answers at once; of failures that of the first call, so that who is refused reads the same each time."""
    answers = await asyncio.gather(*calls, return_exceptions=True)
    for answer in answers:
        if isinstance(answer, BaseException):
            raise answer
    return answers
