"""Style, script and pictures, with the policy under which a browser runs them."""

import importlib.resources
from collections.abc import Mapping
from functools import cache
from hashlib import sha256

from catalyst_sdk import Code, Refused
from litestar import Response, get
from litestar.params import FromPath
from markupsafe import Markup

SECURITY = {
    "Content-Security-Policy": "default-src 'self'; img-src 'self' data:; frame-ancestors 'none'; base-uri 'none'; "
    "form-action 'self'; object-src 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}
_KINDS = {"js": "text/javascript", "css": "text/css", "svg": "image/svg+xml", "txt": "text/plain"}
SCRIPT = "script.js"
_PARTS = ("console.js", "live.js", "countdown.js")
"""What it is made of."""
_LONG = "public, max-age=31536000, immutable"
"""A file's address has a digest of what is in it: under that address it never changes."""


class NoSuchFile(Refused):
    code, reason, message = Code.NOT_FOUND, "PATH_NOT_FOUND", "there is no /static/{name}"


@cache
def _files() -> Mapping[str, bytes]:
    """All of them, by name: read once. Scripts of ours are one file, since each more of them is a way there and back."""
    folder = importlib.resources.files("catalyst_gateway") / "static"
    read = {file.name: file.read_bytes() for file in folder.iterdir() if file.name.rpartition(".")[2] in _KINDS}
    whole = b"".join(b"{\n%b}\n" % read.pop(name) for name in _PARTS)  # a block each: names of one are none of another
    return {**read, SCRIPT: whole}


@cache
def address(name: str) -> str:
    """Where a browser finds a file, by what is in it now."""
    return f"/static/{name}?v={sha256(_files()[name]).hexdigest()[:12]}"


def mark() -> Markup:
    """The mark of the house, to stand in a page: a picture of its own would be one more way there and back."""
    text = _files()["mark.svg"].decode().strip()
    sized = text.replace("<svg ", '<svg width="18" height="18" aria-hidden="true" focusable="false" ', 1)
    return Markup(sized)  # noqa: S704 - a file of ours


@get("/static/{name:str}")
async def static(name: FromPath[str]) -> Response[bytes]:
    """One file. Raises NoSuchFile."""
    body = _files().get(name)
    if body is None:
        raise NoSuchFile(name=name)
    kind = _KINDS[name.rpartition(".")[2]]
    return Response(body, media_type=kind, headers=SECURITY | {"Cache-Control": _LONG})
