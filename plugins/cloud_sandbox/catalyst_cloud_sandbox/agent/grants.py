"""Tokens of persons: minted for a while, kept as digests, ended before their time or by it. Pure."""

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Grant:
    """One token without itself."""

    sha256: str
    role: str
    until: float


Grants = Mapping[str, Grant]
"""By the name of the grant."""


def given(grants: Grants, name: str, token: str, role: str, until: float, now: float) -> dict[str, Grant]:
    """With one more; those whose time is over are dropped."""
    alive = {key: grant for key, grant in grants.items() if grant.until > now}
    return alive | {name: Grant(_digest(token), role, until)}


def ended(grants: Grants, name: str) -> dict[str, Grant]:
    """Without it; what is not there has ended already."""
    return {key: grant for key, grant in grants.items() if key != name}


def role_of(grants: Grants, token: str, now: float) -> str:
    """What the holder of a token may be; empty: nothing."""
    digest = _digest(token)
    found = [g for g in grants.values() if hmac.compare_digest(g.sha256, digest) and g.until > now]
    return found[0].role if found else ""


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
