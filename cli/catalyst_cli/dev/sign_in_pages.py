"""The sign-in provider of `catalyst dev` over HTTP: its documents for programs, and one page for people."""

import base64
import hashlib
import html
import json
import threading
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from .sign_in import ASKED, OPERATOR, Denied, Desk

_MOST_BODY = 16 * 1024
_TOLD = {
    "access_denied": "That is not the code; catalyst dev prints it.",
    "slow_down": "Too many tries; wait a minute.",
}


class SignIn:
    """The desk behind HTTP, on loopback, in threads of dev's own process."""

    def __init__(self, desk: Desk, port: int) -> None:
        self._desk = desk
        self._port = port
        self._server: ThreadingHTTPServer | None = None

    def start(self) -> None:
        """Listen."""
        desk = self._desk

        class Handler(_Handler):
            def __init__(self, *told: Any) -> None:
                self.desk = desk
                super().__init__(*told)

        self._server = ThreadingHTTPServer(("127.0.0.1", self._port), Handler)
        threading.Thread(target=self._server.serve_forever, name="sign-in", daemon=True).start()

    @property
    def port(self) -> int:
        """Where it listens."""
        return self._server.server_port if self._server is not None else self._port

    def stop(self) -> None:
        """Stop listening."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    desk: Desk
    timeout = 10

    def do_GET(self) -> None:
        path = urlsplit(self.path)
        if path.path == "/.well-known/openid-configuration":
            self._json(200, self.desk.document())
        elif path.path == "/keys":
            self._json(200, self.desk.keys())
        elif path.path == "/authorize":
            self._form(dict(parse_qsl(path.query)))
        else:
            self._json(404, {"error": "not_found"})

    def do_POST(self) -> None:
        size = self.headers.get("content-length", "")
        if not size.isdecimal() or int(size) > _MOST_BODY:
            self._json(413, {"error": "invalid_request"})
            return
        form = dict(parse_qsl(self.rfile.read(int(size)).decode(errors="replace"), keep_blank_values=True))
        if self.path == "/token":
            try:
                self._json(200, self.desk.redeem(form))
            except Denied as why:
                self._json(400, {"error": str(why)})
        elif self.path == "/authorize":
            self._let_in(form)
        else:
            self._json(404, {"error": "not_found"})

    def _form(self, asked: Mapping[str, str], wrong: str = "", status: int = 200) -> None:
        try:
            self.desk.demand(asked)
        except Denied as why:  # never led back: who asks may be anybody
            self._json(400, {"error": str(why)})
            return
        hidden = "".join(
            f'<input type="hidden" name="{html.escape(name)}" value="{html.escape(asked[name])}">'
            for name in (*ASKED, "response_type", "code_challenge_method")
        )
        said = f'<p role="alert"><strong>{html.escape(wrong)}</strong></p>' if wrong else ""
        page = _PAGE.format(
            style=_STYLE, said=said, hidden=hidden, operator=OPERATOR, person=html.escape(asked.get("person", ""))
        )
        self._answer(status, "text/html; charset=utf-8", page.encode())

    def _let_in(self, form: Mapping[str, str]) -> None:
        try:
            to = self.desk.let_in(form, person=form.get("person", ""), code=form.get("code", ""))
        except Denied as why:
            told = {
                "access_denied": "That is not the code; catalyst dev prints it.",
                "slow_down": "Too many tries; wait a minute.",
            }
            self._form(form, told.get(str(why), str(why)), 401)
            return
        self.send_response(303)
        self.send_header("Location", to)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _json(self, status: int, body: Mapping[str, Any]) -> None:
        self._answer(status, "application/json", json.dumps(body).encode())

    def _answer(self, status: int, kind: str, body: bytes) -> None:
        self.send_response(status)
        back = urlsplit(self.desk.back)
        for name, value in {
            "Content-Type": kind,
            "Content-Length": str(len(body)),
            "Cache-Control": "no-store",
            "Referrer-Policy": "no-referrer",
            "X-Content-Type-Options": "nosniff",
            "Content-Security-Policy": f"default-src 'none'; style-src '{_STYLE_DIGEST}'; frame-ancestors 'none'; "
            f"form-action 'self' {back.scheme}://{back.netloc}",  # the answer of the form leads there
        }.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: requests hold codes."""


_STYLE = """
:root { color-scheme: light dark; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 420px; margin: 12vh auto; padding: 0 16px; }
label { display: block; font-weight: 600; margin-top: 14px; }
input { font: inherit; width: 100%; box-sizing: border-box; padding: 6px 10px; }
button { font: inherit; margin-top: 18px; padding: 6px 18px; }
p { margin: 6px 0; }
"""
_STYLE_DIGEST = f"sha256-{base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()}"
_PAGE = """<!doctype html>
<html lang="en">
<head>
  <meta charset="utf-8">
  <meta name="viewport" content="width=device-width, initial-scale=1">
  <title>Sign in · Catalyst in development</title>
  <style>{style}</style>
</head>
<body>
<main>
  <h1>Sign in</h1>
  <p>The provider of <code>catalyst dev</code>, for development only.</p>
  {said}
  <form method="post" action="/authorize">
    {hidden}
    <label for="code">Code</label>
    <input id="code" name="code" required autofocus autocomplete="one-time-code" inputmode="numeric" aria-describedby="code-help">
    <p id="code-help">catalyst dev printed it.</p>
    <label for="person">As</label>
    <input id="person" name="person" type="email" value="{person}" placeholder="{operator}" aria-describedby="person-help">
    <p id="person-help">Empty: the operator of this machine. Any other address is a person without a role over the Sovereign,
    who belongs to the Organizations that invited it.</p>
    <button>Sign in</button>
  </form>
</main>
</body>
</html>
"""
