"""Refunds in the book: whatever the steps, what was booked is what goes back, and nothing that went back is earned."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from catalyst_billing.domain import changes, earnings, endings, invoices, purchases, refunds, renewals
from catalyst_billing.domain.invoices import InvoiceLine
from catalyst_billing.domain.money import Money
from catalyst_billing.domain.orders import Kind, State
from catalyst_billing.domain.pricing import Line, LineKind, Offer, TaxRule
from catalyst_billing.domain.purchases import Purchase
from catalyst_billing.domain.refunds import Wish
from catalyst_billing.domain.renewals import Means, Met
from hypothesis import given
from hypothesis import strategies as st

from ..makers import BOOKS, NOON, booked, omr
from .test_purchases import paid_by_card
from .test_subscriptions import HOUSE, MONTH_END, dues

DAY = timedelta(days=1)


def worth(p: Purchase, *, total: int, tax: int, rounding: int) -> Purchase:
    """The purchase as if it had been for this, its postings forgotten."""
    whole = Money(total, "OMR")
    order = replace(
        p.order, total=whole, tax=Money(tax, "OMR"), rounding=Money(rounding, "OMR"),
        due=Money(total - rounding, "OMR"), paid_by_card=Money(total - rounding, "OMR"),
    )  # fmt: skip
    assert p.subscription is not None
    period = earnings.open_period(
        p.subscription.period, [("m", order.total - order.tax)], subscription=p.subscription.id, org="acme",
        tax=order.tax, books=BOOKS, order=order.name,
    )  # fmt: skip
    return replace(p, order=order, period=period, postings=())


def earn(p: Purchase, now: datetime) -> Purchase:
    """What the worker of earnings does."""
    assert p.period is not None
    done = earnings.earn(p.period, BOOKS, now).state
    return replace(p, period=done.period, postings=(*p.postings, *done.postings))


def give_back(p: Purchase, amount: Money | None, now: datetime, *, to_credit: bool = False) -> Purchase:
    return refunds.give_back(p, Wish(amount, to_credit, "wished"), BOOKS, 1, now).state


def end_of(p: Purchase) -> datetime:
    assert p.period is not None
    return p.period.end


@given(
    total=st.integers(50, 20_000), tax_bps=st.integers(0, 2500), rounding=st.integers(0, 9),
    shares=st.lists(st.tuples(st.integers(0, 40), st.integers(1, 99)), min_size=1, max_size=6), to_credit=st.booleans(),
)  # fmt: skip
def test_whatever_the_steps_nothing_of_the_order_stays_in_the_book(
    total: int, tax_bps: int, rounding: int, shares: list[tuple[int, int]], to_credit: bool
) -> None:
    tax, card = total * tax_bps // 12_500, total - rounding
    p, now = worth(paid_by_card(), total=total, tax=tax, rounding=rounding), NOON
    for days, share in shares:
        now += days * DAY
        p = earn(p, now)
        left = refunds.left_of(p, now).total
        part = Money(left.minor * share // 100, "OMR")
        if part.is_positive:
            p = give_back(p, part, now, to_credit=to_credit)
    if not p.order.refunded:
        return
    p = earn(give_back(p, None, now, to_credit=to_credit), max(now, end_of(p)))
    assert (p.order.state, p.order.refunded.minor) == (State.REFUNDED, card)
    back = {"customer_credit" if to_credit else "psp_clearing": -card}
    whole = {"deferred_revenue": total - tax, "tax_payable": tax, "rounding": -rounding, **back}
    assert booked(p.postings) == {kind: amount for kind, amount in whole.items() if amount}


@given(
    total=st.integers(50, 20_000),
    tax_bps=st.integers(0, 2500),
    acts=st.lists(st.tuples(st.integers(0, 12), st.integers(0, 60), st.booleans()), min_size=1, max_size=8),
)
def test_what_went_back_is_never_earned_and_at_the_end_all_else_is(
    total: int, tax_bps: int, acts: list[tuple[int, int, bool]]
) -> None:
    tax = total * tax_bps // 12_500
    p, now = worth(paid_by_card(), total=total, tax=tax, rounding=0), NOON
    net, earned = total - tax, 0
    for days, share, worked in acts:
        now += days * DAY
        p = earn(p, now) if worked else p
        part = Money(refunds.left_of(p, now).total.minor * share // 100, "OMR")
        was = -booked(p.postings).get("revenue", 0)
        assert was >= earned, "time takes nothing back"
        p = give_back(p, part, now) if part.is_positive else p
        sums = booked(p.postings)
        kept, earned = net - _returned(p, tax), -sums.get("revenue", 0)
        assert 0 <= earned <= kept
        assert earned in (was, kept), "revenue gives only what is not there to be earned any more"
        assert sums.get("deferred_revenue", 0) == earned + _returned(p, tax)
    p = earn(p, max(now, end_of(p)))
    sums = booked(p.postings)
    assert -sums.get("revenue", 0) == net - _returned(p, tax)
    assert sums.get("deferred_revenue", 0) == net  # all that was put there when it was paid
    assert p.period is not None
    assert p.period.next_at is None


def _returned(p: Purchase, tax: int) -> int:
    """What refunds took off, without tax."""
    taxed = booked(tuple(txn for txn in p.postings if txn.kind == "order_refunded")).get("tax_payable", 0)
    assert 0 <= taxed <= tax
    return p.order.refunded.minor - taxed


def test_a_part_comes_out_of_what_is_not_earned_yet_and_the_rest_out_of_revenue() -> None:
    p = earn(worth(paid_by_card(), total=9_000, tax=0, rounding=0), NOON + 15.5 * DAY)
    assert booked(p.postings) == {"deferred_revenue": 4_500, "revenue": -4_500}
    first = give_back(replace(p, postings=()), omr("4"), NOON + 15.5 * DAY)
    assert booked(first.postings) == {"deferred_revenue": 4_000, "psp_clearing": -4_000}
    second = give_back(replace(first, postings=()), omr("2"), NOON + 15.5 * DAY)
    assert booked(second.postings) == {"deferred_revenue": 500, "revenue": 1_500, "psp_clearing": -2_000}
    assert second.period is not None
    assert (second.period.next_at, earn(replace(second, postings=()), end_of(p)).postings) == (None, ())


def test_ten_days_in_a_whole_refund_takes_back_what_was_earned_and_leaves_nothing_to_earn() -> None:
    p = earn(worth(paid_by_card(), total=9_000, tax=0, rounding=0), NOON + 10 * DAY)
    assert -booked(p.postings)["revenue"] == 2_758  # nine and a half of 31 days
    paid = paid_by_card()
    gone = earn(give_back(replace(p, postings=(*paid.postings, *p.postings)), None, NOON + 10 * DAY), end_of(p))
    assert gone.order.state is State.REFUNDED
    assert booked(gone.postings) == {}


def test_time_that_was_given_back_does_not_come_back_again_as_unused() -> None:
    running = dues()
    assert running.period is not None
    period, earned = earnings.give_back(replace(running.period, tax=omr("0.9")), omr("4"))
    ended = endings.end_now(replace(running, period=period), "requested", HOUSE, NOON + 10 * DAY)
    assert (earned, booked(ended.state.postings)) == (
        omr("0"),
        {"deferred_revenue": 2_097, "tax_payable": 209, "customer_credit": -2_306},
    )
    left = ended.state.period
    assert left is not None
    assert (left.worth, left.given_back) == (omr("2.903"), omr("0"))
    none, _ = earnings.give_back(running.period, omr("9"))
    again = endings.end_now(replace(running, period=none), "requested", HOUSE, NOON + 10 * DAY)
    assert (again.state.postings, again.state.documents) == ((), ())


@given(st.integers(0, 8_999), st.integers(0, 31), st.integers(0, 450))
def test_unused_time_that_came_back_does_not_go_back_again_as_a_refund(back: int, day: int, tax: int) -> None:
    now = NOON + day * DAY
    p = earn(worth(paid_by_card(), total=9_000 + tax, tax=tax, rounding=0), now)
    p = give_back(p, Money(back, "OMR"), now) if back else p
    ended = endings.end_now(replace(dues(p.subscription), period=p.period), "requested", HOUSE, now).state
    p = earn(replace(p, period=ended.period, postings=(*p.postings, *ended.postings)), now)
    if (left := refunds.left_of(p, now).total).is_positive:
        with pytest.raises(refunds.RefundExceeds):
            give_back(p, left + Money(1, "OMR"), now)
        p = give_back(p, None, now)
    p = earn(p, end_of(p))
    sums = booked(p.postings)
    went = -sums.get("psp_clearing", 0) - sums.get("customer_credit", 0)
    assert back <= went <= 9_000 + tax
    assert 0 <= -sums.get("revenue", 0) <= 3, "more stays than roundings leave"
    assert sums.get("deferred_revenue", 0) == 9_000
    assert sums.get("tax_payable", 0) <= tax + 1


@given(st.integers(0, 9_000), st.integers(0, 31), st.integers(0, 20_000))
def test_a_change_after_a_refund_gives_no_more_back_than_is_left(back: int, day: int, price: int) -> None:
    running, now = dues(), NOON + day * DAY
    assert running.period is not None
    before, earned = earnings.give_back(running.period, Money(back, "OMR"))
    offer = Offer("n", (), (Line(LineKind.PLAN, "n", "Plan n", Money(price, "OMR")),), 1)
    net = changes.prorate(running.subscription, before, offer, (), now).net
    line = before.timeline.changed(now, [("n", Money(price, "OMR"))])
    after = earnings.rewritten(before, line, omr("0"), now, BOOKS)
    assert after.worth - before.worth == net
    assert after.worth >= before.used(now)
    assert after.worth.minor >= 0
    assert not earned


def test_a_change_that_goes_back_leaves_what_the_order_before_it_paid() -> None:
    p = worth(paid_by_card(), total=9_000, tax=0, rounding=0)
    assert p.period is not None
    raised = p.period.timeline.changed(NOON + 10 * DAY, [("l", omr("16"))])
    period = earnings.rewritten(p.period, raised, omr("0"), NOON + 10 * DAY, BOOKS)
    cost = period.charged - p.period.charged
    order = replace(
        p.order, kind=Kind.CHANGE, total=cost, due=cost, paid_by_card=cost, id="o-2", refunded=omr("0")
    )  # fmt: skip
    change = earn(replace(p, order=order, period=period, paid_txn=None), NOON + 20 * DAY)
    done = purchases.refund(change, "wished", BOOKS, NOON + 20 * DAY).state
    assert done.period is not None
    assert done.period.worth == omr("9")
    assert -booked(earn(done, done.period.end).postings)["revenue"] == 9_000


def test_what_a_paid_invoice_gives_back_is_time_tax_and_usage_and_nothing_of_it_is_owed_again() -> None:
    used = InvoiceLine(invoices.LineKind.USAGE, "vcpu_hours", "vCPU hours", omr("2"))
    taxed = replace(HOUSE, taxes=(TaxRule("VAT", 500),))
    opened = renewals.advance(replace(dues(), usage=(used,)), taxed, Means(lambda s, amount: False), MONTH_END).state
    met = Met(omr("0"), omr("11.55"), omr("0"), "fake", order="billingAccounts/acme/orders/o-1")
    paid = renewals.paid(opened, met, BOOKS, MONTH_END).state
    bought = {"revenue": -2_000, "deferred_revenue": -9_000, "tax_payable": -550, "psp_clearing": 11_550}
    assert booked(paid.postings) == bought
    base = worth(paid_by_card(), total=11_550, tax=0, rounding=0)
    order = replace(base.order, kind=Kind.ONE_OFF, state=State.FULFILLED)
    p = replace(base, order=order, dues=paid, period=paid.new_period, postings=paid.postings)
    assert booked(give_back(p, None, MONTH_END).postings) == {}
    p = give_back(p, omr("5"), MONTH_END)
    p = earn(p, MONTH_END + 20 * DAY)
    p = give_back(p, None, MONTH_END + 20 * DAY)
    assert (p.order.state, booked(p.postings)) == (State.REFUNDED, {})
    assert earn(replace(p, postings=()), end_of(p)).postings == ()
