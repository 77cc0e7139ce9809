"""The sign-in provider of `catalyst dev`: OpenID Connect with code, PKCE and refresh tokens. For development only.

The console signs people in here by the way that it goes with Keycloak. Whoever has the code that dev prints may be anybody: the
operator of this machine, or a person known by an address alone, who may what Organizations let that address do.

Invariants
  once      a code is worth tokens once, within a minute, to whoever asked for it and knows the verifier;
  one line  a refresh token is worth new ones once; a copy of one that was used ends all that came of it;
  overlap   a key is changed while dev runs, and what the key before has signed counts until it ends by itself.
"""

import base64
import hashlib
import hmac
import json
import secrets
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from catalyst_mesh.keyfiles import write_private
from joserfc import jwt
from joserfc.jwk import OKPKey

CLIENT = "catalyst"
"""What the console is known as here, and the audience of its tokens."""
OPERATOR = "operator@localhost"
CODE_SECONDS, ACCESS_SECONDS, REFRESH_SECONDS, KEY_SECONDS = 60, 15 * 60, 30 * 86400, 3600
GUESSES = 10
"""Wrong codes a minute; then nobody is let in until it is over."""
ASKED = ("client_id", "redirect_uri", "state", "nonce", "code_challenge")
"""What has to be said by whoever asks for a code."""


class Denied(Exception):
    """What is asked for is not given; the text is OAuth's word for why (RFC 6749, section 5.2)."""


@dataclass(frozen=True, slots=True)
class Wish:
    """A code that waits to be redeemed."""

    person: str
    asked: Mapping[str, str]
    until: float


@dataclass
class Desk:
    """What the provider decides, without HTTP.

    home    folder of its keys and of its refresh tokens
    code    the code of development, read at each try
    roles   what the operator may over the Sovereign
    """

    issuer: str
    back: str
    home: Path
    code: Callable[[], str]
    roles: Sequence[str]
    clock: Callable[[], float] = time.time
    _wishes: dict[str, Wish] = field(default_factory=dict)
    _wrong: list[float] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self.home.mkdir(parents=True, exist_ok=True, mode=0o700)

    def document(self) -> dict[str, Any]:
        """The discovery document (OpenID Connect Discovery 1.0, section 3)."""
        return {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token",
            "jwks_uri": f"{self.issuer}/keys",
            "response_types_supported": ["code"],
            "grant_types_supported": ["authorization_code", "refresh_token"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["Ed25519"],
            "scopes_supported": ["openid", "profile", "email"],
            "code_challenge_methods_supported": ["S256"],
            "token_endpoint_auth_methods_supported": ["none"],
        }

    def keys(self) -> dict[str, Any]:
        """The public halves of the keys that count."""
        with self._lock:
            return {"keys": [key.as_dict(private=False) for key, _ in self._kept_keys()]}

    def demand(self, asked: Mapping[str, str]) -> None:
        """Let only the console ask, with PKCE, for its own address. Raises Denied."""
        if asked.get("client_id") != CLIENT or asked.get("redirect_uri") != self.back:
            raise Denied("unauthorized_client")
        if asked.get("response_type") != "code" or asked.get("code_challenge_method") != "S256":
            raise Denied("unsupported_response_type")
        if not all(asked.get(name) for name in ASKED):
            raise Denied("invalid_request")

    def let_in(self, asked: Mapping[str, str], *, person: str, code: str) -> str:
        """Where somebody goes who showed the code of development. Raises Denied: `access_denied`, `slow_down`."""
        self.demand(asked)
        now = self.clock()
        with self._lock:
            self._wrong = [then for then in self._wrong if then > now - 60]
            if len(self._wrong) >= GUESSES:
                raise Denied("slow_down")
            if not hmac.compare_digest(self.code().strip().encode(), code.strip().encode()):
                self._wrong.append(now)
                raise Denied("access_denied")
            self._wishes = {known: wish for known, wish in self._wishes.items() if wish.until > now}
            drawn = secrets.token_urlsafe(32)
            self._wishes[drawn] = Wish(person.strip().lower() or OPERATOR, dict(asked), now + CODE_SECONDS)
        return f"{self.back}?{urlencode({'code': drawn, 'state': asked['state']})}"

    def redeem(self, form: Mapping[str, str]) -> dict[str, Any]:
        """Tokens for a code or a refresh token (RFC 6749, sections 4.1.3 and 6). Raises Denied."""
        with self._lock:
            if form.get("client_id") != CLIENT:
                raise Denied("invalid_client")
            if form.get("grant_type") == "authorization_code":
                wish = self._wishes.pop(form.get("code", ""), None)
                if wish is None or wish.until <= self.clock() or form.get("redirect_uri") != self.back:
                    raise Denied("invalid_grant")
                if not hmac.compare_digest(_challenge(form.get("code_verifier", "")), wish.asked["code_challenge"]):
                    raise Denied("invalid_grant")
                return self._tokens(wish.person, secrets.token_hex(8), nonce=wish.asked["nonce"])
            if form.get("grant_type") == "refresh_token":
                return self._tokens(*self._turned(form.get("refresh_token", "")))
            raise Denied("unsupported_grant_type")

    def _turned(self, token: str) -> tuple[str, str]:
        """The person and the line of a refresh token, which is used up by it. Raises Denied."""
        lines = self._lines()
        id, _, secret = token.partition(".")
        line = lines.get(id)
        if line is None or line["until"] <= self.clock():
            raise Denied("invalid_grant")
        if not hmac.compare_digest(line["digest"], _digest(secret)):
            del lines[id]  # somebody has a copy: neither of the two goes on
            self._keep_lines(lines)
            raise Denied("invalid_grant")
        return line["person"], id

    def _tokens(self, person: str, line: str, *, nonce: str = "") -> dict[str, Any]:
        secret, now = secrets.token_urlsafe(32), int(self.clock())
        alive = {id: one for id, one in self._lines().items() if one["until"] > now}
        self._keep_lines({**alive, line: {"person": person, "digest": _digest(secret), "until": now + REFRESH_SECONDS}})
        who: dict[str, Any] = {
            "iss": self.issuer,
            "aud": CLIENT,
            "sub": person,
            "iat": now,
            "exp": now + ACCESS_SECONDS,
        }
        if "@" in person:
            who |= {"email": person, "email_verified": True}
        roles = {"realm_access": {"roles": list(self.roles)}} if person == OPERATOR else {}
        return {
            "access_token": self._signed({**who, **roles}),
            "id_token": self._signed({**who, **roles, "nonce": nonce}),
            "refresh_token": f"{line}.{secret}",
            "token_type": "Bearer",
            "expires_in": ACCESS_SECONDS,
        }

    def _signed(self, claims: Mapping[str, Any]) -> str:
        key, _ = self._kept_keys()[0]
        return jwt.encode({"alg": "Ed25519", "kid": key.kid, "typ": "JWT"}, dict(claims), key, algorithms=["Ed25519"])

    def _kept_keys(self) -> list[tuple[OKPKey, float]]:
        """The key that signs, and the one before it: as long as what that signed may count."""
        file, now = self.home / "keys.json", self.clock()
        known = json.loads(file.read_text()) if file.exists() else []
        if not known or known[0]["made"] + KEY_SECONDS <= now:
            drawn = OKPKey.generate_key("Ed25519", auto_kid=True).as_dict(private=True)
            known = [{"key": drawn, "made": now}, *known][:2]
            write_private(file, json.dumps(known))
        return [(OKPKey.import_key(one["key"]), one["made"]) for one in known]

    def _lines(self) -> dict[str, dict[str, Any]]:
        file = self.home / "lines.json"
        return dict(json.loads(file.read_text())) if file.exists() else {}

    def _keep_lines(self, lines: Mapping[str, Any]) -> None:
        write_private(self.home / "lines.json", json.dumps(lines))


def _challenge(verifier: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
