"""What a sync begins with, what it has seen, and the rows that it leads to."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from .artifacts import Kept
from .changes import Change
from .inspection import Finding, Inspected
from .sources import Blueprint, Issue, Item, Source
from .trust import UNASKED, Verdict
from .versions import Version


@dataclass(frozen=True, slots=True)
class Sighting:
    """An item whose bytes are new: what inspection made of them."""

    path: str
    digest: str
    inspected: Inspected | None = None
    findings: tuple[Finding, ...] = ()
    fetched: bool = True
    """False: the bytes could not be had, so the item is tried again."""
    verdict: Verdict = UNASKED
    """What the check of its signature and its bill of materials gave."""
    artifact: Kept | None = None
    """Its bytes, where they hold a manifest."""


@dataclass(frozen=True, slots=True)
class Known:
    """What the database holds about a source, and about every name."""

    source: Source
    items: Mapping[str, Item] = field(default_factory=dict)
    issues: Mapping[tuple[str, str, str], Issue] = field(default_factory=dict)
    versions: Mapping[tuple[str, str, str], Version] = field(default_factory=dict)
    """By owner, name and version."""
    blueprints: Mapping[tuple[str, str], Blueprint] = field(default_factory=dict)
    """By owner and name."""
    catalog_revision: int = 0
    needs: Mapping[str, Iterable[str]] = field(default_factory=dict)
    """The graph of newest versions, against which circles are found."""


@dataclass(slots=True)
class Settled:
    """Rows to write. `is_empty`: the sync found what was known."""

    source: Source
    catalog_revision: int
    """Of the catalogue before it; each of `changes` takes the next."""
    items: list[Item] = field(default_factory=list)
    versions: list[Version] = field(default_factory=list)
    blueprints: list[Blueprint] = field(default_factory=list)
    issues: list[Issue] = field(default_factory=list)
    healed: list[Issue] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)

    @property
    def is_empty(self) -> bool:
        return not (self.items or self.versions or self.blueprints or self.issues or self.healed)
