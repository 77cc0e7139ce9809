"""Applications: a Blueprint at an exact version in an Environment.

Invariants
  exact          a pin names one version by its digest, and its files hold exactly that;
  one at a time  while a run works on an Application (`busy`) nobody else changes it;
  seen           INSTALLING and UPDATING end well when the commit that is wished for was seen healthy, and by nothing else;
  one way back   the pin before the last change is kept, so that a rollback writes what stood there.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from catalyst_sdk import Code, Decision, Refused

from .conditions import NOT_AVAILABLE, Condition, noted
from .environments import NO_CLUSTER
from .sights import Sight

COMMITTED, DELIVERED, HEALTHY, DIRECT, LEFT = "Committed", "Delivered", "Healthy", "DirectChange", "Left"


class State(StrEnum):
    INSTALLING = "installing"
    ACTIVE = "active"
    UPDATING = "updating"
    DEGRADED = "degraded"
    FAILED = "failed"
    PAUSED = "paused"
    UNINSTALLING = "uninstalling"
    DELETED = "deleted"


class ApplicationNotFound(Refused):
    code, reason, message = Code.NOT_FOUND, "APPLICATION_NOT_FOUND", "there is no Application {application}"


class ApplicationExists(Refused):
    code, reason = Code.ALREADY_EXISTS, "APPLICATION_EXISTS"
    message = "{environment} has an Application {application}"


class ApplicationState(Refused):
    code, reason = Code.FAILED_PRECONDITION, "APPLICATION_STATE"
    message = "{application} is {state}; this is possible while it is {possible}"


class OperationInProgress(Refused):
    code, reason = Code.ABORTED, "OPERATION_IN_PROGRESS"
    message = "{application} is being worked on: {operation}"


class NothingBefore(Refused):
    code, reason = Code.FAILED_PRECONDITION, "NOTHING_BEFORE"
    message = "nothing was installed as {application} before what is there now"


class HasDependents(Refused):
    code, reason = Code.FAILED_PRECONDITION, "HAS_DEPENDENTS"
    message = "{application} is needed by {dependents}"


class DirectChangeRefused(Refused):
    code, reason = Code.FAILED_PRECONDITION, "DIRECT_CHANGE_REFUSED"
    message = "what was written into the repository of {application} cannot be taken over: {why}"


class UpgradeNotAdvised(Refused):
    code, reason = Code.FAILED_PRECONDITION, "UPGRADE_NOT_ADVISED"
    message = "the catalog knows no way of {application} from {current} to {wanted}; it knows: {known}"


@dataclass(frozen=True, slots=True)
class Pin:
    """What is to be installed, and where it is written."""

    release: str
    """Exact version of the Blueprint."""
    digest: str
    config: Mapping[str, Any]
    manifest: str
    """What Flux reads, as the catalog wrote it; no secret."""
    commit: str = ""


@dataclass(frozen=True, slots=True)
class Kept:
    """How an Application stood before a change."""

    state: State
    pin: Pin
    previous: Pin | None


@dataclass(frozen=True, slots=True)
class Application:
    """One life of a name in one Environment."""

    environment: str
    id: str
    org: str
    uid: str
    blueprint: str
    pin: Pin
    choices: Mapping[str, str]
    uses: tuple[str, ...]
    """Applications of the same Environment that it needs."""
    is_backing: bool
    state: State
    run: str
    busy: bool
    conditions: tuple[Condition, ...]
    created_at: datetime
    updated_at: datetime
    version: int
    reason: str = ""
    previous: Pin | None = None
    kept: "Kept | None" = None
    """What stood before the change that is being made; None: it is new, or nothing is being changed."""
    active_since: datetime | None = None
    score: int | None = None
    """Share of its checks that pass at the present pin, 0 to 100, as its cluster reports; None: nobody has."""
    aliases: Mapping[str, str] = field(default_factory=dict)
    """Application that meets each need, by its alias."""
    was_active: bool = False
    """Whether this life of it has ever been."""
    order: str = ""
    """The paid order that it was made for, `billingAccounts/{org}/orders/{id}`; empty: none."""
    sights: tuple[Sight, ...] = ()
    """How it stands on each cluster that was, or is about to be, given its files."""

    @property
    def name(self) -> str:
        return f"environments/{self.environment}/applications/{self.id}"

    @property
    def is_paused(self) -> bool:
        return self.state is State.PAUSED

    def has_refused(self, commit: str) -> bool:
        """Whether it was said already that what stands in `commit` cannot be taken over."""
        return any(one.type == DIRECT and not one.holds and commit in one.message for one in self.conditions)

    def before_change(self) -> "Application | None":
        """The same as it stood before the change; None where it is new."""
        return replace(self, state=self.kept.state, pin=self.kept.pin) if self.kept else None

    def pin_unwritten(self) -> Pin:
        """Its pin, to be written somewhere else."""
        return replace(self.pin, commit="")

    def needing(self, wanted: "Wanted") -> "Application":
        """The same with the needs of another version."""
        return replace(self, uses=wanted.uses, aliases=wanted.aliases)


@dataclass(frozen=True, slots=True)
class Wanted:
    """One Application as a plan has it."""

    id: str
    blueprint: str
    pin: Pin
    uses: tuple[str, ...]
    aliases: Mapping[str, str]
    is_backing: bool


@dataclass(frozen=True, slots=True)
class Requested:
    application: Application


@dataclass(frozen=True, slots=True)
class Installed:
    application: Application


@dataclass(frozen=True, slots=True)
class Failed:
    application: Application
    is_final: bool = False
    """Whether it was taken away after it had failed, and never stood."""


@dataclass(frozen=True, slots=True)
class Updated:
    application: Application


@dataclass(frozen=True, slots=True)
class Removed:
    application: Application


def install(
    known: Application | None, wanted: Wanted, environment: str, org: str, choices: Mapping[str, str], *, uid: str,
    run: str, now: datetime, order: str = "",
) -> Decision[Application]:  # fmt: skip
    """Begin one, with `order` for a paid order. Raises ApplicationExists."""
    if known is not None and known.state is not State.DELETED:
        raise ApplicationExists(environment=f"environments/{environment}", application=wanted.id)
    made = Application(
        environment=environment,
        id=wanted.id,
        org=org,
        uid=uid,
        blueprint=wanted.blueprint,
        pin=wanted.pin,
        choices=choices,
        uses=wanted.uses,
        aliases=wanted.aliases,
        is_backing=wanted.is_backing,
        state=State.INSTALLING,
        run=run,
        busy=True,
        conditions=(Condition(COMMITTED, False, "Writing", "its files are being written", now),),
        created_at=now,
        updated_at=now,
        version=known.version + 1 if known else 1,
        order=order,
    )
    return Decision(made, (Requested(made),))


def change(
    held: Application, pin: Pin, run: str, now: datetime, *, paused: bool | None = None
) -> Decision[Application]:
    """Begin to write another pin. Raises OperationInProgress, ApplicationState.

    paused   True: its cluster is to leave it alone; False: no longer; None: as it is
    """
    demand_idle(held)
    demand(held, State.INSTALLING, State.ACTIVE, State.UPDATING, State.DEGRADED, State.FAILED, State.PAUSED)
    state = State.PAUSED if paused or (paused is None and held.is_paused) else State.UPDATING
    moves = pin != held.pin
    after = moved(
        held,
        now,
        state=state,
        kept=Kept(held.state, held.pin, held.previous),
        previous=held.pin if moves else held.previous,
        pin=replace(pin, commit="") if moves else pin,
        run=run,
        busy=True,
        reason="",
        active_since=None,
        score=None,
        conditions=_seen(held, COMMITTED, False, "Writing", "its files are being written", now),
    )
    return Decision(after, (Updated(after),))


def roll_back(held: Application, run: str, now: datetime) -> Decision[Application]:
    """Begin to write the pin before. Raises NothingBefore, and as `change`."""
    if held.previous is None:
        raise NothingBefore(application=held.name)
    return change(held, held.previous, run, now)


def committed(held: Application, commit: str, now: datetime) -> Decision[Application]:
    """Its files are written. What becomes of them, a cluster has to say."""
    if held.pin.commit == commit:
        return Decision(held)
    conditions = _seen(held, COMMITTED, True, "Written", f"commit {commit}", now)
    missing = Condition(DELIVERED, False, NOT_AVAILABLE, NO_CLUSTER, now)
    if held.sights:
        missing = Condition(DELIVERED, False, "Delivering", f"commit {commit} is on its way", now)
    unseen = Condition(HEALTHY, None, "NotObserved", "nobody has looked at it since its files were written", now)
    conditions = noted(noted(conditions, missing), unseen)
    after = moved(held, now, pin=replace(held.pin, commit=commit), conditions=conditions)
    return Decision(after, (Updated(after),))


def put_back(held: Application, commit: str, other: str, author: str, now: datetime) -> Decision[Application]:
    """Somebody went past the policy with commit `other`; `commit` takes that back and holds what is pinned again."""
    message = f"commit {other} of {author} came past the policy and was taken back"
    conditions = _seen(held, DIRECT, True, "Reverted", message, now)
    after = moved(held, now, pin=replace(held.pin, commit=commit), conditions=conditions)
    return Decision(after, (Updated(after),))


def notice(held: Application, commit: str, author: str, now: datetime) -> Decision[Application]:
    """Somebody wrote beside our files: the same is installed, from another commit, whose health nobody has seen yet."""
    conditions = _seen(held, DIRECT, True, "Kept", f"commit {commit} of {author} is kept", now)
    unseen = Condition(HEALTHY, None, "NotObserved", "nobody has looked at it since its files were written", now)
    after = moved(held, now, pin=replace(held.pin, commit=commit), conditions=noted(conditions, unseen))
    return Decision(after, (Updated(after),))


def refuse_direct(held: Application, commit: str, author: str, why: str, now: datetime) -> Decision[Application]:
    """Somebody wrote what cannot be installed; what is installed stays."""
    conditions = _seen(held, DIRECT, False, "Refused", f"commit {commit} of {author}: {why}", now)
    after = moved(held, now, conditions=conditions)
    return Decision(after, (Updated(after),))


def settle(held: Application, now: datetime) -> Decision[Application]:
    """The run that worked on it is over."""
    if not held.busy:
        return Decision(held)
    return Decision(moved(held, now, busy=False, kept=None))


def fail(held: Application, step: str, now: datetime) -> Decision[Application]:
    """A step failed for good. On its way out it stays there, and says which step holds it."""
    state = held.state if held.state is State.UNINSTALLING else State.FAILED
    after = moved(held, now, state=state, reason=step, busy=False)
    return Decision(after, (Failed(after),))


def retry(held: Application, now: datetime) -> Decision[Application]:
    """Its run goes on."""
    going = State.UPDATING if held.kept else State.INSTALLING
    state = going if held.state is State.FAILED else held.state
    return Decision(moved(held, now, state=state, reason="", busy=True))


def take_back(held: Application, commit: str, now: datetime) -> Decision[Application]:
    """What its run wrote was taken back: what was new is gone, what was changed stands as before, in `commit`."""
    if held.kept is None:
        return remove(held, now)
    pin = replace(held.kept.pin, commit=commit or held.kept.pin.commit)
    state, previous = held.kept.state, held.kept.previous
    after = moved(held, now, state=state, pin=pin, previous=previous, kept=None, busy=False, reason="")
    return Decision(after, (Updated(after),))


def observe(
    held: Application, commit: str, *, healthy: bool, message: str, now: datetime, score: int | None = None
) -> Decision[Application]:
    """What a cluster has seen. Of another commit than the present one it says nothing.

    score   share of its checks that pass; None: not looked at, what was known stays
    """
    if commit != held.pin.commit or held.state in (State.UNINSTALLING, State.DELETED):
        return Decision(held)
    delivered = _seen(held, DELIVERED, True, "Applied", f"commit {commit}", now)
    seen = Condition(HEALTHY, healthy, "Observed", message, now)
    conditions = noted(delivered, seen)
    state = _observed(held, healthy)
    since = (held.active_since or now) if healthy and state is State.ACTIVE else None
    score = held.score if score is None else score
    if (conditions, state, score) == (held.conditions, held.state, held.score):
        return Decision(held)
    after = moved(
        held, now, conditions=conditions, state=state, active_since=since, score=score, reason="",
        was_active=held.was_active or state is State.ACTIVE,
    )  # fmt: skip
    return Decision(after, (seen_first(held, after),))


def seen_first(before: Application, after: Application) -> Installed | Updated:
    """What is told of an observation: it is installed when it is active for the first time."""
    return Installed(after) if after.was_active and not before.was_active else Updated(after)


def _observed(held: Application, healthy: bool) -> State:
    if held.is_paused:
        return held.state  # a paused one only reports
    if healthy:
        return State.ACTIVE
    return State.DEGRADED if held.state in (State.ACTIVE, State.DEGRADED) else held.state


def uninstall(held: Application, run: str, now: datetime) -> Decision[Application]:
    """Begin to take it away. Raises OperationInProgress, ApplicationState."""
    demand_idle(held)
    if held.state in (State.UNINSTALLING, State.DELETED):
        raise ApplicationState(application=held.name, state=held.state, possible="installed")
    kept = Kept(held.state, held.pin, held.previous)
    conditions = tuple(one for one in held.conditions if one.type != LEFT)  # of a time before, which was taken back
    after = moved(held, now, state=State.UNINSTALLING, run=run, busy=True, reason="", kept=kept, conditions=conditions)
    return Decision(after, (Updated(after),))


def remove(held: Application, now: datetime) -> Decision[Application]:
    """It is gone. One that had failed and never stood has failed for good: whoever paid for it is to know."""
    if held.state is State.DELETED:
        return Decision(held)
    had_failed = State.FAILED in (held.state, held.kept.state if held.kept else None)
    facts: tuple[object, ...] = ()
    if held.order and had_failed and not held.was_active:
        held = moved(held, now, reason=held.reason or "removed")
        facts = (Failed(held, is_final=True),)
    after = moved(held, now, state=State.DELETED, busy=False, active_since=None, kept=None, sights=())
    return Decision(after, (*facts, Removed(after)))


@dataclass(frozen=True, slots=True)
class Departure:
    """What goes with an Application, in the order in which it goes, and what does not."""

    purged: tuple[str, ...]
    retained: tuple[str, ...]
    dependents: tuple[str, ...]

    def order(self, target: str, all: Iterable[Application]) -> tuple[str, ...]:
        """Everything that goes: whoever needs others before those."""
        uses = {one.id: one.uses for one in all}
        leaving = {target, *self.purged, *self.dependents}
        order: list[str] = []

        def visit(id: str) -> None:
            if id in order or id not in leaving:
                return
            for other in sorted(leaving):
                if id in uses.get(other, ()):
                    visit(other)
            order.append(id)

        for id in sorted(leaving):
            visit(id)
        return tuple(order)


def departure(target: Application, all: Sequence[Application]) -> Departure:
    """What an uninstallation of `target` means for the Environment in which `all` stand."""
    standing = {one.id: one for one in all if one.state is not State.DELETED}
    dependents = _needing({target.id}, standing)
    leaving = {target.id, *dependents}
    backing: list[str] = []
    while True:
        free = [
            one.id
            for one in standing.values()
            if one.is_backing
            and one.id not in leaving
            and _users(one.id, standing) & leaving
            and _users(one.id, standing) <= leaving
        ]  # fmt: skip - one comprehension
        if not free:
            break
        backing += free
        leaving |= set(free)
    used = {need for id in leaving for need in standing[id].uses if id in standing}
    retained = sorted(need for need in used - leaving if need in standing)
    return Departure(tuple(sorted(backing)), tuple(retained), tuple(sorted(dependents)))


def used_by(id: str, all: Iterable[Application]) -> tuple[str, ...]:
    """Who needs it, by name."""
    return tuple(sorted(one.id for one in all if id in one.uses and one.state is not State.DELETED))


def demand(held: Application, *states: State) -> None:
    """Raises ApplicationState unless it is in one of `states`."""
    if held.state not in states:
        raise ApplicationState(application=held.name, state=held.state, possible=", ".join(states))


def demand_idle(held: Application) -> None:
    """Raises OperationInProgress while a run works on it."""
    if held.busy:
        raise OperationInProgress(application=held.name, operation=f"operations/environment-{held.run}")


def _needing(of: set[str], standing: Mapping[str, Application]) -> set[str]:
    found: set[str] = set()
    while more := {id for id, one in standing.items() if set(one.uses) & (of | found)} - found - of:
        found |= more
    return found


def _users(id: str, standing: Mapping[str, Application]) -> set[str]:
    return {other for other, one in standing.items() if id in one.uses}


def _seen(
    held: Application, type: str, holds: bool | None, reason: str, message: str, now: datetime
) -> tuple[Condition, ...]:
    return noted(held.conditions, Condition(type, holds, reason, message, now))


def moved(held: Application, now: datetime, **changes: Any) -> Application:
    """The same after one more change."""
    return replace(held, **changes, updated_at=now, version=held.version + 1)
