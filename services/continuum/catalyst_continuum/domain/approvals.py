"""Who must agree to a run, and who has.

Invariants
  bound to a plan     an approval counts for the plan that was shown; where the plan drifts, it is void;
  never one's own     whoever asked for the run does not approve it;
  each once           a person counts once, by whichever listing;
  in time             what comes after the end of the wait is refused, and a run that was not approved by then is not begun.

A takeover always needs two, one of them by a security officer, whatever the wish says.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from catalyst_sdk import Code, Refused

from .spec import Approval as Rule
from .spec import Required
from .view import Mode

BY_ROLE = ("role:org-admin", "role:security-officer", "role:sovereign-admin")
"""Who may approve where nobody is listed."""
TAKEOVER_QUORUM = 2
OFFICER = "security-officer"

_NEEDED: dict[Required, frozenset[str]] = {
    Required.NEVER: frozenset(),
    Required.FAILOVER: frozenset({"failover"}),
    Required.SWITCHOVER: frozenset({"switchover", "failback", "game-day"}),
    Required.FAILBACK: frozenset({"failback"}),
    Required.ALWAYS: frozenset({"switchover", "failover", "failback", "game-day", "drill"}),
}
"""Kinds of runs by what the wish says; the words are those of `runs.Kind`, in lower case with dashes."""


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who may approve: as the token names them, with the roles that they have for the slot."""

    subject: str
    roles: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Approval:
    """One approval that was given. `role` as it was listed; empty: the person was listed by name."""

    approver: str
    role: str
    plan_fingerprint: str
    at: datetime
    comment: str = ""
    is_officer: bool = False


@dataclass(frozen=True, slots=True)
class Need:
    """What a run waits for.

    quorum        approvals; 0: none
    approvers     principals, or `role:` and a role
    needs_officer whether one of them must be a security officer
    until         end of the wait
    """

    quorum: int
    approvers: tuple[str, ...]
    needs_officer: bool
    until: datetime

    @property
    def is_any(self) -> bool:
        """Whether the run waits at all."""
        return self.quorum > 0


class ApproverIsRequester(Refused):
    code, reason = Code.PERMISSION_DENIED, "APPROVER_IS_REQUESTER"
    message = "{approver} asked for the run, and somebody else must approve it"


class ApproverNotListed(Refused):
    code, reason, message = Code.PERMISSION_DENIED, "APPROVER_NOT_LISTED", "{approver} is none of those who may approve"


class AlreadyApproved(Refused):
    code, reason, message = Code.ALREADY_EXISTS, "ALREADY_APPROVED", "{approver} has approved this plan already"


class ApprovalExpired(Refused):
    code, reason, message = Code.FAILED_PRECONDITION, "APPROVAL_EXPIRED", "the run could be approved until {until}"


class PlanDrifted(Refused):
    code, reason = Code.ABORTED, "PLAN_DRIFTED"
    message = "the plan is {now} by now, and not {seen}; look at it again"


def need(rule: Rule, kind: str, now: datetime, *, mode: Mode = Mode.AUTOMATIC, by_agent: bool = False) -> Need:
    """What a run of `kind` waits for.

    by_agent   whether the daemon itself began it: in the mode semi-automatic it detects, and a person decides
    """
    until = now + timedelta(seconds=rule.timeout)
    approvers = rule.approvers or BY_ROLE
    if kind == "takeover":
        return Need(max(TAKEOVER_QUORUM, rule.quorum), approvers, needs_officer=True, until=until)
    if kind in _NEEDED[rule.required] or (by_agent and mode is Mode.SEMI_AUTOMATIC):
        return Need(rule.quorum, approvers, needs_officer=False, until=until)
    return Need(0, (), needs_officer=False, until=until)


def approve(
    wanted: Need, given: Sequence[Approval], by: Person, requester: str, *, seen: str, plan: str, now: datetime, comment: str = ""
) -> Approval:  # fmt: skip
    """The approval of one person, who saw the plan `seen`, while it is `plan`.

    Raises ApprovalExpired, PlanDrifted, ApproverIsRequester, ApproverNotListed, AlreadyApproved.
    """
    if now >= wanted.until:
        raise ApprovalExpired(until=f"{wanted.until:%FT%TZ}")
    if seen != plan:
        raise PlanDrifted(now=plan, seen=seen)
    if by.subject == requester:
        raise ApproverIsRequester(approver=by.subject)
    listing = _listing(wanted, by)
    if listing is None:
        raise ApproverNotListed(approver=by.subject)
    if any(one.approver == by.subject for one in standing(given, plan)):
        raise AlreadyApproved(approver=by.subject)
    return Approval(by.subject, listing, plan, now, comment, is_officer=OFFICER in by.roles)


def standing(given: Sequence[Approval], plan: str) -> tuple[Approval, ...]:
    """Those that count for the plan as it is now; a drift voids the others."""
    return tuple(one for one in given if one.plan_fingerprint == plan)


def missing(wanted: Need, given: Sequence[Approval], plan: str) -> int:
    """How many approvals are still needed; 0: the run may begin."""
    counted = standing(given, plan)
    short = max(0, wanted.quorum - len({one.approver for one in counted}))
    lacks_officer = wanted.needs_officer and not any(one.is_officer for one in counted)
    return max(short, 1) if lacks_officer else short


def is_over(wanted: Need, given: Sequence[Approval], plan: str, now: datetime) -> bool:
    """Whether the wait ended without enough of them: the run is aborted."""
    return now >= wanted.until and missing(wanted, given, plan) > 0


def _listing(wanted: Need, by: Person) -> str | None:
    """The role by which a person is listed, empty where it is by name; None: not at all."""
    if by.subject in wanted.approvers:
        return ""
    # An officer who is not listed may still give the approval that only an officer can give.
    known: Collection[str] = {*wanted.approvers, *([f"role:{OFFICER}"] if wanted.needs_officer else [])}
    return next((role for role in sorted(by.roles) if f"role:{role}" in known), None)
