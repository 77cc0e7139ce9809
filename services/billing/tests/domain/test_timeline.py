"""Timelines: proration falls out of comparing two of them."""

from datetime import UTC, datetime, timedelta
from fractions import Fraction
from zoneinfo import ZoneInfo

import pytest
from catalyst_billing.domain.money import Money
from catalyst_billing.domain.periods import Span, boundary, following, midnight, month_span, month_start
from catalyst_billing.domain.timeline import Timeline, difference, whole
from hypothesis import given
from hypothesis import strategies as st

from ..makers import omr

START = datetime(2026, 1, 1, 12, tzinfo=UTC)
THIRTY = Span(START, START + timedelta(days=30))
HALF = START + timedelta(days=15)
S, M = [("plan", omr("5"))], [("plan", omr("9"))]


def test_an_upgrade_after_half_a_period_costs_half_the_difference() -> None:
    old = whole(THIRTY, "OMR", S)
    assert difference(old, old.changed(HALF, M)) == omr("2")


def test_a_downgrade_gives_back_what_the_upgrade_cost_for_the_same_time() -> None:
    upgraded = whole(THIRTY, "OMR", S).changed(HALF, M)
    assert difference(upgraded, upgraded.changed(HALF, S)) == omr("-2")


def test_a_change_is_rounded_half_to_even_once() -> None:
    odd = Span(START, START + timedelta(seconds=8))
    old = whole(odd, "OMR", [("plan", Money(10, "OMR"))])
    for price, cost in ((14, 2), (12, 1), (11, 0), (13, 2)):
        assert difference(old, old.changed(START + timedelta(seconds=4), [("p", Money(price, "OMR"))])).minor == cost


def test_a_change_leaves_the_past_as_it_was() -> None:
    changed = whole(THIRTY, "OMR", S).changed(HALF, M)
    assert (changed.level(HALF - timedelta(seconds=1)), changed.level(HALF)) == (omr("5"), omr("9"))
    assert changed.changed(START - timedelta(days=1), S) == whole(THIRTY, "OMR", S)


def test_a_change_after_the_period_charges_nothing() -> None:
    old = whole(THIRTY, "OMR", S)
    assert difference(old, old.changed(THIRTY.end, M)) == omr("0")


def test_ending_at_once_gives_the_rest_back() -> None:
    old = whole(THIRTY, "OMR", M)
    assert difference(old, old.ended(START + timedelta(days=10))) == omr("-6")
    assert old.ended(START).charge() == omr("0")


CURRENCIES = st.sampled_from(["OMR", "EUR", "JPY"])
CHANGES = st.lists(
    st.tuples(st.integers(0, 2_700_000), st.lists(st.integers(0, 50_000), max_size=3)), min_size=1, max_size=8
)


@given(CURRENCIES, CHANGES)
def test_any_sequence_of_changes_charges_exactly_the_area_under_the_final_timeline(
    currency: str, changes: list[tuple[int, list[int]]]
) -> None:
    period = Span(START, START + timedelta(days=30))
    now = whole(period, currency, [("plan", Money(9000, currency))])
    charged = now.charge()
    for seconds, prices in changes:  # in any order: a later entry may repair what is past
        new = now.changed(
            START + timedelta(seconds=seconds), [(f"i{n}", Money(p, currency)) for n, p in enumerate(prices)]
        )
        charged += difference(now, new)
        now = new
    assert charged == now.charge()
    assert abs(Fraction(charged.minor) - area(now)) <= Fraction(1 + len(now.pieces), 2)


def area(timeline: Timeline) -> Fraction:
    """The exact area, by the pieces themselves."""
    length = timeline.period.length // timedelta(microseconds=1)
    return sum(
        (Fraction(p.amount.minor * ((p.end - p.start) // timedelta(microseconds=1)), length) for p in timeline.pieces),
        Fraction(0),
    )


@pytest.mark.parametrize("zone", ["UTC", "Asia/Muscat", "Europe/Berlin"])
def test_an_anchor_on_the_31st_comes_back_after_short_months(zone: str) -> None:
    tz = ZoneInfo(zone)
    anchor = datetime(2026, 1, 31, 8, 30, tzinfo=tz)
    days = [boundary(anchor, n, tz).astimezone(tz) for n in range(4)]
    assert [(d.month, d.day, d.hour) for d in days] == [(1, 31, 8), (2, 28, 8), (3, 31, 8), (4, 30, 8)]
    assert boundary(datetime(2028, 1, 31, tzinfo=tz), 1, tz).astimezone(tz).day == 29


def test_an_hour_that_the_clock_leaves_out_shifts_no_later_boundary() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    anchor = datetime(2026, 2, 28, 2, 30, tzinfo=berlin)
    march = boundary(anchor, 1, berlin, day=29)  # 2:30 on 29 March 2026 does not exist there
    assert march == datetime(2026, 3, 29, 1, 30, tzinfo=UTC)
    april = following(anchor, march, 1, berlin, day=29).end
    assert april.astimezone(berlin) == datetime(2026, 4, 29, 2, 30, tzinfo=berlin)


@given(st.integers(0, 14_000 * 86_400), st.sampled_from([1, 12]), st.integers(1, 24))
def test_periods_follow_each_other_without_gap_or_drift(at: int, months: int, steps: int) -> None:
    zone = ZoneInfo("Europe/Berlin")
    anchor = START + timedelta(seconds=at)
    span = Span(anchor, anchor)
    for n in range(1, steps + 1):
        later = following(anchor, span.end, months, zone)
        assert later.start == span.end < later.end == boundary(anchor, n * months, zone)
        span = later


def test_midnights_and_months_are_those_of_the_zone() -> None:
    muscat = ZoneInfo("Asia/Muscat")
    late = datetime(2026, 1, 31, 21, tzinfo=UTC)  # 1 o'clock of 1 February in Muscat
    assert midnight(late, muscat) == month_start(late, muscat) == datetime(2026, 1, 31, 20, tzinfo=UTC)
    assert month_span("2026-02", muscat).start == datetime(2026, 1, 31, 20, tzinfo=UTC)
    assert month_span("2026-12", muscat).end == datetime(2026, 12, 31, 20, tzinfo=UTC)
