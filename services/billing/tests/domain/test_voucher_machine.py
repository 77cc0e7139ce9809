"""Commands on one voucher and its uses in every order, by a clock that the test moves.

The model keeps what it was told and counts anew at every look; the invariants are those of `vouchers` and `uses`, by name.
"""

import os
from collections import Counter
from dataclasses import replace
from datetime import timedelta

from catalyst_billing.domain import uses, vouchers
from catalyst_billing.domain.credit import Purpose
from catalyst_billing.domain.money import Money, total
from catalyst_billing.domain.moves import IllegalTransition
from catalyst_billing.domain.uses import Pair, Tally, Use, UseState, Wish
from catalyst_billing.domain.vouchers import State, Terms, Voucher
from catalyst_sdk import Decision, Refused
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from ..makers import NOON, omr

DAY = timedelta(days=1)
ORGS = st.sampled_from(["acme", "bell", "coil"])
PICK = st.integers(0, 20)
TERMS = st.builds(
    Terms,
    amount=st.just(omr("10")),
    budget=st.sampled_from([None, None, omr("25")]),
    max_total=st.sampled_from([1, 2, 3, None]),
    max_per_org=st.integers(1, 2),
    starts_at=st.sampled_from([None, None, None, NOON + DAY]),
    ends_at=st.sampled_from([None, None, NOON + 3 * DAY]),
    grant_ttl=st.none() | st.just(30 * DAY),
    plans=st.sampled_from([(), (), ("m",)]),
    new_organizations_only=st.sampled_from([False, False, True]),
)


class Vouchers(RuleBasedStateMachine):
    """One code, three Organizations."""

    def __init__(self) -> None:
        super().__init__()
        self.now = NOON
        self.count = 0
        self.uses: dict[str, Use] = {}
        self.agreed: dict[str, Terms] = {}
        """The terms that each use was reserved under."""
        self.versions = 1
        self.was_revoked = False

    @initialize(terms=TERMS, activate=st.sampled_from([True, True, True, False]))
    def issue(self, terms: Terms, activate: bool) -> None:
        self.voucher: Voucher = vouchers.issue("v-1", "OMANI-26", terms, by="a", now=NOON, activate=activate).state

    def tally(self, org: str) -> Tally:
        counting = self.counting()
        return Tally(
            sum(use.state is UseState.CONFIRMED for use in counting),
            sum(use.state is UseState.RESERVED for use in counting),
            sum(use.org == org for use in counting),
            sum(use.value.minor for use in counting),
        )

    def counting(self) -> list[Use]:
        """By the rule as people are told it: confirmed for ever, reserved until its end."""
        return [
            use
            for use in self.uses.values()
            if use.state is UseState.CONFIRMED or (use.state is UseState.RESERVED and self.now < use.expires_at)
        ]

    def take(self, voucher: Voucher) -> None:
        assert voucher.version in (self.versions, self.versions + 1), "no gap"
        self.voucher, self.versions = voucher, voucher.version

    def keep(self, decision: Decision[Pair]) -> None:
        use = decision.state.use
        before = self.uses.get(use.id)
        assert before is None or before.state is UseState.RESERVED or before == use, "settled once"
        self.take(decision.state.voucher)
        self.uses[use.id] = use
        self.agreed.setdefault(use.id, self.voucher.terms)

    def pair(self, pick: int) -> Pair:
        ids = sorted(self.uses)
        return Pair(self.voucher, self.uses[ids[pick % len(ids)]])

    def wish(self, org: str, plan: str = "m", new: bool = True) -> Wish:
        self.count += 1
        return Wish(f"u-{self.count:03}", org, "o", omr("10"), Purpose(plan), new, self.now + timedelta(hours=6))

    # Who issued it

    @rule()
    def activate(self) -> None:
        try:
            self.take(vouchers.activate(self.voucher, self.now).state)
        except IllegalTransition:
            assert self.voucher.standing(self.now) not in (State.DRAFT, State.PAUSED)

    @rule()
    def pause(self) -> None:
        try:
            self.take(vouchers.pause(self.voucher, self.now).state)
        except IllegalTransition:
            assert self.voucher.standing(self.now) is not State.ACTIVE

    @precondition(lambda self: self.count > 9)
    @rule()
    def revoke(self) -> None:
        self.take(vouchers.revoke(self.voucher, self.now, by="a", why="enough").state)
        self.was_revoked = True

    @rule(
        amount=st.sampled_from([None, None, "20"]), max_total=st.sampled_from([1, 2, 3, None]),
        budget=st.sampled_from([None, omr("10"), omr("40")]), max_per_org=st.integers(1, 2),
    )  # fmt: skip
    def edit(self, amount: str | None, max_total: int | None, budget: Money | None, max_per_org: int) -> None:
        before, counting = self.voucher, self.counting()
        terms = replace(
            before.terms, amount=omr(amount) if amount else before.terms.amount, max_total=max_total, budget=budget,
            max_per_org=max_per_org,
        )  # fmt: skip
        by_org = Counter(use.org for use in counting)
        used = vouchers.Used(
            len(counting), max(by_org.values(), default=0), sum(use.value.minor for use in counting), bool(self.uses)
        )
        try:
            edited = vouchers.edit(before, terms, "", used, by="a", now=self.now).state
        except IllegalTransition:
            assert self.was_revoked
            return
        except vouchers.VoucherValueFrozen:
            assert self.uses
            assert terms.amount != before.terms.amount
            return
        except vouchers.CapBelowUse:
            assert counting
            return
        assert not self.uses or edited.voucher.terms.amount == before.terms.amount, "frozen"
        assert edited.revision.terms == terms
        assert edited.voucher.revision == before.revision + (terms != before.terms)
        self.take(edited.voucher)

    # Who uses it

    @rule(org=ORGS, plan=st.sampled_from(["m", "m", "l"]), new=st.booleans())
    def reserve(self, org: str, plan: str, new: bool) -> None:
        wish, tally = self.wish(org, plan, new), self.tally(org)
        is_free = self.is_free(wish, tally)
        try:
            self.keep(uses.reserve(self.voucher, tally, wish, self.now))
        except Refused:
            assert not is_free
        else:
            assert is_free

    def is_free(self, wish: Wish, tally: Tally) -> bool:
        """Whether nothing at all stands against a use."""
        terms, counting = self.voucher.terms, len(self.counting())
        return (
            self.voucher.is_accepting(self.now)
            and (terms.max_total is None or counting < terms.max_total)
            and tally.of_org < terms.max_per_org
            and (terms.budget is None or tally.value_minor + wish.value.minor <= terms.budget.minor)
            and (wish.org_is_new or not terms.new_organizations_only)
            and (not terms.plans or (wish.purpose is not None and wish.purpose.plan in terms.plans))
        )

    @precondition(lambda self: self.uses)
    @rule(pick=PICK)
    def renew(self, pick: int) -> None:
        pair = self.pair(pick)
        counted = pair.use in self.counting()
        try:
            decided = uses.renew(pair, self.tally(pair.use.org), self.wish(pair.use.org), self.now)
        except Refused:
            assert not counted
            return
        assert decided.state.use in self.counting() or decided.state.use.expires_at > self.now
        assert (decided.state == pair) == counted
        self.keep(decided)

    @precondition(lambda self: self.uses)
    @rule(pick=PICK)
    def confirm(self, pick: int) -> None:
        pair = self.pair(pick)
        if pair.use.state is not UseState.RESERVED or pair.use not in self.counting():
            return  # whoever settles has renewed it, or was refused
        self.keep(uses.confirm(pair, self.tally(pair.use.org), self.now))

    @precondition(lambda self: self.uses)
    @rule(pick=PICK)
    def release(self, pick: int) -> None:
        self.keep(uses.release(self.pair(pick), "cancelled", self.now))

    @rule(hours=st.sampled_from([1, 5, 6, 6, 24]))
    def wait(self, hours: int) -> None:
        self.now += timedelta(hours=hours)

    # Invariants

    @invariant()
    def caps(self) -> None:
        if not self.uses:
            return
        counting, terms = self.counting(), self.voucher.terms
        assert terms.max_total is None or len(counting) <= terms.max_total
        assert all(n <= terms.max_per_org for n in Counter(use.org for use in counting).values())
        assert terms.budget is None or total([use.value for use in counting], "OMR") <= terms.budget

    @invariant()
    def exhausted(self) -> None:
        if self.count and self.voucher.state is State.EXHAUSTED:
            confirmed = sum(use.state is UseState.CONFIRMED for use in self.uses.values())
            assert self.voucher.terms.max_total is not None
            assert confirmed >= self.voucher.terms.max_total

    @invariant()
    def two_steps(self) -> None:
        for use in self.uses.values():
            assert use.terms == self.agreed[use.id], "it keeps the terms it was made under"
            grant = uses.grant_of(use, self.now)
            assert grant is not None
            assert grant.amount == use.terms.amount
            assert (use.settled_at is None) == (use.state is UseState.RESERVED)

    @invariant()
    def lazy(self) -> None:
        for use in self.uses.values():
            assert use.counts(self.now) == (use in self.counting())
        ends = self.voucher.terms.ends_at if self.count else None
        if ends is not None and ends <= self.now:
            assert self.voucher.standing(self.now) in (State.EXPIRED, State.REVOKED, State.DRAFT)
            assert not self.voucher.is_accepting(self.now)

    @invariant()
    def for_ever(self) -> None:
        if self.was_revoked:
            assert self.voucher.standing(self.now) is State.REVOKED
            assert not self.voucher.is_accepting(self.now)


LONG = os.environ.get("HYPOTHESIS_PROFILE") == "long"
Vouchers.TestCase.settings = settings(max_examples=1500 if LONG else 15, stateful_step_count=40, deadline=None)
TestVouchers = Vouchers.TestCase
