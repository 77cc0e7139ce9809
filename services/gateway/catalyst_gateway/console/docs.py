"""The documentation at /docs, to everybody."""

import asyncio
from pathlib import PurePosixPath

from litestar import Response
from markupsafe import Markup

from .finding import find
from .library import FILES, INDEX
from .visits import Shown, Visit, page

PARTS = {
    "tutorials": "Tutorials",
    "how-to": "How-tos",
    "reference": "Reference",
    "explanation": "Explanation",
    "runbooks": "Runbooks",
}
"""Folders of the documentation, with their words."""


@page("/docs", is_open=True)
async def index(at: Visit) -> Shown:
    """Where it begins; with a question, what answers it."""
    question = at.query.get("q", "").strip()
    if not question:
        return await _document(at, INDEX)
    hits = await asyncio.to_thread(find, at.library, question)
    parts = {hit.section.path: PARTS.get(hit.section.path.partition("/")[0], "") for hit in hits}
    return at.show("found.html", title="Found", question=question, hits=hits, parts=parts)


@page("/docs/{path:path}", is_open=True)
async def document(at: Visit) -> Shown:
    """One page of it, or a file for machines. Raises NoSuchDocument."""
    path = at.names["path"].strip("/")
    kind = FILES.get(PurePosixPath(path).suffix, "")
    if kind in ("", "text/html"):
        return await _document(at, path)
    return Response(at.library.raw(path), media_type=kind)


async def _document(at: Visit, path: str) -> Shown:
    found = await asyncio.to_thread(at.library.document, path)  # a long page takes a while the first time
    part = path.partition("/")[0]
    return at.show(
        "document.html",
        title=found.title,
        html=Markup(found.html),  # noqa: S704 - made by the library, which takes no markup from the page
        contents=found.contents,
        part=PARTS.get(part, ""),
        is_index=path == INDEX,
    )


PAGES = (index, document)
