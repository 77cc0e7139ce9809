"""The HTTP surface: REST by transcoding, streams, sign-in, OpenAPI; the console's pages."""

import asyncio
import re
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import grpc
from catalyst_mesh import Caller, Work
from catalyst_mesh.calls import new_traceparent
from catalyst_mesh.errors import Explained, PeerUnavailable, explain
from catalyst_mesh.interceptor import DeadlineExceeded, Internal
from catalyst_mesh.logs import get_logger
from catalyst_mesh.readers import Reader
from catalyst_sdk import Code, Refused
from google.longrunning import operations_pb2
from google.protobuf.message_factory import GetMessageClass
from litestar import HttpMethod, Litestar, Request, Response, get, post, route
from litestar.exceptions import HTTPException
from litestar.params import FromPath
from litestar.response import Stream

from . import bodies, conditions, events, names, openapi, operations, previews, problems, queries, registrars, webhooks
from .audit import Trail
from .bodies import BodyTooLarge
from .callers import Callers
from .console.frame import Console
from .names import Names, Told, request_id
from .operations import Operations
from .plugins import all_plugins
from .pointers import pointer
from .registrars import Registrars
from .routes import Route, Routes
from .sessions import Sessions
from .state import State
from .store import Store
from .stream import HEADERS, Feed, frames
from .transcode import BodyUnreadable, object_of, to_json, to_request

if TYPE_CHECKING:
    from .graph.answers import Graph

Req = Request[Any, Any, Any]
VERBS = tuple(HttpMethod)
"""All that a path can be asked with; which of them it takes is the table's to say."""
_STORES = "pooldomain"
"""Package whose operations are answered as what they are: stored, and not done yet."""
_STATE = re.compile(r"/v1/environments/([^/:]+)/state")


class NoSuchPath(Refused):
    code, reason, message = Code.NOT_FOUND, "PATH_NOT_FOUND", "there is no {verb} {path}; see /v1/openapi.json"


class MethodNotAllowed(Refused):
    code, reason, message = Code.UNIMPLEMENTED, "METHOD_NOT_ALLOWED", "{path} takes {verbs}"


class Edge:
    """Answers requests by calling the daemons behind."""

    def __init__(
        self,
        *,
        routes: Routes,
        channels: Mapping[str, grpc.aio.Channel],
        own: Any = None,
        sessions: Sessions,
        callers: Callers,
        feed: Feed,
        trail: Trail,
        state: State,
        work: Work[Store],
        console: Console,
        call_seconds: float,
        most_body_bytes: int,
    ) -> None:
        self._routes = routes
        self._channels = channels
        self._asked = {**channels, **({"gateway": own} if own else {})}
        self._sessions = sessions
        self._callers = callers
        self._feed = feed
        self._trail = trail
        self._state = state
        self._work = work
        self._made_graph: Graph | None = None
        self._console = console
        self._call_seconds = call_seconds
        self._most_body_bytes = most_body_bytes
        self._operations = Operations(channels, call_seconds)
        # Paths that are written by hand, and who answers them; they go before those of the contracts.
        self._by_hand = (
            (names.PATHS, Names(channels["pooldomain"])),
            (registrars.PATHS, Registrars(channels["pooldomain"])),
        )
        self._log = get_logger("edge")

    def app(self) -> Litestar:
        """The ASGI application."""
        return Litestar(
            [*self._calls(), *self._looks(), *self._queries(), *self._console.handlers(self._explained)],
            openapi_config=None,
            request_max_body_size=self._most_body_bytes,
            exception_handlers={Exception: self._problem},
            logging_config=None,
        )

    def _calls(self) -> list[Any]:
        """Handlers of what daemons do, and of who signs in for it."""

        @route("/v1/{path:path}", http_method=list(VERBS), name="rest")
        async def rest(request: Req) -> Response[Any] | Stream:
            # Not a path of its own: Litestar would look for nothing else below /v1/environments/{environment}.
            if request.method == HttpMethod.GET and (found := _STATE.fullmatch(request.url.path)):
                person = await self._person(request)
                return await self._state.environment(person, found[1], request.query_params)
            return await self.rest(request)

        @route("/v1/operations/{operation:str}", http_method=[HttpMethod.GET, HttpMethod.POST])
        async def operation_of(request: Req, operation: FromPath[str]) -> Response[bytes]:
            return await self.operation(request, operation)

        @post("/v1/auth/login", status_code=204)
        async def login(request: Req) -> Response[None]:
            code = str((await request.json()).get("code", ""))
            return Response(None, status_code=204, headers={"Set-Cookie": await self._sessions.sign_in(code)})

        return [rest, operation_of, login]

    def _looks(self) -> list[Any]:
        """Handlers of what the gateway knows itself."""

        @get("/v1/stream")
        async def stream(request: Req) -> Stream:
            return await self.stream(request)

        @get("/v1/openapi.json", media_type="application/json")
        async def description() -> bytes:
            return await asyncio.to_thread(openapi.document, self._routes)

        @get("/v1/audit")
        async def audited(request: Req) -> Response[bytes]:
            person = await self._person(request)
            return await self._trail.page(person, request.query_params)

        @get("/v1/search")
        async def search(request: Req) -> Response[bytes]:
            person = await self._person(request)
            return await self._state.search(person, request.query_params)

        @post("/v1/projector:rebuild", status_code=202)
        async def rebuild(request: Req) -> Response[bytes]:
            return await self._state.rebuild(await self._person(request))

        @get("/v1/plugins")
        async def plugins(request: Req) -> dict[str, Any]:
            return {"plugins": await all_plugins(self._channels, self._metadata(request))}

        return [stream, description, audited, search, rebuild, plugins]

    def _queries(self) -> list[Any]:
        """Handlers of GraphQL."""

        @post("/graphql", status_code=200)
        async def queried(request: Req) -> Response[bytes]:
            person = await self._person(request)
            body = await bodies.read(request, self._most_body_bytes)
            return await self._graph().posted(person, body, _trace_id(self._traced(request)))

        @get("/graphql")
        async def kept_query(request: Req) -> Response[bytes]:
            person = await self._person(request)
            query, graph = request.query_params, self._graph()
            variables = object_of(query.get("variables", "").encode())
            text = graph.kept(query.get("id", ""))
            return await graph.answer(person, text, variables, None, _trace_id(self._traced(request)))

        return [queried, kept_query]

    async def _person(self, request: Req) -> Caller:
        return await self._callers.person(self._sessions.token(request))

    async def stream(self, request: Req) -> Stream:
        """What happens in the mesh, as far as the caller may hear it. `cursor` is that of a snapshot."""

        async def who() -> Caller:
            return await self._person(request)

        query = request.query_params
        after = str(request.headers.get("last-event-id") or query.get("lastEventId") or query.get("cursor", ""))
        topics = query.get("topics", "")
        Reader.of(await who()).demand(topics)
        return Stream(self._feed.events(after, topics, who), media_type="text/event-stream", headers=HEADERS)

    async def recognise(self, scope: Any) -> str:
        """The subject of whoever sent a request; empty for nobody that is known."""
        try:
            request: Req = Request(scope)
            await self._sessions.resolve(request)
            return await self._callers.subject(self._sessions.shown(request))
        except Refused:
            return ""

    async def rest(self, request: Req) -> Response[Any] | Stream:
        """One request to one method."""
        path = request.url.path
        for paths, clerk in self._by_hand:
            if by_hand := names.find(paths, request.method, path):
                return await clerk.answer(*by_hand, request, self._metadata(request))
        found = self._routes.find(request.method, path)
        if found is None:
            return self._without_route(request, path)
        one, variables = found
        if webhooks.takes(one):
            # No token of a caller passes: who calls here has signed the body instead.
            message = await webhooks.to_request(one, variables, request, self._most_body_bytes)
            return await self._answered(one, message, (("traceparent", self._traced(request)),))
        body = await bodies.read(request, self._most_body_bytes)
        message = to_request(one, variables, queries.of(request), body)
        if request.method != HttpMethod.GET:
            conditions.demand(message, request.headers.get("if-match", ""))
            conditions.retry(message, request_id(request))
        if one.package == events.PACKAGE:
            return await self._of_every_daemon(one, message, request)
        if one.method.server_streaming:
            _resume(message, request)
            call = self._method(one, unary=False)(message, metadata=self._metadata(request))
            return Stream(frames(call), media_type="text/event-stream", headers=HEADERS, status_code=200)
        return await self._answered(one, message, self._metadata(request))

    async def _answered(self, one: Route, message: Any, metadata: tuple[tuple[str, str], ...]) -> Response[bytes]:
        """The answer of a unary method."""
        answer = await self._method(one, unary=True)(message, timeout=self._call_seconds, metadata=metadata)
        status, headers = previews.status_of(answer), conditions.headers_of(answer)
        if one.package == _STORES and isinstance(answer, operations_pb2.Operation) and answer.name and not answer.done:
            status, headers = 202, {**headers, "Location": f"/v1/{answer.name}"}
        return Response(to_json(answer).encode(), media_type="application/json", status_code=status, headers=headers)

    def _without_route(self, request: Req, path: str) -> Response[Any]:
        """OPTIONS is answered from the table; everything else raises MethodNotAllowed or NoSuchPath."""
        own = (verb for paths, _ in self._by_hand for verb in names.verbs(paths, path))
        verbs = sorted({*self._routes.verbs(path), *own})
        if not verbs:
            raise NoSuchPath(verb=request.method, path=path)
        if request.method == HttpMethod.OPTIONS:
            return Response(None, status_code=204, headers=_allow(verbs))
        raise MethodNotAllowed(path=path, verbs=", ".join(verbs))

    def _graph(self) -> "Graph":
        """The GraphQL read API, made when it is first asked: its library costs an idle gateway some 20 MiB."""
        if self._made_graph is None:
            from .graph.answers import Graph

            self._made_graph = Graph(self._work)
        return self._made_graph

    async def operation(self, request: Req, operation: str) -> Response[bytes]:
        """A long-running operation, or what is to become of it. Raises OperationNotFound, and as its daemon refuses."""
        name, _, verb = operation.partition(":")
        takes = {HttpMethod.GET: ("",), HttpMethod.POST: operations.VERBS}[HttpMethod(request.method)]
        if verb not in takes:
            raise NoSuchPath(verb=request.method, path=request.url.path)
        act = getattr(self._operations, verb or "get")
        answer = await act(name, self._metadata(request))
        return Response(to_json(answer).encode(), media_type="application/json", status_code=200)

    async def _of_every_daemon(self, one: Route, wish: Any, request: Req) -> Response[bytes]:
        """A method that each daemon serves."""
        metadata = self._metadata(request)

        async def call(channel: grpc.aio.Channel) -> Any:
            method = self._method(one, channel=channel, unary=True)
            return await method(wish, timeout=self._call_seconds, metadata=metadata)

        answer = await events.ask(self._asked, wish, call)
        return Response(to_json(answer).encode(), media_type="application/json", status_code=200)

    def _method(self, one: Route, *, unary: bool, channel: grpc.aio.Channel | None = None) -> Callable[..., Any]:
        channel = channel or self._channels[one.package]
        make = channel.unary_unary if unary else channel.unary_stream
        return make(
            one.rpc,
            request_serializer=type(GetMessageClass(one.method.input_type)()).SerializeToString,
            response_deserializer=GetMessageClass(one.method.output_type).FromString,
        )

    def _metadata(self, request: Req) -> tuple[tuple[str, str], ...]:
        """What passes to the daemons: the caller's own token and trace; identity headers from outside do not."""
        token = self._sessions.token(request)
        return (
            ("traceparent", self._traced(request)),
            *((("client-address", request.client.host),) if request.client else ()),
            *((("authorization", f"Bearer {token}"),) if token else ()),
        )  # fmt: skip

    def _traced(self, request: Req) -> str:
        """The trace of a request, which its problem tells too."""
        parent = getattr(request.state, "traceparent", "") or request.headers.get("traceparent", "")
        request.state.traceparent = new_traceparent(parent)
        return str(request.state.traceparent)

    def _problem(self, request: Req, error: Exception) -> Response[bytes]:
        trace = getattr(request.state, "traceparent", None) or new_traceparent()
        problem = self._explained(request, error, trace)
        request.state.reason = problem.reason
        allow = _allow(problem.metadata["verbs"].split(", ")) if problem.reason == MethodNotAllowed.reason else {}
        return Response(
            problems.render(problem, _trace_id(trace), pointer=self._pointer(request)),
            media_type=problems.MEDIA_TYPE,
            status_code=problem.http_status,
            headers={**problems.headers_of(problem), **allow},
        )

    def _pointer(self, request: Req) -> Callable[[str], str]:
        """Where in its body a field stands."""
        found = self._routes.find(request.method, request.url.path)
        return partial(pointer, found[0]) if found else lambda _: ""

    def _explained(self, request: Req, error: Exception, trace: str) -> Explained:
        if isinstance(error, grpc.aio.AioRpcError):
            return self._of_call(error, trace)
        if isinstance(error, Told):
            return error.said
        if isinstance(error, TimeoutError):
            return problems.of_refusal(DeadlineExceeded())
        if isinstance(error, Refused):
            return problems.of_refusal(error)
        if isinstance(error, HTTPException):
            return problems.of_refusal(self._of_http(request, error))
        return self._bug(error, trace)

    def _of_call(self, error: grpc.aio.AioRpcError, trace: str) -> Explained:
        """What a daemon said; what gRPC itself says of a daemon that does not answer gets a reason of ours."""
        said = explain(error)
        if said.reason:
            return said
        if said.code == Code.DEADLINE_EXCEEDED.name:
            return problems.of_refusal(DeadlineExceeded())
        if said.code == Code.UNAVAILABLE.name:
            return problems.of_refusal(PeerUnavailable(peer="the daemon behind this path"))
        return self._bug(error, trace)

    def _bug(self, error: Exception, trace: str) -> Explained:
        trace_id = trace.split("-")[1]
        self._log.error("bug", trace_id=trace_id, exc_info=error)
        return problems.of_refusal(Internal(trace_id=trace_id))

    def _of_http(self, request: Req, error: HTTPException) -> Refused:
        """What the framework refuses before a handler is entered, in our own words."""
        path = request.url.path
        if error.status_code == 413:
            return BodyTooLarge(most=self._most_body_bytes)
        if error.status_code == 404:
            return NoSuchPath(verb=request.method, path=path)
        if error.status_code == 405:
            return MethodNotAllowed(path=path, verbs=_headers(error).get("Allow", "GET"))
        return BodyUnreadable(why=error.detail)


def _trace_id(traceparent: str) -> str:
    return traceparent.split("-")[1]


def _allow(verbs: Iterable[str]) -> dict[str, str]:
    read = ["GET", "HEAD"]
    wide = [one for verb in verbs for one in (read if verb == "GET" else [verb])]
    return {"Allow": ", ".join(dict.fromkeys([*wide, HttpMethod.OPTIONS]))}


def _headers(error: HTTPException) -> Mapping[str, str]:
    return {name.title(): value for name, value in (error.headers or {}).items()}


def _resume(message: Any, request: Req) -> None:
    """`Last-Event-ID` of a method's stream: go on with the number after it."""
    last = request.headers.get("last-event-id", "")
    if last.isdigit() and "from_seq" in message.DESCRIPTOR.fields_by_name:
        message.from_seq = int(last) + 1
