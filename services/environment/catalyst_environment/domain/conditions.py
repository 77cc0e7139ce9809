"""Conditions: what a thing has and what it has not, as it was seen."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

NOT_AVAILABLE = "NotAvailable"
"""Reason where this house has nothing that could make it."""


@dataclass(frozen=True, slots=True)
class Condition:
    """One observed fact. `holds` is None where it could not be observed, which is neither true nor false."""

    type: str
    holds: bool | None
    reason: str
    message: str
    since: datetime


def noted(known: Sequence[Condition], new: Condition) -> tuple[Condition, ...]:
    """`known` with `new` in it; `since` stays where the fact did not turn."""
    kept = []
    for one in known:
        if one.type != new.type:
            kept.append(one)
        elif one.holds == new.holds:
            new = Condition(new.type, new.holds, new.reason, new.message, one.since)
    return tuple(sorted((*kept, new), key=lambda one: one.type))
