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

from catalyst_sdk import Decision

from .inspection import Finding
from .refusals import IllegalTransition
from .trust import UNASKED, Verdict
from .universe import State, resource

CATALOG = "catalog"
"""Who moved a version that nobody moved."""

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
    verdict: Verdict = UNASKED
    """What the check of its signature and its bill of materials gave."""
    replacement: str = ""
    """For a deprecated one what to use instead."""
    came_from: str = ""
    """State before it was withdrawn, which returns when the withdrawal is taken back."""
    came_with: str = ""
    """Why it was in that state, which returns with it: a deprecation goes on for its own reason."""

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
    actor: str = CATALOG


@dataclass(frozen=True, slots=True)
class VersionYanked:
    version: Version
    catalog_revision: int
    actor: str


@dataclass(frozen=True, slots=True)
class VersionUnyanked:
    version: Version
    catalog_revision: int
    actor: str
    reason: str
    """Why the withdrawal was taken back; the version may stand for another reason again."""


@dataclass(frozen=True, slots=True)
class VersionDeprecated:
    version: Version
    catalog_revision: int
    actor: str


@dataclass(frozen=True, slots=True)
class VersionReleased:
    version: Version
    catalog_revision: int
    actor: str


def moved(version: Version, to: State, reason: str, now: datetime) -> Version:
    """`version` in state `to`; a move that the table does not have is a bug of ours."""
    assert to in MOVES[version.state], f"{version.state.name} does not go to {to.name}"
    return replace(
        version,
        state=to,
        reason=reason,
        state_since=now,
        replacement="",
        came_from="",
        came_with="",
        revision=version.revision + 1,
    )  # fmt: skip - one call


@dataclass(frozen=True, slots=True)
class Moderation:
    """A wish of somebody about a version: who, why, and when."""

    actor: str
    reason: str
    now: datetime
    catalog_revision: int
    """Revision of the catalogue after it."""


def yank(version: Version, by: Moderation) -> Decision[Version]:
    """Withdraw it: locks keep it, nobody gets it anew. Raises IllegalTransition."""
    if version.state is State.YANKED:
        return Decision(version)
    _demand(version, "yank", State.VERIFIED, State.DEPRECATED)
    after = replace(moved(version, State.YANKED, by.reason, by.now), came_from=version.state.value)
    after = replace(after, came_with=version.reason, replacement=version.replacement)
    return Decision(after, (VersionYanked(after, by.catalog_revision, by.actor),))


def unyank(version: Version, by: Moderation) -> Decision[Version]:
    """Take a withdrawal back. Raises IllegalTransition."""
    if version.state in (State.VERIFIED, State.DEPRECATED):
        return Decision(version)
    _demand(version, "unyank", State.YANKED)
    to = State(version.came_from) if version.came_from else State.VERIFIED
    why = version.came_with if to is State.DEPRECATED and version.came_with else by.reason
    after = replace(moved(version, to, why, by.now), replacement=version.replacement)
    return Decision(after, (VersionUnyanked(after, by.catalog_revision, by.actor, by.reason),))


def deprecate(version: Version, by: Moderation, *, replacement: str = "") -> Decision[Version]:
    """Mark it as one to leave. Raises IllegalTransition."""
    if version.state is State.DEPRECATED:
        return Decision(version)
    _demand(version, "deprecate", State.VERIFIED)
    after = replace(moved(version, State.DEPRECATED, by.reason, by.now), replacement=replacement)
    return Decision(after, (VersionDeprecated(after, by.catalog_revision, by.actor),))


def restore(version: Version, by: Moderation) -> Decision[Version]:
    """Take a deprecation back; who watches hears of a version that may be installed. Raises IllegalTransition."""
    if version.state is State.VERIFIED:
        return Decision(version)
    _demand(version, "undo the deprecation of", State.DEPRECATED)
    after = moved(version, State.VERIFIED, by.reason, by.now)
    return Decision(after, (VersionPublished(after, by.catalog_revision),))


def quarantine(version: Version, by: Moderation) -> Decision[Version]:
    """Declare trust broken: locks that name it are blocked. From any state."""
    if version.state is State.QUARANTINED:
        return Decision(version)
    after = moved(version, State.QUARANTINED, by.reason, by.now)
    return Decision(after, (VersionQuarantined(after, by.catalog_revision, by.actor),))


def release(version: Version, by: Moderation) -> Decision[Version]:
    """Lift a quarantine. Raises IllegalTransition."""
    if version.state is State.VERIFIED:
        return Decision(version)
    _demand(version, "release", State.QUARANTINED)
    after = moved(version, State.VERIFIED, by.reason, by.now)
    return Decision(after, (VersionReleased(after, by.catalog_revision, by.actor),))


def digest_changed(version: Version) -> Finding:
    """What is said when a source shows other bytes under a published version."""
    message = (
        f"{version.blueprint} {version.version} was published as {version.digest}, the source now shows other bytes"
    )
    return Finding("verify", "DIGEST_CHANGED", message, "spec.version")


_COMMANDS: Mapping[State, str] = {
    State.PENDING: "quarantine",
    State.VERIFIED: "yank, deprecate, quarantine",
    State.DEPRECATED: "yank, undo the deprecation, quarantine",
    State.YANKED: "unyank, quarantine",
    State.REJECTED: "quarantine",
    State.QUARANTINED: "release",
}
"""What may be done with a version in each state."""


def _demand(version: Version, command: str, *states: State) -> None:
    if version.state not in states:
        raise IllegalTransition(
            version=version.name, state=version.state.name, command=command, allowed=_COMMANDS[version.state]
        )
