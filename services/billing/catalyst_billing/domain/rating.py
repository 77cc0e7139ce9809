"""What usage costs: quantities times the rates that were in force when they were used.

Invariants
  once       a line is rounded once, half to even, however many hours it sums up;
  additive   what a quantity costs from where the last one ended depends on nothing but where it begins and ends, so the
             cost of a period is the same however it is cut (volume prices look at the whole);
  never free what a rate leaves open is refused before it is sold, see `pricing`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_CEILING, ROUND_HALF_EVEN, Context, Decimal
from enum import StrEnum

from .money import Money

NANO = 10**9
"""Quantities are counted in billionths of a unit."""
_EXACT = Context(prec=60, rounding=ROUND_HALF_EVEN)


class Model(StrEnum):
    """How a quantity becomes money."""

    PER_UNIT = "per_unit"
    GRADUATED = "graduated"
    VOLUME = "volume"
    PACKAGE = "package"


@dataclass(frozen=True, slots=True)
class Tier:
    """A price up to a quantity; None: without end."""

    up_to: Decimal | None
    price: Money


@dataclass(frozen=True, slots=True)
class Rate:
    """What a meter costs."""

    meter: str
    model: Model
    price: Money | None = None
    """Of a unit or package; None: tiers say it."""
    package: Decimal = Decimal(1)
    included: Decimal = Decimal(0)
    """Units of a period that cost nothing."""
    tiers: tuple[Tier, ...] = ()


@dataclass(frozen=True, slots=True)
class Card:
    """The rates of one price book, and the plans that they count for."""

    version: int
    currency: str
    valid_from: datetime
    rates: tuple[Rate, ...]
    metered: tuple[str, ...]

    def of(self, meter: str) -> Rate | None:
        """The rate of a meter; None: it costs nothing."""
        return next((rate for rate in self.rates if rate.meter == meter), None)


@dataclass(frozen=True, slots=True)
class Used:
    """A quantity of one meter under one card, in the order of time."""

    meter: str
    card: Card
    quantity: Decimal


def card_at(cards: Sequence[Card], moment: datetime) -> Card | None:
    """The card in force at a moment: the latest that was, or the first that there is."""
    ordered = sorted(cards, key=lambda card: (card.valid_from, card.version))
    before = [card for card in ordered if card.valid_from <= moment]
    return before[-1] if before else next(iter(ordered), None)


def rate(used: Sequence[Used], currency: str, starts: Mapping[str, Decimal] | None = None) -> dict[str, Money]:
    """What each meter costs over quantities that follow each other.

    starts   where each meter stood before them in the period; default 0
    """
    at = dict(starts or {})
    ends = {meter: at.get(meter, Decimal(0)) for meter in {u.meter for u in used}}
    for u in used:
        ends[u.meter] += u.quantity
    sums: dict[str, Decimal] = {}
    for u in used:
        first = at.get(u.meter, Decimal(0))
        at[u.meter] = first + u.quantity
        price = u.card.of(u.meter)
        sums.setdefault(u.meter, Decimal(0))
        if price is not None:
            sums[u.meter] += cost(price, first, at[u.meter], ends[u.meter])
    return {m: Money(int(_EXACT.to_integral_value(exact)), currency) for m, exact in sums.items()}


def cost(rate: Rate, first: Decimal, last: Decimal, end: Decimal) -> Decimal:
    """Exact minor units for the quantity from `first` to `last` of a period in which `end` is used in all."""
    a, b, whole = (max(Decimal(0), point - rate.included) for point in (first, last, end))
    if rate.model is Model.GRADUATED:
        return _up_to(rate.tiers, b) - _up_to(rate.tiers, a)
    if rate.model is Model.VOLUME:
        return (b - a) * _tier(rate.tiers, whole).price.minor
    assert rate.price is not None, "a rate that is not set is never sold"
    if rate.model is Model.PACKAGE:
        return (_packages(b, rate.package) - _packages(a, rate.package)) * rate.price.minor
    return (b - a) * rate.price.minor


def _up_to(tiers: Sequence[Tier], quantity: Decimal) -> Decimal:
    sums, floor = Decimal(0), Decimal(0)
    for tier in tiers:
        top = quantity if tier.up_to is None else min(quantity, tier.up_to)
        if top > floor:
            sums += (top - floor) * tier.price.minor
            floor = top
    return sums


def _tier(tiers: Sequence[Tier], quantity: Decimal) -> Tier:
    return next((tier for tier in tiers if tier.up_to is None or quantity <= tier.up_to), tiers[-1])


def _packages(quantity: Decimal, size: Decimal) -> Decimal:
    return (quantity / size).to_integral_value(ROUND_CEILING)
