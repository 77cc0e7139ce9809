"""Who checks tokens: one interface, whoever the issuer is.

`KeyFileVerifier` has the issuer's public keys in a file (development, and agents); `oidc` asks an OpenID provider for
them; `token_review` has Kubernetes look at the token. `AnyVerifier` asks the one whose issuer the token names.
"""

import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from catalyst_sdk import Code, Refused
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from .calls import Caller
from .claims import DEVELOPMENT, ForeignToken, Share, Terms
from .errors import Unauthenticated
from .identity import ALGORITHM, AUDIENCE, DEVELOPMENT_ISSUER
from .logs import get_logger
from .remembering import Remembered

LOOK = 0.1
"""Seconds for which a token that was checked is not checked again against the file; one that is new always is."""


class IssuerUnavailable(Refused):
    """The token may be good, but whoever could say so does not answer: nobody is let in."""

    code, reason = Code.UNAVAILABLE, "ISSUER_UNAVAILABLE"
    message = "who asks cannot be checked now: {issuer} does not answer"


class Verifier(Protocol):
    """Turns a bearer token into a `Caller`."""

    async def check(self, token: str) -> Caller:
        """The caller that `token` names.

        Raises ForeignToken where another issuer made it, Unauthenticated with the reason where it is not good,
        IssuerUnavailable where that cannot be found out now.
        """
        ...

    async def close(self) -> None:
        """Give back what is held, when the daemon stops."""
        ...


class KeyFileVerifier:
    """Checks against a set of public keys in a file (JWKS) that is read again when it changes."""

    def __init__(
        self,
        path: Path,
        *,
        issuer: str = DEVELOPMENT_ISSUER,
        audience: str = AUDIENCE,
        share: Share = DEVELOPMENT,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._path = path
        self._clock = clock
        self._terms = Terms(issuer, audience, (ALGORITHM,), share)
        self._read: tuple[int, int] | None = None
        self._keys: KeySet | None = None
        self._seen = Remembered()
        self._looked_at = float("-inf")
        self._log = get_logger("identity")

    async def check(self, token: str) -> Caller:
        """As Verifier; it never waits."""
        seen = self._seen.of(token)
        if seen is not None and seen.keys is self._keys and self._clock() - self._looked_at < LOOK:
            return seen.caller
        if seen is None:
            self._terms.demand_ours(token)
        keys = self._key_set()
        if seen is not None and seen.keys is keys:
            return seen.caller
        return self._seen.keep(token, self._terms.checked(token, keys))

    async def close(self) -> None:
        """Nothing is held."""

    def _key_set(self) -> KeySet:
        self._looked_at = self._clock()
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


class AnyVerifier:
    """Several issuers: the one that the token names is asked, and its answer stands."""

    def __init__(self, verifiers: Sequence[Verifier]) -> None:
        self._verifiers = verifiers

    async def check(self, token: str) -> Caller:
        """As Verifier. What one issuer's verifier refused is not tried on another's."""
        for verifier in self._verifiers:
            try:
                return await verifier.check(token)
            except ForeignToken:
                continue
        raise ForeignToken(why="its issuer is not known here")

    async def close(self) -> None:
        """Close all of them."""
        for verifier in self._verifiers:
            await verifier.close()
