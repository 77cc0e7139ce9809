"""What stands outside the mesh: an OpenID provider of our own that can turn its keys, and a fake Kubernetes API server."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

from joserfc import jwt
from joserfc.jwk import ECKey, Key, OKPKey, RSAKey

Answer = Callable[[str, str, dict[str, str], Any], tuple[int, Any]]
"""Verb, path, headers, body; status and JSON."""


class JsonServer:
    """HTTP on loopback, one request a connection; stopped and started again on the same port."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self._server: asyncio.Server | None = None
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            verb, path, _ = head[0].split(" ")
            headers = {k.lower(): v for k, _, v in (line.partition(": ") for line in head[1:] if line)}
            body = await reader.readexactly(int(headers.get("content-length", 0)))
            status, answer = self._answer(verb, path, headers, json.loads(body) if body else None)
            text = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
            writer.write(
                f"HTTP/1.1 {status} X\r\ncontent-length: {len(text)}\r\nconnection: close\r\n\r\n".encode() + text
            )
            await writer.drain()
        writer.close()


class Provider:
    """A small OpenID provider: discovery, keys, and tokens as a test wants them. It counts how often it is asked."""

    def __init__(self) -> None:
        self.server = JsonServer(self._answer)
        self.keys: list[Key] = []
        self.asked = {"/.well-known/openid-configuration": 0, "/keys": 0}
        self.says: dict[str, Any] = {}
        """What its discovery document says otherwise."""
        self.published: list[Any] = []
        """Entries of the key set beside its own keys."""
        self.rotate()

    @property
    def issuer(self) -> str:
        return self.server.url

    def rotate(self, kind: str = "Ed25519", *, keep: bool = False) -> None:
        """A new key that signs from now on; with `keep` the former ones stay published."""
        made: Key
        if kind == "Ed25519":
            made = OKPKey.generate_key("Ed25519", auto_kid=True)
        elif kind == "ES256":
            made = ECKey.generate_key("P-256", auto_kid=True)
        else:
            made = RSAKey.generate_key(2048 if kind != "weak" else 1024, auto_kid=True)
        self.kind = "RS256" if kind == "weak" else kind
        self.keys = [made, *(self.keys if keep else [])]

    def token(self, **changed: Any) -> str:
        """A token of Ada; None leaves a claim out."""
        now = int(time.time())
        claims = {"iss": self.issuer, "aud": "catalyst", "sub": "ada", "iat": now, "exp": now + 300} | changed
        kept = {name: value for name, value in claims.items() if value is not None}
        key = self.keys[0]
        return jwt.encode({"alg": self.kind, "kid": key.kid}, kept, key, algorithms=[self.kind])

    def _answer(self, verb: str, path: str, headers: dict[str, str], body: Any) -> tuple[int, Any]:
        if path not in self.asked:
            return 404, {}
        self.asked[path] += 1
        if path == "/keys":
            return 200, {"keys": [*(k.as_dict(private=False) for k in self.keys), *self.published]}
        return 200, {"issuer": self.issuer, "jwks_uri": f"{self.issuer}/keys"} | self.says


class FakeApiServer:
    """Reviews tokens as the Kubernetes documentation says an API server does; a fake: there is no cluster behind it.

    source   Kubernetes API reference, authentication.k8s.io/v1 TokenReview
    """

    def __init__(self) -> None:
        self.server = JsonServer(self._answer)
        self.accounts: dict[str, tuple[str, tuple[str, ...]]] = {}
        """Token to account and audiences."""
        self.asked: list[dict[str, Any]] = []
        self.knows_audiences = True
        self.status = 201
        self.own_token = "the daemon's own"

    def _answer(self, verb: str, path: str, headers: dict[str, str], body: Any) -> tuple[int, Any]:
        if (verb, path) != ("POST", "/apis/authentication.k8s.io/v1/tokenreviews"):
            return 404, {"kind": "Status"}
        if headers.get("authorization") != f"Bearer {self.own_token}":
            return 401, {"kind": "Status"}
        assert (body["apiVersion"], body["kind"]) == ("authentication.k8s.io/v1", "TokenReview")
        self.asked.append(body["spec"])
        return self.status, {"kind": "TokenReview", "status": self._status(**body["spec"])}

    def _status(self, token: str, audiences: list[str]) -> dict[str, Any]:
        account, meant = self.accounts.get(token, ("", ()))
        shared = [audience for audience in audiences if audience in meant]
        if not account or not shared:
            return {"authenticated": False, "error": "token is not known"}
        user = {"username": account, "groups": ["system:serviceaccounts"], "uid": "1"}
        return {"authenticated": True, "user": user} | ({"audiences": shared} if self.knows_audiences else {})


@asynccontextmanager
async def serving(server: JsonServer) -> AsyncIterator[None]:
    await server.start()
    try:
        yield
    finally:
        await server.stop()
