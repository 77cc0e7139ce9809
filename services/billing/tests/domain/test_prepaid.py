"""Prepaid usage, hour by hour."""

from dataclasses import replace
from datetime import timedelta

from catalyst_billing.domain import prepaid
from catalyst_billing.domain.invoices import Series
from catalyst_billing.domain.quotas import Entitlement
from catalyst_billing.domain.renewals import Dues
from catalyst_billing.domain.subscriptions import State, Subscription, prepaid_hold

from ..makers import NOON, grant, omr, wallet

RUNNING = Subscription(
    "s-1",
    "acme",
    "organizations/acme",
    "o-1",
    State.ACTIVE,
    "rated",
    (),
    1,
    omr("0"),
    1,
    NOON,
    NOON + timedelta(days=31),
    1,
    "",
    NOON,
    NOON,
)  # fmt: skip - in the order of the fields
MINE = Entitlement("acme", "OMR", prepaid=True)


def dues(subscription: Subscription = RUNNING) -> Dues:
    return Dues(subscription, wallet(grant("g", "5")), Series("INV", 2026, 0), Series("CN", 2026, 0))


def test_what_the_period_has_cost_so_far_is_set_aside_and_an_hour_later_anew() -> None:
    first = prepaid.draw(dues(), MINE, omr("1"), is_told=False, now=NOON)
    assert (first.wallet.held, first.wallet.available(NOON), first.facts) == (omr("1"), omr("4"), ())
    later = prepaid.draw(
        replace(dues(), wallet=first.wallet),
        first.entitlement,
        omr("1.5"),
        is_told=False,
        now=NOON + timedelta(hours=1),
    )
    assert (later.wallet.held, later.entitlement.drawn_until) == (omr("1.5"), NOON + timedelta(hours=1))


def test_no_more_is_set_aside_than_there_is_and_what_is_missing_is_told_once() -> None:
    short = prepaid.draw(dues(), MINE, omr("7"), is_told=False, now=NOON)
    assert (short.wallet.held, [(f.dimension, f.percent) for f in short.facts]) == (omr("5"), [("prepaid", 100)])
    again = prepaid.draw(dues(), MINE, omr("7"), is_told=True, now=NOON)
    assert (again.facts, again.fired) == ((), ())


def test_what_stands_on_an_invoice_is_not_set_aside_again() -> None:
    held = prepaid.draw(dues(), MINE, omr("1"), is_told=False, now=NOON).wallet
    for changes in ({"state": State.PAST_DUE}, {"charge": "ch-1"}):
        billed = replace(dues(replace(RUNNING, **changes)), wallet=held)
        assert prepaid.draw(billed, MINE, omr("1"), is_told=False, now=NOON).wallet.held == omr("0")
    assert held.hold_of(prepaid_hold(RUNNING)) is not None
