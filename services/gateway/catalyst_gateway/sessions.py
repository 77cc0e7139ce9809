"""Who is at the browser: a bearer token, or the cookie of somebody who signed in with the code of development."""

import hmac
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any

from catalyst_mesh.identity import TokenFile
from catalyst_sdk import Code, Refused
from litestar import Request

from .settings import GatewaySettings

COOKIE = "catalyst_session"
# Another site can make a browser send our cookie, but not this header.
CSRF_HEADER = "x-catalyst-console"


class CodeRejected(Refused):
    code, reason = Code.UNAUTHENTICATED, "LOGIN_CODE_REJECTED"
    message = "that is not the code; `catalyst dev` prints it"


class LoginUnavailable(Refused):
    code, reason = Code.FAILED_PRECONDITION, "LOGIN_UNAVAILABLE"
    message = "signing in by a code exists in development only; send a bearer token"


class CrossSite(Refused):
    code, reason, message = Code.PERMISSION_DENIED, "CROSS_SITE", "a browser's write carries the header {header}"


class Sessions:
    """Turns requests into tokens for the daemons behind; daemons check each token themselves."""

    def __init__(self, settings: GatewaySettings) -> None:
        loopback = settings.http_listen.rpartition(":")[0] in ("127.0.0.1", "localhost", "[::1]")
        self._open = settings.development and loopback
        self._code = settings.login_code_file
        self._operator = TokenFile(settings.operator_token_file)
        self._seconds = settings.session_seconds

    def token(self, request: Request[Any, Any, Any]) -> str:
        """The caller's token; empty for nobody. Raises CrossSite for a write that another site may have caused."""
        kind, _, token = request.headers.get("authorization", "").partition(" ")
        if kind.lower() == "bearer":
            return token
        session = request.cookies.get(COOKIE, "")
        if session and request.method not in ("GET", "HEAD") and CSRF_HEADER not in request.headers:
            raise CrossSite(header=CSRF_HEADER)
        return session

    def sign_in(self, code: str) -> str:
        """The cookie of a session. Raises CodeRejected, LoginUnavailable."""
        if not self._open or self._code is None:
            raise LoginUnavailable
        if not hmac.compare_digest(_read(self._code).encode(), code.strip().encode()):
            raise CodeRejected
        cookie: SimpleCookie = SimpleCookie()
        cookie[COOKIE] = self._operator()
        cookie[COOKIE].update({"path": "/", "max-age": str(self._seconds), "httponly": "yes", "samesite": "Lax"})
        return cookie[COOKIE].OutputString()


def _read(path: Path) -> str:
    return path.read_text().strip()
