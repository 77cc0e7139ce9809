"""Trees over the HTTP smart protocol: read-only, one login per cluster, in threads of their own.

A cluster's password is computed from a key and the names, so no start, replica or restore can forget it.
"""

import asyncio
import base64
import hashlib
import hmac
import socket
import socketserver
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from catalyst_mesh.addresses import apart, together
from dulwich.errors import NotGitRepository
from dulwich.repo import Repo
from dulwich.server import Backend, UploadPackHandler
from dulwich.web import make_wsgi_chain

from .repository import Repositories

Environ = dict[str, Any]
Respond = Callable[..., Any]
Application = Callable[[Environ, Respond], Iterable[bytes]]


class Passwords:
    """Logins of clusters."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def username(self, sovereign: str, cluster: str) -> str:
        """Login of a cluster."""
        return f"{sovereign}/{cluster}"

    def password(self, uid: str, cluster: str) -> str:
        """Its password; another life of the same name has another."""
        return hmac.new(self._key, f"git/{uid}/{cluster}".encode(), hashlib.sha256).hexdigest()

    def admits(self, sovereign: str, uid: str, authorization: str) -> bool:
        """Whether a Basic login is one of this Sovereign's clusters (RFC 7617)."""
        kind, _, encoded = authorization.partition(" ")
        if kind.lower() != "basic" or not uid:
            return False
        try:
            username, _, password = base64.b64decode(encoded, validate=True).decode().partition(":")
        except ValueError:
            return False
        owner, _, cluster = username.partition("/")
        return owner == sovereign and hmac.compare_digest(self.password(uid, cluster), password)


class GitServer:
    """A worker that serves until it is told to stop. With `shared`, other processes may listen at the same address.

    base   URL under which clusters reach it; empty: HTTP at `listen`
    """

    def __init__(
        self, listen: str, repositories: Repositories, passwords: Passwords, *, shared: bool = False, base: str = ""
    ) -> None:
        self._base = base.rstrip("/")
        self._server = (_Shared if shared else _Server)(apart(listen), _Quiet)
        self._server.set_app(_guarded(repositories, passwords))

    @property
    def address(self) -> str:
        """`host:port` that it is bound to."""
        host, port = self._server.server_address[:2]
        return together(str(host), port)

    def url(self, sovereign: str) -> str:
        """Address of a tree, without a login."""
        return f"{self._base or f'http://{self.address}'}/{sovereign}.git"

    async def run(self, stop: asyncio.Event) -> None:
        """Serve until `stop`."""
        thread = threading.Thread(target=self._server.serve_forever, args=(0.2,), name="git", daemon=True)
        thread.start()
        await stop.wait()
        await asyncio.to_thread(self._server.shutdown)
        await asyncio.to_thread(thread.join)

    async def close(self) -> None:
        """Give the port back."""
        self._server.server_close()


class _Server(socketserver.ThreadingMixIn, WSGIServer):
    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, address: tuple[str, int], handler: type[WSGIRequestHandler]) -> None:
        self.address_family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        super().__init__(address, handler)

    def server_bind(self) -> None:
        # The base class would look the host's name up, which asks DNS.
        socketserver.TCPServer.server_bind(self)
        host, port = self.server_address[:2]
        self.server_name, self.server_port = str(host), int(port)
        self.setup_environ()


class _Shared(_Server):
    allow_reuse_port = True


class _Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: a log line would be the only one of the process that is not structured."""


class _Backend(Backend):
    def __init__(self, repositories: Repositories) -> None:
        self._repositories = repositories

    def open_repository(self, path: Any) -> Any:
        name = (path.decode() if isinstance(path, bytes) else str(path)).strip("/").removesuffix(".git")
        if "/" in name or name.startswith(".") or not self._repositories.uid(name):
            raise NotGitRepository("no such tree")
        return Repo(str(self._repositories.path(name)))


def _guarded(repositories: Repositories, passwords: Passwords) -> Application:
    git = make_wsgi_chain(_Backend(repositories), handlers={b"git-upload-pack": UploadPackHandler})
    advertised = _Advertised(repositories, git)

    def app(environ: Environ, respond: Respond) -> Iterable[bytes]:
        first = environ.get("PATH_INFO", "/").split("/")[1]
        sovereign = first.removesuffix(".git")
        known = first.endswith(".git") and sovereign.replace("-", "").isalnum()
        uid = repositories.uid(sovereign) if known else ""
        if not passwords.admits(sovereign, uid, environ.get("HTTP_AUTHORIZATION", "")):
            respond("401 Unauthorized", [("WWW-Authenticate", 'Basic realm="tree"'), ("Content-Length", "0")])
            return [b""]
        if not _only_reads(environ):
            respond("403 Forbidden", [("Content-Length", "0")])
            return [b""]
        if environ.get("REQUEST_METHOD") == "GET":
            return advertised.answer(sovereign, uid, environ, respond)
        return git(environ, respond)

    return app


@dataclass(frozen=True, slots=True)
class _Answer:
    """What the library answered, and to which state of a repository."""

    state: tuple[str, ...]
    status: str
    headers: list[tuple[str, str]]
    body: bytes


class _Advertised:
    """Lists of references as they were answered last, by Sovereign.

    Every cluster asks for its own again and again, and for the library each is a walk through the repository; while neither
    the branch nor the Sovereign changed it is the same.
    """

    def __init__(self, repositories: Repositories, git: Application) -> None:
        self._repositories = repositories
        self._git = git
        self._known: dict[str, _Answer] = {}

    def answer(self, sovereign: str, uid: str, environ: Environ, respond: Respond) -> Iterable[bytes]:
        """What the library answers, from memory where it answered the same before."""
        # Looked at before the library does: a branch that moves meanwhile is another state the next time.
        state = (uid, self._repositories.branch(sovereign), environ.get("HTTP_GIT_PROTOCOL", ""))
        known = self._known.get(sovereign)
        if known is None or known.state != state:
            known = self._asked(state, environ)
            if known.status.startswith("200 "):
                self._known[sovereign] = known
        respond(known.status, known.headers)
        return [known.body]

    def _asked(self, state: tuple[str, ...], environ: Environ) -> _Answer:
        heads: list[tuple[str, list[tuple[str, str]]]] = []
        written: list[bytes] = []

        def respond(status: str, headers: list[tuple[str, str]], *_: object) -> Callable[[bytes], None]:
            heads.append((status, headers))
            return written.append  # PEP 3333: what is written comes before what is returned

        rest = b"".join(self._git(environ, respond))
        return _Answer(state, *heads[-1], b"".join(written) + rest)


def _only_reads(environ: Environ) -> bool:
    """Whether this is one of the two requests of a fetch. The library serves pushes too, whatever handlers it is given."""
    what = environ.get("PATH_INFO", "").split("/", 2)[-1]
    asked = (environ.get("REQUEST_METHOD"), what, environ.get("QUERY_STRING"))
    return asked == ("GET", "info/refs", "service=git-upload-pack") or asked[:2] == ("POST", "git-upload-pack")
