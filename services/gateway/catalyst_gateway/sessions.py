"""Who is at the browser: a bearer token, or the session that a cookie names.

Invariants
  no token out      a browser gets a random secret, never a token; the store has the secret's digest, and the tokens sealed;
  one at a time     a secret that was replaced is taken for a minute more, as requests may have been under way; after that whoever
                    shows it has a copy, and the session ends for both;
  ours alone        a write with a cookie carries the token of its page, which another site cannot read.
"""

import hashlib
import hmac
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any

from catalyst_mesh import Sealer, Work, get_logger, sealed_at
from catalyst_mesh.claims import peek
from catalyst_mesh.identity import TokenFile
from catalyst_sdk import Code, Refused
from litestar import Request

from .kept import session
from .providers import Provider, Tokens
from .renewal import EARLY, Renewal
from .settings import GatewaySettings
from .store import Store

COOKIE = "__Host-catalyst"
"""With this beginning a browser takes it over TLS (or from this machine) only, for this host alone."""
# Another site can make a browser send our cookie, but cannot read the page that has this.
CSRF_HEADER = "x-csrf-token"
ROTATED = timedelta(minutes=15)
"""Age after which the next page brings a new secret."""
GRACE = timedelta(minutes=1)
Req = Request[Any, Any, Any]


class CodeRejected(Refused):
    code, reason = Code.UNAUTHENTICATED, "LOGIN_CODE_REJECTED"
    message = "that is not the code; `catalyst dev` prints it"


class LoginUnavailable(Refused):
    code, reason = Code.FAILED_PRECONDITION, "LOGIN_UNAVAILABLE"
    message = "signing in by a code exists in development only; send a bearer token"


class CrossSite(Refused):
    code, reason = Code.PERMISSION_DENIED, "CROSS_SITE"
    message = (
        "a browser's write carries the token of its page, in the header {header} or the field csrf; load the page again"
    )


@dataclass(frozen=True, slots=True)
class Session:
    """Somebody at a browser.

    cookie   the header of a new secret; empty while the old one stays
    """

    id: str
    token: str
    csrf: str
    cookie: str = ""


class Sessions:
    """Turns requests into tokens for the daemons behind; daemons check each token themselves."""

    def __init__(
        self,
        settings: GatewaySettings,
        *,
        work: Work[Store],
        sealer: Sealer,
        provider: Provider | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        loopback = settings.http_listen.rpartition(":")[0] in ("127.0.0.1", "localhost", "[::1]")
        self._open = settings.development and loopback
        self._code = settings.login_code_file
        self._operator = TokenFile(settings.operator_token_file)
        self._lasting = timedelta(seconds=settings.session_seconds)
        self._work = work
        self._sealer = sealer
        self.provider = provider
        self._clock = clock
        self._renewal = Renewal(work, sealer, self._sealed, clock)
        self._log = get_logger("sessions")

    @property
    def takes_codes(self) -> bool:
        """Whether the code of development opens a session."""
        return self._open and self._code is not None

    async def resolve(self, request: Req, *, rotate: bool = False) -> Session | None:
        """Look who has the cookie of a request, once a request; `token` and `csrf` then know. None for nobody.

        rotate   whether the answer can bring a new secret
        """
        secret = request.cookies.get(COOKIE, "")
        found = await self._session(secret, rotate=rotate) if secret else None
        request.scope.setdefault("state", {})["session"] = found
        return found

    def token(self, request: Req, *, given: str = "") -> str:
        """The caller's token; empty for nobody. Raises CrossSite for a write that another site may have caused.

        given   what a form sent in its field `csrf`
        """
        if bearer := _bearer(request):
            return bearer
        found = _resolved(request)
        if found is None:
            return ""
        if request.method not in ("GET", "HEAD"):
            sent = given or request.headers.get(CSRF_HEADER, "")
            if not hmac.compare_digest(sent.encode(), found.csrf.encode()):
                raise CrossSite(header=CSRF_HEADER)
        return found.token

    def shown(self, request: Req) -> str:
        """The caller's token, only to say who is there."""
        found = _resolved(request)
        return _bearer(request) or (found.token if found else "")

    def csrf(self, request: Req) -> str:
        """What a page of this session gives its forms."""
        found = _resolved(request)
        return found.csrf if found else ""

    async def sign_in(self, code: str, agent: str = "") -> str:
        """The cookie of a session by the code of development. Raises CodeRejected, LoginUnavailable."""
        if not self._open or self._code is None:
            raise LoginUnavailable
        if not hmac.compare_digest(_read(self._code).encode(), code.strip().encode()):
            raise CodeRejected
        # Its token is read anew at each request: who wrote the file renews it.
        return await self.open(Tokens("", "", None), str(peek(self._operator()).get("sub", "")), agent)

    async def open(self, tokens: Tokens, subject: str, agent: str = "") -> str:
        """The cookie of a new session."""
        id, secret = secrets.token_hex(16), secrets.token_urlsafe(32)
        now = self._clock()
        row = {
            "id": id,
            "secret": _digest(secret),
            "previous": "",
            "rotated_at": now,
            "subject": subject,
            "until": now + self._lasting,
            "created_at": now,
            "agent": agent[:200],
            **self._sealed(id, tokens),
        }  # fmt: skip - one row
        async with self._work.transaction() as tx:
            await tx.open_session(row)
        return _cookie(secret, self._lasting)

    async def sign_out(self, request: Req, *, everywhere: bool = False) -> str:
        """End the session of a request, or all of its person; the cookie that makes its browser forget."""
        found = await self._row(request.cookies.get(COOKIE, ""))
        if found:
            async with self._work.transaction() as tx:
                await (tx.end_sessions(found["subject"]) if everywhere else tx.end_session(found["id"]))
        return _cookie("", timedelta(0))

    async def _row(self, secret: str) -> Mapping[str, Any] | None:
        async with self._work.reading() as tx:
            return await tx.session(_digest(secret)) if secret else None

    async def _session(self, secret: str, *, rotate: bool) -> Session | None:
        row = await self._row(secret)
        now = self._clock()
        if row is None or row["until"] <= now:
            return None
        is_old = row["secret"] != _digest(secret)
        if is_old and now > row["rotated_at"] + GRACE:
            self._log.warning("a secret that was replaced came again; its session ends", principal=row["subject"])
            async with self._work.transaction() as tx:
                await tx.end_session(row["id"])
            return None
        cookie = ""
        if rotate and not is_old and now > row["rotated_at"] + ROTATED:
            cookie = await self._rotated(row)
        token = await self._token(row)
        return Session(row["id"], token, _digest(f"csrf {row['id']}")[:40], cookie) if token else None

    async def _rotated(self, row: Mapping[str, Any]) -> str:
        """The cookie of a new secret; empty where another request brings it."""
        secret = secrets.token_urlsafe(32)
        async with self._work.transaction() as tx:
            newest = await tx.lock_session(row["id"])
            if newest is None or newest["secret"] != row["secret"]:
                return ""
            changed = {"secret": _digest(secret), "previous": row["secret"], "rotated_at": self._clock()}
            await tx.change_session(row["id"], **changed)
        return _cookie(secret, row["until"] - self._clock())

    async def _token(self, row: Mapping[str, Any]) -> str:
        """The token of a session, renewed where it is near its end; empty where the provider gives none any more."""
        access = self._sealer.open(row["access"], sealed_at(session.c.access, row["id"])).decode()
        if not access:
            return self._operator() if self._open else ""
        if row["access_until"] > self._clock() + EARLY or self.provider is None:
            return access
        return await self._renewal.token(row["id"], self.provider)

    def _sealed(self, id: str, tokens: Tokens) -> dict[str, Any]:
        until = tokens.until or self._clock() + self._lasting
        access = self._sealer.seal(tokens.access.encode(), sealed_at(session.c.access, id))
        refresh = self._sealer.seal(tokens.refresh.encode(), sealed_at(session.c.refresh, id))
        return {"access": access, "refresh": refresh, "access_until": until}


def _bearer(request: Req) -> str:
    kind, _, token = request.headers.get("authorization", "").partition(" ")
    return token if kind.lower() == "bearer" else ""


def _resolved(request: Req) -> Session | None:
    found: Session | None = request.scope.get("state", {}).get("session")
    return found


def _digest(value: str) -> str:
    return hashlib.sha256(value.encode()).hexdigest()


def _cookie(value: str, lasting: timedelta) -> str:
    cookie: SimpleCookie = SimpleCookie()
    cookie[COOKIE] = value
    age = str(max(0, int(lasting.total_seconds())))
    cookie[COOKIE].update({"path": "/", "max-age": age, "httponly": "yes", "samesite": "Lax", "secure": "yes"})
    return cookie[COOKIE].OutputString()


def _read(path: Path) -> str:
    return path.read_text().strip()
