"""Zones as resources: what their keeper wishes of them, and how far the servers are.

PENDING → SYNCING → ACTIVE ⇄ DEGRADED, FAILED on a permanent error; any → DELETING → (gone).

Invariants, in whatever order commands arrive:
  one writer     only the keeper of zones writes one at its backend; a plan, a repair or a challenge changes the wish;
  one mark       a zone with another mark is never adopted, never changed and never deleted;
  versions       `version` grows with each change, what was observed included; a fact carries the one after it;
  revisions      each change of the wish has a number, and the zone shows the last one that it holds;
  no orphan      a zone that a parent points to is not deleted.
"""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum

from catalyst_sdk import Code, Decision, Refused

from .conditions import DELEGATED, SIGNED, Condition, settle
from .imports import ZoneImport
from .refusals import EtagMismatch


class Kind(StrEnum):
    """What a zone is for. Zones of allocations are not kept here."""

    POOL = "pool"
    BYO = "byo"


class State(StrEnum):
    """States of a zone."""

    PENDING = "pending"
    SYNCING = "syncing"
    ACTIVE = "active"
    DEGRADED = "degraded"
    DELETING = "deleting"
    FAILED = "failed"


class DriftPolicy(StrEnum):
    REPORT = "report"
    REPAIR = "repair"


class ChangePolicy(StrEnum):
    SYNC = "sync"
    UPSERT_ONLY = "upsert_only"
    CREATE_ONLY = "create_only"


WORKING = frozenset({State.PENDING, State.SYNCING, State.DELETING})
"""What the keeper has work with, whether or not the wish has moved."""


@dataclass(frozen=True, slots=True)
class Soa:
    """Timers of the SOA in seconds; an empty `rname` is `hostmaster.<zone>`."""

    rname: str = ""
    refresh: int = 10800
    retry: int = 3600
    expire: int = 604800
    minimum: int = 300


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Shares in percent that a plan may touch without force, judged from `least` record sets on."""

    updates: int = 30
    deletes: int = 30
    least: int = 10


@dataclass(frozen=True, slots=True)
class Zone:
    """One zone."""

    domain: str
    uid: str
    kind: Kind
    owner: str
    backend: str
    name_server_set: str
    state: State
    created_at: datetime
    updated_at: datetime
    soa: Soa = field(default_factory=Soa)
    signed: bool = True
    drift_policy: DriftPolicy = DriftPolicy.REPORT
    change_policy: ChangePolicy = ChangePolicy.SYNC
    thresholds: Thresholds | None = None
    """None: those of the backend."""
    revision: int = 1
    """Number of the newest wish."""
    written: int = 0
    """Number of the newest wish that the backend was seen to hold."""
    serial: int = 0
    """Lowest serial that a polled server has shown."""
    generation: int = 1
    observed_generation: int = 0
    version: int = 1
    told: str = ""
    """What was last told of its life: created, signed, or nothing yet."""
    not_before: datetime | None = None
    """The keeper does not look at it earlier."""
    tries: int = 0
    swept_at: datetime | None = None
    """When it was last compared with the world."""
    conditions: tuple[Condition, ...] = ()

    @property
    def name(self) -> str:
        """Resource name."""
        return f"zones/{self.domain}"

    @property
    def origin(self) -> str:
        """The zone's own name, with the final dot."""
        return f"{self.domain}."

    @property
    def mark(self) -> str:
        """What the zone carries at its backend."""
        return self.owner

    @property
    def is_delegated(self) -> bool:
        """Whether a parent was seen to point to it."""
        return any(c.type == DELEGATED and c.status == "True" for c in self.conditions)


@dataclass(frozen=True, slots=True)
class Written:
    """A change was written and read back."""

    zone: Zone
    plan: str = ""
    created: int = 0
    updated: int = 0
    deleted: int = 0


@dataclass(frozen=True, slots=True)
class Made:
    """The zone stands at its backend with our mark."""

    zone: Zone


@dataclass(frozen=True, slots=True)
class Signed:
    """Every polled server serves valid signatures."""

    zone: Zone
    ds: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Imported:
    """What another place served of it was collected."""

    zone: Zone
    found: ZoneImport


@dataclass(frozen=True, slots=True)
class Removed:
    """It is gone from the backend and every server."""

    zone: Zone


class ZoneExists(Refused):
    code, reason, message = Code.ALREADY_EXISTS, "ZONE_EXISTS", "{name} is there already"


class ZoneDelegated(Refused):
    code, reason = Code.FAILED_PRECONDITION, "ZONE_DELEGATED"
    message = "the parent points to {name}; take its delegation away first"


class ZoneNotKept(Refused):
    code, reason = Code.FAILED_PRECONDITION, "PROTECTED_RECORD"
    message = "{name} is kept by {keeper}, and changes with it"


def create(known: Zone | None, wish: Zone) -> Decision[Zone]:
    """Wish a zone. Raises ZoneExists."""
    if known is not None:
        raise ZoneExists(name=wish.name)
    return Decision(wish)


def change(zone: Zone, etag: str, now: datetime, **wished: object) -> Decision[Zone]:
    """Wish other servers, timers or policies. What is wished already changes nothing. Raises EtagMismatch."""
    demand_fresh(zone, etag)
    after = replace(zone, **wished)  # type: ignore[arg-type]  # names of fields
    if after == zone:
        return Decision(zone)
    state = State.PENDING if zone.state is State.PENDING else State.SYNCING
    return Decision(
        _next(after, now, state=state, generation=zone.generation + 1, revision=zone.revision + 1, tries=0,
              not_before=None)
    )  # fmt: skip


def delete(zone: Zone, etag: str, now: datetime) -> Decision[Zone]:
    """Wish it gone. Repeating it changes nothing. Raises EtagMismatch, ZoneDelegated."""
    if zone.state is State.DELETING:
        return Decision(zone)
    demand_fresh(zone, etag)
    if zone.is_delegated:
        raise ZoneDelegated(name=zone.name)
    return Decision(_next(zone, now, state=State.DELETING, tries=0, not_before=None))


def wish(zone: Zone, now: datetime) -> Zone:
    """Its records are wished otherwise: the number of that wish, and work for the keeper."""
    state = zone.state if zone.state in (State.PENDING, State.DELETING) else State.SYNCING
    return _next(zone, now, state=state, revision=zone.revision + 1, tries=0, not_before=None)


def number(zone: Zone, revision: int, now: datetime) -> Zone:
    """Its next change is promised a number of at least `revision`."""
    return zone if zone.revision >= revision else _next(zone, now, revision=revision)


def overtake(zone: Zone, shown: int, now: datetime) -> Zone:
    """The backend shows a later revision than was ever wished here: the whole wish gets a number above it."""
    return _next(zone, now, revision=shown + 1)


def written(zone: Zone, revision: int, serial: int, now: datetime) -> Zone:
    """The backend was seen to hold the wish of that number."""
    return _next(zone, now, written=revision, serial=serial or zone.serial)


def made(zone: Zone, now: datetime) -> Decision[Zone]:
    """It stands at its backend."""
    after = _next(zone, now, state=State.SYNCING, told="created")
    return Decision(after, (Made(after),))


def active(zone: Zone, found: tuple[Condition, ...], serial: int, ds: tuple[str, ...], now: datetime) -> Decision[Zone]:
    """Every polled server serves the wish."""
    conditions = settle(zone.conditions, found, zone.generation, now)
    after = _next(
        zone, now, state=State.ACTIVE, conditions=conditions, observed_generation=zone.generation, serial=serial,
        not_before=None, tries=0,
    )  # fmt: skip
    if zone.signed and zone.told != "signed":
        after = replace(after, told="signed")
        return Decision(after, (Signed(after, ds),))
    return Decision(after)


def waiting(zone: Zone, found: tuple[Condition, ...], now: datetime, pause: timedelta) -> Zone:
    """It is not as wished yet, and is looked at again after `pause`; nothing is told."""
    conditions = settle(zone.conditions, found, zone.generation, now)
    return replace(zone, conditions=conditions, not_before=now + pause, tries=zone.tries + 1, updated_at=now)


def fail(zone: Zone, why: Condition, now: datetime) -> Zone:
    """A person has to do something; the condition says what."""
    conditions = settle(zone.conditions, (why,), zone.generation, now)
    return _next(zone, now, state=State.FAILED, conditions=conditions, not_before=None)


def observed(zone: Zone, found: tuple[Condition, ...], now: datetime) -> Zone:
    """What a sweep saw: a condition that fell degrades a zone, and one that holds again mends it."""
    conditions = settle(zone.conditions, found, zone.generation, now)
    fallen = any(c.status != "True" for c in found if c.type != "Drifted")
    state = zone.state
    if state in (State.ACTIVE, State.DEGRADED):
        state = State.DEGRADED if fallen else State.ACTIVE
    if (state, _plain(conditions)) == (zone.state, _plain(zone.conditions)):
        return zone
    return _next(zone, now, state=state, conditions=conditions)


def unsign(zone: Zone, now: datetime) -> Zone:
    """It is wished without signatures; they go in order, by a run."""
    conditions = tuple(c for c in zone.conditions if c.type != SIGNED)
    return _next(zone, now, signed=False, conditions=conditions)


def told(zone: Zone, now: datetime) -> Zone:
    """Something is told about it that leaves it as it is."""
    return _next(zone, now)


def imported(zone: Zone, found: ZoneImport, now: datetime) -> Decision[Zone]:
    """An import ended; the wish is what it was."""
    after = _next(zone, now)
    return Decision(after, (Imported(after, found),))


def removed(zone: Zone) -> Removed:
    """It is gone."""
    return Removed(replace(zone, version=zone.version + 1))


def demand_fresh(zone: Zone, etag: str) -> None:
    """Raises EtagMismatch."""
    if etag and etag != f'"{zone.version}"':
        raise EtagMismatch(name=zone.name)


def _plain(conditions: tuple[Condition, ...]) -> list[tuple[str, str, str]]:
    return sorted((c.type, c.status, c.reason) for c in conditions)


def _next(zone: Zone, now: datetime, **changes: object) -> Zone:
    return replace(zone, updated_at=now, version=zone.version + 1, **changes)  # type: ignore[arg-type]
