"""Why a wish cannot be met: every demand on the contested name, every version and why it is out, what to relax."""

from collections import deque
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from catalyst_sdk import Violation

from .refusals import Unsatisfiable
from .universe import Edge, Release, Universe


class Wish(Protocol):
    """A root: name and range."""

    @property
    def name(self) -> str: ...
    @property
    def range(self) -> str: ...


MOST_CONTESTED, MOST_DEMANDS, MOST_VIOLATIONS = 3, 6, 30
"""How much of a quarrel travels with a refusal: a status rides in HTTP/2 trailers, of which clients take 8 KiB."""


@dataclass(frozen=True, slots=True)
class Why:
    """Why a version is out: a word for machines, and the rest of a sentence about the version."""

    reason: str
    sentence: str


@dataclass(frozen=True, slots=True, order=True)
class Demanded:
    """Somebody reachable from the roots wants the name in this range; `path` leads there, '' is the caller."""

    by: str
    range: str
    path: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.range} by {self.by or 'the caller'}"


@dataclass(frozen=True, slots=True)
class Excluded:
    """A version that exists, and why it cannot be the answer."""

    version: str
    reason: str
    sentence: str


@dataclass(frozen=True, slots=True)
class Contested:
    """One name on which the demands contradict each other."""

    name: str
    demands: tuple[Demanded, ...]
    versions: tuple[Excluded, ...]
    relax: tuple[Demanded, ...]
    """Demands of which each alone stands in the way."""

    @property
    def sentence(self) -> str:
        known = "it is not known" if not self.versions else f"none of its {len(self.versions)} version(s) meets all"
        more = len(self.demands) - MOST_DEMANDS
        shown = ", ".join(map(str, self.demands[:MOST_DEMANDS])) + (f" and {more} more" if more > 0 else "")
        text = f"{self.name} is demanded as {shown}, but {known}"
        return f"{text}; relax {' or '.join(map(str, self.relax))}" if self.relax else text


class Conflict(Unsatisfiable):
    """The refusal, with the whole tree for those who can show it."""

    def __init__(self, contested: tuple[Contested, ...]) -> None:
        self.contested = contested
        told = contested[:MOST_CONTESTED]
        violations = [v for one in told for v in _violations(one)]
        super().__init__(
            violations=tuple(violations[:MOST_VIOLATIONS]),
            sentences=". ".join(one.sentence for one in told),
            contested=", ".join(one.name for one in told),
        )


def explain(
    universe: Universe,
    roots: Sequence[Wish],
    names: Collection[str],
    follow: Callable[[Release], Iterable[Edge]],
    why_out: Callable[[Release], Why | None],
) -> Conflict:
    """The whole quarrel about `names`, not only the pair at which the search gave up.

    names    what the search quarrelled about; empty: whatever is demanded
    follow   the edges of a release that hold
    why_out  why a release cannot be chosen, whatever the ranges say
    """
    demands = _reachable_demands(universe, roots, follow, why_out)
    told = [_contested(universe, name, demands.get(name, ()), why_out) for name in sorted(names or demands)]
    # A name that the search merely passed by has a version that meets every demand.
    blocked = [one for one in told if len(one.versions) == len(universe.releases(one.name))]
    return Conflict(tuple(blocked or [one for one in told if len(one.demands) > 1] or told))


def _reachable_demands(
    universe: Universe,
    roots: Sequence[Wish],
    follow: Callable[[Release], Iterable[Edge]],
    why_out: Callable[[Release], Why | None],
) -> Mapping[str, tuple[Demanded, ...]]:
    """Breadth first from the roots, each demand leading on to the newest version that it admits."""
    found: dict[str, dict[tuple[str, str], Demanded]] = {}
    queue: deque[tuple[str, Demanded]] = deque((root.name, Demanded("", root.range)) for root in roots)
    seen: set[tuple[str, str]] = set()
    while queue:
        name, demanded = queue.popleft()
        if (demanded.by, demanded.range) in found.setdefault(name, {}):
            continue
        found[name][demanded.by, demanded.range] = demanded
        release = _admitted(universe, name, demanded.range, why_out)
        if release is None or (name, release.version) in seen:
            continue
        seen.add((name, release.version))
        path = (*demanded.path, name)
        edges = sorted(follow(release), key=lambda edge: (edge.blueprint, edge.range))
        queue.extend((edge.blueprint, Demanded(name, edge.range, path)) for edge in edges)
    return {name: tuple(sorted(demands.values())) for name, demands in found.items()}


def _admitted(universe: Universe, name: str, text: str, why_out: Callable[[Release], Why | None]) -> Release | None:
    wanted = universe.matching(name, text)
    return next((r for r in universe.releases(name) if r.version in wanted and why_out(r) is None), None)


def _contested(
    universe: Universe, name: str, demands: Sequence[Demanded], why_out: Callable[[Release], Why | None]
) -> Contested:
    versions = [_excluded(universe, release, demands, why_out) for release in universe.releases(name)]
    usable = {r.version for r in universe.releases(name) if why_out(r) is None}
    relax = tuple(
        d for d in demands if len(demands) > 1 and _admits(universe, name, [o for o in demands if o != d], usable)
    )
    return Contested(name, tuple(demands), tuple(one for one in versions if one), relax)


def _admits(universe: Universe, name: str, demands: Sequence[Demanded], usable: set[str]) -> bool:
    return bool(usable.intersection(*(universe.matching(name, d.range) for d in demands)))


def _excluded(
    universe: Universe, release: Release, demands: Sequence[Demanded], why_out: Callable[[Release], Why | None]
) -> Excluded | None:
    if why := why_out(release):
        return Excluded(release.version or "planned", why.reason, why.sentence)
    against = [d for d in demands if release.version not in universe.matching(release.name, d.range)]
    if not against:
        return None
    return Excluded(release.version, "RANGE", f"does not lie in {', '.join(map(str, against))}")


def _violations(contested: Contested) -> list[Violation]:
    """The tree as a list: each demand with its path, each version with the reason why it is out."""
    demands = [
        Violation(contested.name, f"{d} through {' > '.join(d.path) or 'the request'}", "DEMAND")
        for d in contested.demands
    ]
    return demands + [Violation(contested.name, f"{v.version} {v.sentence}", v.reason) for v in contested.versions]
