"""Grants: access of persons to clusters, for a while.

Invariants, in whatever order callers, agents and the clock come:
  by the agent   a grant is active once the agent has told what it minted, and revoked once it has told that it ended it;
  handed once    what was minted waits sealed for the caller who asked, and is forgotten as it is answered;
  nobody's       what its caller did not fetch is ended by us;
  by itself      past its end a grant is over, whoever has looked.
"""

import base64
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from catalyst_sdk import Code, Decision, Refused

DEFAULT_TTL = timedelta(hours=1)
VIEW = "view"
HURRY = timedelta(minutes=1)
"""How long an agent may take to mint, and a caller to fetch."""
ASKED, ACTIVE, REVOKING, REVOKED, REFUSED = "asked", "active", "revoking", "revoked", "refused"
EXPIRED = "expired"
"""How an active one looks past its end; never stored."""
SHOWN = (ACTIVE, REVOKING, REVOKED)


class AgentUnreachable(Refused):
    code, reason, message = Code.UNAVAILABLE, "AGENT_UNREACHABLE", "the agent of {cluster} does not answer; {why}"


class AccessRefused(Refused):
    reason, message = "ACCESS_REFUSED", "{cluster} gives no access: {why}"


class AccessHandedOut(Refused):
    reason, message = "ACCESS_HANDED_OUT", "the access of {grant} was answered before; ask for a new one"


class GrantNotFound(Refused):
    code, reason, message = Code.NOT_FOUND, "GRANT_NOT_FOUND", "there is no grant {name}"


class ClusterRequired(Refused):
    code, reason, message = Code.INVALID_ARGUMENT, "CLUSTER_REQUIRED", "{sovereign} has {count} clusters; name one"
    field = "cluster"


@dataclass(frozen=True, slots=True)
class Grant:
    """Access that was asked for, and what became of it."""

    id: str
    sovereign: str
    uid: str
    key: str
    """Digest of who asked for what, under which request id."""
    cluster: str
    role: str
    grantee: str
    reason: str
    state: str
    ttl: float
    """Seconds."""
    created_at: datetime
    expires_at: datetime
    command: int
    """Number of the last command to the agent about it."""
    token: bytes | None = None
    """What was minted, sealed, until it is answered."""
    ca_bundle: str = ""
    revoked_at: datetime | None = None
    revoked_by: str = ""
    revoke_reason: str = ""

    @property
    def name(self) -> str:
        """Resource name."""
        return f"sovereigns/{self.sovereign}/grants/{self.id}"

    @property
    def etag(self) -> str:
        """Changes with the state."""
        return f'"{self.uid[:8]}.{self.state}"'

    def state_at(self, now: datetime) -> str:
        """Where it stands."""
        return EXPIRED if self.state in (ACTIVE, REVOKING) and self.expires_at <= now else self.state


@dataclass(frozen=True, slots=True)
class Granted:
    """The agent has minted it."""

    grant: Grant


@dataclass(frozen=True, slots=True)
class Revoked:
    """It ended before its time."""

    grant: Grant


def minted(held: Grant, *, token: bytes, ca_bundle: str, expires_at: datetime) -> Decision[Grant]:
    """The agent made it; a repeated word changes nothing."""
    if held.state != ASKED:
        return Decision(held)
    after = replace(held, state=ACTIVE, token=token, ca_bundle=ca_bundle, expires_at=expires_at)
    return Decision(after, (Granted(after),))


def refused(held: Grant, why: str) -> Grant:
    """The agent can not, or does not."""
    return replace(held, state=REFUSED, revoke_reason=why) if held.state == ASKED else held


def handed_out(held: Grant) -> Grant:
    """It was answered; from now on only its caller has it. Raises AccessHandedOut, AccessRefused."""
    if held.state == REFUSED:
        raise AccessRefused(cluster=held.cluster, why=held.revoke_reason)
    if held.token is None:
        raise AccessHandedOut(grant=held.name)
    return replace(held, token=None)


def revoke(held: Grant, *, by: str, why: str, now: datetime) -> Grant:
    """Its end is asked for. What ended already stays as it is."""
    if held.state_at(now) != ACTIVE:
        return held
    return replace(held, state=REVOKING, token=None, revoked_by=by, revoke_reason=why)


def ended(held: Grant, now: datetime) -> Decision[Grant]:
    """The agent, or the end of its cluster, has ended it."""
    if held.state not in (ACTIVE, REVOKING):
        return Decision(replace(held, state=REFUSED, token=None) if held.state == ASKED else held)
    after = replace(held, state=REVOKED, token=None, revoked_at=now)
    return Decision(after, (Revoked(after),))


def is_abandoned(held: Grant, now: datetime) -> bool:
    """Whether its caller went away without it."""
    return held.state == ACTIVE and held.token is not None and now - held.created_at > 2 * HURRY


def kubeconfig(held: Grant, *, token: str, server: str) -> dict[str, object]:
    """The file for kubectl; JSON is YAML."""
    name = held.cluster
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": name, "cluster": _cluster(server, held.ca_bundle)}],
        "users": [{"name": held.name, "user": {"token": token}}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": held.name}}],
        "current-context": name,
    }


def _cluster(server: str, ca_bundle: str) -> dict[str, str]:
    return {"server": server, "certificate-authority-data": base64.b64encode(ca_bundle.encode()).decode()}
