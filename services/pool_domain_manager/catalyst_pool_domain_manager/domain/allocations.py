"""Allocations: who holds which name under a pool, and how far the world sees it.

(free) → RESERVED → PROVISIONING → ACTIVE ⇄ DEGRADED, FAILED on a permanent error; RELEASING → QUARANTINED → (free).

Invariants, in whatever order commands arrive:
  one name      a (pool, label) has at most one live allocation;
  no gap        `version` grows by exactly one with each fact that is told;
  lazy sweep    a reservation past `expires_at` is free, whether or not a sweeper has been there;
  token stays   the reservation's token proves its holder after the commit too, so that a repeated commit is no error;
  never half    a name whose zone was ever delegated leaves only through RELEASING and QUARANTINED;
                a name inside of its pool's zone, once the zone may show it;
  unknown       what could not be asked takes no name out of ACTIVE before it was asked `PATIENT` times in a row.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from catalyst_sdk import Decision

from . import refusals
from .conditions import DELEGATED, RECORDS_PUBLISHED, Condition, settle
from .traffic import Policy, StaleEpoch, raised

MOST_TTL = timedelta(hours=24)
FORCE_GRACE = timedelta(hours=720)
"""How long nobody but its owner can have a name released."""
PATIENT = 3
"""Looks at a visible name that may fail before it counts as degraded."""


class State(StrEnum):
    """States of a name; FREE rows are history."""

    FREE = "free"
    RESERVED = "reserved"
    PROVISIONING = "provisioning"
    ACTIVE = "active"
    DEGRADED = "degraded"
    FAILED = "failed"
    RELEASING = "releasing"
    QUARANTINED = "quarantined"


TIMED = frozenset({"c5", "r2"})
"""Steps after which the time to live of what was changed has to pass; no hurry shortens it."""
VISIBLE = frozenset({State.ACTIVE, State.DEGRADED})
COMMITTED = frozenset({State.PROVISIONING, State.ACTIVE, State.DEGRADED, State.FAILED})
WORKING = frozenset({State.PROVISIONING, State.RELEASING})
Target = tuple[str, str]
"""Slot and address."""


@dataclass(frozen=True, slots=True)
class Offer:
    """A name offered to another owner. It stays after it was taken, so that a repeated acceptance is no error."""

    new_owner: str
    code_hash: str
    ends_at: datetime


@dataclass(frozen=True, slots=True)
class Allocation:
    """One name."""

    pool: str
    label: str
    uid: str
    owner: str
    holder: str
    created_by: str
    state: State
    token_hash: str
    created_at: datetime
    updated_at: datetime
    reserved_at: datetime
    expires_at: datetime
    committed_at: datetime | None = None
    released_at: datetime | None = None
    available_at: datetime | None = None
    targets: tuple[Target, ...] = ()
    generation: int = 0
    observed_generation: int = 0
    version: int = 1
    zone_version: int = 0
    zone_told: str = ""
    """What was last told of its zone: created, signed, or nothing (deleted)."""
    step: str = ""
    """Last step of the reconciler that is done."""
    not_before: datetime | None = None
    """The reconciler does not look at it earlier."""
    tries: int = 0
    conditions: tuple[Condition, ...] = ()
    reason: str = ""
    warm: bool = False
    """Its zone is prepared while it is only reserved."""
    inside: bool = False
    """It has no zone of its own; its records lie in the pool's."""
    offer: Offer | None = None
    looked_at: datetime | None = None
    """When it was looked whether the resting name is still in use."""
    extended: bool = False
    """Its rest was made longer because it was still in use."""
    traffic: tuple[Policy, ...] = ()
    epochs: tuple[tuple[str, int], ...] = ()
    """Host names that were steered under an epoch, with the highest one."""
    down: tuple[tuple[str, str], ...] = ()
    """Host names with members that a prober of ours found down."""

    @property
    def name(self) -> str:
        """Resource name."""
        return f"pools/{self.pool}/allocations/{self.label}"

    @property
    def fqdn(self) -> str:
        """The whole name, without a final dot."""
        return f"{self.label}.{self.pool}"

    @property
    def zone(self) -> str:
        """Its zone, with the final dot."""
        return f"{self.fqdn}."

    @property
    def mark(self) -> str:
        """What its zone carries, so that no other life of the name takes it for its own."""
        return f"{self.name}/{self.uid}"

    def is_live(self, now: datetime) -> bool:
        """Whether somebody holds the name."""
        return self.state is not State.FREE and not self.is_over(now)

    def is_over(self, now: datetime) -> bool:
        """Whether time has ended its reservation or its rest, swept or not. A warm one leaves a zone to be cleared away."""
        if self.warm and self.state is State.RESERVED:
            return False
        ends = {State.RESERVED: self.expires_at, State.QUARANTINED: self.available_at}.get(self.state)
        return ends is not None and ends <= now

    @property
    def may_be_visible(self) -> bool:
        """Whether the pool's zone may have shown it: only a zone that was seen signed is ever delegated, and of a name inside
        of the pool's zone it is written down that its records are about to be published before they are."""
        seen = {DELEGATED, RECORDS_PUBLISHED}
        return self.zone_told == "signed" or any(c.type in seen for c in self.conditions)


@dataclass(frozen=True, slots=True)
class Reserve:
    pool: str
    label: str
    uid: str
    owner: str
    holder: str
    created_by: str
    ttl: timedelta
    token_hash: str
    warm: bool = False
    inside: bool = False


@dataclass(frozen=True, slots=True)
class Fact:
    """Something that happened to an allocation; each kind is a class of its own."""

    allocation: Allocation
    actor: str = ""


class Reserved(Fact):
    """A name is held."""


class Renewed(Fact):
    """It is held for longer."""


class Expired(Fact):
    """Nobody renewed it."""


class Committed(Fact):
    """It is to be visible."""


@dataclass(frozen=True, slots=True)
class Retargeted(Fact):
    """It is to point elsewhere."""

    epoch: int = 0


class Activated(Fact):
    """The world sees it."""


class Failed(Fact):
    """A person has to do something."""


class Degraded(Fact):
    """The world sees it no more as it should."""


class Recovered(Fact):
    """It sees it again."""


@dataclass(frozen=True, slots=True)
class Transferred(Fact):
    """It has another owner."""

    previous: str = ""


@dataclass(frozen=True, slots=True)
class Withdrawn(Fact):
    """It is to go."""

    forced: bool = False


class Quarantined(Fact):
    """It is gone, and rests; or rests for longer."""


class Freed(Fact):
    """Everybody may have it again."""


def reserve(held: Allocation | None, cmd: Reserve, now: datetime) -> Decision[Allocation]:
    """Hold a free name. Raises NameTaken. Its former owner may take a resting name back at once."""
    if held and held.is_live(now) and not (held.state is State.QUARANTINED and held.owner == cmd.owner):
        raise refusals.NameTaken(name=held.name)
    given = Allocation(
        cmd.pool, cmd.label, cmd.uid, cmd.owner, cmd.holder, cmd.created_by, State.RESERVED, cmd.token_hash, now, now,
        now, now + min(cmd.ttl, MOST_TTL), version=held.version + 1 if held else 1,
        zone_version=held.zone_version if held else 0, warm=cmd.warm and not cmd.inside, inside=cmd.inside,
    )  # fmt: skip
    return Decision(given, (Reserved(given, cmd.created_by),))


def renew(held: Allocation | None, name: str, token_hash: str, ttl: timedelta, now: datetime) -> Decision[Allocation]:
    """Hold a reservation for longer; a committed name needs none, and says so without an error."""
    a = claimed(held, name, token_hash, now)
    if a.state is not State.RESERVED:
        return Decision(a)
    after = _next(a, now, expires_at=now + min(ttl, MOST_TTL))
    return Decision(after, (Renewed(after),))


def commit(
    held: Allocation | None,
    name: str,
    token_hash: str,
    targets: tuple[Target, ...],
    now: datetime,
    traffic: tuple[Policy, ...] = (),
) -> Decision[Allocation]:
    """Wish the name visible. The same wish again is answered alike; another one is refused."""
    a = claimed(held, name, token_hash, now)
    if a.state in COMMITTED:
        if (a.targets, a.traffic) != (targets, traffic):
            raise refusals.AlreadyCommitted(name=a.name)
        if a.state is not State.FAILED:
            return Decision(a)
        again = _next(a, now, state=State.PROVISIONING, step="", not_before=None, tries=0)
        return Decision(again, (Committed(again, a.created_by),))
    after = _next(
        a,
        now,
        state=State.PROVISIONING,
        targets=targets,
        traffic=traffic,
        epochs=_steered(a, traffic, 0),
        committed_at=now,
        generation=1,
        step="",
        not_before=None,
        tries=0,
    )
    return Decision(after, (Committed(after, a.created_by),))


def retarget(
    a: Allocation,
    targets: tuple[Target, ...],
    actor: str,
    now: datetime,
    *,
    traffic: tuple[Policy, ...] | None = None,
    epoch: int = 0,
) -> Decision[Allocation]:
    """Wish other addresses, or, with `traffic`, other policies. Keys and delegation are not touched. Raises EpochStale."""
    if a.state not in COMMITTED:
        raise refusals.NotCommitted(name=a.name, state=a.state)
    policies = a.traffic if traffic is None else traffic
    epochs = a.epochs if traffic is None else _steered(a, policies, epoch)
    if (a.targets, a.traffic, a.epochs) == (targets, policies, epochs):
        return Decision(a)
    hosts = {p.hostname for p in policies}
    down = tuple(pair for pair in a.down if pair[0] in hosts)
    after = _rewished(a, now, targets=targets, traffic=policies, epochs=epochs, down=down)
    return Decision(after, (Retargeted(after, actor, epoch),))


def probed(a: Allocation, down: tuple[tuple[str, str], ...], actor: str, now: datetime) -> Decision[Allocation]:
    """A prober found other members down than before: an ordinary wish of its own."""
    if a.state not in COMMITTED or a.down == down:
        return Decision(a)
    after = _rewished(a, now, down=down)
    return Decision(after, (Retargeted(after, actor),))


def _steered(a: Allocation, policies: tuple[Policy, ...], epoch: int) -> tuple[tuple[str, int], ...]:
    try:
        return tuple(sorted(raised(dict(a.epochs), a.traffic, policies, epoch).items()))
    except StaleEpoch as stale:
        raise refusals.EpochStale(hostname=stale.hostname, stored=stale.stored, given=stale.given) from stale


def _rewished(a: Allocation, now: datetime, **wish: object) -> Allocation:
    return _next(
        a, now, state=State.PROVISIONING, generation=a.generation + 1, step="", not_before=None, tries=0, **wish
    )


def hurry(a: Allocation, actor: str, now: datetime) -> Decision[Allocation]:
    """Try now instead of at the next try's time; a failed or degraded name is made anew."""
    if a.state in (State.FAILED, State.DEGRADED):
        again = _next(a, now, state=State.PROVISIONING, step="", not_before=None, tries=0)
        return Decision(again, (Committed(again, actor),))
    return Decision(replace(a, tries=0, not_before=a.not_before if a.step in TIMED else None))


def follow(a: Allocation, actor: str, now: datetime) -> Decision[Allocation]:
    """Its pool has other servers by now: zone and cut are to name these, by an ordinary wish."""
    if a.state not in VISIBLE:
        return Decision(a)
    after = _rewished(a, now)
    return Decision(after, (Committed(after, actor),))


def release(a: Allocation, reason: str, actor: str, now: datetime, *, forced: bool = False) -> Decision[Allocation]:
    """Wish the name gone. Repeating it changes nothing."""
    if a.state is State.FREE:
        raise refusals.AllocationNotFound(name=a.name)
    if a.state in (State.RELEASING, State.QUARANTINED):
        return Decision(a)
    if a.state is State.RESERVED and not a.warm:  # it never touched the DNS
        after = _next(a, now, state=State.FREE, released_at=now, reason=reason)
        return Decision(after, (Freed(after, actor),))
    after = _next(
        a, now, state=State.RELEASING, released_at=now, reason=reason, step="", not_before=None, tries=0,
        generation=a.generation + 1,
    )  # fmt: skip
    return Decision(after, (Withdrawn(after, actor, forced),))


def force_release(
    a: Allocation, reason: str, actor: str, now: datetime, *, grace: timedelta = FORCE_GRACE
) -> Decision[Allocation]:  # fmt: skip
    """Take the name from an owner who does not release it, `grace` after its reservation at the earliest. Raises
    GraceNotElapsed; whether it resolves was asked before."""
    if a.state in COMMITTED | {State.RESERVED} and now < a.reserved_at + grace:
        raise refusals.GraceNotElapsed(name=a.name, until=f"{a.reserved_at + grace:%FT%TZ}")
    return release(a, reason, actor, now, forced=True)


def sweep(a: Allocation, now: datetime) -> Decision[Allocation | None]:
    """What time alone does: reservations end, quarantines end."""
    if a.warm and a.state is State.RESERVED and a.expires_at <= now:  # its zone has to be cleared away first
        after = _next(
            a, now, state=State.RELEASING, released_at=now, step="", not_before=None, tries=0,
            generation=a.generation + 1,
        )  # fmt: skip
        return Decision(after, (Expired(after),))
    if not a.is_over(now):
        return Decision(None)
    after = _next(a, now, state=State.FREE)
    return Decision(after, (Expired(after) if a.state is State.RESERVED else Freed(after),))


def done(a: Allocation, step: str, found: tuple[Condition, ...], now: datetime, rest: timedelta) -> Allocation:
    """The reconciler finished a step; the next one is not looked at before `rest` is over."""
    conditions = settle(a.conditions, found, a.generation, now)
    return replace(a, step=step, conditions=conditions, not_before=now + rest, tries=0, updated_at=now)


def waiting(a: Allocation, found: tuple[Condition, ...], now: datetime, rest: timedelta) -> Allocation:
    """A step does not hold yet; it is tried again after `rest`."""
    conditions = settle(a.conditions, found, a.generation, now)
    return replace(a, conditions=conditions, not_before=now + rest, tries=a.tries + 1, updated_at=now)


def activate(a: Allocation, now: datetime, rest: timedelta) -> Decision[Allocation]:
    """All that was wished is seen; it is looked at again after `rest`."""
    after = _next(a, now, state=State.ACTIVE, observed_generation=a.generation, not_before=now + rest, tries=0)
    return Decision(after, (Activated(after),))


def looked(a: Allocation, found: tuple[Condition, ...], now: datetime, rest: timedelta) -> Decision[Allocation]:
    """Somebody looked at a visible name, and does so again after `rest`."""
    conditions = settle(a.conditions, found, a.generation, now)
    holds = all(c.status == "True" for c in found)
    tries = 0 if holds else min(a.tries + 1, PATIENT)
    fell = any(c.status == "False" for c in found) or tries >= PATIENT
    if a.state is State.ACTIVE and fell:
        after = _next(a, now, state=State.DEGRADED, conditions=conditions, not_before=now + rest, tries=tries)
        return Decision(after, (Degraded(after),))
    if a.state is State.DEGRADED and holds:
        after = _next(a, now, state=State.ACTIVE, conditions=conditions, not_before=now + rest, tries=0)
        return Decision(after, (Recovered(after),))
    return Decision(replace(a, conditions=conditions, not_before=now + rest, tries=tries, updated_at=now))


def fail(a: Allocation, why: Condition, now: datetime) -> Decision[Allocation]:
    """A person has to do something; the condition says what."""
    conditions = settle(a.conditions, (why,), a.generation, now)
    after = _next(a, now, state=State.FAILED, conditions=conditions, not_before=None, reason=why.message)
    return Decision(after, (Failed(after),))


def quarantine(a: Allocation, rest: timedelta, now: datetime) -> Decision[Allocation]:
    """The name is gone from the world; it rests, because caches, cookies and links live on."""
    after = _next(
        a, now, state=State.QUARANTINED, available_at=now + rest, observed_generation=a.generation, targets=(),
        traffic=(), epochs=(), down=(), conditions=(), not_before=None, offer=None,
    )  # fmt: skip
    return Decision(after, (Quarantined(after),))


def rested(a: Allocation, now: datetime, *, in_use: bool, rest: timedelta) -> Decision[Allocation]:
    """Near the end of its rest somebody looked whether the name still resolves or is certified; if so, it rests once more."""
    if not in_use or a.extended or a.available_at is None:
        return Decision(replace(a, looked_at=now))
    after = _next(a, now, available_at=a.available_at + rest, looked_at=now, extended=True)
    return Decision(after, (Quarantined(after),))


def free(a: Allocation, now: datetime) -> Decision[Allocation]:
    """A released name that the world never saw needs no rest."""
    after = _next(a, now, state=State.FREE, observed_generation=a.generation, not_before=None)
    return Decision(after, (Freed(after),))


def claimed(held: Allocation | None, name: str, token_hash: str, now: datetime) -> Allocation:
    """Exists → committed → expired → token, in this order, so that a late retry is told what really happened."""
    if held is None:
        raise refusals.AllocationNotFound(name=name)
    if held.state in COMMITTED and refusals.same(held.token_hash, token_hash):
        return held
    never = held.state is State.RELEASING and held.committed_at is None  # a warm one, whose zone is being cleared away
    if held.state is State.FREE or never or (held.state is State.RESERVED and held.expires_at <= now):
        raise refusals.ReservationExpired(name=name)
    if not refusals.same(held.token_hash, token_hash):
        raise refusals.TokenMismatch(name=name)
    if held.state in (State.RELEASING, State.QUARANTINED):
        raise refusals.AllocationNotFound(name=name)
    return held


def _next(a: Allocation, now: datetime, **changes: object) -> Allocation:
    return replace(a, updated_at=now, version=a.version + 1, **changes)  # type: ignore[arg-type]
