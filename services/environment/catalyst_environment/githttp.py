"""Repositories over the HTTP smart protocol, in threads of their own: members of an Organization read them, developers push.

Invariants
  our identity  the password of a Basic login, whatever its user, is the token by which everything else is asked; so is Bearer;
  own only      a cluster has a login of its own and reads what stands in Environments that run on it, and nothing else;
  onward        a branch moves to a child of what stands there and never elsewhere; none is taken away, and nothing else is made;
  one writer    a push is read whole before anything is locked: a slow sender holds nobody up;
  no secret     a file that looks like a secret is refused, as the same value in a configuration is.
"""

import asyncio
import base64
import hmac
import io
import socket
import socketserver
import threading
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from catalyst_mesh import Work, get_logger, gitstore
from catalyst_mesh.addresses import apart, together
from catalyst_mesh.errors import Unauthenticated
from catalyst_mesh.memberships import Memberships
from catalyst_mesh.verifiers import Verifier
from catalyst_sdk import Code, Refused
from dulwich.errors import MissingCommitError, NotGitRepository
from dulwich.graph import can_fast_forward
from dulwich.objects import Commit
from dulwich.repo import Repo
from dulwich.server import Backend, ReceivePackHandler, UploadPackHandler
from dulwich.web import ChunkReader, make_wsgi_chain

from .domain import trees
from .domain.organizations import Organization, demand_changeable
from .logins import Logins, is_cluster
from .repositories import SYSTEM, Repositories
from .store import Store

HOUSE = ("sovereign-admin", "security-officer")
"""Who reads the Sovereign's own home."""
READERS, WRITERS = ("org-viewer", "org-developer", "org-admin"), ("org-developer", "org-admin")
MOST = 16 * 1024 * 1024
"""Bytes of a push."""
PATIENCE = 10.0
"""Seconds for the questions who asks, and whether the Organization may be changed."""
_UPLOAD, _RECEIVE = "git-upload-pack", "git-receive-pack"
_STATUSES = {
    Code.UNAUTHENTICATED: "401 Unauthorized",
    Code.PERMISSION_DENIED: "403 Forbidden",
    Code.NOT_FOUND: "404 Not Found",
    Code.UNAVAILABLE: "503 Service Unavailable",
}
Environ = dict[str, Any]
Respond = Callable[..., Any]


class ClusterDenied(Refused):
    code, reason = Code.PERMISSION_DENIED, "CLUSTER_DENIED"
    message = "{cluster} reads the repositories of what runs on it, with the login that it was given"


class Door:
    """Who may come in; the same questions as before an RPC."""

    def __init__(self, verifier: Verifier, memberships: Memberships, work: Work[Store], logins: Logins) -> None:
        self._logins = logins
        self._verifier = verifier
        self._memberships = memberships
        self._work = work

    async def admit(self, org: str, repository: str, authorization: str, *, writes: bool) -> str:
        """The subject of whoever may read, or write, a repository of `org`. Raises Refused."""
        user, token = _login(authorization)
        if is_cluster(user):
            return await self._admit_cluster(user, token, org, repository, writes=writes)
        if not token:
            raise Unauthenticated(why="there is none: give a token as the password")
        caller = await self._verifier.check(token)
        if org == SYSTEM:  # what the daemon writes there people read, and change by its RPCs
            caller.require(*(() if writes else HOUSE), resource=f"{org}/{repository}")
            return caller.subject
        groups = await self._memberships.of(caller) if caller.is_person() else frozenset()
        if not any(f"/{org}/{role}" in groups for role in (WRITERS if writes else READERS)):
            caller.require(org=org)  # whether there is such an Organization or not
        if writes:
            async with self._work.reading() as tx:
                held = await tx.find(Organization, org)
            if held is not None:
                demand_changeable(held)
        return caller.subject

    async def _admit_cluster(self, cluster: str, password: str, org: str, repository: str, *, writes: bool) -> str:
        async with self._work.reading() as tx:
            hosts = [(one.id, host) for one in await tx.environments(org) for host in one.hosts]
            lives = {one.environment for one in await tx.lives(org, repository)}
        known = {
            id
            for id, host in hosts
            if host.cluster == cluster and hmac.compare_digest(self._logins.password(host).encode(), password.encode())
        }
        if writes or not lives & known:
            raise ClusterDenied(cluster=cluster)
        return cluster

    async def close(self) -> None:
        """Give back what is held."""
        await self._verifier.close()


class GitServer:
    """A worker that serves until it is told to stop. With `shared`, other processes may listen at the same address."""

    def __init__(self, listen: str, repositories: Repositories, door: Door, *, shared: bool = False) -> None:
        self._door = door
        self._repositories = repositories
        self._server = (_Shared if shared else _Server)(apart(listen), _Quiet)
        self._log = get_logger("git")

    @property
    def address(self) -> str:
        """`host:port` that it is bound to."""
        host, port = self._server.server_address[:2]
        return together(str(host), port)

    async def run(self, stop: asyncio.Event) -> None:
        """Serve until `stop`."""
        self._server.set_app(partial(self._answer, asyncio.get_running_loop()))
        thread = threading.Thread(target=self._server.serve_forever, args=(0.2,), name="git", daemon=True)
        thread.start()
        await stop.wait()
        await asyncio.to_thread(self._server.shutdown)
        await asyncio.to_thread(thread.join)

    async def close(self) -> None:
        """Give the port back."""
        self._server.server_close()
        await self._door.close()

    def _answer(self, loop: asyncio.AbstractEventLoop, environ: Environ, respond: Respond) -> Iterable[bytes]:
        asked = _asked(environ)
        if asked is None:
            return _said(respond, "404 Not Found", "clone ORGANIZATION/APPLICATION.git")
        org, repository, writes = asked
        admitting = self._door.admit(org, repository, environ.get("HTTP_AUTHORIZATION", ""), writes=writes)
        try:
            subject = asyncio.run_coroutine_threadsafe(admitting, loop).result(PATIENCE)
        except Refused as refusal:
            return _said(respond, _STATUSES.get(refusal.code, "409 Conflict"), str(refusal))
        except TimeoutError:
            return _said(respond, "503 Service Unavailable", "nobody could say in time who asks")
        if not (writes and environ["REQUEST_METHOD"] == "POST"):
            return self._served(environ, respond, org, repository)
        body = _read(environ)
        if body is None:
            return _said(respond, "413 Content Too Large", f"a push has at most {MOST} bytes")
        self._log.info("push", organization=org, repository=repository, subject=subject)
        with self._repositories.writing():
            return self._served(body, respond, org, repository)

    def _served(self, environ: Environ, respond: Respond, org: str, repository: str) -> Iterable[bytes]:
        backend = _One(self._repositories.path(org, repository))
        handlers: dict[bytes, Callable[..., Any]] = {_UPLOAD.encode(): UploadPackHandler, _RECEIVE.encode(): Receiving}
        try:
            return list(make_wsgi_chain(backend, handlers=handlers)(environ, respond))
        finally:
            backend.close()


class Receiving(ReceivePackHandler):
    """Takes a push by our rules."""

    def _on_update(self, ref_name: Any, old_sha: Any, new_sha: Any) -> bytes | None:
        repo: Any = self.repo
        present = repo.refs.as_dict().get(ref_name)
        if not ref_name.startswith(b"refs/heads/"):
            return b"only branches are kept here"
        if not new_sha.strip(b"0"):
            return b"no branch is taken away"
        if old_sha != (present or b"0" * 40):
            return b"it has moved meanwhile: fetch first"
        try:
            if not isinstance(repo[new_sha], Commit):
                return b"it is no commit"
            if present and not can_fast_forward(repo, present, new_sha):
                return b"it is no child of what stands there: fetch first"
            return _judged(_files(repo, new_sha), _files(repo, present) if present else {})
        except (KeyError, MissingCommitError):
            return b"a part of it is missing"


def _files(repo: Repo, commit: Any) -> dict[str, bytes]:
    return dict(gitstore.walk(repo, gitstore.commit(repo, commit).tree))


def _judged(files: dict[str, bytes], before: dict[str, bytes]) -> bytes | None:
    if found := trees.secrets_in(files, before):
        return f"{', '.join(found)}: this looks like a secret; put a reference there".encode()
    return None


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
    timeout = 60

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: a log line would be the only one of the process that is not structured."""


class _One(Backend):
    """The one repository that somebody was let in for, whatever the protocol asks for."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._opened: list[Repo] = []

    def open_repository(self, path: Any) -> Any:
        if not self._path.is_dir():
            raise NotGitRepository("there is no such repository")
        self._opened.append(Repo(str(self._path)))
        return self._opened[-1]

    def close(self) -> None:
        """Close what was opened; the protocol's handlers do not."""
        for repo in self._opened:
            repo.close()


def _asked(environ: Environ) -> tuple[str, str, bool] | None:
    """Organization, repository, and whether it is a push; None for what is none of the four requests of Git."""
    parts = environ.get("PATH_INFO", "").strip("/").split("/", 2)
    if len(parts) != 3 or not parts[1].endswith(".git"):
        return None
    org, repository = parts[0], parts[1].removesuffix(".git")
    if not (org.replace("-", "").isalnum() and repository.replace("-", "").isalnum()):
        return None
    verb, query = environ.get("REQUEST_METHOD"), environ.get("QUERY_STRING")
    for service in (_UPLOAD, _RECEIVE):
        if (verb, parts[2], query) == ("GET", "info/refs", f"service={service}") or (verb, parts[2]) == (
            "POST",
            service,
        ):
            return org, repository, service == _RECEIVE
    return None


def _read(environ: Environ) -> Environ | None:
    """A request whose body was read whole; None where that is too large, or its size is not told."""
    length, source = environ.get("CONTENT_LENGTH", ""), environ["wsgi.input"]
    if environ.get("HTTP_TRANSFER_ENCODING", "").lower() == "chunked":  # as git sends what is larger than a MiB
        body = _gathered(ChunkReader(source))
    elif length.isdecimal() and int(length) <= MOST:
        body = source.read(int(length))
    else:
        return None
    if len(body) > MOST:
        return None
    kept = {name: value for name, value in environ.items() if name != "HTTP_TRANSFER_ENCODING"}
    return {**kept, "wsgi.input": io.BytesIO(body), "CONTENT_LENGTH": str(len(body))}


def _gathered(chunks: ChunkReader) -> bytes:
    read = bytearray()
    while len(read) <= MOST and (part := chunks.read(65536)):
        read += part
    return bytes(read)


def _said(respond: Respond, status: str, text: str) -> Iterable[bytes]:
    body = f"{text}\n".encode()
    asks = [("WWW-Authenticate", 'Basic realm="catalyst: a token is the password"')] if status.startswith("401") else []
    respond(status, [*asks, ("Content-Type", "text/plain; charset=utf-8"), ("Content-Length", str(len(body)))])
    return [body]


def _login(authorization: str) -> tuple[str, str]:
    """User and what he shows (RFC 7617, RFC 6750); empty where it is neither."""
    kind, _, shown = authorization.partition(" ")
    if kind.lower() == "bearer":
        return "", shown.strip()
    if kind.lower() != "basic":
        return "", ""
    try:
        user, _, password = base64.b64decode(shown, validate=True).decode().partition(":")
    except ValueError:
        return "", ""
    return user, password
