"""Another plan, or other add-ons, for a subscription that runs.

Invariants
  prorated      what counts in the current period costs the difference of two timelines, by the second;
  paid first    nothing that costs more counts before its order is paid;
  same ground   an order changes only the offer, in only the period, for which it was priced; a period that is over is no
                such ground, whether its renewal came before the order or not.
"""

from dataclasses import dataclass
from datetime import datetime

from catalyst_sdk import Decision, Refused

from . import earnings, subscriptions, timeline
from .earnings import Period
from .ledger import Part
from .money import Money, total
from .moves import IllegalTransition
from .orders import Order
from .periods import Span, part
from .postings import Books
from .pricing import Offer, TaxRule
from .subscriptions import State, Subscription


class PeriodOver(Refused):
    reason, message = "PERIOD_OVER", "the period of {subscription} ended at {end}, and the next one has not begun yet"


@dataclass(frozen=True, slots=True)
class Prorated:
    """What an offer costs from now to the end of the period, beyond what was charged; below zero: what comes back."""

    net: Money
    tax: Money
    parts: tuple[Part, ...]
    """What a whole period costs from now on, without tax, by item."""

    @property
    def total(self) -> Money:
        return self.net + self.tax


def is_downgrade(s: Subscription, offer: Offer, taxes: tuple[TaxRule, ...]) -> bool:
    """Whether a whole period of it costs less than one of what runs."""
    return subscriptions.current_bill(s, offer, taxes).net < subscriptions.current_bill(s, s.offer, taxes).net


def prorate(s: Subscription, period: Period, offer: Offer, taxes: tuple[TaxRule, ...], now: datetime) -> Prorated:
    """What moving to `offer` now costs. In a trial nothing does."""
    new, old = subscriptions.current_bill(s, offer, taxes), subscriptions.current_bill(s, s.offer, taxes)
    parts = tuple(Part(item, amount) for item, amount in new.parts)
    if s.state is State.TRIALING:
        return Prorated(s.price.zero(), s.price.zero(), parts)
    net = timeline.difference(period.timeline, period.timeline.changed(now, new.parts))
    tax = part(new.tax - old.tax, Span(now, period.end), Span(period.start, period.end))
    return Prorated(*earnings.unused(period, net, tax, now), parts)


def check(s: Subscription | None, order: Order, now: datetime) -> None:
    """Raises IllegalTransition, PeriodOver where the order was priced on something else than what runs."""
    change = order.change
    assert s is not None
    assert change is not None
    same = s.offer.plan == change.previous.plan and s.offer.add_ons == change.previous.add_ons
    if s.state not in (State.ACTIVE, State.TRIALING) or s.period_start != change.period_start or not same:
        raise IllegalTransition(s.name, s.state, "change", ("resume",) if s.is_live else ())
    if now >= s.period_end:
        raise PeriodOver(subscription=s.name, end=f"{s.period_end:%FT%TZ}")


def apply(
    s: Subscription, period: Period | None, order: Order, books: Books, now: datetime
) -> Decision[tuple[Subscription, Period | None]]:
    """The subscription as a paid order of kind CHANGE leaves it."""
    change = order.change
    assert change is not None
    if change.is_later:
        noted = subscriptions.changed(s, now, pending=change.offer)
        return Decision((noted, period))
    sums = [(piece.name, piece.amount) for piece in change.parts]
    is_trial = s.state is State.TRIALING
    moved = subscriptions.with_offer(
        s, change.offer, now, pending=None, apps=order.selection.apps,
        price=s.price if is_trial else total([amount for _, amount in sums], s.price.currency),
    )  # fmt: skip
    if period is not None and not is_trial:
        line = period.timeline.changed(change.at, sums)
        period = earnings.rewritten(period, line, period.tax + change.tax, now, books)
    return Decision((moved, period), (subscriptions.Changed(moved, s.plan, order.name),))
