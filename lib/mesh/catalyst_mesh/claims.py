"""What a token says, and how much of it its issuer may say.

Each issuer is given a share: people's providers name people, their roles and groups; only those that know workloads name
daemons. A token that claims what belongs to another issuer's share is refused whole: trimming it would hide an attack.
"""

import base64
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from joserfc import jws, jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from .calls import Caller
from .errors import Unauthenticated
from .remembering import Checked
from .roles import AGENT, ORGANIZATION_ROLES, SERVICE, WHOLE_SOVEREIGN

LEEWAY = 5
"""Seconds by which the clocks of two machines may differ."""
LONGEST = 16 * 1024
"""Characters of a token; gRPC's own limit of metadata is below."""
_TYPES = ("", "jwt", "at+jwt", "application/at+jwt")
"""Tokens made for other ends, such as `logout+jwt`, name a type of their own (RFC 8725, section 3.11)."""


class ForeignToken(Unauthenticated):
    """Another issuer's token: whoever asks several verifiers goes on with the next."""


@dataclass(frozen=True, slots=True)
class Share:
    """What an issuer's word counts for."""

    roles: frozenset[str] = frozenset()
    groups: bool = False
    services: bool = False


PEOPLE = Share(roles=WHOLE_SOVEREIGN, groups=True)
DEVELOPMENT = Share(roles=WHOLE_SOVEREIGN | ORGANIZATION_ROLES, groups=True, services=True)
AGENTS = Share(roles=frozenset({AGENT}))


@dataclass(frozen=True, slots=True)
class Reading:
    """Where an issuer writes what, and under which names."""

    roles_claim: str = "roles"
    """Path of the list of roles over the Sovereign, dots between its steps."""
    groups_claim: str = "groups"
    role_names: Mapping[str, str] | None = None
    """None: our own names, as they stand."""
    member_names: Mapping[str, str] | None = None

    def roles(self, claims: Mapping[str, Any]) -> frozenset[str]:
        """Roles over the Sovereign; those of other issuers' shares are left in, to be refused."""
        told = words(_at(claims, self.roles_claim))
        if self.role_names is None:
            return frozenset(told)
        return frozenset(self.role_names.get(role, role if _is_reserved(role) else "") for role in told) - {""}

    def groups(self, claims: Mapping[str, Any]) -> frozenset[str]:
        """Memberships, `/<organization>/<role>`; groups of another shape or name mean nothing."""
        told = words(_at(claims, self.groups_claim))
        if self.member_names is None:
            return frozenset(told)
        found = set()
        for group in told:
            parts = group.split("/")
            if len(parts) == 3 and not parts[0] and parts[1] and parts[2] in self.member_names:
                found.add(f"/{parts[1]}/{self.member_names[parts[2]]}")
        return frozenset(found)


@dataclass(frozen=True, slots=True)
class Terms:
    """Under which terms tokens of one issuer count."""

    issuer: str
    audience: str
    algorithms: Collection[str]
    share: Share
    reading: Reading = field(default_factory=Reading)

    def demand_ours(self, token: str) -> None:
        """Raises ForeignToken where the token names another issuer, before any key is looked for."""
        if peek(token).get("iss") != self.issuer:
            raise ForeignToken(why="its issuer is not known here")

    def checked(self, token: str, keys: KeySet) -> Checked:
        """Who is named by a token that one of `keys` signed, and until when. Raises Unauthenticated with the reason."""
        try:
            read = jwt.decode(token, keys, algorithms=list(self.algorithms))
            jwt.JWTClaimsRegistry(
                leeway=LEEWAY,
                iss={"essential": True, "value": self.issuer},
                aud={"essential": True, "value": self.audience},
                sub={"essential": True},
                exp={"essential": True},
            ).validate(read.claims)
        except (JoseError, ValueError, RecursionError) as error:
            raise Unauthenticated(why=_why(error)) from error
        if str(read.header.get("typ", "")).lower() not in _TYPES:
            raise Unauthenticated(why="it was made for another end")
        kid = str(read.header.get("kid", ""))
        return Checked(self.named(read.claims), keys, kid, until=read.claims["exp"] + LEEWAY)

    def named(self, claims: Mapping[str, Any]) -> Caller:
        """The caller in claims that were found to be true. Raises Unauthenticated for more than the issuer may say."""
        subject, service = str(claims["sub"]), str(claims.get("service", ""))
        roles, groups = self.reading.roles(claims), self.reading.groups(claims)
        if not subject:
            raise Unauthenticated(why="it names nobody")
        beyond = {role for role in roles if _is_reserved(role)} - self.share.roles
        if beyond or (service and not self.share.services) or (groups and not self.share.groups):
            raise Unauthenticated(why="it claims what its issuer may not give")
        if not self.share.services and subject.startswith(SERVICE):
            raise Unauthenticated(why="its subject is named like a daemon")
        return Caller(subject=subject, service=service, roles=roles, groups=groups, email=_address(claims))


def _address(claims: Mapping[str, Any]) -> str:
    """The address that the issuer has verified (OpenID Connect Core, section 5.1); one that it has not says nothing."""
    told = claims.get("email")
    return told.lower() if isinstance(told, str) and claims.get("email_verified") is True else ""


def peek(token: str) -> dict[str, Any]:
    """The claims of a token that nobody has checked: to choose who checks it, and for nothing else."""
    parts = token.split(".")
    if len(parts) != 3 or len(token) > LONGEST:
        return {}
    try:
        read = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except (ValueError, RecursionError):
        return {}
    return read if isinstance(read, dict) else {}


def key_id(token: str) -> str:
    """The `kid` of its header; empty where it has none or is no token."""
    try:
        kid = jws.extract_compact(token.encode()).headers().get("kid", "")
    except (JoseError, ValueError):
        return ""
    return kid if isinstance(kid, str) else ""


def words(value: object) -> Sequence[str]:
    """The texts of a list; a claim of another shape says nothing."""
    return [word for word in value if isinstance(word, str)] if isinstance(value, list) else []


def _at(claims: Mapping[str, Any], path: str) -> object:
    found: Any = claims
    for step in path.split("."):
        found = found.get(step) if isinstance(found, Mapping) else None
    return found


def _is_reserved(role: str) -> bool:
    """Whether a role is given by some issuers and not by others."""
    return role in WHOLE_SOVEREIGN or role == AGENT or role.startswith(SERVICE)


def _why(error: Exception) -> str:
    return str(getattr(error, "description", "")) or type(error).__name__
