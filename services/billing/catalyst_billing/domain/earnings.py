"""Paid periods: what was charged for each, what of it went back, and how much of the rest is earned by now.

Invariants
  by the day   what is earned at a midnight is the area under the timeline until then; at the end it is all that was charged;
  once         a posting moves what is earned now less what was posted before, so a day that was missed is made up for;
  given back   a refund takes its end off a period: first what is not earned yet, then what was earned last, so that no
               more is ever earned than it is worth, and at its end all of that is.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from catalyst_sdk import Decision

from . import periods, postings, timeline
from .ledger import Txn
from .money import Money
from .periods import Span
from .postings import Books
from .timeline import Piece, Timeline


@dataclass(frozen=True, slots=True)
class Period:
    """One period that was paid, or tried."""

    subscription: str
    org: str
    start: datetime
    end: datetime
    pieces: tuple[Piece, ...]
    charged: Money
    """Net of tax: the area under its timeline."""
    tax: Money
    earned: Money
    given_back: Money
    """Net of tax: what refunds took off what was charged."""
    next_at: datetime | None
    """The midnight at which more of it is earned; None: all of it is."""
    sovereign: str = ""
    order: str = ""
    """Name of the order that paid it first; empty: an invoice did."""
    invoice: str = ""
    """Id of that invoice."""
    version: int = 1

    @property
    def name(self) -> str:
        return f"periods/{self.subscription}/{self.start:%Y%m%dT%H%M%S%f}"

    @property
    def timeline(self) -> Timeline:
        return Timeline(Span(self.start, self.end), self.charged.currency, self.pieces)

    @property
    def worth(self) -> Money:
        """What there is to earn of it, from its start to its end."""
        return self.charged - self.given_back

    def used(self, now: datetime) -> Money:
        """What of its worth stands for the time until `now`, posted or not."""
        return min(self.timeline.ended(now).charge(), self.worth)


@dataclass(frozen=True, slots=True)
class Earning:
    """A period and what was just posted of it."""

    period: Period
    postings: tuple[Txn, ...] = ()


def open_period(
    span: Span, items: Iterable[tuple[str, Money]], *, subscription: str, org: str, tax: Money, books: Books,
    sovereign: str = "", order: str = "", invoice: str = "",
) -> Period:  # fmt: skip
    """The period that was just paid."""
    line = timeline.whole(span, tax.currency, items)
    charged = line.charge()
    return Period(
        subscription=subscription, org=org, start=span.start, end=span.end, pieces=line.pieces, charged=charged, tax=tax,
        earned=charged.zero(), given_back=charged.zero(),
        next_at=_next(span.start, span.end, books) if charged else None, sovereign=sovereign, order=order,
        invoice=invoice,
    )  # fmt: skip


def rewritten(period: Period, line: Timeline, tax: Money, now: datetime, books: Books) -> Period:
    """The period with another timeline: what was charged for it follows.

    What falls away of it pays for refunds first, down to what is used: only the rest can come back as `unused` says.
    """
    charged = line.charge()
    given_back = min(period.given_back, max(charged - period.used(now), charged.zero()))
    settled = charged - given_back == period.earned
    return replace(
        period, pieces=line.pieces, charged=charged, tax=tax, given_back=given_back, version=period.version + 1,
        next_at=None if settled else _next(now, period.end, books),
    )  # fmt: skip


def unused(period: Period, net: Money, tax: Money, now: datetime) -> tuple[Money, Money]:
    """What comes back (below zero) where a timeline costs `net` and `tax` less: no more than refunds have left."""
    left = period.used(now) - period.worth
    if net >= left:
        return net, tax
    # Rounded to what is less: with what the refunds rounded up it would pass what was paid.
    return left, -Money(-tax.minor * left.minor // net.minor, tax.currency)


def earn(period: Period, books: Books, now: datetime) -> Decision[Earning]:
    """Post what was earned until the last midnight, months apart; nothing where no midnight has passed."""
    made: list[Txn] = []
    while period.next_at is not None and period.next_at <= now:
        until = _until(period.next_at, period.end, books, now)
        period, txn = _earned(period, until, books)
        made += [txn] if txn else []
    return Decision(Earning(period, tuple(made)))


def give_back(period: Period, net: Money) -> tuple[Period, Money]:
    """Take a refund of `net` off a period. Returns what of it was earned: it has to come out of revenue.

    What is more than the period is worth was earned elsewhere: usage, by an invoice of both.
    """
    unearned = min(net, max(period.worth - period.earned, net.zero()))
    taken = min(net, period.worth)
    earned = period.earned - (taken - unearned)
    given_back = period.given_back + taken
    settled = period.charged - given_back == earned
    left = replace(
        period, earned=earned, given_back=given_back, next_at=None if settled else period.next_at,
        version=period.version + 1,
    )  # fmt: skip
    return left, net - unearned


def _until(first: datetime, end: datetime, books: Books, now: datetime) -> datetime:
    """The last midnight or end that has passed, but no later than the end of the month that `first` closes."""
    month = periods.boundary(periods.month_start(first - timedelta(microseconds=1), books.zone), 1, books.zone)
    passed = end if end <= now else max(first, periods.midnight(now, books.zone))
    return min(passed, max(month, first))


def _earned(period: Period, until: datetime, books: Books) -> tuple[Period, Txn | None]:
    reached = period.used(until)
    more = reached - period.earned
    further = None if until >= period.end else _next(until, period.end, books)
    new = replace(period, earned=reached, next_at=further, version=period.version + 1)
    if not more:
        return new, None
    # A day's revenue belongs to that day, also to the last one of a month.
    at = until - timedelta(microseconds=1)
    return new, postings.revenue_earned(
        books, period=f"{period.subscription}:{period.start.isoformat()}:{new.version}", until=until,
        sovereign=period.sovereign, order=period.order, amount=more, at=at,
    )  # fmt: skip


def _next(after: datetime, end: datetime, books: Books) -> datetime:
    """The first midnight later than `after`, or the end."""
    tomorrow = periods.midnight(after, books.zone).astimezone(books.zone) + timedelta(days=1)
    return min(end, tomorrow.astimezone(UTC))
