"""Tokens: made in one place only, and read by daemons that call others.

`Issuer` is the development issuer: it signs real tokens, which pass the same check as anybody's; production puts an OIDC
provider and Kubernetes in its place. Who checks stands in `verifiers`.
"""

import json
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from joserfc import jwt
from joserfc.jwk import OKPKey

from .keyfiles import kept, write_private

AUDIENCE = "catalyst"
ALGORITHM = "Ed25519"
DEVELOPMENT_ISSUER = "catalyst-development"
AGENT_ISSUER = "catalyst-agents"


class Issuer:
    """Signs tokens for development. Its private key lies in one file, mode 0600."""

    def __init__(self, key: OKPKey, name: str = DEVELOPMENT_ISSUER) -> None:
        self._key = key
        self._name = name

    @classmethod
    def open(cls, folder: Path, name: str = DEVELOPMENT_ISSUER) -> "Issuer":
        """Use the key in `folder`, made there at first, and write the public half to `jwks.json`.

        name   what its tokens call it; a daemon that has tokens of its own to give takes one of its own
        """
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        private = folder / "issuer.json"
        drawn = kept(private, lambda: json.dumps(OKPKey.generate_key("Ed25519", auto_kid=True).as_dict(private=True)))
        key = OKPKey.import_key(json.loads(drawn))
        write_private(folder / "jwks.json", json.dumps({"keys": [key.as_dict(private=False)]}))
        return cls(key, name)

    def token(
        self,
        subject: str,
        *,
        roles: Iterable[str] = (),
        groups: Iterable[str] = (),
        service: str = "",
        email: str = "",
        ttl: int = 3600,
        issued_at: int | None = None,
    ) -> str:
        """A signed token. `ttl` in seconds; `email` is said to be verified."""
        now = int(time.time()) if issued_at is None else issued_at
        claims: dict[str, Any] = {"iss": self._name, "aud": AUDIENCE, "sub": subject, "iat": now}
        claims |= {"exp": now + ttl, "roles": sorted(roles), "groups": sorted(groups)}
        if service:
            claims["service"] = service
        if email:
            claims |= {"email": email, "email_verified": True}
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
