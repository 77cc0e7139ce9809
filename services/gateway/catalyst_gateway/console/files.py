"""Style, script and pictures, with the policy under which a browser runs them."""

import importlib.resources
from collections.abc import Mapping
from functools import cache
from hashlib import sha256

from catalyst_sdk import Code, Refused
from litestar import Response, get
from litestar.params import FromPath

SECURITY = {
    "Content-Security-Policy": "default-src 'self'; img-src 'self' data:; frame-ancestors 'none'; base-uri 'none'; "
    "form-action 'self'; object-src 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}
_KINDS = {"js": "text/javascript", "css": "text/css", "svg": "image/svg+xml", "txt": "text/plain"}
_LONG = "public, max-age=31536000, immutable"
"""A file's address has a digest of what is in it: under that address it never changes."""


class NoSuchFile(Refused):
    code, reason, message = Code.NOT_FOUND, "PATH_NOT_FOUND", "there is no /static/{name}"


@cache
def _files() -> Mapping[str, bytes]:
    """All of them, by name: read once, since a page names eight and a browser fetches them together."""
    folder = importlib.resources.files("catalyst_gateway") / "static"
    return {file.name: file.read_bytes() for file in folder.iterdir() if file.name.rpartition(".")[2] in _KINDS}


@cache
def address(name: str) -> str:
    """Where a browser finds a file, by what is in it now."""
    return f"/static/{name}?v={sha256(_files()[name]).hexdigest()[:12]}"


@get("/static/{name:str}")
async def static(name: FromPath[str]) -> Response[bytes]:
    """One file. Raises NoSuchFile."""
    body = _files().get(name)
    if body is None:
        raise NoSuchFile(name=name)
    kind = _KINDS[name.rpartition(".")[2]]
    return Response(body, media_type=kind, headers=SECURITY | {"Cache-Control": _LONG})
