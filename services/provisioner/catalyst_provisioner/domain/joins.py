"""How servers become one cluster: who makes it, and who may join when.

Invariants
  init once      in the life of a cluster one server is told to make it; whoever replaces it joins like any other;
  one at a time  the next member comes when all before it vote: a quorum never waits for two newcomers at once;
  two tokens     a worker never learns the token that lets a server into the quorum;
  none left      where all servers of the control plane are made anew there is no cluster left to join, and its life begins again;
  known cluster  whoever joins is told by what it knows the cluster's authority, before it shows its token to anybody.
"""

import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from catalyst_sdk import Code, Refused
from catalyst_sdk.cloud import Action, Change, LedgerRow

ROLE_LABEL = "openova.io/role"
WORKER = "worker"


class Part(StrEnum):
    """What a server is told to be."""

    INIT = "init"
    JOIN = "join"
    WORKER = "worker"


class JoinNotYet(Refused):
    code, reason, message = Code.UNAVAILABLE, "JOIN_NOT_YET", "{why}; try again in a moment"


@dataclass(frozen=True, slots=True)
class Join:
    """What the servers of a cluster need of one another. The tokens are opened for an answer and kept sealed."""

    server_token: str
    worker_token: str
    endpoint: str
    """Private address of the first server; where a load balancer stands before the API its address is used instead."""
    authority: str = ""
    """By what k3s's tokens know the cluster's authority; empty for the server that makes it."""

    @property
    def as_server(self) -> str:
        """What a server joins with. The one that makes the cluster sets it, and so needs it bare.

        source    docs.k3s.io, "k3s token": prefix K10, digest of the authority, `::`, user and password
        """
        return f"K10{self.authority}::server:{self.server_token}" if self.authority else self.server_token

    @property
    def as_worker(self) -> str:
        """What a worker joins with."""
        return f"K10{self.authority}::node:{self.worker_token}" if self.authority else self.worker_token


@dataclass(frozen=True, slots=True)
class Quorum:
    """What is known of the servers that make a cluster."""

    is_begun: bool
    """Whether a server was told to make it."""
    answers: bool = False
    """Whether its API was healthy when it was heard last, not long ago."""
    authority: str = ""
    """By what its authority can be known."""
    voting: int = 0
    admitted: int = 0
    """Other servers of the quorum that were told to make it or to join."""


def part(quorum: Quorum, *, is_worker: bool) -> Part:
    """What a server that asks for the first time becomes. Raises JoinNotYet."""
    if not quorum.is_begun:
        if is_worker:
            raise JoinNotYet(why="no server has made the cluster yet")
        return Part.INIT
    if not quorum.answers:
        raise JoinNotYet(why="the cluster's API does not answer yet")
    if not quorum.authority:
        raise JoinNotYet(why="the cluster has not told its authority yet")
    if is_worker:
        return Part.WORKER
    if quorum.voting < quorum.admitted:
        raise JoinNotYet(why=f"{quorum.voting} of {quorum.admitted} members vote")
    return Part.JOIN


def begins_anew(servers: Iterable[Mapping[str, str]], held: Iterable[LedgerRow], changes: Iterable[Change]) -> bool:
    """Whether a cluster that has lived has no server of its control plane left once these changes begin.

    servers   name and role of each, as the cloud showed them after its last apply
    held      what the ledger lists of the cluster, where no apply has ended yet
    """
    planes = {one["name"] for one in servers if one["role"] != WORKER}
    planes = planes or {row.name for row in held if row.kind == "server" and row.labels.get(ROLE_LABEL) != WORKER}
    return planes <= {c.name for c in changes if c.kind == "server" and c.action in (Action.CREATE, Action.REPLACE)}


def drawn(endpoint: str) -> Join:
    """For a cluster that begins: 256 bits for each token."""
    return Join(secrets.token_hex(32), secrets.token_hex(32), endpoint)
