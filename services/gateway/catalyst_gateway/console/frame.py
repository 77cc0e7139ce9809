"""The console as handlers: finds who looks, calls the page, and tells what went wrong as a page."""

from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl, quote

import grpc
from catalyst_mesh import Work
from catalyst_mesh.calls import new_traceparent
from catalyst_mesh.errors import Explained
from litestar import Router, route

from ..callers import Callers
from ..routes import Routes
from ..sessions import Sessions
from ..store import Store
from . import files
from .asking import Api
from .index import PAGES, PLACES
from .library import Library
from .people import Person
from .rendering import Renderer
from .visits import Page, Req, Shown, Visit, depth_of

Explain = Callable[[Req, Exception, str], Explained]
"""Tells what an error means to a caller; of a bug it also writes the log."""
SIGN_IN = "/console/sign-in"
_DIED = ("NOT_FOUND", "PERMISSION_DENIED", "UNAVAILABLE", "DEADLINE_EXCEEDED")
"""Codes that have words of their own on the page of a failure; all others are told as they are."""


class Console:
    """Serves every page of the index."""

    def __init__(
        self,
        *,
        routes: Routes,
        channels: Mapping[str, grpc.aio.Channel],
        own: Any = None,
        sessions: Sessions,
        callers: Callers,
        work: Work[Store],
        call_seconds: float,
        library: Library,
    ) -> None:
        self._routes = routes
        self._channels = channels
        self._own = own
        self._sessions = sessions
        self._callers = callers
        self._work = work
        self._call_seconds = call_seconds
        self._library = library
        self._renderer = Renderer(places=PLACES, static=files.address, mark=files.mark())

    def handlers(self, explain: Explain) -> list[Any]:
        """What the application serves besides REST."""

        def failed(request: Req, error: Exception) -> Shown:  # no method: the framework copies what it is given, deeply
            return self._failed(explain, request, error)

        pages = [self._handler(page) for page in PAGES]
        return [Router("/", route_handlers=[*pages, files.static], exception_handlers={Exception: failed})]

    def _handler(self, page: Page) -> Any:
        depth = depth_of(page, PAGES)

        @route(page.path, http_method=[page.verb], name=f"{page.verb} {page.path}", status_code=200)
        async def shown(request: Req) -> Shown:
            request.state.depth = depth
            answer = await self._shown(page, request)
            answer.headers.update(files.SECURITY | {"Cache-Control": "no-store"})
            return answer

        return shown

    async def _shown(self, page: Page, request: Req) -> Shown:
        many = await _form(request)
        # A region that is fetched beside others brings no new secret: its page's next request would still have the old one.
        rotate = request.method == "GET" and "hx-request" not in request.headers
        session = await self._sessions.resolve(request, rotate=rotate)
        visit = await self._visit(request, many, page)
        if not (page.is_open or visit.person.is_known):
            return _to_sign_in(visit)
        answer = await page.show(visit)
        if session and session.cookie:
            answer.headers.setdefault("Set-Cookie", session.cookie)
        return answer

    async def _visit(self, request: Req, many: Mapping[str, tuple[str, ...]], page: Page) -> Visit:
        """What the page is handed. Raises Unauthenticated for a token that does not count, unless the page is open."""
        token = self._sessions.token(request, given=many.get("csrf", ("",))[-1])
        trace = getattr(request.state, "traceparent", None) or new_traceparent(request.headers.get("traceparent", ""))
        request.state.traceparent = trace
        metadata = (("traceparent", trace), *((("authorization", f"Bearer {token}"),) if token else ()))
        return Visit(
            request=request,
            renderer=self._renderer,
            sessions=self._sessions,
            api=Api(self._routes, self._channels, own=self._own, seconds=self._call_seconds, metadata=metadata),
            work=self._work,
            callers=self._callers,
            library=self._library,
            person=Person.of(token) if page.is_open or not token else Person.known(await self._callers.person(token)),
            csrf=self._sessions.csrf(request),
            names={name: str(value) for name, value in request.path_params.items()},
            query=dict(request.query_params.items()),
            form={name: values[-1] for name, values in many.items()},
            many=many,
            depth=request.state.depth,
        )

    def _failed(self, explain: Explain, request: Req, error: Exception) -> Shown:
        trace = getattr(request.state, "traceparent", None) or new_traceparent()
        said = explain(request, error, trace)
        visit = self._nobody(request)
        if said.code == "UNAUTHENTICATED":
            answer = _to_sign_in(visit)
        else:
            known = said.code if said.code in _DIED else ""
            title = {"NOT_FOUND": "Not found", "PERMISSION_DENIED": "Not allowed"}.get(known, "It did not work")
            answer = visit.show(
                "failed.html",
                title=title,
                status=said.http_status,
                said=said,
                known=known,
                trace=trace.split("-")[1],
                phrase=HTTPStatus(said.http_status).phrase,
            )  # fmt: skip - one call
        answer.headers.update(files.SECURITY | {"Cache-Control": "no-store"})
        return answer

    def _nobody(self, request: Req) -> Visit:
        """A visit for the page of a failure, which asks no daemon for anything."""
        api = Api(self._routes, self._channels, seconds=self._call_seconds, metadata=())
        person = Person.of(self._sessions.shown(request))
        return Visit(
            request,
            self._renderer,
            self._sessions,
            api,
            self._work,
            self._callers,
            self._library,
            person,
            self._sessions.csrf(request),
            {},
            {},
            depth=getattr(request.state, "depth", 0),
        )


async def _form(request: Req) -> dict[str, tuple[str, ...]]:
    """What a form sent, every value of every name."""
    if request.method != "POST":
        return {}
    found: dict[str, tuple[str, ...]] = {}
    for name, value in parse_qsl((await request.body()).decode(errors="replace"), keep_blank_values=True):
        found[name] = (*found.get(name, ()), value)
    return found


def _to_sign_in(visit: Visit) -> Shown:
    back = "/console" if visit.is_partial else visit.here
    return visit.go(f"{SIGN_IN}?next={quote(back, safe='')}")
