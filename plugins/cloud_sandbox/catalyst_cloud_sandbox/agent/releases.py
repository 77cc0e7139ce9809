"""HelmReleases of a simulated cluster and how they move. Pure: `now` comes from the caller, nothing is read or sent.

Invariants, whatever the order of trees, moments and commands:
  order        a release begins only when all that it depends on is ready at its newest generation;
  generations  a changed manifest is a new generation; `observed_generation` follows when its controller is through;
  no removal   of what the tree still wishes; what it no longer wishes is uninstalled and then gone;
  patience     an install longer than its timeout fails, is tried again `RETRIES` times and then is stalled until poked.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from . import troubles
from .troubles import Trouble

_OF_TRIES = ("fail_install", "chart_pull", "stuck", "slow_install")
RETRIES = 3
SHORTEST, LONGEST = 1.0, 20.0
"""Bounds of a simulated install, in seconds before scaling."""
UNINSTALL = 1.0
"""Seconds that a simulated uninstall takes, before scaling."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast simulated time goes. The same seed gives the same durations."""

    seed: str
    scale: float = 1.0
    troubles: tuple[Trouble, ...] = ()

    def simulated(self, wish: "Wish", generation: int) -> float:
        """Seconds that an install takes before scaling."""
        digest = hashlib.sha256(f"{self.seed}/{wish.key}/{generation}".encode()).digest()
        return SHORTEST + (LONGEST - SHORTEST) * int.from_bytes(digest[:4]) / 2**32


class Phase(StrEnum):
    """What the simulated controller does with a release."""

    WAITING = "waiting"
    WORKING = "working"
    READY = "ready"
    UNWELL = "unwell"
    STALLED = "stalled"
    REMOVING = "removing"


@dataclass(frozen=True, slots=True)
class Wish:
    """One HelmRelease as the tree has it."""

    name: str
    namespace: str
    target_namespace: str = ""
    depends_on: tuple[str, ...] = ()
    """`{namespace}/{name}`."""
    timeout: float = 300.0
    """Seconds."""
    version: str = ""
    digest: str = ""
    suspended: bool = False
    stopped: bool = False
    """To be there with nothing running."""
    fingerprint: str = ""
    """Changes with the manifest."""

    @property
    def key(self) -> str:
        """`{namespace}/{name}`."""
        return f"{self.namespace}/{self.name}"


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition of the object."""

    type: str
    status: str
    reason: str
    message: str
    observed_generation: int
    since: float


@dataclass(frozen=True, slots=True)
class Release:
    """One HelmRelease as the cluster shows it."""

    wish: Wish
    generation: int = 1
    observed_generation: int = 0
    phase: Phase = Phase.WAITING
    until: float = 0.0
    """When the present phase ends, for WORKING and REMOVING."""
    failures: int = 0
    installed: bool = False
    """Whether some generation of it has been installed."""
    conditions: tuple[Condition, ...] = ()
    resource_version: int = 1
    failing: str = ""
    """Reason with which the try that is under way will fail; empty: it will not."""
    met: Mapping[str, int] = field(default_factory=dict)
    """How often it has met each trouble."""

    @property
    def is_ready(self) -> bool:
        """Ready at the newest generation."""
        return self.phase is Phase.READY

    def condition(self, type: str) -> Condition | None:
        """The condition of that type."""
        return next((c for c in self.conditions if c.type == type), None)


Releases = Mapping[str, Release]


def adopt(releases: Releases, wishes: Iterable[Wish], now: float, pace: Pace) -> Releases:
    """Take over a tree: new releases, new generations of changed ones, removal of those that it has no more."""
    wished = {wish.key: wish for wish in wishes}
    after = {key: _renewed(releases.get(key), wish, now) for key, wish in wished.items()}
    for key, release in releases.items():
        if key not in wished:
            after[key] = release if release.phase is Phase.REMOVING else _removed(release, now + UNINSTALL * pace.scale)
    return after


def advance(releases: Releases, now: float, pace: Pace) -> Releases:
    """What has come to be by `now`."""
    while True:
        after = {key: _moved(release, releases, now, pace) for key, release in releases.items()}
        kept: Releases = {key: release for key, release in after.items() if release is not None}
        if kept == releases:
            return kept
        releases = kept


def poke(releases: Releases, names: Iterable[str], now: float) -> Releases:
    """Try stalled releases anew, retries counted from the start; without names all of them."""
    wanted = set(names)
    return {
        key: _touch(release, now, phase=Phase.WAITING, failures=0, conditions=())
        if release.phase is Phase.STALLED and (not wanted or release.wish.name in wanted)
        else release
        for key, release in releases.items()
    }


def next_moment(releases: Releases) -> float | None:
    """When something will happen by itself; None: nothing will."""
    moments = [r.until for r in releases.values() if r.phase in (Phase.WORKING, Phase.REMOVING)]
    return min(moments, default=None)


def _renewed(release: Release | None, wish: Wish, now: float) -> Release:
    if release is None or release.phase is Phase.REMOVING:
        return Release(wish)
    if release.wish == wish:
        return release
    return _touch(release, now, wish=wish, generation=release.generation + 1, phase=Phase.WAITING, failures=0)


def _removed(release: Release, until: float) -> Release:
    return replace(release, phase=Phase.REMOVING, until=until, resource_version=release.resource_version + 1)


def _moved(release: Release, all: Releases, now: float, pace: Pace) -> Release | None:
    if release.phase is Phase.REMOVING:
        return None if release.until <= now else release
    if release.wish.suspended:
        return release
    if release.wish.stopped:
        return _stopped(release, now)
    if release.phase is Phase.WAITING:
        return _tried(release, all, now, pace)
    if release.phase is Phase.WORKING and release.until <= now:
        return _finished(release, pace)
    if release.phase in (Phase.READY, Phase.UNWELL):
        return _lived(release, now, pace)
    return release


def _stopped(release: Release, now: float) -> Release:
    """Nothing of it runs; it is tried anew when it is no longer to be so."""
    text = f"release {release.wish.key} is scaled to zero (simulated)"
    done = _set(_without(release, "Reconciling", "Stalled"), now, "Ready", "False", "Stopped", text)
    return replace(done, phase=Phase.WAITING, until=0.0, observed_generation=release.generation)


def _lived(release: Release, now: float, pace: Pace) -> Release:
    """What becomes of one that is installed."""
    name = release.wish.name
    if troubles.first(pace.troubles, ("degrade",), name, release.met):
        if release.phase is Phase.UNWELL:
            return release
        text = f"health check failed for release {release.wish.key} (simulated)"
        return replace(_set(release, now, "Ready", "False", "HealthCheckFailed", text), phase=Phase.UNWELL)
    if release.phase is Phase.UNWELL:
        text = f"release {release.wish.key} is healthy again (simulated)"
        return replace(_set(release, now, "Ready", "True", "UpgradeSucceeded", text), phase=Phase.READY)
    if flap := troubles.first(pace.troubles, ("flap",), name, release.met):
        return _touch(release, now, phase=Phase.WAITING, met=_once_more(release, flap))
    return release


def _tried(release: Release, all: Releases, now: float, pace: Pace) -> Release:
    blocking = next((key for key in release.wish.depends_on if key not in all or not all[key].is_ready), None)
    if blocking:
        return _set(release, now, "Ready", "False", "DependencyNotReady", f"dependency '{blocking}' is not ready")
    met = troubles.first(pace.troubles, _OF_TRIES, release.wish.name, release.met)
    spent, failing = _way_of(release, pace, met)
    action = "upgrade" if release.installed else "install"
    text = f"Running '{action}' action with timeout of {release.wish.timeout:g}s (simulated)"
    begun = _set(release, now, "Reconciling", "True", "Progressing", text)
    begun = _set(begun, now, "Ready", "Unknown", "Progressing", text)
    seen = _once_more(begun, met) if met else begun.met
    return replace(begun, phase=Phase.WORKING, until=now + pace.scale * spent, failing=failing, met=seen)


def _way_of(release: Release, pace: Pace, met: Trouble | None) -> tuple[float, str]:
    """Seconds that a try takes before scaling, and the reason with which it fails."""
    usual, timeout = pace.simulated(release.wish, release.generation), release.wish.timeout
    failed = "UpgradeFailed" if release.installed else "InstallFailed"
    match met.effect if met else "":
        case "stuck":
            return timeout, failed
        case "fail_install":
            return SHORTEST, failed
        case "chart_pull":
            return SHORTEST, "ChartPullError"
        case "slow_install":
            usual += met.delay if met else 0.0
    return min(usual, timeout), failed if usual > timeout else ""


def _once_more(release: Release, trouble: Trouble) -> Mapping[str, int]:
    return {**release.met, trouble.id: release.met.get(trouble.id, 0) + 1}


def _finished(release: Release, pace: Pace) -> Release:
    # It ended at `until`, not when somebody looked: a restart in between changes no time.
    at = release.until
    action = "Upgrade" if release.installed else "Install"
    if release.failing:
        return _failed(release, action, at)
    chart = f"{release.wish.name}@{release.wish.version or 'unversioned'}"
    text = f"Helm {action.lower()} succeeded for release {release.wish.key} with chart {chart} (simulated)"
    done = _without(release, "Reconciling", "Stalled")
    for type in ("Released", "Ready"):
        done = _set(done, at, type, "True", f"{action}Succeeded", text)
    return replace(
        done, phase=Phase.READY, observed_generation=release.generation, installed=True, failures=0, until=0.0
    )


def _failed(release: Release, action: str, at: float) -> Release:
    failures = release.failures + 1
    failed = _without(release, "Reconciling")
    if release.failing == "ChartPullError":
        text = f"chart pull error for release {release.wish.key}: failed to fetch (simulated)"
        failed = _set(failed, at, "Ready", "False", release.failing, text)
    else:
        text = f"Helm {action.lower()} failed for release {release.wish.key}: context deadline exceeded (simulated)"
        for type in ("Released", "Ready"):
            failed = _set(failed, at, type, "False", release.failing, text)
    failed = replace(failed, failures=failures, observed_generation=release.generation, until=0.0, failing="")
    if failures <= RETRIES:
        return replace(failed, phase=Phase.WAITING)
    stalled = _set(failed, at, "Stalled", "True", "RetriesExceeded", f"gave up after {RETRIES} retries (simulated)")
    return replace(stalled, phase=Phase.STALLED)


def _set(release: Release, now: float, type: str, status: str, reason: str, message: str) -> Release:
    old = release.condition(type)
    since = old.since if old and old.status == status else now
    new = Condition(type, status, reason, message, release.generation, since)
    if new == old:
        return release
    others = tuple(c for c in release.conditions if c.type != type)
    return replace(release, conditions=(*others, new), resource_version=release.resource_version + 1)


def _without(release: Release, *types: str) -> Release:
    return replace(release, conditions=tuple(c for c in release.conditions if c.type not in types))


def _touch(release: Release, now: float, **changes: object) -> Release:
    return replace(release, resource_version=release.resource_version + 1, until=now, **changes)  # type: ignore[arg-type]
