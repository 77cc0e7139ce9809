"""Looking at the console's pages: without a browser for what they say, with Chromium for what people do with them."""

import asyncio
import os
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import grpc
import httpx
from axe_playwright_python.async_playwright import Axe
from catalyst_gateway import problems
from catalyst_gateway.app import services
from catalyst_gateway.callers import Callers
from catalyst_gateway.console.frame import Console
from catalyst_gateway.console.library import Library
from catalyst_gateway.http import HttpServer
from catalyst_gateway.projection import SERVICES
from catalyst_gateway.providers import Provider
from catalyst_gateway.routes import Routes
from catalyst_gateway.sessions import Sessions
from catalyst_gateway.settings import GatewaySettings
from catalyst_gateway.store import Store, metadata
from catalyst_mesh import Database, Issuer, Sealer, Work
from catalyst_mesh.errors import Explained, explain
from catalyst_mesh.memberships import TokenMemberships
from catalyst_mesh.verifiers import KeyFileVerifier, Verifier
from catalyst_sdk import Refused
from catalyst_testkit import eventually
from catalyst_testkit.servers import need
from litestar import Litestar
from playwright.async_api import Browser, Page, async_playwright

from .fake_daemons import FakeDaemons

ADMIN = ("sovereign-admin", "security-officer", "billing-admin")
WIDE, NARROW = {"width": 1280, "height": 800}, {"width": 320, "height": 640}


@dataclass
class Seen:
    """A page as it was answered."""

    status: int
    html: str
    headers: Mapping[str, str]
    text: str = ""
    """What a reader reads, spaces made one."""
    fields: dict[str, str] = field(default_factory=dict)
    """The fields of its forms with their values."""
    links: list[str] = field(default_factory=list)


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.words: list[str] = []
        self.fields: dict[str, str] = {}
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        if tag in ("input", "select", "textarea") and found.get("name"):
            self.fields[str(found["name"])] = found.get("value") or ""
        if tag == "a" and found.get("href"):
            self.links.append(str(found["href"]))

    def handle_data(self, data: str) -> None:
        self.words.append(data)


@dataclass
class Looking:
    """Asks for pages as one person."""

    app: Litestar
    issuer: Issuer
    daemons: FakeDaemons
    work: Work[Store]

    async def at(self, path: str, *, roles: Sequence[str] = ADMIN, groups: Sequence[str] = (), **more: Any) -> Seen:
        """The page at `path`, as somebody with these roles; no roles and no groups is nobody."""
        return await self._ask("GET", path, roles, groups, **more)

    async def send(
        self,
        path: str,
        form: Mapping[str, Any],
        *,
        roles: Sequence[str] = ADMIN,
        groups: Sequence[str] = (),
        **more: Any,
    ) -> Seen:
        """What comes of sending a form."""
        return await self._ask("POST", path, roles, groups, data=form, **more)

    async def _ask(self, verb: str, path: str, roles: Sequence[str], groups: Sequence[str], **more: Any) -> Seen:
        headers = dict(more.pop("headers", {}))
        if roles or groups:
            headers["authorization"] = f"Bearer {self.issuer.token('ada', roles=roles, groups=groups)}"
        transport = httpx.ASGITransport(app=self.app)  # type: ignore[arg-type] # two spellings of the same protocol
        async with httpx.AsyncClient(transport=transport, base_url="http://console.test") as http:
            answer = await http.request(verb, path, headers=headers, **more)
        reader = _Reader()
        reader.feed(answer.text)
        text = re.sub(r"\s+", " ", " ".join(reader.words))
        return Seen(answer.status_code, answer.text, answer.headers, text, reader.fields, reader.links)


@asynccontextmanager
async def looking(
    daemons: FakeDaemons, home: Path, *, provider: Provider | None = None, checks: Verifier | None = None
) -> AsyncIterator[Looking]:
    """The console alone, in front of daemons that are fake."""
    (home / "code").write_text("12345678")
    issuer, url = Issuer.open(home / "issuer"), f"sqlite+aiosqlite:///{home}/console.db"
    keys = home / "issuer" / "jwks.json"
    channel, db = grpc.aio.insecure_channel(daemons.target), await Database.open(url, metadata=metadata)
    work = Work(db, Store, metadata=metadata)
    settings = GatewaySettings(
        data_folder=home, database_url=url, jwks_file=keys, development=True, login_code_file=home / "code"
    )
    console = Console(
        routes=Routes(services()),
        channels=dict.fromkeys(SERVICES, channel),
        sessions=Sessions(settings, work=work, sealer=Sealer(bytes(32)), provider=provider),
        callers=Callers(checks or KeyFileVerifier(keys), TokenMemberships()),
        work=work,
        call_seconds=30,
        library=Library(Path("docs")),
    )
    app = Litestar(console.handlers(_explained), openapi_config=None, logging_config=None)
    try:
        yield Looking(app, issuer, daemons, work)
    finally:
        await channel.close(None)
        await db.close()


def _explained(_request: object, error: Exception, _trace: str) -> Explained:
    if isinstance(error, grpc.aio.AioRpcError):
        return explain(error)
    if isinstance(error, Refused):
        return problems.of_refusal(error)
    raise error


@asynccontextmanager
async def served(look: Looking) -> AsyncIterator[str]:
    """The console over real HTTP, for a browser; its address."""
    server, stop = HttpServer(look.app, "127.0.0.1:0"), asyncio.Event()
    serving = asyncio.create_task(server.run(stop))
    try:
        await eventually(server.is_up, within=60)
        yield f"http://127.0.0.1:{server.port}"
    finally:
        stop.set()
        await serving


async def opened(browser: Browser, look: Looking, url: str, *, roles: Sequence[str] = ADMIN, **more: Any) -> Page:
    """A page of the console in a window of its own, as somebody with these roles."""
    token = look.issuer.token("ada", roles=roles)
    context = await browser.new_context(
        extra_http_headers={"authorization": f"Bearer {token}"}, viewport=WIDE, reduced_motion="reduce", **more
    )
    page = await context.new_page()
    page.set_default_timeout(30_000)
    await page.goto(url)
    return page


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    """A browser, without a way out of this machine that a page would not ask for."""
    args = ["--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
            "--disable-component-update", "--disable-sync", *(["--no-sandbox"] if os.geteuid() == 0 else [])]  # fmt: skip
    async with async_playwright() as p:
        browser = await p.chromium.launch(executable_path=need("chromium", package="chromium"), args=args)
        try:
            yield browser
        finally:
            await browser.close()


async def broken_rules(page: Page) -> list[str]:
    """What WCAG 2.2 A and AA asks and the page does not keep, a line a rule, with the first place of it."""
    rules = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
    found = await Axe().run(page, options={"runOnly": rules, "resultTypes": ["violations"]})
    return [f"{v['id']}: {v['help']} at {v['nodes'][0]['target']}" for v in found.response["violations"]]


async def is_too_wide(page: Page) -> bool:
    """Whether a person must scroll the page, not a table in it, sideways."""
    return bool(await page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth"))
