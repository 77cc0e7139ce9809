"""How far usage may go, and what is told on the way there: each threshold once for each period."""

from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from .money import Money
from .rating import NANO
from .usage import decimal

THRESHOLDS = (50, 80, 100)
SPENDING = "spending"
CEILINGS = {"vcpu_hours": "max_cpu_milli", "ram_gb_hours": "max_ram_mb"}
"""Meters whose use in one hour has a ceiling, and the field that says it."""
_PARTS = {"max_cpu_milli": 1000, "max_ram_mb": 1024}


class Mode(StrEnum):
    """What happens at the plan's limits."""

    CAPPED = "capped"
    GROW = "grow"


@dataclass(frozen=True, slots=True)
class Entitlement:
    """How far an Organization's usage may go."""

    org: str
    currency: str
    mode: Mode = Mode.CAPPED
    max_cpu_milli: int | None = None
    max_ram_mb: int | None = None
    limit: int | None = None
    """Ceiling of metered spending in a month, in minor units; None: there is none."""
    prepaid: bool = False
    """Whether usage is set aside from credit hour by hour."""
    drawn_until: datetime | None = None
    """The hour until which it was."""
    version: int = 0

    @property
    def name(self) -> str:
        return f"billingAccounts/{self.org}/entitlement"

    @property
    def spending_limit(self) -> Money | None:
        return None if self.limit is None else Money(self.limit, self.currency)

    def ceiling(self, meter: str) -> int | None:
        """Most that one hour of a meter may hold, in billionths of its unit; None: no ceiling."""
        field = CEILINGS.get(meter, "")
        most: int | None = getattr(self, field, None) if field else None
        return None if most is None else most * NANO // _PARTS[field]


@dataclass(frozen=True, slots=True)
class Fired:
    """A threshold that was told."""

    org: str
    period_start: datetime
    dimension: str
    percent: int
    fired_at: datetime

    @property
    def name(self) -> str:
        return f"thresholds/{self.org}/{self.period_start:%Y%m%dT%H%M%S}/{self.dimension}/{self.percent}"

    version: int = 1


@dataclass(frozen=True, slots=True)
class Reached:
    """Usage or spending passed a threshold."""

    entitlement: Entitlement
    percent: int
    dimension: str
    period_start: datetime
    spent: Money | None = None
    value: str = ""
    ceiling: str = ""


@dataclass(frozen=True, slots=True)
class Standing:
    """How usage stands now, in a period."""

    period_start: datetime
    spent: Money
    hours: tuple[tuple[str, int], ...] = ()
    """By meter the largest hour that was touched."""


def passed(
    e: Entitlement, standing: Standing, told: frozenset[tuple[str, int]], now: datetime
) -> tuple[Entitlement, list[Fired], list[Reached]]:
    """Thresholds that are passed and were not told yet; the entitlement is one version later for each of them."""
    fired: list[Fired] = []
    facts: list[Reached] = []
    for dimension, percent, spent, value, ceiling in _measures(e, standing):
        for threshold in THRESHOLDS:
            if percent >= threshold and (dimension, threshold) not in told:
                e = replace(e, version=e.version + 1)
                fired.append(Fired(e.org, standing.period_start, dimension, threshold, now))
                facts.append(Reached(e, threshold, dimension, standing.period_start, spent, value, ceiling))
    return e, fired, facts


def _measures(e: Entitlement, standing: Standing) -> list[tuple[str, Decimal, Money | None, str, str]]:
    found: list[tuple[str, Decimal, Money | None, str, str]] = []
    if e.limit is not None:
        # A limit of nothing is reached with the first minor unit.
        percent = Decimal(standing.spent.minor * 100) / max(e.limit, 1)
        found.append((SPENDING, percent, standing.spent, "", ""))
    for meter, value in standing.hours:
        if ceiling := e.ceiling(meter):
            part = Decimal(value * 100) / ceiling
            found.append((f"meters/{meter}", part, None, decimal(value), decimal(ceiling)))
    return found
