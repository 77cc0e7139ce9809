"""Sources and what is kept about them: items, issues, and the names that they own."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import Enum
from typing import Any

from catalyst_sdk import Decision

from .inspection import Finding
from .manifest_parts import Visibility
from .refusals import SourceDisabled
from .universe import State, resource


class Scope(Enum):
    """Whose source it is; the value is its priority."""

    PUBLIC = 0
    SOVEREIGN = 10
    ORGANIZATION = 20


@dataclass(frozen=True, slots=True)
class Source:
    """Where Blueprints come from."""

    id: str
    kind: str
    scope: Scope
    config: Mapping[str, Any]
    organization: str = ""
    interval: timedelta = timedelta(minutes=15)
    enabled: bool = True
    condition: str = ""
    """Reason of the last failure; empty after a sync that worked."""
    message: str = ""
    synced_at: datetime | None = None
    """When a sync last changed something."""
    since: datetime | None = None
    wished: int = 1
    """Number of the newest wish for a sync; it rises with each SyncSource."""
    observed: int = 0
    """Number of the wish that the last sync answered."""
    revision: int = 0
    last_sync: Mapping[str, int] = field(default_factory=dict)
    """What the last sync that worked came to, by the counts of `SyncSourceResponse`."""

    @property
    def name(self) -> str:
        return f"sources/{self.id}"


@dataclass(frozen=True, slots=True)
class Item:
    """One folder of a source: the bytes that were settled, and what came of it."""

    source: str
    path: str
    digest: str
    outcome: State
    missed: int = 0
    missing_since: datetime | None = None


@dataclass(frozen=True, slots=True)
class Issue:
    """Something wrong with an item; there is one per source, ref, stage and reason until it is healed."""

    source: str
    ref: str
    finding: Finding
    first_seen: datetime
    last_seen: datetime
    attempts: int = 1

    @property
    def key(self) -> tuple[str, str, str]:
        return self.ref, self.finding.stage, self.finding.reason

    @property
    def name(self) -> str:
        """Resource name; an issue that comes back after it was healed is another one."""
        text = "\0".join((*self.key, self.first_seen.isoformat()))
        return f"sources/{self.source}/issues/{hashlib.sha256(text.encode()).hexdigest()[:16]}"


@dataclass(frozen=True, slots=True)
class Blueprint:
    """A name, whom it belongs to, and its newest version."""

    name: str
    owner_org: str
    source: str
    priority: int
    newest: str
    """Newest version; '' while it is only planned."""
    visibility: Visibility
    orphaned_at: datetime | None
    revision: int

    @property
    def resource(self) -> str:
        return resource(self.name, self.owner_org)


@dataclass(frozen=True, slots=True)
class SourceSynced:
    source: Source
    listed: int
    published: int
    issues: int
    """Issues that this sync opened."""
    orphaned: int


@dataclass(frozen=True, slots=True)
class SourceFailed:
    source: Source


@dataclass(frozen=True, slots=True)
class BlueprintUpdated:
    blueprint: Blueprint
    catalog_revision: int


@dataclass(frozen=True, slots=True)
class BlueprintOrphaned:
    blueprint: Blueprint
    catalog_revision: int


@dataclass(frozen=True, slots=True)
class IssueOpened:
    issue: Issue


@dataclass(frozen=True, slots=True)
class IssueClosed:
    issue: Issue


def failed(source: Source, reason: str, message: str, now: datetime, *, answers: int) -> Decision[Source | None]:
    """The source as a whole did not answer; told once per reason.

    answers   number of the newest wish when the source was asked
    """
    if (source.condition, source.message) == (reason, message) and source.observed >= answers:
        return Decision(None)
    observed = max(source.observed, answers)
    broken = replace(
        source, condition=reason, message=message, since=now, observed=observed, revision=source.revision + 1
    )
    is_news = (source.condition, source.message) != (reason, message)
    return Decision(broken, (SourceFailed(broken),) if is_news else ())


def wish(source: Source, now: datetime) -> Decision[Source]:
    """Somebody wants a sync now. Raises SourceDisabled."""
    if not source.enabled:
        raise SourceDisabled(source=source.name)
    return Decision(replace(source, wished=source.wished + 1, since=source.since or now, revision=source.revision + 1))


def configured(known: Source | None, wanted: Source) -> Source | None:
    """The source as its configuration wants it; None where it stands so already."""
    if known is None:
        return replace(wanted, revision=1)
    kept = replace(
        known,
        kind=wanted.kind,
        config=wanted.config,
        interval=wanted.interval,
        enabled=wanted.enabled,
        organization=wanted.organization,
        scope=wanted.scope,
    )  # fmt: skip - reads as a list
    return None if kept == known else replace(kept, wished=known.wished + 1, revision=known.revision + 1)
