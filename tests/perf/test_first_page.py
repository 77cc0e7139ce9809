"""The console's first page in Chromium, from the address to what can be used, with nothing kept by the browser."""

import asyncio
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
from playwright.async_api import Browser

from services.gateway.tests.looking import chromium

from .harness import Goal, Round, compare, measured, one_by_one
from .serving import serving
from .table import Table

PAGE = "/console/sovereigns"
COUNT = 10


@asynccontextmanager
async def dead_pages(pages: Mapping[str, httpx.Response]) -> AsyncIterator[str]:
    """The same bytes from memory, with no more of a server than a browser asks for; its address."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while head := (await reader.readuntil(b"\r\n\r\n") if not reader.at_eof() else b""):
            found = pages.get(head.split()[1].decode())
            body = found.content if found else b""
            kind = found.headers["content-type"] if found else "text/plain"
            head = f"HTTP/1.1 {200 if found else 404} X\r\ncontent-type: {kind}\r\ncontent-length: {len(body)}\r\n\r\n".encode()
            writer.write(head + body)
            await writer.drain()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await answer(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # the browser has what it wanted
        finally:
            writer.close()

    async with await asyncio.start_server(connected, "127.0.0.1", 0) as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def whole(url: str, headers: Mapping[str, str]) -> dict[str, httpx.Response]:
    """A page with everything that its head names."""
    async with httpx.AsyncClient(base_url=url, headers=headers) as http:
        page = await http.get(PAGE)
        named = set(re.findall(r'(?:src|href)="(/[^"#]+\.(?:css|js|svg)[^"]*)"', page.text))
        return {PAGE: page} | {path: await http.get(path) for path in named}


async def first_visits(browser: Browser, url: str, headers: dict[str, str]) -> Round:
    """Browsers that have never been here open the page and have all of it; their windows are open before the time counts."""
    contexts = [await browser.new_context(extra_http_headers=headers) for _ in range(COUNT)]
    pages = [await context.new_page() for context in contexts]
    done = await one_by_one(lambda: pages.pop().goto(url + PAGE, wait_until="load"), COUNT)
    for context in contexts:
        await context.close()
    return done


@measured
async def test_first_page(table: Table, home: Path) -> None:
    with serving("console", home=str(home)) as console:
        headers = {"authorization": f"Bearer {console['token']}"}
        pages = await whole(console["url"], headers)
        size = sum(len(one.content) for one in pages.values()) / 1024
        async with dead_pages(pages) as dead, chromium() as browser:
            row = await compare(
                f"console: first page, nothing kept, {len(pages)} files, {size:.0f} KiB (aim 300 ms)",
                Goal("p50", 2, "the same bytes from memory"),
                ours=lambda: first_visits(browser, console["url"], headers),
                bare=lambda: first_visits(browser, dead, headers), rounds=3,
            )  # fmt: skip
            table.add(row)
