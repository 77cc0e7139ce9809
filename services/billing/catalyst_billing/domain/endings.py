"""A subscription that is ended at once, and what its unused time is worth."""

from dataclasses import replace
from datetime import datetime

from catalyst_sdk import Decision

from . import credit, earnings, further_orders, invoices, renewals, timeline
from .changes import Prorated
from .periods import Span, part
from .renewals import Dues, House
from .subscriptions import State


def end_now(d: Dues, why: str, house: House, now: datetime) -> Decision[Dues]:
    """End it; time that was paid and will not be used comes back as credit where the Sovereign's policy gives it."""
    s, period = d.subscription, d.period
    ended = renewals.end(d, why, house, now)
    if period is None or s.state is not State.ACTIVE or now >= period.end or not house.gives_credit:
        return ended
    line = period.timeline.ended(now)
    net = timeline.difference(period.timeline, line)
    tax = part(-period.tax, Span(now, period.end), Span(period.start, period.end))
    price = Prorated(*earnings.unused(period, net, tax, now), ())
    if not price.total:
        return ended
    given, booked = further_orders.unused_time(d, price, f"{s.id}-{s.version}", "Unused time", house.books, now)
    done = replace(
        ended.state, wallet=d.wallet.give(given.grant), notes=given.series, documents=(*d.documents, given.note),
        period=earnings.rewritten(period, line, period.tax + tax, now, house.books),
        postings=(*ended.state.postings, booked),
    )  # fmt: skip
    sealed = invoices.Finalized(replace(given.note, version=given.note.version - 1))
    return Decision(done, (*ended.events, credit.Granted(given.grant), sealed, invoices.Paid(given.note)))
