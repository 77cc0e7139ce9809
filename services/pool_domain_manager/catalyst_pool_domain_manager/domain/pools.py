"""Pools: domains under which names are handed out."""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum

from catalyst_sdk import Code, Decision, Refused

from .policy import Policy, Rules, merged
from .server_sets import ServerSet


class ZoneMode(StrEnum):
    """How a pool's names come into the world. It never changes: what is there would stay behind."""

    DELEGATED = "delegated"
    """Each by a zone of its own, below a delegation."""
    IN_PARENT = "in_parent"
    """By records in the pool's zone, for a server that makes no zones."""


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
class Left:
    """Servers that a pool has left, and who is still led to them.

    servers   resource name of their set
    hosts     what it published
    until     when no cache leads there any more; None while a delegation does
    """

    servers: str
    hosts: tuple[str, ...]
    until: datetime | None = None

    @property
    def sentence(self) -> str:
        """Why they must go on answering."""
        if self.until is None:
            return "it has left them, and a delegation still leads there"
        return f"it has left them, and a cache may lead there until {self.until:%FT%TZ}"


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
    rules: Rules = field(default_factory=Rules)
    """Its own document of policy."""
    generation: int = 1
    ready: bool = False
    message: str = ""
    version: int = 1
    registrar_account: str = ""
    """By which the DS of its own zone are changed, where that zone is kept here; empty: a person enters them."""
    name_server_set: str = ""
    """Servers of its names' zones, by resource name; empty: those of its own zone."""
    servers: ServerSet | None = None
    """That set, as it was read with the pool."""
    left_servers: tuple[Left, ...] = ()
    """Sets that it had before, while somebody may still ask their servers for its names."""
    zone_mode: ZoneMode = ZoneMode.DELEGATED
    unswept: str = ""
    """Why the last sweep for drift had to leave its names out; empty: it looked at them."""
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

    @property
    def policy(self) -> Policy:
        """The rules in force: the base, and its own document over it."""
        return merged(self.rules, self.kinds)


@dataclass(frozen=True, slots=True)
class PoolMade:
    pool: Pool
    actor: str


@dataclass(frozen=True, slots=True)
class PoolMoved:
    pool: Pool


@dataclass(frozen=True, slots=True)
class PoolChanged:
    pool: Pool
    fields: tuple[str, ...]
    actor: str


@dataclass(frozen=True, slots=True)
class PoolGone:
    pool: Pool
    actor: str


class PoolExists(Refused):
    code, reason, message = Code.ALREADY_EXISTS, "POOL_EXISTS", "{pool} is there already"


class PoolNotFound(Refused):
    code, reason, message = Code.NOT_FOUND, "POOL_NOT_FOUND", "there is no {pool}"


class PoolNotEmpty(Refused):
    code, reason = Code.FAILED_PRECONDITION, "POOL_NOT_EMPTY"
    message = "{pool} has names, such as {name}; {what}"


def create(known: Pool | None, wish: Pool, actor: str) -> Decision[Pool]:
    """Make a pool. Raises PoolExists."""
    if known is not None:
        raise PoolExists(pool=wish.name)
    return Decision(wish, (PoolMade(wish, actor),))


def change(pool: Pool, wish: Pool, used: str | None, actor: str, now: datetime) -> Decision[Pool]:
    """Take over the wish; what is wished already changes nothing. Raises PoolNotEmpty.

    used   a name that is held in the pool; its zone is where the backend is that it was made at
    """
    changed = tuple(f for f in WISHED if getattr(wish, f) != getattr(pool, f))
    if not changed:
        return Decision(pool)
    if used and "backend" in changed:
        raise PoolNotEmpty(pool=pool.name, name=used, what="their zones would stay behind at the former backend")
    rules = pool.rules
    if "rules" in changed:
        rules = replace(wish.rules, version=pool.rules.version + 1)
    kept = {f: getattr(wish, f) for f in changed if f != "rules"}
    if used and "name_server_set" in changed:
        kept["left_servers"] = _left(pool, wish.name_server_set)
    after = replace(pool, **kept, rules=rules, generation=pool.generation + 1, version=pool.version + 1, updated_at=now)
    return Decision(after, (PoolChanged(after, changed, actor),))


WISHED = ("kinds", "backend", "layout", "ttls", "reservation_ttl", "quarantine", "allow_private_targets", "rules",
          "registrar_account", "name_server_set")  # fmt: skip
"""Fields of a pool that callers set."""


def remove(pool: Pool, used: str | None, actor: str) -> Decision[None]:
    """Forget a pool that holds no name. Raises PoolNotEmpty."""
    if used:
        raise PoolNotEmpty(pool=pool.name, name=used, what="release them, and wait until they have rested")
    return Decision(None, (PoolGone(replace(pool, version=pool.version + 1), actor),))


def observe(
    pool: Pool, *, ready: bool, message: str, in_use: frozenset[str], now: datetime, led: frozenset[str] | None = None
) -> Decision[Pool | None]:
    """Whether the pool's zone is there, and what it holds, as it was just seen.

    led   hosts that its delegations name; None where nobody knows
    """
    left = pool.left_servers if led is None else _still_asked(pool, led, now)
    if (pool.ready, pool.message, pool.in_use, pool.left_servers) == (ready, message, in_use, left):
        return Decision(None)
    after = replace(
        pool, ready=ready, message=message, in_use=in_use, left_servers=left, updated_at=now, version=pool.version + 1
    )
    return Decision(after, (PoolMoved(after),))


def swept(pool: Pool, unswept: str, now: datetime) -> Decision[Pool | None]:
    """Whether the last sweep looked at the pool's names, else why not."""
    if pool.unswept == unswept:
        return Decision(None)
    after = replace(pool, unswept=unswept, updated_at=now, version=pool.version + 1)
    return Decision(after, (PoolMoved(after),))


def _left(pool: Pool, wished: str) -> tuple[Left, ...]:
    """What is left when the pool takes the `wished` set; one that it comes back to is not left any more."""
    before = tuple(one for one in pool.left_servers if one.servers not in (wished, pool.name_server_set))
    return (*before, Left(pool.name_server_set, pool.servers.published)) if pool.servers else before


def _still_asked(pool: Pool, led: frozenset[str], now: datetime) -> tuple[Left, ...]:
    """Of the sets that were left, those that somebody may ask: a delegation names their hosts, or did so in a cache."""
    present = set(pool.servers.published if pool.servers else ())
    found = []
    for one in pool.left_servers:
        gone = set(one.hosts) - present
        until = None if gone & led else one.until or now + timedelta(seconds=max(pool.ttls.ns, pool.ttls.record))
        if gone and (until is None or until > now):
            found.append(replace(one, until=until))
    return tuple(found)
