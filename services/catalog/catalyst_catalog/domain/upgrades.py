"""From one version to a newer one: whether there is a way, in how many hops, and what else must move. Advice, never an act."""

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from catalyst_sdk import Refused

from . import ranges, schema_changes, solver
from .locks import Entry, lock
from .provider import Policy, Root
from .schema_changes import SchemaChange
from .universe import OFFERED, Release, State, Universe
from .ways import no_way


@dataclass(frozen=True, slots=True)
class Standing:
    """An Application that stands."""

    application: str
    blueprint: str
    version: str


@dataclass(frozen=True, slots=True)
class Advice:
    """What could be done about one Application. Without `path` there is nothing newer to reach, for `reasons`."""

    standing: Standing
    path: tuple[str, ...] = ()
    also_moves: tuple[Entry, ...] = ()
    config_changes: tuple[SchemaChange, ...] = ()
    notices: tuple[tuple[State, str], ...] = ()
    """States that deserve a look, each with the sentence about it."""
    reasons: tuple[str, ...] = ()


def advise(universe: Universe, standing: Standing, policy: Policy, most_rounds: int = solver.MOST_ROUNDS) -> Advice:
    """The newest version that can be reached and that everything else allows; else why there is none.

    policy   everything that is installed beside it
    """
    releases = {one.version: one for one in universe.releases(standing.blueprint) if one.version}
    current = releases.get(standing.version)
    advice = Advice(standing, notices=tuple(_notices(current)))
    newer = [v for v in ranges.newest_first(list(releases)) if _is_newer(releases[v], standing.version)]
    if not newer:
        return replace(advice, reasons=(f"{standing.version} is the newest version",))
    reasons = []
    for version in newer:
        path = hops(releases, standing.version, version)
        if path is None:
            reasons.append(f"{version}: {_why_not(releases[version], standing.version)}")
            continue
        try:
            moved = _also_moved(universe, standing, version, policy, most_rounds)
        except Refused as refusal:
            reasons.append(f"{version}: {refusal.sentence}")
            continue
        schemas = [
            releases[v].manifest.spec.config_schema if v in releases else {} for v in (standing.version, version)
        ]
        differences = tuple(schema_changes.between(*schemas))
        return replace(advice, path=path, also_moves=moved, config_changes=differences, reasons=())
    return replace(advice, reasons=tuple(reasons))


def hops(releases: Mapping[str, Release], start: str, goal: str) -> tuple[str, ...] | None:
    """The fewest versions that lead from `start` to `goal`, the goal last; None where nothing leads there."""
    before: dict[str, str] = {start: ""}
    queue = deque([start])
    while queue:
        at = queue.popleft()
        if at == goal:
            return tuple(_back(before, goal))[::-1]
        for version in ranges.newest_first(list(releases)):
            one = releases[version]
            if version not in before and _is_newer(one, at) and no_way(one, at) is None:
                before[version] = at
                queue.append(version)
    return None


def _back(before: Mapping[str, str], at: str) -> Iterator[str]:
    while before[at]:
        yield at
        at = before[at]


def _is_newer(one: Release, version: str) -> bool:
    return one.state in OFFERED and not one.is_planned and ranges.version(one.version) > ranges.version(version)


def _why_not(one: Release, version: str) -> str:
    found = no_way(one, version)
    return found.sentence if found else "no version leads there"


def _also_moved(
    universe: Universe, standing: Standing, version: str, policy: Policy, most_rounds: int
) -> tuple[Entry, ...]:
    """What moves, or comes, with the Application. Raises what the solver refuses with."""
    roots = [Root(standing.blueprint, version)]
    roots += [Root(name) for name in sorted(policy.installed) if name != standing.blueprint and name in universe]
    # The way there may take several hops, each allowed by itself: to the solver the goal stands where the start did.
    installed = {**policy.installed, standing.blueprint: version}
    allowed = replace(policy, installed=installed, update=policy.update | set(policy.installed))
    pinned = replace(policy, installed=installed)
    try:
        solution = solver.solve(universe, roots, pinned, most_rounds=most_rounds)
    except Refused:
        solution = solver.solve(universe, roots, allowed, most_rounds=most_rounds)
    entries = lock(solution, pinned, universe.revision).entries
    return tuple(
        entry
        for entry in entries
        if entry.release.name != standing.blueprint
        and policy.installed.get(entry.release.name) != entry.release.version
    )


def _notices(current: Release | None) -> Iterator[tuple[State, str]]:
    if current is not None and current.state in (State.YANKED, State.DEPRECATED, State.QUARANTINED):
        why = f": {current.state_reason}" if current.state_reason else ""
        yield current.state, f"{current.name} {current.version} is {current.state.name.lower()}{why}"
