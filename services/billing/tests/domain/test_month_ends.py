"""Periods that change and end early, in three currencies and in time zones that shift: sums to the minor unit."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from catalyst_billing.domain import earnings, endings, further_orders, orders, periods, settlements
from catalyst_billing.domain.accounts import BillingAccount
from catalyst_billing.domain.changes import PeriodOver
from catalyst_billing.domain.credit import Wallet
from catalyst_billing.domain.earnings import Period, open_period
from catalyst_billing.domain.further_orders import Counter as Desk
from catalyst_billing.domain.further_orders import Wish
from catalyst_billing.domain.invoices import Series
from catalyst_billing.domain.ledger import Txn
from catalyst_billing.domain.money import Money
from catalyst_billing.domain.payments import Capture
from catalyst_billing.domain.pricing import Line, LineKind, Offer, Selection, TaxRule, bill
from catalyst_billing.domain.purchases import Purchase
from catalyst_billing.domain.renewals import Dues, House
from catalyst_billing.domain.subscriptions import Dunning
from hypothesis import given
from hypothesis import strategies as st

from ..makers import BOOKS
from .test_subscriptions import subscription

CURRENCIES = st.sampled_from(["OMR", "EUR", "JPY"])
ZONES = st.sampled_from(["UTC", "Asia/Muscat", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe"])
STARTS = st.integers(0, 3 * 366 * 24 * 60).map(lambda n: datetime(2024, 1, 1, tzinfo=UTC) + timedelta(minutes=n))
PRICES = st.integers(1, 99_999)
CHANGES = st.lists(st.tuples(st.floats(0.01, 0.99), PRICES, st.booleans()), max_size=6)


class Life:
    """One subscription in its first period, and the book that follows from it."""

    def __init__(self, currency: str, zone: str, start: datetime, price: int, bps: int, months: int) -> None:
        tax = (TaxRule("VAT", bps),) if bps else ()
        self.house = House(replace(BOOKS, zone=ZoneInfo(zone)), tax, Dunning())
        self.currency, self.start, self.count = currency, start, 0
        self.end = periods.boundary(start, months, ZoneInfo(zone))
        first = bill([self.line(price)], tax)
        self.subscription = subscription(
            plan=f"p{price}", items=(self.line(price),), price=first.net, period_start=start, period_end=self.end,
            anchor_at=start, period_months=months,
        )  # fmt: skip
        self.period: Period = open_period(
            self.subscription.period, first.parts, subscription="s-1", org="acme", tax=first.tax, books=self.house.books
        )
        self.wallet = Wallet("acme", currency, ())
        self.book = Counter(
            psp_clearing=first.total.minor, deferred_revenue=-first.net.minor, tax_payable=-first.tax.minor
        )  # fmt: skip

    def line(self, price: int) -> Line:
        return Line(LineKind.PLAN, f"p{price}", "Plan", Money(price, self.currency))

    def dues(self) -> Dues:
        return Dues(
            self.subscription, self.wallet, Series("INV", 2026, 0), Series("CN", 2026, 0), period=self.period
        )  # fmt: skip

    def earn(self, now: datetime) -> None:
        earned = earnings.earn(self.period, self.house.books, now).state
        self.period = earned.period
        self._book(earned.postings)

    def order(self, price: int, now: datetime, *, immediate: bool) -> Purchase:
        self.count += 1
        offer, account = (
            Offer(f"p{price}", (), (self.line(price),), 1),
            BillingAccount("acme", "u", self.currency, now, now),
        )
        desk, wish = Desk(account, self.dues(), "", 1), Wish(f"o-{self.count}", "fake")
        return further_orders.change(
            desk, offer, Selection(offer.plan), wish, self.house, now, immediate=immediate
        ).state.purchase  # fmt: skip

    def change(self, price: int, now: datetime, *, immediate: bool) -> None:
        ordered = self.order(price, now, immediate=immediate)
        if ordered.order.is_open:
            got = Capture(f"pay-{self.count}", ordered.order.due, now)
            ordered = settlements.capture(ordered, got, self.house.books, now).state
        self._book(ordered.postings)
        self.wallet = ordered.wallet
        self.subscription = ordered.subscription or self.subscription
        self.period = ordered.period or self.period

    def end_at(self, now: datetime) -> None:
        ended = endings.end_now(self.dues(), "requested", self.house, now).state
        self._book(ended.postings)
        self.wallet, self.period = ended.wallet, ended.period or self.period

    def _book(self, txns: Iterable[Txn]) -> None:
        for txn in txns:
            for entry in txn.entries:
                self.book[entry.account.kind.value] += entry.amount.minor


@given(
    CURRENCIES, ZONES, STARTS, PRICES, st.sampled_from([0, 500, 777, 1900]), st.sampled_from([1, 12]), CHANGES,
    st.none() | st.floats(0, 1),
)  # fmt: skip
def test_whatever_changes_in_a_period_all_of_it_is_earned_and_what_was_paid_is_what_it_cost(
    currency: str, zone: str, start: datetime, price: int, bps: int, months: int,
    changes: list[tuple[float, int, bool]], ends: float | None,
) -> None:  # fmt: skip
    life, now = Life(currency, zone, start, price, bps, months), start
    for share, (_, other, immediate) in zip(sorted(c[0] for c in changes), changes, strict=True):
        now = start + (life.end - start) * share
        life.earn(now)
        life.change(other, now, immediate=immediate)
    if ends is not None:
        now += (life.end - now) * ends
        life.earn(now)
        life.end_at(now)
    life.earn(life.end + timedelta(seconds=1))
    cost, book = life.period.charged + life.period.tax, life.book
    assert min(life.period.charged.minor, life.period.tax.minor) >= 0
    assert (book["deferred_revenue"], book["revenue"]) == (0, -life.period.charged.minor)
    assert book["tax_payable"] == -life.period.tax.minor
    assert -book["customer_credit"] == life.wallet.total.minor
    assert book["psp_clearing"] == (cost + life.wallet.total).minor


@pytest.mark.parametrize("late", [timedelta(0), timedelta(minutes=1)])
def test_in_a_period_that_is_over_nothing_changes_any_more_though_its_renewal_has_not_come_yet(late: timedelta) -> None:
    start = datetime(2026, 11, 30, 23, 31, tzinfo=UTC)
    life = Life("OMR", "UTC", start, 9000, 500, 1)
    ordered = life.order(12_000, life.end - timedelta(minutes=29), immediate=True)
    captured = Capture("pay-1", ordered.order.due, life.end + late)
    got = settlements.capture(ordered, captured, life.house.books, life.end + late).state
    assert (got.order.state, got.postings) == (orders.State.EXPIRED, ())
    assert [refund.to_card for refund in got.refunds] == [ordered.order.due]
    with pytest.raises(PeriodOver):
        life.order(12_000, life.end + late, immediate=True)
