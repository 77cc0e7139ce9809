"""Who asks: signed tokens, checked by keys that can be read anywhere and made in one place only.

`Verifier` checks tokens against a set of public keys (a JWKS file that is read again when it changes). `Issuer` is the
development issuer: it signs real tokens, through the same check; production puts an OIDC provider in its place.
"""

import json
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet, OKPKey

from .calls import Caller
from .errors import Unauthenticated
from .keyfiles import kept, write_private
from .logs import get_logger

AUDIENCE = "catalyst"
ALGORITHM = "Ed25519"
LEEWAY = 5
"""Seconds by which the clocks of two machines may differ."""


class Verifier:
    """Turns a bearer token into a `Caller`."""

    def __init__(self, jwks: Path) -> None:
        self._path = jwks
        self._read: tuple[int, int] | None = None
        self._keys: KeySet | None = None
        self._log = get_logger("identity")

    def check(self, token: str) -> Caller:
        """The caller that `token` names. Raises Unauthenticated with the reason."""
        try:
            claims = jwt.decode(token, self._key_set(), algorithms=[ALGORITHM]).claims
            jwt.JWTClaimsRegistry(
                leeway=LEEWAY,
                aud={"essential": True, "value": AUDIENCE},
                sub={"essential": True},
                exp={"essential": True},
            ).validate(claims)
        except (JoseError, ValueError) as error:
            raise Unauthenticated(why=_why(error)) from error
        return _caller(claims)

    def _key_set(self) -> KeySet:
        try:
            now = self._path.stat()
            if self._read != (now.st_mtime_ns, now.st_ino):
                self._keys = KeySet.import_key_set(json.loads(self._path.read_text()))
                self._read = (now.st_mtime_ns, now.st_ino)
        except (OSError, ValueError, KeyError, TypeError, AttributeError, JoseError) as error:
            # Somebody is just writing it, or took it away: the keys known before go on being right.
            self._log.warning("keys not read", path=str(self._path), error=type(error).__name__)
        if self._keys is None:
            raise Unauthenticated(why="this daemon has no keys yet by which it could be checked")
        return self._keys


class AnyVerifier(Verifier):
    """Several sets of keys: a token counts where one of them knows it."""

    def __init__(self, jwks: Path, *more: Path) -> None:
        super().__init__(jwks)
        self._others = [Verifier(path) for path in more]

    def check(self, token: str) -> Caller:
        """As Verifier; where nobody accepts the token, the refusal is that of the first set."""
        try:
            return super().check(token)
        except Unauthenticated:
            for other in self._others:
                with suppress(Unauthenticated):
                    return other.check(token)
            raise


class Issuer:
    """Signs tokens for development. Its private key lies in one file, mode 0600."""

    def __init__(self, key: OKPKey) -> None:
        self._key = key

    @classmethod
    def open(cls, folder: Path) -> "Issuer":
        """Use the key in `folder`, made there at first, and write the public half to `jwks.json`."""
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        private = folder / "issuer.json"
        drawn = kept(private, lambda: json.dumps(OKPKey.generate_key("Ed25519", auto_kid=True).as_dict(private=True)))
        key = OKPKey.import_key(json.loads(drawn))
        write_private(folder / "jwks.json", json.dumps({"keys": [key.as_dict(private=False)]}))
        return cls(key)

    def token(
        self,
        subject: str,
        *,
        roles: Iterable[str] = (),
        groups: Iterable[str] = (),
        service: str = "",
        ttl: int = 3600,
        issued_at: int | None = None,
    ) -> str:
        """A signed token. `ttl` in seconds."""
        now = int(time.time()) if issued_at is None else issued_at
        claims: dict[str, Any] = {"iss": "catalyst-development", "aud": AUDIENCE, "sub": subject, "iat": now}
        claims |= {"exp": now + ttl, "roles": sorted(roles), "groups": sorted(groups)}
        if service:
            claims["service"] = service
        return jwt.encode({"alg": ALGORITHM, "kid": self._key.kid}, claims, self._key, algorithms=[ALGORITHM])


class TokenFile:
    """A daemon's own token, in a file that somebody else renews (a projected token in Kubernetes)."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._read_at = -1.0
        self._token = ""

    def __call__(self) -> str:
        """The token as it stands now; empty where there is no file."""
        if self._path is None:
            return ""
        changed = self._path.stat().st_mtime
        if changed != self._read_at:
            self._token, self._read_at = self._path.read_text().strip(), changed
        return self._token


def _caller(claims: dict[str, Any]) -> Caller:
    return Caller(
        subject=str(claims["sub"]),
        service=str(claims.get("service", "")),
        roles=frozenset(_words(claims.get("roles"))),
        groups=frozenset(_words(claims.get("groups"))),
    )


def _words(value: object) -> Sequence[str]:
    return [str(word) for word in value] if isinstance(value, list) else []


def _why(error: Exception) -> str:
    return str(getattr(error, "description", "")) or type(error).__name__
