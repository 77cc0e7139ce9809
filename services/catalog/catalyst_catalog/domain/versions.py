"""A version of a Blueprint: in exactly one state, with bytes that never change.

Invariants
  immutable   a version keeps the digest with which it was first published; other bytes under its name quarantine it;
  moves only  a state is left only by a move of the table; a sync never undoes what somebody decided;
  no gap      `revision` grows by exactly one with each change.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from .inspection import Finding
from .universe import State, resource

MOVES: Mapping[State, frozenset[State]] = {
    State.PENDING: frozenset({State.VERIFIED, State.REJECTED, State.QUARANTINED}),
    State.VERIFIED: frozenset({State.DEPRECATED, State.YANKED, State.QUARANTINED}),
    State.DEPRECATED: frozenset({State.VERIFIED, State.YANKED, State.QUARANTINED}),
    State.YANKED: frozenset({State.VERIFIED, State.DEPRECATED, State.QUARANTINED}),
    State.REJECTED: frozenset({State.PENDING, State.QUARANTINED}),
    State.QUARANTINED: frozenset({State.VERIFIED}),
}
"""Where a state may go. QUARANTINED is left by ReleaseVersion alone."""


@dataclass(frozen=True, slots=True)
class Version:
    """One version, or with `version` '' the announcement of a planned Blueprint."""

    blueprint: str
    owner_org: str
    version: str
    digest: str
    source: str
    path: str
    state: State
    reason: str
    document: Mapping[str, Any]
    changes: tuple[Mapping[str, Any], ...]
    warnings: tuple[Mapping[str, Any], ...]
    published_at: datetime
    state_since: datetime
    revision: int

    @property
    def name(self) -> str:
        """Resource name; an announcement is `…/versions/planned`."""
        return f"{resource(self.blueprint, self.owner_org)}/versions/{self.version or 'planned'}"


@dataclass(frozen=True, slots=True)
class VersionPublished:
    version: Version
    catalog_revision: int


@dataclass(frozen=True, slots=True)
class VersionQuarantined:
    version: Version
    catalog_revision: int


def moved(version: Version, to: State, reason: str, now: datetime) -> Version:
    """`version` in state `to`; a move that the table does not have is a bug of ours."""
    assert to in MOVES[version.state], f"{version.state.name} does not go to {to.name}"
    return replace(version, state=to, reason=reason, state_since=now, revision=version.revision + 1)


def digest_changed(version: Version) -> Finding:
    """What is said when a source shows other bytes under a published version."""
    message = (
        f"{version.blueprint} {version.version} was published as {version.digest}, the source now shows other bytes"
    )
    return Finding("verify", "DIGEST_CHANGED", message, "spec.version")
