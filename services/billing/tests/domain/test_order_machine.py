"""Commands on the orders of two Organizations in every order, by a clock that the test moves.

The shop below keeps what the store would keep, and reads each purchase together as `Store.lock_purchase` does. The
invariants are those that stand in the docstrings of `orders`, `purchases`, `uses`, `subscriptions` and `ledger`, by name.
"""

import os
from collections import Counter
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from catalyst_billing.domain import (
    fulfilment,
    orders,
    postings,
    purchases,
    refunds,
    settlements,
    submissions,
    subscriptions,
    uses,
)
from catalyst_billing.domain.credit import HoldState, Wallet
from catalyst_billing.domain.ledger import Txn, unbalanced
from catalyst_billing.domain.money import Money, total
from catalyst_billing.domain.moves import IllegalTransition
from catalyst_billing.domain.orders import Command, Kind, Order, State
from catalyst_billing.domain.payments import Capture, CheckoutState, PaymentState
from catalyst_billing.domain.postings import credit_of
from catalyst_billing.domain.pricing import Selection
from catalyst_billing.domain.purchases import Purchase, Rivals
from catalyst_billing.domain.refunds import RefundExceeds
from catalyst_billing.domain.submissions import Desk, Submit, TopUp, redeem, submit
from catalyst_billing.domain.uses import Tally, Use, UseState, Wish
from catalyst_billing.domain.vouchers import Voucher
from catalyst_sdk import Decision, Refused
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from ..makers import BOOKS, NOON, account, omr, quote, sign, voucher, wallet

ORGS = st.sampled_from(["acme", "bell"])
HOME = "sovereigns/omantel"
SELECTIONS = st.sampled_from([Selection("m"), Selection("l", ("waf",)), Selection("m", sovereign=HOME)])
CODES = st.sampled_from(["", "flat", "half", "whole"])
CLOSED = frozenset({State.CANCELLED, State.EXPIRED, State.FAILED})
PICK = st.integers(0, 9)


def vouchers() -> dict[str, Voucher]:
    """Credit for both at the start, credit for two more, half the price for one, and a present with a budget."""
    return {
        "start": voucher("start", amount="4"),
        "flat": voucher("flat", amount="6", max_total=2, grant_ttl=timedelta(days=20)),
        "half": voucher("half", amount=None, percent=50, periods=1, max_total=1),
        "whole": voucher("whole", amount=None, percent=100, periods=1, max_per_org=2, budget=omr("30")),
    }


class Orders(RuleBasedStateMachine):
    """Everything that two Organizations can do with orders, and what providers and Sovereigns tell of them."""

    def __init__(self) -> None:
        super().__init__()
        self.now: datetime = NOON
        self.count = 0
        self.wallets: dict[str, Wallet] = {org: wallet(org=org) for org in ("acme", "bell")}
        self.vouchers = vouchers()
        self.uses: dict[str, Use] = {}
        self.purchases: dict[str, Purchase] = {}
        self.txns: dict[str, Txn] = {}
        self.paid_facts: Counter[str] = Counter()
        self.captured: dict[str, dict[str, Money]] = {}
        """What the provider took for each order, by its own number."""
        for org in ("acme", "bell"):
            self.use(org, "start")

    # What the store does

    def read(self, id: str) -> Purchase:
        p = self.purchases[id]
        code = p.order.voucher
        mine = [use for use in self.uses.values() if use.order == id]
        return replace(
            p, wallet=self.wallets[p.order.org], voucher=self.vouchers.get(code),
            use=max(mine, key=lambda use: (use.created_at, use.id), default=None),
            tally=self.tally(code, p.order.org), rivals=self.rivals(p.order.org, p.order.sovereign, but=id), postings=(),
            findings=(),
        )  # fmt: skip

    def tally(self, code: str, org: str) -> Tally:
        counting = [use for use in self.uses.values() if use.voucher == code and use.counts(self.now)]
        return Tally(
            sum(use.state is UseState.CONFIRMED for use in counting),
            sum(use.state is UseState.RESERVED for use in counting),
            sum(use.org == org for use in counting),
            sum(use.value.minor for use in counting),
        )

    def rivals(self, org: str, sovereign: str, but: str = "") -> Rivals:
        others = [p for id, p in self.purchases.items() if id != but]
        opened = [p.order.name for p in others if p.order.org == org and p.order.is_open]
        scope = sovereign or f"organizations/{org}"
        return Rivals(
            open_order=opened[0] if opened else "",
            sovereign_taken=any(
                sovereign and p.order.sovereign == sovereign and p.order.claims_sovereign for p in others
            ),
            scope_taken=any(
                p.subscription and p.subscription.scope == scope and p.subscription.state is subscriptions.State.ACTIVE
                for p in others
            ),
            org_is_new=not any(p.order.org == org and p.order.paid_at for p in others),
        )

    def keep(self, decision: Decision[Purchase]) -> None:
        p = decision.state
        before = self.purchases.get(p.order.id)
        if before is not None and before.order.state is not p.order.state:
            assert p.order.state in orders.ALLOWED[before.order.state].values(), "one way"
        self.wallets[p.order.org] = p.wallet
        if p.voucher:
            self.vouchers[p.voucher.id] = p.voucher
        if p.use:
            self.uses[p.use.id] = p.use
        self.book(p.postings)
        self.purchases[p.order.id] = p
        self.paid_facts.update(fact.order.id for fact in decision.events if isinstance(fact, orders.Paid))

    def book(self, txns: tuple[Txn, ...]) -> None:
        for txn in txns:
            assert txn.idem_key not in self.txns, "booked once"
            self.txns[txn.idem_key] = txn

    def chosen(self, pick: int) -> Purchase:
        ids = sorted(self.purchases)
        return self.read(ids[pick % len(ids)])

    def new(self, kind: str) -> str:
        self.count += 1
        return f"{kind}-{self.count}"

    # What people do

    @rule(org=ORGS, selection=SELECTIONS, code=CODES)
    def order(self, org: str, selection: Selection, code: str) -> None:
        known, money = self.vouchers.get(code), self.wallets[org]
        credit = f"{money.available(self.now).minor / 1000:.3f}"
        offered = quote(self.new("q"), org=org, selection=selection, credit=credit, voucher=known, now=self.now)
        desk = Desk(account(org), money, offered, known, self.tally(code, org), self.rivals(org, selection.sovereign))
        try:
            decided = submit(desk, Submit(self.new("o"), offered.hash, "fake"), BOOKS, sign, self.now)
        except Refused:
            return
        assert decided.state.order.state in (State.AWAITING_PAYMENT, State.PAID)
        self.keep(decided)

    @rule(org=ORGS)
    def redeem(self, org: str) -> None:
        self.use(org, "flat")

    def use(self, org: str, code: str) -> None:
        known = self.vouchers[code]
        assert known.terms.amount is not None
        wish = Wish(self.new("u"), org, "", known.terms.amount, None, True, self.now + uses.AT_ONCE)
        try:
            done = redeem(account(org), self.wallets[org], known, self.tally(code, org), wish, BOOKS, self.now).state
        except Refused:
            return
        self.wallets[org], self.vouchers[code], self.uses[done.use.id] = done.wallet, done.voucher, done.use
        self.book(done.postings)

    @precondition(lambda self: self.purchases)
    @rule(pick=PICK)
    def cancel(self, pick: int) -> None:
        p = self.chosen(pick)
        try:
            self.keep(purchases.release(p, Command.CANCEL, "requested", self.now))
        except Refused:
            assert not p.order.is_open

    @rule(org=ORGS, amount=st.sampled_from(["3", "7.77"]))
    def top_up(self, org: str, amount: str) -> None:
        cmd = TopUp(self.new("o"), omr(amount), "fake", "", timedelta(minutes=30))
        try:
            self.keep(submissions.top_up(account(org), self.wallets[org], self.rivals(org, ""), cmd, self.now))
        except Refused:
            assert self.rivals(org, "").open_order

    @precondition(lambda self: any(p.order.paid_at for p in self.purchases.values()))
    @rule(
        pick=PICK,
        percent=st.sampled_from([0, 7, 33, 50, 100, 101]),
        to_credit=st.booleans(),
        step=st.sampled_from([1, 10]),
    )
    def refund(self, pick: int, percent: int, to_credit: bool, step: int) -> None:
        p = self.chosen(pick)
        left = refunds.left_of(p, self.now).total
        amount = left.share(percent * 100) if percent else None
        try:
            decided = refunds.give_back(p, refunds.Wish(amount, to_credit, "wished"), BOOKS, step, self.now)
        except IllegalTransition:
            assert p.order.state not in orders.SETTLED | {State.PARTIALLY_REFUNDED}
        except RefundExceeds:
            is_small = p.order.kind is Kind.TOP_UP and (amount or left).floor_to(step).minor == 0
            assert is_small or not left or not amount or amount > left or not amount.is_positive
        else:
            given = decided.state.order.refunded - p.order.refunded
            assert given.is_positive
            assert given <= left
            assert (decided.state.order.state is State.REFUNDED) == (decided.state.order.refunded == p.order.paid)
            self.keep(decided)

    # What the provider tells

    @precondition(lambda self: self.purchases)
    @rule(pick=PICK, more=st.sampled_from([0, 0, 1]), again=st.booleans())
    def capture(self, pick: int, more: int, again: bool) -> None:
        p = self.chosen(pick)
        if not p.order.due:
            return
        ref = p.payments[0].ref if again and p.payments else self.new("pay")
        got = Capture(ref, Money(p.order.due.minor + more, "OMR"), self.now)
        decided = settlements.capture(p, got, BOOKS, self.now)
        if any(payment.ref == ref for payment in p.payments):
            assert (decided.state, decided.events) == (p, ()), "once"
        self.captured.setdefault(p.order.id, {}).setdefault(ref, got.amount)
        self.keep(decided)

    @precondition(lambda self: self.purchases)
    @rule(pick=PICK)
    def decline(self, pick: int) -> None:
        p = self.chosen(pick)
        if p.order.is_open:
            self.keep(purchases.decline(p, "PAYMENT_DECLINED", "no money", self.now))

    # What Sovereigns tell

    @precondition(lambda self: self.purchases)
    @rule(pick=PICK, event=st.sampled_from(["started", "activated", "given_up", "destroyed"]))
    def tell(self, pick: int, event: str) -> None:
        p = self.chosen(pick)
        decide: dict[str, Any] = {
            "started": lambda: fulfilment.started(p, HOME, self.now),
            "activated": lambda: fulfilment.activated(p, HOME, self.now),
            "given_up": lambda: fulfilment.given_up(p, HOME, "failed", BOOKS, 1, self.now),
            "destroyed": lambda: fulfilment.destroyed(p, HOME, BOOKS, 1, self.now),
        }
        self.keep(decide[event]())

    # What time does

    @rule(minutes=st.sampled_from([1, 20, 31, 60 * 24 * 15]), sweep=st.booleans())
    def wait(self, minutes: int, sweep: bool) -> None:
        self.now += timedelta(minutes=minutes)
        if not sweep:
            return
        for id in sorted(self.purchases):
            p = self.read(id)
            if p.order.is_open and p.order.deadline <= self.now:
                self.keep(purchases.release(p, Command.EXPIRE, "", self.now))
        for org, money in self.wallets.items():
            self.wallets[org], lapsed = money.expire(self.now)
            self.book(tuple(
                postings.grant_expired(
                    BOOKS, org=org, grant=f.grant.id, version=f.grant.version, amount=f.amount, at=self.now
                ) for f in lapsed
            ))  # fmt: skip

    # Invariants

    def orders(self) -> list[Order]:
        return [p.order for p in self.purchases.values()]

    @invariant()
    def paid_first(self) -> None:
        for p in self.purchases.values():
            assert (p.order.paid_at is not None) == (self.paid_facts[p.order.id] == 1)
            if p.order.state in orders.SETTLED:
                assert p.order.paid_at is not None

    @invariant()
    def for_life(self) -> None:
        claims = Counter(order.sovereign for order in self.orders() if order.claims_sovereign)
        assert all(count == 1 for count in claims.values()), claims

    @invariant()
    def no_excess(self) -> None:
        for order in self.orders():
            assert order.refunded <= order.paid_by_card + order.credit
            assert order.credit + order.due == order.total + order.rounding

    @invariant()
    def all_or_nothing(self) -> None:
        for p in self.purchases.values():
            settled, hold = p.order.paid_at is not None, self.wallets[p.order.org].hold_of(p.order.id)
            assert (p.subscription is not None) == (settled and p.order.kind is Kind.SUBSCRIPTION)
            if p.subscription is not None and p.order.state is State.REFUNDED:
                assert p.subscription.state is subscriptions.State.CANCELLED
            assert (p.paid_txn is not None) == (settled and bool(p.order.total))
            if hold is not None:
                spent = {HoldState.RETURNED} if p.order.state is State.REFUNDED else {HoldState.CAPTURED}
                partly = {HoldState.RETURNED, HoldState.CAPTURED}
                assert (hold.state in (partly if p.order.state is State.PARTIALLY_REFUNDED else spent)) == settled
            confirmed = [u for u in self.uses.values() if u.order == p.order.id and u.state is UseState.CONFIRMED]
            assert len(confirmed) == (settled and bool(p.order.voucher))

    @invariant()
    def equal_money(self) -> None:
        for p in self.purchases.values():
            settled = [payment.amount for payment in p.payments if payment.state is PaymentState.SETTLED]
            paid = [p.order.due] if p.order.paid_at and p.order.due else []
            assert settled == paid or (p.order.state is State.REFUNDED and not settled)

    @invariant()
    def nothing_kept(self) -> None:
        for p in self.purchases.values():
            captured = total(self.captured.get(p.order.id, {}).values(), "OMR")
            unsettled = total([refund.to_card for refund in p.refunds if refund.why == "unsettled"], "OMR")
            wished = [refund for refund in p.refunds if refund.why != "unsettled"]
            assert captured == unsettled + p.order.paid_by_card
            assert total([refund.to_card for refund in wished], "OMR") <= p.order.paid_by_card
            assert total([refund.to_card + refund.to_credit for refund in wished], "OMR") == p.order.refunded

    @invariant()
    def to_the_unit(self) -> None:
        """Of an order that went back whole nothing stays in the book but what its voucher cost."""
        for p in self.purchases.values():
            if p.order.state is State.REFUNDED and p.order.kind is Kind.SUBSCRIPTION:
                mine = [
                    txn for txn in self.txns.values() if txn.order == p.order.name and txn.kind != "voucher_confirmed"
                ]
                house = [e for txn in mine for e in txn.entries if e.account.owner == BOOKS.sovereign]
                by_account: dict[str, Money] = {}
                for entry in house:
                    by_account[entry.account.id] = by_account.get(entry.account.id, omr("0")) + entry.amount
                assert not any(by_account.values())

    @invariant()
    def all_released(self) -> None:
        for p in self.purchases.values():
            if p.order.state in CLOSED:
                hold = self.wallets[p.order.org].hold_of(p.order.id)
                assert hold is None or hold.state is HoldState.RELEASED
                assert not any(u.state is UseState.RESERVED for u in self.uses.values() if u.order == p.order.id)
                assert not p.order.claims_sovereign
                assert p.checkout is not None
                assert p.checkout.state in (CheckoutState.CLOSING, CheckoutState.CLOSED)

    @invariant()
    def one_live(self) -> None:
        live = Counter(
            p.subscription.scope
            for p in self.purchases.values()
            if p.subscription and p.subscription.state is subscriptions.State.ACTIVE
        )
        assert all(count == 1 for count in live.values()), live

    @invariant()
    def caps(self) -> None:
        for code, known in self.vouchers.items():
            counting = [use for use in self.uses.values() if use.voucher == code and use.counts(self.now)]
            assert known.terms.max_total is None or len(counting) <= known.terms.max_total
            assert all(n <= known.terms.max_per_org for n in Counter(use.org for use in counting).values())
            assert known.terms.budget is None or total([u.value for u in counting], "OMR") <= known.terms.budget

    @invariant()
    def balanced(self) -> None:
        assert not unbalanced(entry for txn in self.txns.values() for entry in txn.entries)

    @invariant()
    def the_book_knows_each_wallet(self) -> None:
        for org, money in self.wallets.items():
            mine = credit_of(org, "OMR")
            entries = [e.amount for txn in self.txns.values() for e in txn.entries if e.account == mine]
            assert total(entries, "OMR") + money.total == omr("0")


LONG = os.environ.get("HYPOTHESIS_PROFILE") == "long"
Orders.TestCase.settings = settings(max_examples=1500 if LONG else 80, stateful_step_count=40, deadline=None)
TestOrders = Orders.TestCase
