"""Delegations: what the parent says of a zone, and how a zone moves to other servers without breaking what works.

NONE → PLANNED → STAGED → FLIPPING → WATCHING → DELEGATED; what was begun → ROLLING_BACK → ROLLED_BACK; FAILED where a person
has to do something.

Invariants, in whatever order commands arrive:
  snapshot first   nothing is written at the parent before what stood there is stored;
  no other's key   name servers change only while no DS stands at the parent whose key the new servers do not show;
  a way back       what was changed can be taken back until the window closes, and never afterwards;
  one at a time    a delegation that is being moved is neither planned nor moved anew;
  versions         `version` grows by one with each change, and a fact carries the one after it.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from catalyst_sdk import Code, Decision, Refused
from catalyst_sdk.registrar import DsRecord, Target

from .conditions import (
    DELEGATED,
    DS_PUBLISHED,
    OLD_SERVERS_ANSWER,
    OWNER_PRESENT,
    RESOLVERS_AGREE,
    Condition,
    false,
    settle,
    true,
    unknown,
)
from .refusals import EtagMismatch

WINDOW = timedelta(days=7)
"""How long a flip can be taken back unless somebody closes the window."""
LEAST_RETENTION = timedelta(hours=48)
"""How long the old servers have to go on answering at least, whatever lifetimes say: some resolvers keep answers longer."""
MOST_MISSES = 3
"""Probes in a row that a new server may fail; with the last one everything goes back."""


UNKNOWN = "?"
"""A change that the registrar was, or is just being, asked for; whoever goes on asks again for the same one."""


class Parent(StrEnum):
    """Who holds the parent's side."""

    POOL = "pool"
    REGISTRAR = "registrar"
    EXTERNAL_ZONE = "external_zone"
    MANUAL = "manual"


class State(StrEnum):
    """How far a delegation is."""

    NONE = "none"
    PLANNED = "planned"
    STAGED = "staged"
    FLIPPING = "flipping"
    WATCHING = "watching"
    DELEGATED = "delegated"
    ROLLING_BACK = "rolling_back"
    ROLLED_BACK = "rolled_back"
    FAILED = "failed"


RESTING = frozenset({State.NONE, State.DELEGATED, State.ROLLED_BACK, State.FAILED})
WRITING = frozenset({State.FLIPPING, State.WATCHING})
"""The parent may have been changed, and the move is not at its end."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The parent's side before a plan changed it; `records.keys` are the keys of its DS, as far as its servers told.

    joint   the old servers show the new ones' keys and these theirs, so that the domain stays signed while it moves
    """

    plan: str
    records: Target
    etag: str
    at: datetime
    joint: bool = False


@dataclass(frozen=True, slots=True)
class Observed:
    """What one server of the parent shows; without records it gave no answer."""

    server: str
    address: str
    records: Target | None
    error: str
    at: datetime


class View(StrEnum):
    """Which name servers a resolver tells."""

    NEW = "new"
    OLD = "old"
    OTHER = "other"
    SILENT = "silent"


@dataclass(frozen=True, slots=True)
class Opinion:
    """What one resolver says while a move is watched. It may be old, and decides nothing."""

    resolver: str
    view: View


@dataclass(frozen=True, slots=True)
class Delegation:
    """The cut above one zone.

    rested      where it stood before its plan, and stands again when nothing comes of that
    run         the run that moves it, or moves it back; empty while nothing moves
    task        the change that the registrar has in hand: empty, UNKNOWN, or what the registrar calls it
    misses      how often in a row each new server has failed
    """

    zone: str
    uid: str
    owner: str
    created_at: datetime
    updated_at: datetime
    parent: Parent = Parent.MANUAL
    account: str = ""
    state: State = State.NONE
    rested: State = State.NONE
    plan: str = ""
    plan_until: datetime | None = None
    run: str = ""
    wished: Target | None = None
    observed: tuple[Observed, ...] = ()
    snapshot: Snapshot | None = None
    rollback_until: datetime | None = None
    retain_until: datetime | None = None
    reason: str = ""
    automatic: bool = False
    task: str = ""
    misses: Mapping[str, int] = field(default_factory=dict)
    generation: int = 0
    observed_generation: int = 0
    version: int = 0
    conditions: tuple[Condition, ...] = ()

    @property
    def name(self) -> str:
        """Resource name."""
        return f"zones/{self.zone}/delegation"

    @property
    def stood(self) -> State:
        """Where it stands, whatever is only planned."""
        return self.rested if self.state is State.PLANNED and not self.run else self.state

    def state_at(self, now: datetime) -> State:
        """Where it stands: an hour ends a plan that nobody applied, whether or not somebody looked."""
        is_over = self.state is State.PLANNED and not self.run and self.plan_until is not None
        return self.rested if is_over and self.plan_until <= now else self.state  # type: ignore[operator]

    def can_go_back(self, now: datetime) -> bool:
        """Whether something was changed, and the window is open."""
        if self.snapshot is None or self.rollback_until is None or self.rollback_until <= now:
            return False
        return self.state in WRITING or self.stood in (State.DELEGATED, State.FAILED)


@dataclass(frozen=True, slots=True)
class Planned:
    delegation: Delegation


@dataclass(frozen=True, slots=True)
class Applied:
    """The parent took the change and was read back."""

    delegation: Delegation


@dataclass(frozen=True, slots=True)
class Confirmed:
    """Every server of the parent shows the wish, and the chain holds."""

    delegation: Delegation


@dataclass(frozen=True, slots=True)
class RolledBack:
    """The snapshot is back at the parent."""

    delegation: Delegation


class DelegationMoving(Refused):
    code, reason = Code.FAILED_PRECONDITION, "PROTECTED_RECORD"
    message = "{name} is {state}; wait for its end, or roll it back"


class ForeignKey(Refused):
    code, reason = Code.FAILED_PRECONDITION, "PROTECTED_RECORD"
    message = "{name} has DS {ds} at the parent, of keys that the new servers do not have; answers would be bogus"


class WindowClosed(Refused):
    code, reason = Code.FAILED_PRECONDITION, "ROLLBACK_WINDOW_CLOSED"
    message = "{name} cannot be taken back: {why}"


def none_yet(zone: str, uid: str, owner: str, now: datetime) -> Delegation:
    """The delegation of a zone that nobody has planned one for."""
    return Delegation(zone, uid, owner, now, now)


def reborn(known: Delegation, uid: str, owner: str, now: datetime) -> Delegation:
    """The delegation of a zone that was deleted and made again; what the one before had is over."""
    return replace(none_yet(known.zone, uid, owner, now), version=known.version)


def demand_fresh(d: Delegation, etag: str) -> None:
    """Raises EtagMismatch where the caller read another state."""
    if etag and etag != f'"{d.version}"':
        raise EtagMismatch(name=d.name)


def demand_still(d: Delegation) -> None:
    """Raises DelegationMoving while something moves it."""
    if d.run:
        raise DelegationMoving(name=d.name, state=str(d.state))


def plan(
    d: Delegation, *, plan: str, until: datetime, parent: Parent, account: str, now: datetime
) -> Decision[Delegation]:  # fmt: skip
    """A plan stands. Raises DelegationMoving."""
    demand_still(d)
    after = _next(
        d, now, state=State.PLANNED, rested=_rest(d), plan=plan, plan_until=until, parent=parent, account=account
    )  # fmt: skip
    return Decision(after, (Planned(after),))


def begin(
    d: Delegation, *, plan: str, parent: Parent, account: str, target: Target, run: str, now: datetime
) -> Delegation:  # fmt: skip
    """The plan is being carried out by `run`. Raises DelegationMoving."""
    demand_still(d)
    return _next(
        d, now, state=State.PLANNED, rested=_rest(d), plan=plan, run=run, parent=parent, account=account,
        wished=target, generation=d.generation + 1,
        misses={}, reason="", automatic=False, task="",
    )  # fmt: skip


def staged(d: Delegation, now: datetime) -> Delegation:
    """The new servers are ready and answer as the old ones do. Again changes nothing."""
    return _next(d, now, state=State.STAGED) if d.state is State.PLANNED else d


def snapshotted(d: Delegation, records: Target, etag: str, now: datetime, *, joint: bool = False) -> Delegation:
    """What stands at the parent is stored, and may be changed from now on. Again keeps the first one.

    Raises DelegationMoving where nothing was staged.
    """
    if d.state in WRITING:
        return d
    if d.state is not State.STAGED:
        raise DelegationMoving(name=d.name, state=str(d.state))
    kept = Snapshot(d.plan, records, etag, now, joint)
    return _next(d, now, state=State.FLIPPING, snapshot=kept, rollback_until=now + WINDOW, retain_until=None)


def demand_writable(d: Delegation) -> None:
    """Raises DelegationMoving where nothing may be written for the plan: without a snapshot, or on the way back."""
    if d.state not in WRITING or d.snapshot is None or d.snapshot.plan != d.plan:
        raise DelegationMoving(name=d.name, state=str(d.state))


def tasked(d: Delegation, task: str, now: datetime) -> Delegation:
    """The registrar has that change in hand; empty: none."""
    return d if d.task == task else _next(d, now, task=task)


def demand_own_keys(name: str, shown: Iterable[DsRecord], ours: Iterable[DsRecord]) -> None:
    """Raises ForeignKey while the parent has a DS whose key the new servers do not have."""
    tags = {(ds.key_tag, ds.algorithm) for ds in ours}
    if foreign := [ds for ds in shown if (ds.key_tag, ds.algorithm) not in tags]:
        raise ForeignKey(name=name, ds=", ".join(str(ds.key_tag) for ds in foreign))


def flipped(
    d: Delegation, observed: tuple[Observed, ...], *, lifetime: timedelta, now: datetime
) -> Decision[Delegation]:  # fmt: skip
    """Every server of the parent shows the new name servers; `lifetime`: of the longest-lived old answer.

    Again changes nothing. A window that was closed meanwhile stays closed.
    """
    if d.state is not State.FLIPPING:
        return Decision(d)
    is_closed = d.rollback_until is not None and d.rollback_until <= now
    after = _next(
        d, now, state=State.WATCHING, observed=observed, retain_until=now + max(lifetime, LEAST_RETENTION),
        rollback_until=d.rollback_until if is_closed else now + WINDOW,
    )  # fmt: skip
    return Decision(after, (Applied(after),))


def probed(d: Delegation, failed: frozenset[str], hosts: Iterable[str], now: datetime) -> Delegation:
    """A round of probes: who failed has one miss more, who answered has none."""
    misses = {host: d.misses.get(host, 0) + 1 for host in hosts if host in failed}
    return d if misses == dict(d.misses) else _next(d, now, misses=misses)


def dead(d: Delegation) -> tuple[str, ...]:
    """New servers that have failed too often."""
    return tuple(sorted(host for host, count in d.misses.items() if count >= MOST_MISSES))


def watched(d: Delegation, found: tuple[Condition, ...], now: datetime) -> Delegation:
    """What was seen around a move that is watched. As before: nothing changes."""
    conditions = settle(d.conditions, found, d.generation, now)
    if d.state is not State.WATCHING or conditions == d.conditions:
        return d
    return _next(d, now, conditions=conditions)


def condition_of_old(asked: Sequence[str], silent: Sequence[str], until: datetime | None) -> Condition:
    """Whether those go on answering that the domain comes from: who has their names in a cache asks them yet."""
    if not silent:
        return true(OLD_SERVERS_ANSWER)
    told = f"{', '.join(silent)} of {len(asked)} old name servers give no answer for the domain"
    end = f"; whoever has them in a cache asks them until {until:%FT%TZ}" if until else ""
    return false(OLD_SERVERS_ANSWER, "Silent", told + end)


def opinions(said: Sequence[Opinion]) -> Condition:
    """What resolvers of the world tell, together."""
    counted = {view: [one.resolver for one in said if one.view is view] for view in View}
    heard = len(said) - len(counted[View.SILENT])
    if not heard:
        return unknown(RESOLVERS_AGREE, "Silent", f"none of {len(said)} resolvers tells name servers")
    if len(counted[View.NEW]) == heard:
        return true(RESOLVERS_AGREE)
    rest = "; ".join(f"{view}: {', '.join(who)}" for view, who in counted.items() if who and view is not View.NEW)
    return false(RESOLVERS_AGREE, "Cached", f"{len(counted[View.NEW])} of {heard} tell the new name servers; {rest}")


def confirmed(
    d: Delegation, observed: tuple[Observed, ...], found: tuple[Condition, ...], now: datetime
) -> Decision[Delegation]:  # fmt: skip
    """The move is at its end. Again changes nothing."""
    if d.state is not State.WATCHING:
        return Decision(d)
    after = _next(
        d, now, state=State.DELEGATED, run="", observed=observed, observed_generation=d.generation, misses={},
        conditions=settle(_unwatched(d), found, d.generation, now),
    )  # fmt: skip
    return Decision(after, (Confirmed(after),))


def roll_back(d: Delegation, *, reason: str, automatic: bool, run: str, now: datetime) -> Delegation:
    """The snapshot is to be restored by `run`. On its way already: nothing changes. Raises WindowClosed."""
    if d.state is State.ROLLING_BACK:
        return d
    if not d.can_go_back(now):
        why = "nothing was changed" if d.snapshot is None or d.rollback_until is None else "its window is closed"
        raise WindowClosed(name=d.name, why=why)
    return _next(
        d, now, state=State.ROLLING_BACK, reason=reason, automatic=automatic, run=run, conditions=_unwatched(d)
    )  # fmt: skip


def rolled_back(d: Delegation, observed: tuple[Observed, ...], now: datetime) -> Decision[Delegation]:
    """The snapshot is back. Again changes nothing."""
    if d.state is not State.ROLLING_BACK:
        return Decision(d)
    after = _next(
        d, now, state=State.ROLLED_BACK, run="", observed=observed, rollback_until=None, retain_until=None, misses={},
        wished=d.snapshot.records if d.snapshot else None, generation=d.generation + 1,
        observed_generation=d.generation + 1,
    )  # fmt: skip
    return Decision(after, (RolledBack(after),))


def take_back_again(
    d: Delegation, withdrawn: Target, *, reason: str, automatic: bool, run: str, now: datetime
) -> Delegation:  # fmt: skip
    """What was taken back stands at the parent again, and goes the same way by `run`. On its way already: nothing changes.

    No window ends this: nobody has wished for it since. Raises WindowClosed where something else was.
    """
    if d.state is State.ROLLING_BACK:
        return d
    _demand_returned(d)
    return _next(d, now, state=State.ROLLING_BACK, wished=withdrawn, reason=reason, automatic=automatic, run=run)


def kept_after_all(d: Delegation, shown: Target, now: datetime) -> Decision[Delegation]:
    """What was taken back stands at the parent again, and is the wish from now on. Raises WindowClosed as above."""
    _demand_returned(d)
    found = (true(DELEGATED), false(DS_PUBLISHED, "Kept", "plan the delegation anew to have its DS entered"))
    after = _next(
        d, now, state=State.DELEGATED, wished=shown, reason="", generation=d.generation + 1,
        observed_generation=d.generation + 1, rollback_until=now + WINDOW,
        conditions=settle(d.conditions, found, d.generation + 1, now),
    )  # fmt: skip
    return Decision(after, (Confirmed(after),))


def _demand_returned(d: Delegation) -> None:
    if d.state is not State.ROLLED_BACK or d.snapshot is None:
        raise WindowClosed(name=d.name, why=f"it is {d.state}, and nothing that was taken back")


def failed(d: Delegation, why: Condition, now: datetime) -> Delegation:
    """It goes no further by itself; the condition says what a person can do."""
    return _next(
        d, now, state=State.FAILED, run="", reason=why.message,
        conditions=settle(_unwatched(d), (why,), d.generation, now),
    )  # fmt: skip


def orphaned(d: Delegation, now: datetime) -> Delegation:
    """Its owner is gone. Nothing moves by itself: a parent that points here goes on doing so. Again changes nothing."""
    text = "its Organization was deleted; take the delegation away, or point the domain elsewhere, before the zone goes"
    lost = false(OWNER_PRESENT, "OrganizationDeleted", text)
    conditions = settle(d.conditions, (lost,), d.generation, now)
    return d if conditions == d.conditions else _next(d, now, conditions=conditions)


def close(d: Delegation, etag: str, now: datetime) -> Delegation:
    """Nothing can be taken back from now on. Closed already: nothing changes. Raises EtagMismatch, DelegationMoving: while it
    moves, what goes wrong takes it back by itself, and must be able to."""
    demand_fresh(d, etag)
    demand_still(d)
    if d.rollback_until is None or d.rollback_until <= now:
        return d
    return _next(d, now, rollback_until=now)


def _rest(d: Delegation) -> State:
    return d.state if d.state in RESTING else d.rested


def _unwatched(d: Delegation) -> tuple[Condition, ...]:
    """Conditions without those that are looked at only while a move is watched."""
    return tuple(c for c in d.conditions if c.type not in (OLD_SERVERS_ANSWER, RESOLVERS_AGREE))


def _next(d: Delegation, now: datetime, **changes: Any) -> Delegation:
    return replace(d, version=d.version + 1, updated_at=now, **changes)
