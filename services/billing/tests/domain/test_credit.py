"""Grants burn in order, holds reserve, spends are given back to where they came from."""

from datetime import datetime, timedelta

import pytest
from catalyst_billing.domain.credit import CreditInsufficient, Draw, HoldState, Purpose, Source, Wallet
from catalyst_billing.domain.money import total
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from ..makers import HALF_HOUR, NOON, PLAN_M, grant, omr, wallet

SOON, LATER = NOON + timedelta(days=5), NOON + timedelta(days=50)


def held(w: Wallet, amount: str, order: str = "o-1", now: datetime = NOON, **rest: object) -> Wallet:
    return w.hold(order, omr(amount), promise=None, purpose=PLAN_M, until=now + HALF_HOUR, now=now, **rest)  # type: ignore[arg-type]


def left(w: Wallet) -> dict[str, str]:
    return {g.id: str(g.remaining) for g in w.grants}


def test_priority_burns_before_expiry_and_expiry_before_age() -> None:
    w = wallet(
        grant("old", "1", created_at=NOON - timedelta(days=9)),
        grant("young", "1"),
        grant("soon", "1", expires_at=SOON),
        grant("later", "1", expires_at=LATER),
        grant("first", "1", priority=1),
    )
    hold = held(w, "4.5").hold_of("o-1")
    assert hold is not None
    assert [d.grant for d in hold.draws] == ["first", "soon", "later", "old", "young"]
    assert hold.draws[-1].amount == omr("0.5")


def test_a_held_part_is_available_to_no_other_order() -> None:
    w = held(wallet(grant("a", "10")), "6")
    assert (w.available(NOON), w.held) == (omr("4"), omr("6"))
    with pytest.raises(CreditInsufficient, match=r"5\.000 OMR of credit are needed, 4\.000 OMR are available"):
        held(w, "5", "o-2")


def test_a_hold_lapses_at_its_end_and_not_before() -> None:
    w = held(wallet(grant("a", "10")), "6")
    just_before = NOON + HALF_HOUR - timedelta(microseconds=1)
    assert w.lapse(just_before) is w
    assert w.lapse(NOON + HALF_HOUR).available(NOON) == omr("10")


def test_releasing_what_is_not_held_changes_nothing() -> None:
    w = wallet(grant("a", "10"))
    assert w.release("o-9", NOON) is w
    released = held(w, "6").release("o-1", NOON)
    assert released.release("o-1", NOON) is released


def test_a_spend_names_its_grants_and_is_given_back_to_them() -> None:
    w = held(wallet(grant("a", "4", expires_at=LATER), grant("b", "10")), "6").capture("o-1", NOON)
    assert left(w) == {"a": "0.000 OMR", "b": "8.000 OMR"}
    back = w.give_back("o-1", NOON)
    assert left(back) == {"a": "4.000 OMR", "b": "10.000 OMR"}
    hold = back.hold_of("o-1")
    assert hold is not None
    assert hold.state is HoldState.RETURNED


def test_an_expired_grant_comes_back_as_goodwill_for_thirty_days() -> None:
    w = held(wallet(grant("a", "4", expires_at=SOON), grant("b", "10")), "6").capture("o-1", NOON)
    back = w.give_back("o-1", LATER)
    assert left(back) == {"a": "0.000 OMR", "b": "10.000 OMR", "gw-o-1-1": "4.000 OMR"}
    goodwill = back.grants[-1]
    assert (goodwill.source, goodwill.expires_at) == (Source.GOODWILL, LATER + timedelta(days=30))


def test_a_grant_that_expires_while_it_is_held_can_still_be_captured() -> None:
    w, lapsed = held(wallet(grant("a", "10", expires_at=SOON)), "6").expire(SOON)
    assert [(fact.grant.id, fact.amount) for fact in lapsed] == [("a", omr("4"))]
    assert left(w.capture("o-1", SOON)) == {"a": "0.000 OMR"}
    released = w.release("o-1", SOON)
    assert released.available(SOON) == omr("0")
    assert released.expire(SOON)[1][0].amount == omr("6")


def test_the_promised_grant_takes_its_place_in_the_burn_order() -> None:
    promise = grant("promised", "50", expires_at=SOON)
    w = wallet(grant("a", "10"), grant("first", "1", priority=1)).hold(
        "o-1", omr("16"), promise=promise, purpose=PLAN_M, until=NOON + HALF_HOUR, now=NOON
    )
    hold = w.hold_of("o-1")
    assert hold is not None
    assert (hold.draws, hold.promised, hold.amount) == ((Draw("first", omr("1")),), omr("15"), omr("16"))
    spent = w.capture("o-1", NOON, fulfilled=promise)
    assert left(spent) == {"a": "10.000 OMR", "first": "0.000 OMR", "promised": "35.000 OMR"}
    assert left(spent.give_back("o-1", NOON))["promised"] == "50.000 OMR"


def test_a_promise_that_was_not_needed_is_not_drawn_from() -> None:
    promise = grant("promised", "50", created_at=NOON + timedelta(seconds=1))
    w = wallet(grant("a", "20")).hold(
        "o-1", omr("16"), promise=promise, purpose=PLAN_M, until=NOON + HALF_HOUR, now=NOON
    )
    assert left(w.capture("o-1", NOON, fulfilled=promise)) == {"a": "4.000 OMR", "promised": "50.000 OMR"}


@pytest.mark.parametrize(
    ("plans", "blueprints", "purpose", "admitted"),
    [
        ((), (), PLAN_M, True),
        (("l",), (), PLAN_M, False),
        (("m",), (), PLAN_M, True),
        ((), ("blueprints/a",), Purpose("m", ("blueprints/b",)), False),
        ((), ("blueprints/a",), Purpose("m", ("blueprints/a", "blueprints/b")), True),
        (("l",), (), None, True),
    ],
)
def test_a_restricted_grant_is_spent_on_what_it_is_for(
    plans: tuple[str, ...], blueprints: tuple[str, ...], purpose: Purpose | None, admitted: bool
) -> None:
    w = wallet(grant("a", "10", plans=plans, blueprints=blueprints))
    assert bool(w.available(NOON, purpose)) is admitted


def test_a_grant_counts_from_its_first_to_before_its_last_moment() -> None:
    w = wallet(grant("a", "10", effective_at=SOON, expires_at=LATER))
    times = [SOON - timedelta(seconds=1), SOON, LATER - timedelta(seconds=1), LATER]
    assert [bool(w.available(now)) for now in times] == [False, True, True, False]


def test_what_expires_within_thirty_days_is_told() -> None:
    w = wallet(grant("a", "1", expires_at=SOON), grant("b", "2", expires_at=LATER), grant("c", "4"))
    assert (w.available(NOON), w.expiring(NOON)) == (omr("7"), omr("1"))


def test_a_grant_cannot_be_drawn_below_zero() -> None:
    with pytest.raises(ValueError, match="left of"):
        grant("a", "1").changed(NOON, remaining=omr("-1"))


class Spending(RuleBasedStateMachine):
    """Random holds, captures, releases and returns against a plain model of two sums."""

    def __init__(self) -> None:
        super().__init__()
        self.wallet = wallet()
        self.given = self.spent = self.lost = omr("0")
        self.now = NOON
        self.count = 0

    @rule(minor=st.integers(1, 9000), days=st.none() | st.integers(1, 40), priority=st.integers(1, 3))
    def give(self, minor: int, days: int | None, priority: int) -> None:
        self.count += 1
        ends = self.now + timedelta(days=days) if days else None
        new = grant(f"g{self.count}", "0.001", expires_at=ends, priority=priority, created_at=self.now)
        amount = new.amount * minor
        self.wallet = self.wallet.give(
            type(new)(
                new.id, new.org, amount, amount, amount.zero(), new.source, NOON, self.now, self.now, ends, priority
            )
        )
        self.given += amount

    @rule(minor=st.integers(1, 9000))
    def hold(self, minor: int) -> None:
        self.count += 1
        amount = omr("0.001") * minor
        if amount > self.wallet.available(self.now):
            with pytest.raises(CreditInsufficient):
                self.wallet.hold(f"o{self.count}", amount, promise=None, purpose=PLAN_M, until=self.now, now=self.now)
        else:
            until = self.now + HALF_HOUR
            self.wallet = self.wallet.hold(
                f"o{self.count}", amount, promise=None, purpose=PLAN_M, until=until, now=self.now
            )

    @rule(n=st.integers(0, 30), what=st.sampled_from(["capture", "release", "return"]))
    def end(self, n: int, what: str) -> None:
        wanted = HoldState.CAPTURED if what == "return" else HoldState.ACTIVE
        matching = [hold for hold in self.wallet.holds if hold.state is wanted]
        if not matching:
            return
        hold = matching[n % len(matching)]
        if what == "capture":
            self.wallet, self.spent = self.wallet.capture(hold.id, self.now), self.spent + hold.amount
        elif what == "release":
            self.wallet = self.wallet.release(hold.id, self.now)
        else:
            self.wallet, self.spent = self.wallet.give_back(hold.id, self.now), self.spent - hold.amount

    @rule(days=st.integers(0, 20))
    def wait(self, days: int) -> None:
        self.now += timedelta(days=days)
        self.wallet, lapsed = self.wallet.lapse(self.now).expire(self.now)
        self.lost += total([fact.amount for fact in lapsed], "OMR")

    @invariant()
    def nothing_appears_or_vanishes(self) -> None:
        remaining = total([g.remaining for g in self.wallet.grants], "OMR")
        assert remaining == self.given - self.spent - self.lost
        assert omr("0") <= self.wallet.available(self.now) <= remaining

    @invariant()
    def holds_cover_what_grants_call_held(self) -> None:
        active = [hold.amount for hold in self.wallet.holds if hold.state is HoldState.ACTIVE]
        assert total(active, "OMR") == self.wallet.held


TestSpending = Spending.TestCase
