"""What becomes of the Blueprints of an Organization that has gone for good.

Invariants
  orphaned first  at once its sources are gone and what they brought is offered to nobody; locks still name it;
  erased later    when its time is over all of it is deleted, and who watches hears that it is gone;
  own only        nothing of another Organization, and nothing public, is touched.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from .changes import Change, Kind
from .sources import Blueprint


@dataclass(frozen=True, slots=True)
class Departed:
    """An Organization that has gone, and when what it left was erased; None: it is still there."""

    organization: str
    left_at: datetime
    erased_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Erasure:
    """What is erased."""

    departed: Departed
    blueprints: tuple[Blueprint, ...]
    catalog_revision: int
    """Of the catalogue before it; each of `changes` takes the next."""

    @property
    def changes(self) -> tuple[Change, ...]:
        """One per Blueprint."""
        return tuple(
            Change(number, Kind.BLUEPRINT, b.resource, b.owner_org, before=b.visibility.value)
            for number, b in enumerate(self.blueprints, start=self.catalog_revision + 1)
        )


def erase(departed: Departed, blueprints: Sequence[Blueprint], catalog_revision: int, now: datetime) -> Erasure:
    """Everything that it left goes."""
    gone = Departed(departed.organization, departed.left_at, now)
    return Erasure(gone, tuple(blueprints), catalog_revision)
