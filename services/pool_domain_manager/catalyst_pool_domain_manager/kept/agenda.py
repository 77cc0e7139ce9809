"""What is to be done now, and when something falls due next; so that nobody need ask all the time."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar

from sqlalchemy import ColumnElement, Table

Key = TypeVar("Key")


@dataclass(frozen=True, slots=True)
class Agenda(Generic[Key]):
    """What was found by one look."""

    due: Sequence[Key]
    seconds: float | None
    """Until the next one of those that were read falls due; None where none will."""


def ripe_first(t: Table) -> tuple[ColumnElement[Any], ...]:
    """Order in which whatever is due stands before what will be: a `not_before` that is absent means now."""
    return (t.c.not_before.asc().nulls_first(),)


def agenda(rows: Sequence[tuple[Key, datetime | None]], now: datetime) -> Agenda[Key]:
    """Of keys with their `not_before`."""
    later = [not_before for _, not_before in rows if not_before is not None and not_before > now]
    due = [key for key, not_before in rows if not_before is None or not_before <= now]
    return Agenda(due, (min(later) - now).total_seconds() if later else None)
