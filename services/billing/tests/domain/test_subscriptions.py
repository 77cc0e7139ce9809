"""From one period to the next: renewal, dunning, and what every step books and tells."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from catalyst_billing.domain import endings, renewals, subscriptions
from catalyst_billing.domain.credit import Wallet
from catalyst_billing.domain.earnings import open_period
from catalyst_billing.domain.invoices import Series
from catalyst_billing.domain.invoices import State as InvoiceState
from catalyst_billing.domain.money import Money
from catalyst_billing.domain.moves import IllegalTransition
from catalyst_billing.domain.payments import PaymentState
from catalyst_billing.domain.pricing import Line, LineKind, Offer, TaxRule
from catalyst_billing.domain.renewals import Dues, House, Means
from catalyst_billing.domain.subscriptions import Dunning, State, Subscription
from catalyst_sdk import Decision
from hypothesis import given
from hypothesis import strategies as st

from ..makers import BOOKS, NOON, booked, grant, omr, wallet

DAY = timedelta(days=1)
MONTH_END = datetime(2026, 2, 1, 12, tzinfo=UTC)
HOUSE = House(BOOKS, (), Dunning())
CARD = Means(lambda s, amount: True)
NO_CARD = Means(lambda s, amount: False)


def item(slug: str, price: str) -> Line:
    return Line(LineKind.PLAN, slug, f"Plan {slug}", omr(price))


def subscription(**changes: Any) -> Subscription:
    values: dict[str, Any] = {
        "id": "s-1", "org": "acme", "scope": "organizations/acme", "order": "o-1", "state": State.ACTIVE, "plan": "m",
        "add_ons": (), "price_book_version": 1, "price": omr("9"), "anchor_day": 1, "anchor_at": NOON,
        "period_start": NOON, "period_end": MONTH_END, "period_months": 1, "provider": "fake", "created_at": NOON,
        "updated_at": NOON, "items": (item("m", "9"),), "customer": "c", "method": "pm", "wake_at": MONTH_END,
    }  # fmt: skip
    return Subscription(**values | changes)


def dues(s: Subscription | None = None, *, credit: str = "0", **changes: Any) -> Dues:
    running = s or subscription()
    purse = wallet(grant("g-1", credit)) if credit != "0" else wallet()
    paid = open_period(
        running.period, [("m", running.price)], subscription=running.id, org="acme", tax=omr("0"), books=BOOKS
    )
    return replace(Dues(running, purse, Series("INV", 2026, 0), Series("CN", 2026, 0), period=paid), **changes)


def kinds(decided: Decision[Any]) -> list[str]:
    return [type(fact).__name__ for fact in decided.events]


def advance(d: Dues, now: datetime, means: Means = NO_CARD, house: House = HOUSE) -> Decision[Dues]:
    return renewals.advance(d, house, means, now)


def through(d: Dues, now: datetime, means: Means = NO_CARD) -> tuple[Dues, list[str]]:
    """Step until nothing is due, as the worker does; a charge is declined at once."""
    told: list[str] = []
    for _ in range(20):
        decided = advance(d, now, means)
        if decided.state is d:
            return d, told
        d, told = replace(decided.state, postings=()), [*told, *kinds(decided)]
        if d.charge is not None and d.subscription.charge:
            refused = renewals.declined(d, "no funds", HOUSE, now, is_final=False)
            d, told = replace(refused.state, charge=None), [*told, *kinds(refused)]
    raise AssertionError("it never comes to rest")


def test_credit_alone_renews_and_no_provider_is_asked() -> None:
    decided = advance(dues(credit="20"), MONTH_END)
    s = decided.state.subscription
    assert kinds(decided) == ["Finalized", "Paid", "Renewed"]
    assert (s.state, s.period_start, s.period_end) == (State.ACTIVE, MONTH_END, datetime(2026, 3, 1, 12, tzinfo=UTC))
    assert booked(decided.state.postings) == {"customer_credit": 9000, "deferred_revenue": -9000}
    assert (decided.state.charge, decided.state.wallet.available(MONTH_END)) == (None, omr("11"))


def test_credit_is_used_first_and_only_the_rest_is_charged() -> None:
    opened = advance(dues(credit="4"), MONTH_END, CARD).state
    assert opened.charge is not None
    assert (opened.charge.amount, opened.charge.credit, opened.postings) == (omr("5"), omr("4"), ())
    assert (opened.subscription.wake_at, opened.wallet.available(MONTH_END)) == (None, omr("0"))
    paid = renewals.captured(opened, "p-1", HOUSE, MONTH_END, at=MONTH_END)
    assert booked(paid.state.postings) == {"customer_credit": 4000, "psp_clearing": 5000, "deferred_revenue": -9000}
    assert kinds(paid) == ["Paid", "Renewed"]


def test_a_capture_is_noted_for_the_moment_at_which_the_provider_took_it() -> None:
    opened = advance(dues(), MONTH_END, CARD).state
    paid = renewals.captured(opened, "p-1", HOUSE, MONTH_END + 3 * DAY, at=MONTH_END)
    (noted,) = paid.state.payments
    assert (noted.ref, noted.org, noted.order, noted.amount) == ("p-1", "acme", "", omr("9"))
    assert (noted.state, noted.received_at) == (PaymentState.SETTLED, MONTH_END)


def test_a_step_of_the_provider_is_met_by_rounding_down() -> None:
    odd = subscription(items=(item("m", "9.007"),), price=omr("9.007"))
    opened = advance(dues(odd), MONTH_END, Means(lambda s, amount: True, 10)).state
    assert opened.charge is not None
    assert (opened.charge.amount, opened.charge.rounding) == (omr("9"), omr("0.007"))
    paid = renewals.captured(opened, "p-1", HOUSE, MONTH_END, at=MONTH_END).state
    assert booked(paid.postings) == {"psp_clearing": 9000, "rounding": 7, "deferred_revenue": -9007}


def test_a_period_at_nothing_never_duns() -> None:
    free = subscription(items=(item("m", "0"),), price=omr("0"))
    decided = advance(dues(free), MONTH_END)
    assert decided.state.subscription.state is State.ACTIVE
    assert decided.state.postings == ()


def test_days_of_an_unpaid_renewal() -> None:
    d, told = through(dues(), MONTH_END, CARD)
    assert told == ["Finalized", "Lapsed"]
    seen = [d.subscription.state]
    for day in range(1, 31):
        d, told = through(d, MONTH_END + day * DAY, CARD)
        if told:
            seen += [f"{day}: {', '.join(told)}"]
    assert seen == ["past_due", "3: Lapsed", "7: Suspended", "30: Cancelled"]
    assert d.subscription.tries == 4  # at first, and on days 1, 3 and 5
    assert d.invoice is not None
    assert (d.invoice.state, d.subscription.wake_at) == (InvoiceState.UNCOLLECTIBLE, None)
    assert d.subscription.erase_not_before == MONTH_END + 60 * DAY


def test_after_a_month_in_which_nobody_looked_each_thing_is_told_once() -> None:
    d, told = through(dues(), MONTH_END, CARD)
    d, told = through(d, MONTH_END + 40 * DAY, CARD)
    assert told == ["Lapsed", "Suspended", "Cancelled"]


def test_a_hard_decline_is_not_tried_again() -> None:
    opened = advance(dues(), MONTH_END, CARD).state
    refused = renewals.declined(opened, "stolen card", HOUSE, MONTH_END, is_final=True).state.subscription
    assert (refused.next_try_at, refused.wake_at) == (None, MONTH_END + 3 * DAY)


@pytest.mark.parametrize("days", [0, 4, 8, 29])
def test_paying_late_resumes_and_shifts_nothing(days: int) -> None:
    d, _ = through(dues(), MONTH_END)
    now = MONTH_END + days * DAY
    d, _ = through(d, now)
    met = renewals.Met(omr("0"), omr("9"), omr("0"), "fake", order="billingAccounts/acme/orders/o-2")
    paid = renewals.paid(d, met, BOOKS, now)
    s = paid.state.subscription
    assert kinds(paid) == ["Paid", "Renewed", "Resumed"]
    assert (s.state, s.period_start, s.past_due_at, s.tries) == (State.ACTIVE, MONTH_END, None, 0)
    versions = [fact.subscription.version for fact in paid.events[1:]]  # type: ignore[attr-defined]
    assert versions == [s.version - 1, s.version]  # no two events of one version


def test_what_is_paid_after_the_end_is_booked_and_begins_nothing() -> None:
    d, _ = through(dues(), MONTH_END)
    d, _ = through(d, MONTH_END + 30 * DAY)
    met = renewals.Met(omr("0"), omr("9"), omr("0"), "fake", order="o")
    paid = renewals.paid(d, met, BOOKS, MONTH_END + 31 * DAY)
    assert paid.state.subscription.state is State.CANCELLED
    assert booked(paid.state.postings) == {"psp_clearing": 9000, "deferred_revenue": -9000}


def test_a_capture_for_what_was_paid_meanwhile_goes_back() -> None:
    opened = advance(dues(credit="4"), MONTH_END, CARD).state
    ended = renewals.end(opened, "requested", HOUSE, MONTH_END).state
    late = renewals.captured(ended, "p-1", HOUSE, MONTH_END, at=MONTH_END).state
    assert [refund.to_card for refund in late.refunds] == [omr("5")]
    assert (late.postings, late.wallet.available(MONTH_END)) == ((), omr("4"))


def test_an_answer_that_comes_after_the_end_starts_no_dunning() -> None:
    opened = advance(dues(credit="4"), MONTH_END, CARD).state
    ended = renewals.end(opened, "requested", HOUSE, MONTH_END).state
    late = renewals.declined(ended, "no funds", HOUSE, MONTH_END, is_final=False)
    assert (late.events, late.state.subscription.state) == ((), State.CANCELLED)
    assert late.state.wallet.available(MONTH_END) == omr("4")


def test_a_frozen_account_spends_nothing() -> None:
    decided = advance(dues(credit="20", is_frozen=True), MONTH_END)
    assert decided.state.subscription.state is State.PAST_DUE
    assert decided.state.postings == ()


def test_the_invoice_is_drafted_a_day_before_and_has_one_id() -> None:
    early = dues(subscription(wake_at=MONTH_END - DAY))
    drafted = advance(early, MONTH_END - DAY).state
    assert drafted.invoice is not None
    assert (drafted.invoice.state, drafted.invoice.number, drafted.subscription.wake_at) == ("draft", "", MONTH_END)
    renewed = advance(drafted, MONTH_END).state.invoice
    assert renewed is not None
    assert (renewed.id, renewed.number) == (drafted.invoice.id, "INV-2026-000001")


def test_a_cancelled_one_ends_with_its_period_and_can_be_taken_back_before() -> None:
    s = subscriptions.at_period_end(subscription(), NOON, DAY)
    assert (s.cancel_at_period_end, subscriptions.taken_back(s, NOON, DAY).cancel_at_period_end) == (True, False)
    ended = advance(dues(s), MONTH_END)
    assert kinds(ended) == ["Cancelled"]
    with pytest.raises(IllegalTransition):
        subscriptions.taken_back(ended.state.subscription, MONTH_END, DAY)


def test_ending_at_once_gives_unused_time_as_credit_with_a_note() -> None:
    taxed = dues()
    assert taxed.period is not None
    d = replace(taxed, period=replace(taxed.period, tax=omr("0.9")))
    ended = endings.end_now(d, "requested", HOUSE, NOON + (MONTH_END - NOON) / 3)
    assert kinds(ended) == ["Cancelled", "Granted", "Finalized", "Paid"]
    assert booked(ended.state.postings) == {"deferred_revenue": 6000, "tax_payable": 600, "customer_credit": -6600}
    (note,) = ended.state.documents
    assert (note.number, note.total, note.kind) == ("CN-2026-000001", omr("-6.6"), "credit_note")
    assert ended.state.period is not None
    assert ended.state.period.charged == omr("3")


def test_without_the_policy_ending_at_once_gives_nothing_back() -> None:
    ended = endings.end_now(dues(), "requested", replace(HOUSE, gives_credit=False), NOON + DAY)
    assert (kinds(ended), ended.state.postings) == (["Cancelled"], ())


def test_a_trial_ends_in_active_or_cancelled() -> None:
    trial = subscription(state=State.TRIALING, trial_end=MONTH_END, price=omr("0"), anchor_at=MONTH_END)
    paid = advance(dues(trial, credit="9"), MONTH_END)
    assert (paid.state.subscription.state, paid.state.subscription.price) == (State.ACTIVE, omr("9"))
    unpaid = advance(dues(trial), MONTH_END)
    assert kinds(unpaid) == ["Finalized", "Cancelled", "Voided"]
    assert [f.why for f in unpaid.events if isinstance(f, subscriptions.Cancelled)] == ["trial_ended"]


def test_a_percent_voucher_counts_in_as_many_periods_as_it_says() -> None:
    d = dues(subscription(percent=50, percent_periods=2, price=omr("4.5")), credit="99")
    prices = []
    for _ in range(3):
        d = replace(advance(d, d.subscription.period_end).state, invoice=None, postings=())
        prices.append(d.subscription.price)
        d = replace(d, subscription=replace(d.subscription, wake_at=d.subscription.period_end))
    assert prices == [omr("4.5"), omr("9"), omr("9")]


def test_a_new_price_counts_from_the_first_period_that_begins_a_notice_later() -> None:
    dearer = Offer("m", (), (item("m", "12"),), 2)
    told = subscriptions.announce(subscription(), dearer, BOOKS, NOON + 5 * DAY, 30 * DAY)
    (fact,) = told.events
    assert isinstance(fact, subscriptions.Repriced)
    assert (fact.price, fact.starts_at) == (omr("12"), datetime(2026, 3, 1, 12, tzinfo=UTC))
    assert subscriptions.announce(told.state, dearer, BOOKS, NOON + 6 * DAY, 30 * DAY).events == ()
    first = advance(dues(told.state, credit="99"), MONTH_END).state
    assert first.subscription.price == omr("9")
    due = replace(first, invoice=None, subscription=replace(first.subscription, wake_at=first.subscription.period_end))
    assert advance(due, first.subscription.period_end).state.subscription.price == omr("12")


def test_a_book_with_the_same_price_is_only_noted() -> None:
    same = subscriptions.announce(subscription(), Offer("m", (), (item("m", "9"),), 2), BOOKS, NOON, 30 * DAY)
    assert (same.events, same.state.compared_book, same.state.repricing) == ((), 2, None)


MONTHS = {"Asia/Muscat": "OMR", "Europe/Berlin": "EUR", "Asia/Tokyo": "JPY"}


@pytest.mark.parametrize(("zone", "currency"), MONTHS.items())
def test_a_year_of_month_ends_bills_twelve_times_in_every_currency(zone: str, currency: str) -> None:
    from zoneinfo import ZoneInfo

    tz = ZoneInfo(zone)
    house = replace(HOUSE, books=replace(BOOKS, zone=tz), taxes=(TaxRule("VAT", 500),))
    anchor = datetime(2026, 1, 31, 23, 30, tzinfo=tz).astimezone(UTC)
    price = Money(9_001, currency)
    line = Line(LineKind.PLAN, "m", "Plan m", price)
    first = subscriptions.periods.boundary(anchor, 1, tz)
    s = subscription(
        anchor_at=anchor,
        anchor_day=31,
        period_start=anchor,
        period_end=first,
        wake_at=first,
        items=(line,),
        price=price,
    )
    purse = Wallet(
        "acme", currency, (replace(grant("g", "1"), amount=price * 20, remaining=price * 20, held=price * 0),)
    )
    d = Dues(s, purse, Series("INV", 2026, 0), Series("CN", 2026, 0))
    spent, ends = Money(0, currency), []
    for _ in range(12):
        now = d.subscription.period_end
        decided = renewals.advance(replace(d, subscription=replace(d.subscription, wake_at=now)), house, NO_CARD, now)
        assert decided.state.invoice is not None
        spent += decided.state.invoice.total
        d = replace(decided.state, invoice=None, postings=())
        ends.append(d.subscription.period_start.astimezone(tz))
    assert [(end.month, end.day) for end in ends] == [
        (2, 28), (3, 31), (4, 30), (5, 31), (6, 30), (7, 31), (8, 31), (9, 30), (10, 31), (11, 30), (12, 31), (1, 31),
    ]  # fmt: skip
    assert {(end.hour, end.minute) for end in ends} == {(23, 30)}
    assert spent == Money(9_451, currency) * 12  # 450.05 of tax, half to even
    assert d.series.last == 12


@given(st.lists(st.sampled_from(["pay", "fail", "hard", "wait"]), max_size=12), st.integers(0, 12))
def test_whatever_happens_no_money_is_lost_and_no_state_is_told_twice(acts: list[str], credit: int) -> None:
    d = dues(credit=str(credit))
    now, told, paid = MONTH_END, [], omr("0")
    opening = d.wallet.total
    for act in acts:
        for _ in range(12):
            decided = advance(d, now, CARD)
            if decided.state is d:
                break
            d, told = decided.state, [*told, *decided.events]
            if d.charge is not None and d.subscription.charge:
                answer = _answer(act, d, now)
                d, told = answer.state, [*told, *answer.events]
                paid += d.charge.amount if d.charge and d.charge.state == "captured" else omr("0")
                d = replace(d, charge=None)
            if d.subscription.state is State.ACTIVE:
                d = replace(d, invoice=None)
        now += timedelta(days=2 if act == "wait" else 9)
    sums = booked(d.postings)
    assert sum(sums.values()) == 0
    assert sums.get("psp_clearing", 0) == paid.minor
    assert sums.get("customer_credit", 0) == (opening - d.wallet.total).minor
    seen = [(type(f).__name__, f.subscription.version) for f in told if hasattr(f, "subscription")]
    assert len(seen) == len(set(seen)), "two facts of one version"
    assert d.wallet.held == omr("0")


def _answer(act: str, d: Dues, now: datetime) -> Decision[Dues]:
    answers: dict[str, Callable[[], Decision[Dues]]] = {
        "pay": lambda: renewals.captured(d, "p", HOUSE, now, at=now),
        "hard": lambda: renewals.declined(d, "stolen", HOUSE, now, is_final=True),
    }
    return answers.get(act, lambda: renewals.declined(d, "no funds", HOUSE, now, is_final=False))()
