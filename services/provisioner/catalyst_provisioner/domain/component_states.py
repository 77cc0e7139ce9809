"""From what a cluster shows of a release to the state of a component. Pure; the first row that matches wins.

Invariants
  observed     READY is only ever read off a report: Ready at the newest generation, the wished digest, a passed probe;
  wished only  what is absent is PENDING, what is silent is UNKNOWN; neither is ever "done";
  never stale  a report at an older generation is INSTALLING, whatever it says.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class ComponentState(StrEnum):
    """Where a component stands."""

    UNKNOWN = "unknown"
    PENDING = "pending"
    BLOCKED = "blocked"
    INSTALLING = "installing"
    INSTALLED = "installed"
    READY = "ready"
    DEGRADED = "degraded"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition of the object in the cluster."""

    type: str
    status: str
    reason: str = ""
    message: str = ""
    observed_generation: int = 0
    since: float = 0.0


@dataclass(frozen=True, slots=True)
class Release:
    """A HelmRelease as the cluster's agent shows it."""

    generation: int = 1
    observed_generation: int = 0
    conditions: tuple[Condition, ...] = ()
    suspended: bool = False
    version: str = ""
    digest: str = ""
    failures: int = 0
    retries_remain: bool = True

    def condition(self, type: str) -> Condition | None:
        """The condition of that type."""
        return next((c for c in self.conditions if c.type == type), None)


@dataclass(frozen=True, slots=True)
class Seen:
    """All that is known of one component."""

    release: Release | None
    wished_digest: str = ""
    probe_passed: bool | None = None
    """None: not probed at this release."""
    was_ready: bool = False
    is_silent: bool = False
    """No report of its cluster for the time after which nothing is believed."""
    failed_ancestor: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """The state, and its cause in a sentence."""

    state: ComponentState
    message: str = ""
    extra: Mapping[str, str] = field(default_factory=dict)


_GONE_WRONG = frozenset({
    "InstallFailed", "UpgradeFailed", "TestFailed", "ChartPullError", "ChartLoadError", "ArtifactFailed", "InitFailed",
    "RollbackFailed",
})  # fmt: skip
_AT_WORK = frozenset({"Progressing", "ReconcileStarted", "ProgressingWithRetry"})
_BEHIND = "dependency '"


def judge(seen: Seen) -> Verdict:
    """The state of a component; see the table of the module's first lines."""
    release = seen.release
    if seen.is_silent:
        return Verdict(ComponentState.UNKNOWN, "its cluster is silent")
    if release is None:
        return Verdict(ComponentState.PENDING, "not in the cluster yet")
    ready = release.condition("Ready")
    if release.suspended or ready is None:
        return Verdict(ComponentState.PENDING, "suspended" if release.suspended else "not begun")
    if ready.status == "True" and _is_older(release, ready):
        return Verdict(ComponentState.INSTALLING, "what was ready is an older generation")
    stalled = release.condition("Stalled")
    if stalled is not None and stalled.status == "True":
        return Verdict(ComponentState.FAILED, cause(release) or stalled.message or stalled.reason)
    if ready.status == "True":
        return _released(seen, release)
    return _not_ready(seen, release, ready)


def cause(release: Release) -> str:
    """The newest failing of Released and TestSuccess: what a roll-back would hide."""
    failing = [
        c for t in ("Released", "TestSuccess") if (c := release.condition(t)) is not None and c.status == "False"
    ]
    newest = max(failing, key=lambda c: c.since, default=None)
    return newest.message or newest.reason if newest else ""


def _is_older(release: Release, ready: Condition) -> bool:
    observed = ready.observed_generation or release.observed_generation
    return observed < release.generation


def _released(seen: Seen, release: Release) -> Verdict:
    if seen.wished_digest and release.digest != seen.wished_digest:
        return Verdict(ComponentState.INSTALLED, f"runs {release.digest or 'an unknown digest'}, not the wished one")
    if seen.probe_passed:
        return Verdict(ComponentState.READY)
    if seen.was_ready and seen.probe_passed is False:
        return Verdict(ComponentState.DEGRADED, "its probe does not pass any more")
    return Verdict(ComponentState.INSTALLED, "its probe has not passed")


def _not_ready(seen: Seen, release: Release, ready: Condition) -> Verdict:
    text = ready.message or ready.reason
    behind = ready.reason == "DependencyNotReady" or (not ready.reason and ready.message.startswith(_BEHIND))
    reconciling = release.condition("Reconciling")
    if ready.status == "False" and behind:
        if seen.failed_ancestor:
            return Verdict(ComponentState.BLOCKED, f"{seen.failed_ancestor} failed")
        return Verdict(ComponentState.PENDING, text)
    if ready.status == "False" and ready.reason in _GONE_WRONG:
        state = ComponentState.INSTALLING if release.retries_remain else ComponentState.FAILED
        return Verdict(state, cause(release) or text)
    at_work = reconciling is not None and reconciling.status == "True"
    if ready.status == "Unknown" or ready.reason in _AT_WORK or at_work:
        return Verdict(ComponentState.INSTALLING, text)
    return Verdict(ComponentState.DEGRADED, cause(release) or text)
