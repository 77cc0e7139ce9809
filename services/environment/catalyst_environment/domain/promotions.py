"""Promotions: an Application comes from one Environment into another once every gate of the policy lets it pass.

Invariants
  whoever asks    the gates are the same whatever way the wish came by, and stand in what is told of it;
  others' yes     approvals are of distinct people, and the requester's own does not count;
  this one        soak and score are those of the candidate's commit: another commit in its place is not the candidate;
  not known       what could not be observed holds as what is not met;
  two of them     past the gates lead two people within four hours, with a reason that is kept.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, time, timedelta
from enum import StrEnum
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from catalyst_sdk import Code, Decision, Refused

from .applications import Application
from .applications import State as AppState
from .compliance import ComplianceRule, canonical

EMERGENCY = timedelta(hours=4)
"""How long one person's demand waits for the second one's."""


class State(StrEnum):
    PENDING_APPROVAL = "pending_approval"
    MERGING = "merging"
    MERGED = "merged"
    FAILED = "failed"
    CANCELLED = "cancelled"


OPEN = frozenset({State.PENDING_APPROVAL, State.MERGING, State.FAILED})
"""Of those that have not come to an end: what failed is tried again."""


class GateState(StrEnum):
    PASSED = "passed"
    WAITING = "waiting"
    UNKNOWN = "unknown"


class PromotionNotFound(Refused):
    code, reason, message = Code.NOT_FOUND, "PROMOTION_NOT_FOUND", "there is no promotion {promotion}"


class PromotionInvalid(Refused):
    code, reason = Code.INVALID_ARGUMENT, "PROMOTION_INVALID"
    message = "{source} is no other Environment of the same Organization"
    field = "promotion.source"


class PromotionExists(Refused):
    code, reason = Code.ALREADY_EXISTS, "PROMOTION_EXISTS"
    message = "{promotion} of the same Application is under way"


class PromotionStateWrong(Refused):
    code, reason = Code.FAILED_PRECONDITION, "PROMOTION_STATE"
    message = "{promotion} is {state}; this is possible while it is pending"


class TimeZoneUnknown(Refused):
    code, reason, message = Code.INVALID_ARGUMENT, "TIME_ZONE_UNKNOWN", "{time_zone} is no time zone that is known here"
    field = "policy.time_zone"


@dataclass(frozen=True, slots=True)
class Window:
    """From a moment on some days of the week, for a while."""

    weekdays: tuple[int, ...]
    """1 is Monday."""
    start: str
    duration: timedelta


@dataclass(frozen=True, slots=True)
class Policy:
    """What an Environment asks for."""

    environment: str
    created_at: datetime
    updated_at: datetime
    version: int
    required_approvals: int = 0
    soak: timedelta = timedelta()
    required_score: int = 0
    windows: tuple[Window, ...] = ()
    time_zone: str = "UTC"
    compliance: tuple[ComplianceRule, ...] = ()
    """By name; what clusters watch, and no gate of a promotion."""

    @property
    def name(self) -> str:
        return f"environments/{self.environment}/policy"

    @property
    def asks(self) -> bool:
        """Whether there is anything to be met."""
        return bool(self.required_approvals or self.soak or self.required_score or self.windows)


@dataclass(frozen=True, slots=True)
class Gate:
    """One condition, as it stands."""

    name: str
    state: GateState
    message: str


@dataclass(frozen=True, slots=True)
class Demand:
    """Somebody wants it past the gates."""

    subject: str
    reason: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Promotion:
    """One Application on its way."""

    environment: str
    id: str
    org: str
    application: str
    source: str
    commit: str
    requester: str
    state: State
    created_at: datetime
    updated_at: datetime
    version: int
    approvers: tuple[str, ...] = ()
    demands: tuple[Demand, ...] = ()
    gates: tuple[Gate, ...] = ()
    """As they stood when it was merged."""
    run: str = ""

    @property
    def name(self) -> str:
        return f"environments/{self.environment}/promotions/{self.id}"


@dataclass(frozen=True, slots=True)
class PolicyUpdated:
    policy: Policy


@dataclass(frozen=True, slots=True)
class Promoted:
    promotion: Promotion


def unset(environment: str, now: datetime) -> Policy:
    """The policy of an Environment for which nobody has set one."""
    return Policy(environment, now, now, 0)


def set_policy(held: Policy, values: dict[str, Any], now: datetime) -> Decision[Policy]:
    """Change a policy. Raises TimeZoneUnknown."""
    after = replace(held, **values, updated_at=now, version=held.version + 1)
    after = replace(after, compliance=canonical(after.compliance))
    try:
        ZoneInfo(after.time_zone)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise TimeZoneUnknown(time_zone=after.time_zone) from error
    return Decision(after, (PolicyUpdated(after),))


def ask(
    others: Sequence[Promotion], source: Application, environment: str, *, id: str, requester: str, now: datetime
) -> Decision[Promotion]:
    """Ask for `source` to come into `environment`. Raises PromotionInvalid, PromotionExists."""
    if source.environment == environment or source.environment.rpartition("-")[0] != environment.rpartition("-")[0]:
        raise PromotionInvalid(source=f"environments/{source.environment}")
    for one in others:
        if one.application == source.id and one.state in OPEN:
            raise PromotionExists(promotion=one.name)
    made = Promotion(
        environment,
        id,
        source.org,
        source.id,
        source.environment,
        source.pin.commit,
        requester,
        State.PENDING_APPROVAL,
        now,
        now,
        1,
    )  # fmt: skip - in the order of the fields
    return Decision(made)


def approve(held: Promotion, subject: str, now: datetime) -> Decision[Promotion]:
    """Say yes; twice by one person is once. Raises PromotionStateWrong."""
    demand_pending(held)
    if subject in held.approvers:
        return Decision(held)
    return Decision(_moved(held, now, approvers=(*held.approvers, subject)))


def override(held: Promotion, subject: str, reason: str, now: datetime) -> Decision[Promotion]:
    """Demand it past the gates. Raises PromotionStateWrong."""
    demand_pending(held)
    others = tuple(one for one in held.demands if one.subject != subject)
    return Decision(_moved(held, now, demands=(*others, Demand(subject, reason, now))))


def cancel(held: Promotion, now: datetime) -> Decision[Promotion]:
    """Withdraw it. Raises PromotionStateWrong."""
    demand_pending(held)
    return Decision(_moved(held, now, state=State.CANCELLED))


def demand_pending(held: Promotion) -> None:
    """Raises PromotionStateWrong unless it waits."""
    if held.state is not State.PENDING_APPROVAL:
        raise PromotionStateWrong(promotion=held.name, state=held.state.replace("_", " "))


def merge(held: Promotion, gates: tuple[Gate, ...], run: str, now: datetime) -> Decision[Promotion]:
    """Begin the merge; how the gates stood is kept."""
    after = _moved(held, now, state=State.MERGING, gates=gates, run=run)
    return Decision(after, (Promoted(after),))


def end(held: Promotion, state: State, now: datetime) -> Decision[Promotion]:
    """The merge has ended so."""
    return Decision(held if held.state is state else _moved(held, now, state=state))


def may_pass(held: Promotion, gates: Sequence[Gate], now: datetime) -> bool:
    """Whether it may be merged: every gate passes, or two people demand it who have said so within four hours."""
    fixed = {"candidate", "dependencies"}  # without these there is nothing to merge
    demanded = {one.subject for one in held.demands if now - one.at < EMERGENCY}
    open_ones = [gate for gate in gates if len(demanded) < 2 or gate.name in fixed]
    return all(gate.state is GateState.PASSED for gate in open_ones)


def judge(
    policy: Policy, held: Promotion, source: Application | None, target: Sequence[Application], now: datetime
) -> tuple[Gate, ...]:
    """How each gate stands.

    source   the Application in the Environment from which it comes; None: it is gone
    target   what stands in the Environment into which it leads
    """
    return (
        _candidate(held, source),
        _dependencies(source, target),
        _approvals(policy, held),
        _soak(policy, held, source, now),
        _score(policy, held, source),
        _window(policy, now),
    )


def _gate(name: str, passed: bool | None, message: str) -> Gate:
    states = {True: GateState.PASSED, False: GateState.WAITING, None: GateState.UNKNOWN}
    return Gate(name, states[passed], message)


def _candidate(held: Promotion, source: Application | None) -> Gate:
    same = source is not None and source.pin.commit == held.commit and not source.busy and bool(held.commit)
    told = f"commit {held.commit[:12]}" if same else f"commit {held.commit[:12]} no longer stands in {held.source}"
    return _gate("candidate", same, told)


def _dependencies(source: Application | None, target: Sequence[Application]) -> Gate:
    standing = {one.id for one in target if one.state is not AppState.UNINSTALLING}
    missing = sorted(set(source.uses if source else ()) - standing)
    return _gate("dependencies", not missing, f"{', '.join(missing)} must come first" if missing else "all are there")


def _approvals(policy: Policy, held: Promotion) -> Gate:
    counted = [one for one in held.approvers if one != held.requester]
    return _gate(
        "approvals", len(counted) >= policy.required_approvals, f"{len(counted)} of {policy.required_approvals}"
    )


def _soak(policy: Policy, held: Promotion, source: Application | None, now: datetime) -> Gate:
    if not policy.soak:
        return _gate("soak", True, "none is asked for")
    if source is None or source.active_since is None:
        return _gate("soak", None, f"it is not seen healthy in {held.source}")
    stood = now - source.active_since
    return _gate("soak", stood >= policy.soak, f"healthy for {_hours(stood)} of {_hours(policy.soak)}")


def _score(policy: Policy, held: Promotion, source: Application | None) -> Gate:
    if not policy.required_score:
        return _gate("score", True, "none is asked for")
    if source is None or source.score is None:
        return _gate("score", None, f"nobody has reported its checks in {held.source}")
    return _gate("score", source.score >= policy.required_score, f"{source.score} of {policy.required_score}")


def _window(policy: Policy, now: datetime) -> Gate:
    if not policy.windows:
        return _gate("window", True, "always open")
    is_open = any(_is_open(window, ZoneInfo(policy.time_zone), now) for window in policy.windows)
    return _gate("window", is_open, f"{'open' if is_open else 'closed'} in {policy.time_zone}")


def _is_open(window: Window, zone: ZoneInfo, now: datetime) -> bool:
    """Whether it began today, or yesterday and still lasts."""
    local = now.astimezone(zone)
    hour, minute = map(int, window.start.split(":"))
    for day in (local.date(), local.date() - timedelta(days=1)):
        begun = datetime.combine(day, time(hour, minute), zone)
        if day.isoweekday() in window.weekdays and begun <= local < begun + window.duration:
            return True
    return False


def _hours(length: timedelta) -> str:
    return f"{length.total_seconds() / 3600:.1f} h"


def _moved(held: Promotion, now: datetime, **changes: Any) -> Promotion:
    return replace(held, **changes, updated_at=now, version=held.version + 1)
