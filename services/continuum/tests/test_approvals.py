"""Who must agree to a run, and who may."""

from datetime import UTC, datetime, timedelta

import pytest
from catalyst_continuum.domain import approvals
from catalyst_continuum.domain.approvals import (
    AlreadyApproved,
    ApprovalExpired,
    ApproverIsRequester,
    ApproverNotListed,
    Need,
    Person,
    PlanDrifted,
)
from catalyst_continuum.domain.spec import Approval as Rule
from catalyst_continuum.domain.spec import Required
from catalyst_continuum.domain.view import Mode
from catalyst_sdk import Refused

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
PLAN, OTHER = "0123456789abcdef", "fedcba9876543210"
TWO = Need(2, ("ann", "bob", "role:security-officer"), needs_officer=False, until=NOON + timedelta(minutes=15))
ANN, BOB = Person("ann"), Person("bob")
OFFICER = Person("olga", frozenset({"security-officer"}))


def given(wanted: Need, *persons: Person, plan: str = PLAN) -> list[approvals.Approval]:
    found: list[approvals.Approval] = []
    for person in persons:
        found.append(approvals.approve(wanted, found, person, "carl", seen=plan, plan=plan, now=NOON))
    return found


@pytest.mark.parametrize(
    ("required", "kinds"),
    [
        (Required.NEVER, set()),
        (Required.FAILOVER, {"failover"}),
        (Required.FAILBACK, {"failback"}),
        (Required.SWITCHOVER, {"switchover", "failback", "game-day"}),
        (Required.ALWAYS, {"switchover", "failover", "failback", "game-day", "drill"}),
    ],
)  # fmt: skip - a table
def test_the_wish_says_which_runs_wait(required: Required, kinds: set[str]) -> None:
    all_kinds = ("switchover", "failover", "failback", "game-day", "drill")
    assert {kind for kind in all_kinds if approvals.need(Rule(required), kind, NOON).is_any} == kinds


def test_a_takeover_needs_two_and_one_of_them_an_officer_whatever_the_wish_says() -> None:
    wanted = approvals.need(Rule(Required.NEVER, ("ann", "bob"), timeout=60), "takeover", NOON)
    assert (wanted.quorum, wanted.needs_officer, wanted.until) == (2, True, NOON + timedelta(minutes=1))
    two = given(wanted, ANN, BOB)
    assert approvals.missing(wanted, two, PLAN) == 1
    assert approvals.missing(wanted, given(wanted, ANN, OFFICER), PLAN) == 0


def test_a_failover_that_only_a_person_may_decide_waits() -> None:
    rule = Rule(Required.NEVER)
    assert approvals.need(rule, "failover", NOON, mode=Mode.SEMI_AUTOMATIC, by_agent=True).quorum == 1
    assert not approvals.need(rule, "failover", NOON, mode=Mode.AUTOMATIC, by_agent=True).is_any
    assert not approvals.need(rule, "failover", NOON, mode=Mode.SEMI_AUTOMATIC).is_any


def test_the_last_needed_approval_lets_the_run_begin() -> None:
    assert [approvals.missing(TWO, given(TWO, *some), PLAN) for some in ((), (ANN,), (ANN, OFFICER))] == [2, 1, 0]


@pytest.mark.parametrize(
    ("by", "seen", "at", "refusal"),
    [
        (Person("carl", frozenset({"security-officer"})), PLAN, NOON, ApproverIsRequester),
        (Person("eve"), PLAN, NOON, ApproverNotListed),
        (ANN, PLAN, NOON, AlreadyApproved),
        (BOB, OTHER, NOON, PlanDrifted),
        (BOB, PLAN, NOON + timedelta(minutes=15), ApprovalExpired),
    ],
)  # fmt: skip - a table
def test_an_approval_that_does_not_count_is_refused(
    by: Person, seen: str, at: datetime, refusal: type[Refused]
) -> None:
    with pytest.raises(refusal):
        approvals.approve(TWO, given(TWO, ANN), by, "carl", seen=seen, plan=PLAN, now=at)


def test_a_drift_of_the_plan_voids_what_was_given_and_the_same_person_may_look_again() -> None:
    before = given(TWO, ANN, BOB)
    assert approvals.missing(TWO, before, OTHER) == 2
    assert approvals.approve(TWO, before, ANN, "carl", seen=OTHER, plan=OTHER, now=NOON).plan_fingerprint == OTHER


def test_a_wait_that_ended_without_enough_is_over_and_one_with_enough_is_not() -> None:
    late = TWO.until
    assert approvals.is_over(TWO, given(TWO, ANN), PLAN, late)
    assert not approvals.is_over(TWO, given(TWO, ANN), PLAN, late - timedelta(seconds=1))
    assert not approvals.is_over(TWO, given(TWO, ANN, BOB), PLAN, late)


def test_where_nobody_is_listed_a_role_approves() -> None:
    wanted = approvals.need(Rule(Required.ALWAYS), "switchover", NOON)
    assert given(wanted, Person("dora", frozenset({"org-admin"})))[0].role == "org-admin"
    with pytest.raises(ApproverNotListed):
        given(wanted, Person("vera", frozenset({"org-viewer"})))
