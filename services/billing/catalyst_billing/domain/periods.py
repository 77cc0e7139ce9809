"""Billing periods: calendar months from an anchor, in the Sovereign's billing time zone.

Invariants
  half-open   a period contains its start and not its end, and ends where the next one begins;
  anchored    every boundary is worked out from the anchor alone, so neither a short month nor a change of the clock shifts
              those that come after it.
"""

import calendar
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from .money import Money

DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Span:
    """From `start` until just before `end`."""

    start: datetime
    end: datetime

    @property
    def length(self) -> timedelta:
        return self.end - self.start


def boundary(anchor: datetime, months: int, zone: ZoneInfo, *, day: int = 0) -> datetime:
    """The moment `months` calendar months after `anchor`, on its day of the month or the last of a shorter month.

    day   the day to come back to, where `anchor` itself lies in a shorter month; 0: that of `anchor`
    """
    start = anchor.astimezone(zone)
    year, month = divmod(start.year * 12 + start.month - 1 + months, 12)
    last = calendar.monthrange(year, month + 1)[1]
    return start.replace(year=year, month=month + 1, day=min(day or start.day, last)).astimezone(UTC)


def following(anchor: datetime, end: datetime, months: int, zone: ZoneInfo, *, day: int = 0) -> Span:
    """The period of `months` that begins at `end`, itself a boundary of `anchor`."""
    first, last = anchor.astimezone(zone), end.astimezone(zone)
    passed = (last.year - first.year) * 12 + last.month - first.month
    return Span(end, boundary(anchor, passed + months, zone, day=day))


def midnight(moment: datetime, zone: ZoneInfo) -> datetime:
    """The last midnight in `zone` that is not after `moment`."""
    return moment.astimezone(zone).replace(hour=0, minute=0, second=0, microsecond=0, fold=0).astimezone(UTC)


def month_start(moment: datetime, zone: ZoneInfo) -> datetime:
    """When the month of `moment` began in `zone`."""
    return midnight(moment.astimezone(zone).replace(day=1), zone)


def month_of(moment: datetime, zone: ZoneInfo) -> Span:
    """The month of `moment` in `zone`."""
    start = month_start(moment, zone)
    return Span(start, boundary(start, 1, zone))


def month_span(month: str, zone: ZoneInfo) -> Span:
    """The month `YYYY-MM` in `zone`."""
    year, number = map(int, month.split("-"))
    start = datetime(year, number, 1, tzinfo=zone).astimezone(UTC)
    return Span(start, boundary(start, 1, zone))


def part(amount: Money, span: Span, of: Span) -> Money:
    """What `amount` for all of `of` comes to for `span`, rounded half to even once."""
    return amount.fraction(_ticks(span.length), _ticks(of.length))


def _ticks(length: timedelta) -> int:
    return length // timedelta(microseconds=1)
