"""Sources and what is kept about them: items, issues, and the names that they own."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import Enum
from typing import Any

from catalyst_sdk import Decision

from .inspection import Finding
from .manifest_parts import Visibility
from .refusals import PublicSourceFixed, SourceDisabled, SourceExists, TrustTooLow
from .trust import Policy, Requirement, is_lower
from .universe import State, resource

FIRST_RETRY, LONGEST_RETRY = timedelta(seconds=5), timedelta(hours=1)
"""Time until an item that could not be taken is tried again, doubled each time."""


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
    secret_ref: str = ""
    """Name of the secret that the plugin needs, never its value."""
    trust: Policy | None = None
    """What is asked of its artifacts; None: what its scope asks by default."""
    rank: int | None = None
    """Lower wins a name; None: the value of its scope."""
    prereleases: bool = False
    """Whether ranges may take pre-releases of it."""
    settled_by: str = ""
    """Digest of the settings that made it what it is, so that a restart does not take back what was changed since."""
    is_deleted: bool = False

    @property
    def name(self) -> str:
        return f"sources/{self.id}"

    @property
    def priority(self) -> int:
        """Lower wins a name."""
        return self.scope.value if self.rank is None else self.rank

    @property
    def policy(self) -> Policy:
        """What is asked of its artifacts now."""
        return self.trust or default_policy(self.scope, self.kind)

    @property
    def owner(self) -> str:
        """The Organization whose its Blueprints are; '' for the Sovereign's."""
        return self.organization if self.scope is Scope.ORGANIZATION else ""


@dataclass(frozen=True, slots=True)
class Item:
    """One folder of a source: the bytes that were settled, and what came of it."""

    source: str
    path: str
    digest: str
    outcome: State
    missed: int = 0
    missing_since: datetime | None = None
    has_bytes: bool = True
    """False: a release settled it that kept no bytes of versions; the next sync reads it once more."""


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
class Removal:
    """A source that goes, and the Blueprints that it leaves behind."""

    source: Source
    orphans: tuple[Blueprint, ...]
    catalog_revision: int
    """Revision of the catalogue before it."""


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
    owner: str = ""
    """Organization whose source it is; empty: public or the Sovereign's."""


@dataclass(frozen=True, slots=True)
class IssueClosed:
    issue: Issue
    owner: str = ""


def default_policy(scope: Scope, kind: str) -> Policy:
    """What is asked where a source says nothing. A folder of this machine is trusted as it is."""
    if kind == "directory":
        return Policy()
    asked = Requirement.OPTIONAL if scope is Scope.ORGANIZATION else Requirement.REQUIRED
    return Policy(asked, asked)


def floor(scope: Scope, kind: str) -> Policy:
    """The least that may be asked: of the public catalogue all of it, of others that what is broken is seen."""
    if kind == "directory":
        return Policy()
    asked = Requirement.REQUIRED if scope is Scope.PUBLIC else Requirement.OPTIONAL
    return Policy(asked, asked)


def retry_at(issue: Issue) -> datetime:
    """When an item that could not be taken is tried again."""
    pause: timedelta = min(FIRST_RETRY * 2 ** min(issue.attempts - 1, 20), LONGEST_RETRY)
    return issue.last_seen + pause


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


def create(known: Source | None, wanted: Source, public: Source | None) -> Decision[Source]:
    """A new source, whose first sync is wished at once. Raises SourceExists, PublicSourceFixed, TrustTooLow.

    known    what has that id, a deleted one too: its numbers go on, so that who watches sees what came after what
    public   the public source, of which there is one
    """
    if known is not None and not known.is_deleted:
        raise SourceExists(source=known.name)
    if wanted.scope is Scope.PUBLIC and public is not None:
        raise PublicSourceFixed(source=public.name, what="is the only public one")
    _demand_trust(wanted)
    if known is None:
        return Decision(replace(wanted, revision=1))
    return Decision(
        replace(wanted, revision=known.revision + 1, wished=known.wished + 1, observed=known.observed)
    )  # fmt: skip - one source


def update(known: Source, wanted: Source) -> Decision[Source]:
    """`known` as `wanted` says; it is read anew. Raises PublicSourceFixed, TrustTooLow."""
    if wanted == known:
        return Decision(known)
    if known.scope is Scope.PUBLIC and (known.config, known.rank) != (wanted.config, wanted.rank):
        raise PublicSourceFixed(source=known.name, what="is read from where it is read")
    _demand_trust(wanted)
    return Decision(replace(wanted, wished=known.wished + 1, revision=known.revision + 1))


def delete(known: Source, orphans: Iterable[Blueprint], catalog_revision: int, now: datetime) -> Decision[Removal]:
    """The source is gone, and what it owned is offered to nobody new. Raises PublicSourceFixed."""
    if known.scope is Scope.PUBLIC:
        raise PublicSourceFixed(source=known.name, what="cannot be removed")
    gone = replace(known, is_deleted=True, enabled=False, revision=known.revision + 1)
    left = [replace(b, orphaned_at=now, revision=b.revision + 1) for b in orphans if b.orphaned_at is None]
    facts = tuple(BlueprintOrphaned(b, catalog_revision + n) for n, b in enumerate(left, start=1))
    return Decision(Removal(gone, tuple(left), catalog_revision), facts)


def configured(known: Source | None, wanted: Source) -> Source | None:
    """The source as its settings want it; None where they have said so before, whatever was changed since."""
    said = {"kind": wanted.kind, "config": dict(wanted.config), "interval": wanted.interval.total_seconds()}
    said |= {"enabled": wanted.enabled, "organization": wanted.organization, "scope": wanted.scope.name}
    digest = hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()
    if known is None:
        return replace(wanted, settled_by=digest, revision=1)
    if known.settled_by == digest:
        return None
    kept = replace(
        known,
        kind=wanted.kind,
        config=wanted.config,
        interval=wanted.interval,
        enabled=wanted.enabled,
        organization=wanted.organization,
        scope=wanted.scope,
        settled_by=digest,
        is_deleted=False,
    )  # fmt: skip - reads as a list
    is_news = replace(kept, settled_by=known.settled_by) != known
    return replace(kept, wished=known.wished + is_news, revision=known.revision + 1)


def _demand_trust(wanted: Source) -> None:
    if is_lower(wanted.policy, floor(wanted.scope, wanted.kind)):
        raise TrustTooLow(source=wanted.name, scope=wanted.scope.name)
