"""Pools: domains under which names are handed out."""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from catalyst_sdk import Code, Decision, Refused

from .labels import Policy


@dataclass(frozen=True, slots=True)
class Ttls:
    """Seconds for which resolvers may keep what they heard."""

    ns: int = 3600
    ds: int = 3600
    record: int = 300
    negative: int = 300

    @property
    def horizon(self) -> int:
        """After so many seconds nobody believes the former delegation, or its absence, any more."""
        return max(self.ns, self.ds, self.negative)


@dataclass(frozen=True, slots=True)
class Pool:
    """One pool. `layout` are the names that every allocation's zone has, each with the slot of its address."""

    domain: str
    kinds: tuple[str, ...]
    backend: str
    layout: tuple[tuple[str, str], ...]
    ttls: Ttls
    reservation_ttl: timedelta
    quarantine: timedelta
    allow_private_targets: bool
    created_at: datetime
    updated_at: datetime
    uid: str
    policy: Policy = field(default_factory=Policy)
    ready: bool = False
    message: str = ""
    version: int = 1
    in_use: frozenset[str] = frozenset()
    """Labels at or below which the zone was last seen to hold records of its own."""

    @property
    def name(self) -> str:
        """Resource name."""
        return f"pools/{self.domain}"

    @property
    def zone(self) -> str:
        """The zone, with its final dot."""
        return f"{self.domain}."


@dataclass(frozen=True, slots=True)
class PoolMade:
    pool: Pool
    actor: str


@dataclass(frozen=True, slots=True)
class PoolMoved:
    pool: Pool


class PoolExists(Refused):
    code, reason, message = Code.ALREADY_EXISTS, "POOL_EXISTS", "{pool} is there already"


class PoolNotFound(Refused):
    code, reason, message = Code.NOT_FOUND, "POOL_NOT_FOUND", "there is no {pool}"


def create(known: Pool | None, wish: Pool, actor: str) -> Decision[Pool]:
    """Make a pool. Raises PoolExists."""
    if known is not None:
        raise PoolExists(pool=wish.name)
    return Decision(wish, (PoolMade(wish, actor),))


def observe(pool: Pool, *, ready: bool, message: str, in_use: frozenset[str], now: datetime) -> Decision[Pool | None]:
    """Whether the pool's zone is there, and what it holds, as it was just seen."""
    if (pool.ready, pool.message, pool.in_use) == (ready, message, in_use):
        return Decision(None)
    after = replace(pool, ready=ready, message=message, in_use=in_use, updated_at=now, version=pool.version + 1)
    return Decision(after, (PoolMoved(after),))
