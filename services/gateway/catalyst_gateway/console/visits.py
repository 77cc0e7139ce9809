"""One look of one person at one page."""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from catalyst_mesh import Work
from litestar import HttpMethod, Request, Response
from litestar.response import Redirect

from ..callers import Callers
from ..sessions import Sessions
from ..store import Store
from .asking import Api
from .library import Library
from .people import Person
from .rendering import Renderer

Req = Request[Any, Any, Any]


@dataclass(frozen=True, slots=True)
class Visit:
    """What a page is handed.

    names   parts of its path, by their names
    query   what stands behind the `?`
    depth   as `depth_of` says it
    form    what was sent, for an action; of a name that was sent several times `many` has all values
    """

    request: Req
    renderer: Renderer
    sessions: Sessions
    api: Api
    work: Work[Store]
    callers: Callers
    library: Library
    person: Person
    csrf: str
    names: Mapping[str, str]
    query: Mapping[str, str]
    form: Mapping[str, str] = field(default_factory=dict)
    many: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    depth: int = 0

    def show(self, template: str, *, title: str, status: int = 200, **values: Any) -> Response[str]:
        """The page; for htmx, which takes regions out of it, without what stands around it.

        template   file beside the module; it gets `values`, and `at`, which is this visit
        title      first words of the window's title
        """
        frame = "bare.html" if self.is_partial else "layout.html"
        body = self.renderer.render(template, frame=frame, at=self, title=title, **values)
        return Response(body, status_code=status, media_type="text/html")

    def go(self, path: str) -> Response[Any]:
        """Look elsewhere, with a GET: after an action, so that loading the page again repeats nothing."""
        if self.is_partial:
            return Response("", status_code=200, headers={"HX-Redirect": path}, media_type="text/html")
        return Redirect(path, status_code=303)

    @property
    def path(self) -> str:
        """Where the person looks; after an action, the page that it belongs to, which it shows again where it was refused."""
        path = self.request.url.path
        return "/".join(path.split("/")[: self.depth]) if self.depth else path

    @property
    def here(self) -> str:
        """The path with its query: what a region of this page is fetched from again."""
        query = self.request.url.query
        return f"{self.path}?{query}" if query and not self.depth else self.path

    @property
    def origin(self) -> str:
        """Where REST is reached, as the person's browser reaches the console."""
        return str(self.request.base_url).rstrip("/")

    @property
    def theme(self) -> str:
        """Light or dark, as the person chose on this machine; empty where nothing was chosen."""
        chosen = self.request.cookies.get("theme", "")
        return chosen if chosen in ("light", "dark") else ""

    @property
    def is_partial(self) -> bool:
        """Whether htmx asks, for regions of a page that stands already."""
        return "hx-request" in self.request.headers


Shown = Response[Any]
Show = Callable[[Visit], Awaitable[Shown]]


@dataclass(frozen=True, slots=True)
class Page:
    """A function under a path.

    path       as Litestar writes it, `/console/sovereigns/{sovereign:str}`
    is_open    whether it is shown to people who have not signed in
    """

    path: str
    verb: HttpMethod
    show: Show
    is_open: bool = False


def depth_of(action: Page, pages: Iterable[Page]) -> int:
    """How many parts of an action's path are that of the page that it belongs to, the nearest at it or above; 0 for a page."""
    if action.verb is HttpMethod.GET:
        return 0
    shown = {page.path for page in pages if page.verb is HttpMethod.GET}
    parts = action.path.split("/")
    return next((n for n in range(len(parts), 0, -1) if "/".join(parts[:n]) in shown), 0)


def page(path: str, *, is_open: bool = False) -> Callable[[Show], Page]:
    """What is shown at a path."""
    return lambda show: Page(path, HttpMethod.GET, show, is_open)


def action(path: str, *, is_open: bool = False) -> Callable[[Show], Page]:
    """What a form at a path does."""
    return lambda show: Page(path, HttpMethod.POST, show, is_open)
