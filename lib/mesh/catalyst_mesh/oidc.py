"""People's tokens, checked by the keys of an OpenID provider (Keycloak in production).

Invariants
  once an interval  however many tokens name unknown keys, the provider is asked once per `Patience.refetch`, by one task;
  right while away  a key that the provider published goes on being right for `Patience.grace` after its last answer;
  then closed       after that nobody is let in until it answers;
  no restart        a rotation is seen at the first token that names the new key, also where its name was an old key's.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from joserfc.errors import BadSignatureError, JoseError, KeyParameterError
from joserfc.jwk import ECKey, Key, KeySet, OKPKey, RSAKey

from .calls import Caller
from .claims import Terms, key_id
from .errors import Unauthenticated
from .logs import get_logger
from .remembering import Remembered
from .verifiers import IssuerUnavailable
from .web import Web, demand_safe

ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519")
"""Asymmetric ones only: with HS256 whoever knows a public key could sign (RFC 8725, section 2.1)."""
WEAKEST_RSA = 2048
FIRST_PAUSE = 1.0
"""Seconds between two questions while no key is known at all."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long what is known is used; seconds."""

    fresh: float = 300
    """Keys older than this are fetched anew, beside the call that noticed; a key withdrawn counts no longer than that."""
    refetch: float = 30
    """Least time between two questions, so that rubbish tokens cannot make us flood the provider."""
    grace: float = 3600
    """Time from the provider's last answer for which its keys go on being right."""


class OidcVerifier:
    """Tokens of one provider, found by its discovery document (OpenID Connect Discovery 1.0, section 4)."""

    def __init__(
        self,
        terms: Terms,
        *,
        web: Web,
        patience: Patience = Patience(),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        demand_safe(terms.issuer)
        self._terms = terms
        self._web = web
        self._patience = patience
        self._clock = clock
        self._keys: KeySet | None = None
        self._seen = Remembered()
        self._answered = -float("inf")
        self._tried = -float("inf")
        self._asking: asyncio.Task[None] | None = None
        self._log = get_logger("identity")

    async def check(self, token: str) -> Caller:
        """As Verifier."""
        seen = self._seen.of(token)
        if seen is None:
            self._terms.demand_ours(token)
        keys = await self._keys_with(seen.kid if seen is not None else key_id(token))
        if seen is not None and seen.keys is keys:
            return seen.caller
        try:
            return self._seen.keep(token, self._terms.checked(token, keys))
        except Unauthenticated as refused:
            if not isinstance(refused.__cause__, BadSignatureError | KeyParameterError):
                raise
            # A provider may have put another key under the name of an old one.
            anew = await self._asked()
            if anew is None or anew is keys:
                raise
        return self._seen.keep(token, self._terms.checked(token, anew))

    async def close(self) -> None:
        """Stop asking."""
        if self._asking is not None:
            self._asking.cancel()
            await asyncio.gather(self._asking, return_exceptions=True)
        await self._web.close()

    async def _keys_with(self, kid: str) -> KeySet:
        """The keys by which a token that names `kid` is checked; `kid` may be unknown even so."""
        age = self._clock() - self._answered
        if self._keys is None or age >= self._patience.grace or not _has(self._keys, kid):
            if asking := self._ask():
                await asyncio.shield(asking)
        elif age >= self._patience.fresh:
            self._ask()
        if self._keys is None or self._clock() - self._answered >= self._patience.grace:
            raise IssuerUnavailable(issuer=self._terms.issuer)
        return self._keys

    async def _asked(self) -> KeySet | None:
        """The keys after one more question, if it is time for one."""
        if asking := self._ask():
            await asyncio.shield(asking)
        return self._keys

    def _ask(self) -> asyncio.Task[None] | None:
        """The question that is under way, or a new one if it is time for one."""
        if self._asking is not None and not self._asking.done():
            return self._asking
        pause = self._patience.refetch if self._keys else min(FIRST_PAUSE, self._patience.refetch)
        if self._clock() - self._tried < pause:
            return None
        self._tried = self._clock()
        self._asking = asyncio.create_task(self._refresh(), name="oidc-keys")
        return self._asking

    async def _refresh(self) -> None:
        try:
            self._keys, self._answered = await self._published(), self._clock()
        except (OSError, ValueError, KeyError, TypeError, AttributeError, JoseError) as error:
            self._log.warning("keys not fetched", issuer=self._terms.issuer, error=type(error).__name__)

    async def _published(self) -> KeySet:
        found = await self._web.get(f"{self._terms.issuer.rstrip('/')}/.well-known/openid-configuration")
        if found["issuer"] != self._terms.issuer:
            raise ValueError("the discovery document is another issuer's")
        demand_safe(found["jwks_uri"])
        published = KeySet.import_key_set(await self._web.get(found["jwks_uri"]))
        usable = [key for key in published if _is_usable(key)]
        if not usable:
            raise ValueError("there is no key for signatures")
        return KeySet(usable)


def _has(keys: KeySet, kid: str) -> bool:
    """Whether a token that names `kid` can be checked; without a name only where there is no choice."""
    return any(key.kid == kid for key in keys) if kid else len(keys.keys) == 1


def _is_usable(key: Key) -> bool:
    if key.get("use", "sig") != "sig" or not isinstance(key, RSAKey | ECKey | OKPKey):
        return False
    return not isinstance(key, RSAKey) or _bits(key) >= WEAKEST_RSA


def _bits(key: RSAKey) -> int:
    public = key.public_key
    assert isinstance(public, RSAPublicKey)
    return public.key_size
