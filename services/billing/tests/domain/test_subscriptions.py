"""Periods by calendar month from the anchor."""

from datetime import UTC, datetime, timedelta

from catalyst_billing.domain.subscriptions import next_boundary
from hypothesis import given
from hypothesis import strategies as st


def day(year: int, month: int, day: int) -> datetime:
    return datetime(year, month, day, 8, 30, tzinfo=UTC)


def test_an_anchor_on_the_31st_comes_back_after_short_months() -> None:
    feb = next_boundary(day(2026, 1, 31), 1, 31)
    assert (feb, next_boundary(feb, 1, 31)) == (day(2026, 2, 28), day(2026, 3, 31))
    assert next_boundary(day(2028, 1, 31), 1, 31) == day(2028, 2, 29)


def test_a_year_later_is_the_same_day() -> None:
    assert next_boundary(day(2026, 12, 15), 12, 15) == day(2027, 12, 15)
    assert next_boundary(day(2026, 12, 15), 1, 15) == day(2027, 1, 15)


@given(st.integers(0, 25_000), st.integers(1, 24))
def test_boundaries_follow_each_other_without_drift(days: int, steps: int) -> None:
    at = day(2020, 1, 1) + timedelta(days=days)
    anchor = at.day
    moment = at
    for _ in range(steps):
        later = next_boundary(moment, 1, anchor)
        assert 28 <= (later - moment).days <= 31
        moment = later
    assert moment == next_boundary(at, steps, anchor)
