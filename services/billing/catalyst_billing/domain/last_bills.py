"""The last bills of a metered subscription: what was used until its end and no renewal bills any more.

Invariants
  nothing lost   who ends a subscription, or moves it to another plan, still owes what was used under it;
  after a wait   it is made when measurements have had the time in which they may be late;
  once           its id is made of the subscription and its place among them alone, whoever makes it and how often;
  late ones      what is measured in time and arrives after a last bill goes on one more, a day of arrivals on one;
  no dunning     it is met with credit, then by the saved method, and tried as often as a renewal; then it stays open.
"""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from hashlib import sha256

from catalyst_sdk import Decision

from . import invoices, renewals, subscriptions
from .invoices import Invoice
from .renewals import Dues, House, Means
from .subscriptions import Subscription


def last_bill_id(subscription: str, place: int) -> str:
    """The one id that a last bill of a subscription can have; `place` counts those before it."""
    text = f"{subscription} last {place}" if place else f"{subscription} last"
    return f"in-{sha256(text.encode()).hexdigest()[:24]}"


def awaited(s: Subscription, late: Iterable[datetime], wait: timedelta, now: datetime) -> Subscription:
    """An ended subscription of which usage arrived that its last bill does not have: one more is made when `wait` is over.

    late   when that was used. What was used after the end is owed to nobody
    """
    if s.last is None or s.is_live or s.wake_at is not None or s.invoice:
        return s  # a bill is on its way, or is looked at once more when the open one is paid
    if not any(at < s.last.end for at in late):
        return s
    return subscriptions.changed(s, now, wake_at=now + wait)


def advance(d: Dues, house: House, means: Means, now: datetime) -> Decision[Dues]:
    """Make the last bill of an ended subscription, or have it paid; nothing where that is not due."""
    s = d.subscription
    if s.wake_at is None or s.wake_at > now:
        return Decision(d)
    if d.invoice is not None:
        return renewals.attempt(d, house, means, now)
    made = _made(d, house, now)
    if not made.total:
        return Decision(_freed(d, now))
    sealed, taken = invoices.finalise(
        made, d.series, d.addressee, now, due_in=house.due_in * (not s.method)
    )  # fmt: skip - one call
    opened = replace(
        d, subscription=subscriptions.changed(s, now, invoice=sealed.id, tries=0), invoice=sealed, series=taken, usage=(),
        postings=(*d.postings, *renewals.usage_posting(sealed, s, house.books, now)),
    )  # fmt: skip
    tried = renewals.attempt(opened, house, means, now)
    return Decision(tried.state, (invoices.Finalized(sealed), *tried.events))


def drop(d: Dues, why: str, house: House, now: datetime) -> Decision[Dues]:
    """Nobody is left who could owe it: the last bill is withdrawn, made or not."""
    if d.invoice is None:
        return Decision(_freed(d, now))
    undone = renewals.withdrawn(d.invoice, d.subscription, house.books, now)
    gone = invoices.void(d.invoice, why, now)
    done = replace(_freed(d, now), invoice=gone, postings=(*d.postings, *undone))
    return Decision(done, (invoices.Voided(gone),))


def _made(d: Dues, house: House, now: datetime) -> Invoice:
    s = d.subscription
    lines = renewals.used(d.usage, d.taxes(house))
    return invoices.draft(
        last_bill_id(s.id, d.last_bills), s.org, lines, currency=s.price.currency, now=now, subscription=s.id, period=s.last,
        why="last usage",
    )  # fmt: skip


def _freed(d: Dues, now: datetime) -> Dues:
    """Nothing more comes of it; what was set aside for it is free again."""
    s = d.subscription
    done = subscriptions.changed(s, now, invoice="", charge="", wake_at=None, next_try_at=None)
    return replace(d, subscription=done, wallet=d.wallet.release(subscriptions.prepaid_hold(s), now))
