"""Usage: what was measured, counted once and summed up by the hour.

Invariants
  once      an Organization, a source and an id are one event, however often and in whatever order it arrives;
  alone     each event of a batch is judged by itself: a bad one refuses no other;
  in time   up to a day late it joins its hour, up to 35 days the next invoice, and an hour that was billed never changes;
  rebuilt   an hour is what its events make of it, in any order.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum

from catalyst_sdk import Code, Refused

from .rating import NANO

MOST_UNITS = 10**9
"""Above this a single value is a mistake of its meter."""
AHEAD = timedelta(minutes=5)
HOUR = timedelta(hours=1)
ORG = re.compile(r"[a-z][a-z0-9-]{1,30}[a-z0-9]")
_VALUE = re.compile(r"[0-9]{1,10}(\.[0-9]{1,9})?")


class MeterUnknown(Refused):
    code, reason, message = Code.INVALID_ARGUMENT, "METER_UNKNOWN", "there is no meter {meter}"


class ValueInvalid(Refused):
    code, reason, message = Code.INVALID_ARGUMENT, "VALUE_INVALID", "{field} cannot be taken: {why}"


class InFuture(Refused):
    code, reason, message = Code.INVALID_ARGUMENT, "IN_FUTURE", "{at} is more than 5 minutes ahead"


class TooLate(Refused):
    code, reason, message = Code.INVALID_ARGUMENT, "TOO_LATE", "{at} is more than {days} days ago"


class UsageIdReused(Refused):
    code, reason, message = Code.INVALID_ARGUMENT, "USAGE_ID_REUSED", "{id} of {source} was another measurement"


class Aggregation(StrEnum):
    """How events of one hour become one number."""

    SUM = "sum"
    MAX = "max"
    LAST = "last"


@dataclass(frozen=True, slots=True)
class Meter:
    """Something that can be counted. Data, not code."""

    slug: str
    unit: str
    aggregation: Aggregation
    dimensions: tuple[str, ...]
    title: str
    created_at: datetime
    updated_at: datetime
    version: int = 1

    @property
    def name(self) -> str:
        return f"meters/{self.slug}"


@dataclass(frozen=True, slots=True)
class Windows:
    """How late a measurement may be."""

    late: timedelta = timedelta(hours=24)
    adjustment: timedelta = timedelta(days=35)


@dataclass(frozen=True, slots=True)
class Event:
    """One measurement."""

    org: str
    source: str
    id: str
    environment: str
    application: str
    meter: str
    value: int
    """In billionths of the unit."""
    at: datetime
    dimensions: tuple[tuple[str, str], ...]
    received_at: datetime
    is_adjustment: bool = False
    """Whether it came too late for its hour: it goes on the next invoice."""
    is_rated: bool = True
    """Whether it costs anything: that of a suspended Organization does not."""
    invoice: str = ""
    """The invoice that an adjustment went on; empty: none yet."""

    @property
    def key(self) -> tuple[str, str, str]:
        return (self.org, self.source, self.id)

    @property
    def hour(self) -> datetime:
        return hour_of(self.at)

    def says_the_same(self, other: "Event") -> bool:
        """Whether it is the same measurement, whenever it arrived."""
        return self._body == other._body

    @property
    def _body(self) -> tuple[object, ...]:
        return (self.environment, self.application, self.meter, self.value, self.at, self.dimensions)


@dataclass(frozen=True, slots=True)
class Hour:
    """One meter in one hour of one Application."""

    org: str
    meter: str
    environment: str
    application: str
    hour: datetime
    value: int = 0
    rated: int = 0
    """The part that costs something."""
    last_at: datetime | None = None
    last_id: str = ""
    """The latest event by time, then by source and id: what LAST goes by."""

    @property
    def key(self) -> tuple[str, str, str, str, datetime]:
        return (self.org, self.meter, self.environment, self.application, self.hour)


def hour_of(moment: datetime) -> datetime:
    """The hour that holds a moment."""
    return moment.replace(minute=0, second=0, microsecond=0)


def check(event: Event, meters: Mapping[str, Meter], windows: Windows, now: datetime) -> Event:
    """The event as it is kept. Raises MeterUnknown, ValueInvalid, InFuture, TooLate."""
    meter = meters.get(event.meter)
    if meter is None:
        raise MeterUnknown(meter=f"meters/{event.meter}")
    unknown = [name for name, _ in event.dimensions if name not in meter.dimensions]
    if unknown:
        raise ValueInvalid(field="dimensions", why=f"the meter has no {', '.join(unknown)}")
    if event.at > now + AHEAD:
        raise InFuture(at=f"{event.at:%FT%TZ}")
    if event.at < now - windows.adjustment:
        raise TooLate(at=f"{event.at:%FT%TZ}", days=windows.adjustment.days)
    return replace(event, is_adjustment=event.at < now - windows.late)


def quantity(text: str) -> int:
    """`1.25` in billionths: digits, at most nine decimals, no sign, no exponent. Raises ValueInvalid."""
    if not _VALUE.fullmatch(text):
        raise ValueInvalid(field="value", why="digits are expected, with at most nine decimals")
    value = int(Decimal(text) * NANO)
    if value > MOST_UNITS * NANO:
        raise ValueInvalid(field="value", why=f"{MOST_UNITS} units are the most")
    return value


def decimal(nano: int) -> str:
    """A quantity as text, without zeros at its end."""
    whole, rest = divmod(nano, NANO)
    return f"{whole}.{rest:09}".rstrip("0").rstrip(".") if rest else str(whole)


def joined(hour: Hour, event: Event, aggregation: Aggregation) -> Hour:
    """The hour with one event more."""
    if event.is_adjustment:
        return hour
    mark = (event.at, f"{event.source} {event.id}")
    is_last = hour.last_at is None or mark > (hour.last_at, hour.last_id)
    grown = replace(hour, last_at=mark[0], last_id=mark[1]) if is_last else hour
    rated = event.value if event.is_rated else 0
    if aggregation is Aggregation.SUM:
        return replace(grown, value=hour.value + event.value, rated=hour.rated + rated)
    if aggregation is Aggregation.MAX:
        return replace(grown, value=max(hour.value, event.value), rated=max(hour.rated, rated))
    return replace(grown, value=event.value, rated=rated) if is_last else grown


def rolled_up(events: Iterable[Event], meters: Mapping[str, Meter]) -> dict[tuple[str, str, str, str, datetime], Hour]:
    """Every hour, made anew from its events."""
    hours: dict[tuple[str, str, str, str, datetime], Hour] = {}
    for event in events:
        if not event.is_adjustment:
            empty = Hour(event.org, event.meter, event.environment, event.application, event.hour)
            before = hours.get(empty.key, empty)
            hours[empty.key] = joined(before, event, meters[event.meter].aggregation)
    return hours
