"""Signing in by an OpenID provider: the code flow with PKCE (OpenID Connect Core 1.0, section 3.1; RFC 7636).

The daemons check what it gives; here it is only asked for, kept and renewed.
"""

import base64
import hashlib
import secrets
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

from catalyst_mesh.claims import peek
from catalyst_mesh.web import demand_safe
from catalyst_sdk import Code, Refused

SECONDS = 5.0
_SCOPES = "openid profile email"


class ProviderAway(Refused):
    code, reason, message = Code.UNAVAILABLE, "PROVIDER_UNAVAILABLE", "the sign-in provider does not answer; try again"


class SignInRejected(Refused):
    code, reason, message = Code.FAILED_PRECONDITION, "SIGN_IN_REJECTED", "signing in did not work: {why}; begin again"


@dataclass(frozen=True, slots=True)
class Tokens:
    """What a provider gave. `until` None: as long as the session."""

    access: str
    refresh: str
    until: datetime | None


@dataclass(frozen=True, slots=True)
class Going:
    """Somebody on the way to the provider: what is remembered until the way back."""

    url: str
    state: str
    verifier: str
    nonce: str


class Provider:
    """One provider, found by its discovery document. Its issuer and all its addresses are HTTPS, or on this machine."""

    def __init__(self, issuer: str, *, client: str, secret: str, back: str, ca: Path | None = None) -> None:
        demand_safe(issuer)
        self._issuer = issuer
        self._client = client
        self._secret = secret
        self._back = back
        self._ca = ca
        self._found: Mapping[str, Any] | None = None

    def origin_unlike(self, host: str) -> str:
        """Where a sign-in must begin, for a browser that was told another `host`; empty for one that is there.

        The provider sends everybody back to one address, and what a browser keeps for `localhost` it does not send there.
        """
        back = urlsplit(self._back)
        return "" if host.lower() == back.netloc.lower() else f"{back.scheme}://{back.netloc}"

    async def going(self) -> Going:
        """The address to send somebody to. Raises ProviderAway."""
        state, verifier, nonce = (secrets.token_urlsafe(32) for _ in range(3))
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")
        query = {
            "response_type": "code",
            "client_id": self._client,
            "redirect_uri": self._back,
            "scope": _SCOPES,
            "state": state,
            "nonce": nonce,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        }  # fmt: skip - one query
        return Going(
            f"{(await self._discovered())['authorization_endpoint']}?{urlencode(query)}", state, verifier, nonce
        )

    async def tokens(self, code: str, *, verifier: str, nonce: str) -> Tokens:
        """What a code is worth, once. Raises ProviderAway, SignInRejected."""
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": self._back, "code_verifier": verifier}
        answer = await self._asked(form)
        if answer is None:
            raise SignInRejected(why="the provider does not take the code")
        # Over TLS from the provider itself (or on this machine), so that only its nonce is left to compare (Core, 3.1.3.7).
        if peek(str(answer.get("id_token", ""))).get("nonce") != nonce:
            raise SignInRejected(why="the answer belongs to another sign-in")
        return _given(answer)

    async def renewed(self, refresh: str) -> Tokens | None:
        """New tokens for a refresh token; None where the provider gives none any more. Raises ProviderAway."""
        if not refresh:
            return None
        answer = await self._asked({"grant_type": "refresh_token", "refresh_token": refresh})
        return _given({"refresh_token": refresh, **answer}) if answer else None

    async def _discovered(self) -> Mapping[str, Any]:
        if self._found is None:
            found = await self._call("GET", f"{self._issuer.rstrip('/')}/.well-known/openid-configuration")
            if not found or found.get("issuer") != self._issuer:
                raise ProviderAway
            for name in ("authorization_endpoint", "token_endpoint"):
                demand_safe(str(found.get(name, "")))
            self._found = found
        return self._found

    async def _asked(self, form: Mapping[str, str]) -> Mapping[str, Any] | None:
        return await self._call("POST", (await self._discovered())["token_endpoint"], form)

    async def _call(self, verb: str, url: str, form: Mapping[str, str] | None = None) -> Mapping[str, Any] | None:
        """The JSON of an answer; None for a refusal. Raises ProviderAway."""
        import httpx  # 8 MiB that a gateway without a provider need not carry

        secure = ssl.create_default_context(cafile=str(self._ca) if self._ca else None)
        who = (self._client, self._secret) if form is not None and self._secret else None
        more = {} if self._secret or form is None else {"client_id": self._client}
        try:
            async with httpx.AsyncClient(timeout=SECONDS, verify=secure, trust_env=False) as http:
                answer = await http.request(verb, url, data={**(form or {}), **more} or None, auth=who)
            if answer.status_code >= 500:
                raise ProviderAway
            return dict(answer.json()) if answer.is_success else None
        except (httpx.HTTPError, ValueError, TypeError) as error:
            raise ProviderAway from error


def _given(answer: Mapping[str, Any]) -> Tokens:
    """The token that daemons can check: the access token where it is one of theirs to read, else the ID token."""
    access, identity = str(answer.get("access_token", "")), str(answer.get("id_token", ""))
    token = access if peek(access) else identity
    ends = peek(token).get("exp")
    seconds = answer.get("expires_in")
    until = datetime.fromtimestamp(ends, UTC) if isinstance(ends, int | float) else None
    if until is None and isinstance(seconds, int | float):
        until = datetime.now(UTC) + timedelta(seconds=seconds)
    return Tokens(token, str(answer.get("refresh_token", "")), until)
