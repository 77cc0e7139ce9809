"""What was used until a subscription ended, or its plan was another one."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from catalyst_billing.domain import last_bills, metered, renewals
from catalyst_billing.domain.earnings import open_period
from catalyst_billing.domain.invoices import InvoiceLine, LineKind
from catalyst_billing.domain.invoices import State as InvoiceState
from catalyst_billing.domain.periods import Span
from catalyst_billing.domain.rating import Card
from catalyst_billing.domain.renewals import Dues
from catalyst_billing.domain.subscriptions import State
from catalyst_billing.domain.timeline import Timeline

from ..makers import BOOKS, NOON, booked, omr
from .test_subscriptions import CARD, DAY, HOUSE, MONTH_END, NO_CARD, dues, kinds, subscription, through

USED = (InvoiceLine(LineKind.USAGE, "vcpu_hours", "Usage", omr("4"), quantity="400"),)
CARDS = [Card(1, "OMR", NOON, (), ("rated",))]


def used(**changes: Any) -> Dues:
    rated = subscription(plan="rated", price=omr("0"), items=(), **changes)
    return dues(rated, credit="1").used(USED, is_metered=True)


def ended(d: Dues, why: str = "requested", *, at: timedelta = 3 * DAY) -> Dues:
    return renewals.end(d, why, HOUSE, NOON + at).state


def test_who_cancels_owes_what_was_used_until_then() -> None:
    d = ended(used())
    assert (d.subscription.last, d.subscription.wake_at) == (Span(NOON, NOON + 3 * DAY), NOON + 4 * DAY)
    assert last_bills.advance(d, HOUSE, CARD, NOON + 3 * DAY).state is d  # measurements may be a day late
    asked = last_bills.advance(d, HOUSE, CARD, NOON + 4 * DAY)
    assert kinds(asked) == ["Finalized"]
    assert booked(asked.state.postings) == {"receivable": 4000, "revenue": -4000}
    assert asked.state.charge is not None
    assert (asked.state.charge.amount, asked.state.charge.credit) == (omr("3"), omr("1"))
    paid = renewals.captured(asked.state, "p-1", HOUSE, NOON + 4 * DAY, at=NOON + 4 * DAY).state
    assert booked(paid.postings) == {"customer_credit": 1000, "psp_clearing": 3000, "revenue": -4000}
    s = paid.subscription
    assert (s.state, s.invoice, s.charge, s.wake_at, paid.new_period) == (State.CANCELLED, "", "", None, None)


def test_a_last_bill_that_is_not_paid_is_tried_as_often_as_a_renewal_and_stays_open() -> None:
    d, tries = ended(used()), []
    for hours in range(24, 24 * 12, 6):
        now = NOON + 3 * DAY + timedelta(hours=hours)
        asked = last_bills.advance(d, HOUSE, CARD, now).state
        if asked.charge is not None and asked.subscription.charge:
            tries.append(hours // 24)
            asked = replace(renewals.declined(asked, "no", HOUSE, now, is_final=False).state, charge=None)
        d = asked
    assert tries == [1, 2, 4, 6]
    assert d.invoice is not None
    assert (d.invoice.state, d.invoice.due, d.wallet.held) == (InvoiceState.FINALIZED, omr("4"), omr("0"))


def test_a_debt_for_usage_does_not_end_with_the_subscription() -> None:
    d, _ = through(used(method="", wake_at=MONTH_END), MONTH_END)
    assert d.subscription.state is State.PAST_DUE
    gone = ended(replace(d, postings=()), at=MONTH_END - NOON + DAY)
    assert booked(gone.postings) == {"receivable": -4000, "revenue": 4000}  # it comes again, with what was used since
    assert gone.subscription.last == Span(NOON, MONTH_END + DAY)
    unpaid, told = through(replace(d, postings=()), MONTH_END + 30 * DAY)
    assert (told[-1], unpaid.postings) == ("Cancelled", ())
    assert unpaid.subscription.last == Span(MONTH_END, MONTH_END + 7 * DAY)  # suspended since then


@pytest.mark.parametrize("why", ["refunded", "organization_deleted", "trial_ended"])
def test_who_was_given_everything_back_or_has_gone_owes_nothing(why: str) -> None:
    d, _ = through(used(method="", wake_at=MONTH_END), MONTH_END)
    gone = ended(d, why, at=MONTH_END - NOON)
    assert (gone.subscription.last, gone.subscription.wake_at) == (None, None)
    assert booked(gone.postings) == {"receivable": -4000, "revenue": 4000}  # what its invoice had booked is taken back


def test_a_last_bill_is_dropped_with_its_organization_and_can_be_forgiven() -> None:
    d = ended(used())
    assert last_bills.drop(d, "organization_deleted", HOUSE, NOON + 3 * DAY).state.subscription.wake_at is None
    billed = last_bills.advance(d, HOUSE, NO_CARD, NOON + 4 * DAY).state
    for gone in (
        last_bills.drop(billed, "organization_deleted", HOUSE, NOON + 4 * DAY),
        renewals.forgiven(billed, "goodwill", BOOKS, NOON + 4 * DAY),
    ):
        s = gone.state.subscription
        assert (kinds(gone), booked(gone.state.postings)) == (["Voided"], {})
        assert (s.invoice, s.wake_at) == ("", None)


def test_nothing_used_is_no_bill() -> None:
    d = last_bills.advance(ended(replace(used(), usage=())), HOUSE, CARD, NOON + 4 * DAY)
    assert (d.events, d.state.invoice, d.state.subscription.wake_at) == ((), None, None)


def test_what_comes_after_a_last_bill_goes_on_one_more_and_what_was_used_after_the_end_on_none() -> None:
    d = last_bills.advance(replace(ended(used()), usage=()), HOUSE, CARD, NOON + 4 * DAY).state
    came, before, after = NOON + 5 * DAY, NOON + 2 * DAY, NOON + 3 * DAY
    s = last_bills.awaited(d.subscription, [after, before], DAY, came)
    assert (s.wake_at, s.version) == (came + DAY, d.subscription.version + 1)
    assert last_bills.awaited(s, [before], DAY, came) is s  # it is on its way
    assert last_bills.awaited(d.subscription, [after], DAY, came) is d.subscription
    live = subscription(plan="rated")
    assert last_bills.awaited(live, [before], DAY, came) is live
    first = last_bills.advance(ended(used()), HOUSE, NO_CARD, NOON + 4 * DAY).state
    more = last_bills.advance(replace(d, subscription=s, last_bills=1).used(USED), HOUSE, NO_CARD, came + DAY).state
    assert first.invoice is not None
    assert more.invoice is not None
    assert first.invoice.id != more.invoice.id
    unpaid = first.subscription
    assert last_bills.awaited(unpaid, [before], DAY, came) is unpaid  # one debt at a time
    paid = renewals.forgiven(first.used(USED), "goodwill", BOOKS, came).state
    assert paid.subscription.wake_at == came  # what waited behind the open one


def test_what_was_used_is_billed_though_its_plan_was_left_and_nothing_else_is() -> None:
    s = subscription(plan="rated")
    period = open_period(s.period, [("m", omr("9"))], subscription="s-1", org="acme", tax=omr("0"), books=BOOKS)
    line: Timeline = period.timeline
    moved = line.changed(NOON + DAY, [("rated", omr("0"))]).changed(NOON + 3 * DAY, [("l", omr("16"))])
    left = replace(period, pieces=moved.pieces)
    assert metered.spans(subscription(plan="l"), left, CARDS) == [Span(NOON + DAY, NOON + 3 * DAY)]
    back = replace(period, pieces=moved.changed(NOON + 5 * DAY, [("rated", omr("0"))]).pieces)
    assert metered.spans(s, back, CARDS) == [Span(NOON + DAY, NOON + 3 * DAY), Span(NOON + 5 * DAY, s.period_end)]
    assert metered.spans(s, replace(period, pieces=()), CARDS) == [s.period]  # a period that was free, or a trial
    unpaid = replace(s, last=Span(s.period_end, s.period_end + DAY))
    assert metered.spans(unpaid, replace(period, pieces=()), CARDS) == [unpaid.last]
    assert metered.spans(subscription(), period, CARDS) == []
