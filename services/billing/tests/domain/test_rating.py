"""Rates, hours and thresholds."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from catalyst_billing.domain import quotas, rating, usage
from catalyst_billing.domain.quotas import Entitlement, Standing
from catalyst_billing.domain.rating import Card, Model, Rate, Tier, Used
from catalyst_billing.domain.usage import Aggregation, Event, Meter, Windows
from catalyst_sdk import Refused
from hypothesis import given
from hypothesis import strategies as st

from ..makers import NOON, omr

TIERS = (Tier(Decimal(10), omr("0.010")), Tier(Decimal(20), omr("0.008")), Tier(None, omr("0.005")))


def card(*rates: Rate, version: int = 1, since: datetime = NOON) -> Card:
    return Card(version, "OMR", since, rates, ("flexi",))


def cost(rate: Rate, *quantities: str) -> int:
    used = [Used("m", card(rate), Decimal(q)) for q in quantities]
    return rating.rate(used, "OMR")["m"].minor


def a(model: Model, **changes: Any) -> Rate:
    return Rate("m", model, **changes)


def test_every_model_by_example() -> None:
    unit = a(Model.PER_UNIT, price=omr("0.010"))
    assert cost(unit, "12.5") == 125
    assert cost(replace(unit, included=Decimal(10)), "12.5") == 25
    assert cost(a(Model.GRADUATED, tiers=TIERS), "25") == 10 * 10 + 10 * 8 + 5 * 5
    assert cost(a(Model.VOLUME, tiers=TIERS), "25") == 25 * 5
    assert cost(a(Model.VOLUME, tiers=TIERS), "20") == 20 * 8
    assert cost(a(Model.PACKAGE, price=omr("1"), package=Decimal(10)), "10.1") == 2000
    assert cost(a(Model.PACKAGE, price=omr("1"), package=Decimal(10)), "10") == 1000


def test_a_line_is_rounded_once_half_to_even() -> None:
    tiny = a(Model.PER_UNIT, price=omr("0.001"))
    assert cost(tiny, *["0.1"] * 25) == 2  # 2.5, not the sum of what each comes to
    assert cost(tiny, *["0.1"] * 35) == 4


@given(st.lists(st.integers(0, 30_000), min_size=1, max_size=6), st.sampled_from(list(Model)), st.integers(0, 15))
def test_the_cost_of_a_period_is_the_same_however_it_is_cut(cuts: list[int], model: Model, free: int) -> None:
    needs_tiers = model in (Model.GRADUATED, Model.VOLUME)
    rate = a(
        model, included=Decimal(free), package=Decimal(3), price=None if needs_tiers else omr("0.007"),
        tiers=TIERS if needs_tiers else (),
    )  # fmt: skip
    parts = [str(Decimal(cut) / 1000) for cut in cuts]
    assert cost(rate, *parts) == cost(rate, str(sum(map(Decimal, parts))))


def test_each_hour_is_rated_by_the_card_of_its_time() -> None:
    later = NOON + timedelta(days=10)
    cards = [
        card(a(Model.PER_UNIT, price=omr("0.010"))),
        card(a(Model.PER_UNIT, price=omr("0.020")), version=2, since=later),
    ]
    assert rating.card_at(cards, later - timedelta(hours=1)) is cards[0]
    assert rating.card_at(cards, later) is cards[1]
    assert rating.card_at(cards, NOON - timedelta(days=9)) is cards[0]
    used = [Used("m", cards[0], Decimal(3)), Used("m", cards[1], Decimal(2))]
    assert rating.rate(used, "OMR")["m"] == omr("0.070")


METERS = {kind.value: Meter(kind.value, "u", kind, ("application",), kind.value, NOON, NOON) for kind in Aggregation}
WINDOWS = Windows()


def event(value: str = "1", *, id: str = "e", meter: str = "sum", at: datetime = NOON, **rest: Any) -> Event:
    return Event("acme", "src", id, "", "", meter, usage.quantity(value), at, (), NOON, **rest)


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        (lambda: event("-1"), "VALUE_INVALID"),
        (lambda: event("1e400"), "VALUE_INVALID"),
        (lambda: event("0.0000000001"), "VALUE_INVALID"),
        (lambda: event("1000000001"), "VALUE_INVALID"),
        (lambda: usage.check(event(meter="no"), METERS, WINDOWS, NOON), "METER_UNKNOWN"),
        (lambda: usage.check(event(at=NOON + timedelta(days=7)), METERS, WINDOWS, NOON), "IN_FUTURE"),
        (lambda: usage.check(event(at=NOON - timedelta(days=40)), METERS, WINDOWS, NOON), "TOO_LATE"),
    ],
)
def test_what_cannot_be_counted_is_refused_by_name(wrong: Any, reason: str) -> None:
    with pytest.raises(Refused) as refusal:
        wrong()
    assert refusal.value.reason == reason


def test_a_day_late_joins_its_hour_and_later_the_next_invoice() -> None:
    late = usage.check(event(at=NOON - timedelta(hours=24)), METERS, WINDOWS, NOON)
    later = usage.check(event(at=NOON - timedelta(hours=24, seconds=1)), METERS, WINDOWS, NOON)
    assert (late.is_adjustment, later.is_adjustment) == (False, True)


def test_quantities_are_told_as_they_were_sent() -> None:
    assert [usage.decimal(usage.quantity(text)) for text in ("0", "1", "0.05", "1440", "0.000000001")] == [
        "0", "1", "0.05", "1440", "0.000000001",
    ]  # fmt: skip


EVENTS = st.lists(
    st.builds(
        lambda n, value, meter, minute, rated: event(
            str(value), id=f"e{n}", meter=meter, at=NOON + timedelta(minutes=minute), is_rated=rated
        ),
        st.integers(0, 10**6), st.integers(0, 50), st.sampled_from(["sum", "max", "last"]), st.integers(0, 150),
        st.booleans(),
    ),
    max_size=20, unique_by=lambda e: e.id,
)  # fmt: skip


@given(EVENTS, st.randoms(use_true_random=False))
def test_hours_are_the_same_in_whatever_order_events_arrive(events: Sequence[Event], random: Any) -> None:
    shuffled = list(events)
    random.shuffle(shuffled)
    assert usage.rolled_up(events, METERS) == usage.rolled_up(shuffled, METERS)


def test_each_threshold_is_told_once_for_each_period_with_a_version_of_its_own() -> None:
    e = Entitlement("acme", "OMR", limit=10_000, max_cpu_milli=2000)
    start = datetime(2026, 1, 1, tzinfo=UTC)
    first = Standing(start, omr("8.5"), (("vcpu_hours", usage.quantity("1.2")),))
    e, fired, facts = quotas.passed(e, first, frozenset(), NOON)
    assert [(f.dimension, f.percent) for f in fired] == [
        ("spending", 50), ("spending", 80), ("meters/vcpu_hours", 50),
    ]  # fmt: skip
    assert [fact.entitlement.version for fact in facts] == [1, 2, 3]
    told = frozenset((f.dimension, f.percent) for f in fired)
    e, fired, _ = quotas.passed(e, Standing(start, omr("12")), told, NOON)
    assert [f.percent for f in fired] == [100]
    assert quotas.passed(Entitlement("acme", "OMR"), first, frozenset(), NOON)[1] == []
