"""The catalog's price book as billing reads it. Whatever is not in it cannot be sold."""

from collections.abc import Mapping
from dataclasses import dataclass

from .money import Money
from .rating import Card


@dataclass(frozen=True, slots=True)
class Plan:
    """What is sold. `price` is for one month."""

    slug: str
    title: str
    price: Money
    is_metered: bool = False
    has_rates: bool = False
    """Whether every rate of a metered plan is set."""


@dataclass(frozen=True, slots=True)
class AddOn:
    """Sold beside a plan; one that is included costs nothing."""

    slug: str
    title: str
    price: Money
    is_included: bool = False


@dataclass(frozen=True, slots=True)
class Bundle:
    """Apps that together make the plan cheaper."""

    slug: str
    title: str
    discount_bps: int
    apps: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class App:
    """What runs on a plan. It costs nothing itself."""

    slug: str
    is_deployable: bool
    blueprint: str = ""
    """Resource name, `blueprints/{bp}`."""


@dataclass(frozen=True, slots=True)
class PriceBook:
    """One published version: immutable, everything in one currency."""

    version: int
    currency: str
    plans: Mapping[str, Plan]
    add_ons: Mapping[str, AddOn]
    bundles: Mapping[str, Bundle]
    apps: Mapping[str, App]
    card: Card | None = None
    """Its rates for usage."""
