"""What can be chosen from: every version that one caller may see, indexed by name, newest first.

A universe is a picture of one catalogue revision for one viewer. The solver, the closure, the selection and the cards
read it; nothing in it changes.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from functools import cached_property
from typing import Any

from . import config_schema, ranges
from .manifest import Manifest, seconds
from .manifest_parts import Status, Tier


class State(Enum):
    """Where a version stands; exactly one at a time (`versions` has the moves)."""

    PENDING = "PENDING"
    VERIFIED = "VERIFIED"
    DEPRECATED = "DEPRECATED"
    YANKED = "YANKED"
    QUARANTINED = "QUARANTINED"
    REJECTED = "REJECTED"


OFFERED = frozenset({State.VERIFIED, State.DEPRECATED})
"""States whose versions new installs may choose."""


@dataclass(frozen=True, slots=True)
class Edge:
    """One need of a version."""

    blueprint: str
    range: str
    alias: str
    when: str = ""
    values: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Release:
    """One version of a Blueprint, as far as questions about needs are concerned. Planned ones have version ''."""

    name: str
    version: str
    digest: str
    source: str
    state: State
    manifest: Manifest
    edges: tuple[Edge, ...]
    owner_org: str = ""
    state_reason: str = ""
    counts_early: bool = False
    """Whether a pre-release counts as any other version, as its source says."""

    @property
    def is_planned(self) -> bool:
        return self.manifest.spec.status is Status.PLANNED

    @property
    def is_opt_in(self) -> bool:
        return self.manifest.is_opt_in

    @property
    def is_offered(self) -> bool:
        """Whether a new install may choose it."""
        return self.state in OFFERED and not self.is_planned

    @property
    def family(self) -> str:
        return self.manifest.spec.family or ""

    @property
    def tier(self) -> Tier:
        return self.manifest.spec.tier

    @property
    def namespace(self) -> str:
        return self.manifest.namespace

    @property
    def install_timeout(self) -> int:
        """Seconds."""
        return seconds(self.manifest.spec.install_timeout)

    @property
    def resource(self) -> str:
        """`blueprints/bp-x`, or `organizations/acme/blueprints/bp-x` for a private one."""
        return resource(self.name, self.owner_org)


def resource(name: str, owner_org: str = "") -> str:
    """Resource name of a Blueprint."""
    return f"organizations/{owner_org}/blueprints/{name}" if owner_org else f"blueprints/{name}"


def release(
    checked: Manifest,
    *,
    digest: str,
    source: str,
    state: State = State.VERIFIED,
    owner_org: str = "",
    state_reason: str = "",
    counts_early: bool = False,
) -> Release:
    """A release from its manifest."""
    edges = tuple(
        Edge(edge.blueprint, edge.version, edge.known_as, edge.when or "", edge.values) for edge in checked.spec.depends
    )
    version = checked.spec.version or ""
    return Release(checked.name, version, digest, source, state, checked, edges, owner_org, state_reason, counts_early)


class Universe:
    """Releases by name, newest first."""

    def __init__(self, releases: Iterable[Release], revision: int = 0, *, early_last: bool = False) -> None:
        """Index `releases`; with `early_last` pre-releases come after all others of their name."""
        self.revision = revision
        grouped: dict[str, list[Release]] = {}
        for one in releases:
            grouped.setdefault(one.name, []).append(one)
        self._releases = {name: tuple(_newest_first(grouped[name])) for name in sorted(grouped)}
        if early_last:
            self._releases = {name: tuple(sorted(rows, key=_is_early)) for name, rows in self._releases.items()}
        self._matching: dict[tuple[str, str], frozenset[str]] = {}
        self._defaults: dict[tuple[str, str], tuple[Mapping[str, Any], str]] = {}
        self._offered: dict[str, tuple[Release, ...]] = {}
        self.memory: dict[Any, Any] = {}
        """What searches over this universe keep for each other, as neither it nor what they keep ever changes."""

    def replaced(self, names: Collection[str], releases: Iterable[Release], revision: int) -> "Universe":
        """This one with `releases` as all that there is of `names`; everything else is shared."""
        fresh = Universe(releases, revision)
        kept = {name: rows for name, rows in self._releases.items() if name not in names}
        every = {**kept, **fresh._releases}
        fresh._releases = {name: every[name] for name in sorted(every)}
        return fresh

    def __contains__(self, name: str) -> bool:
        return name in self._releases

    @property
    def names(self) -> tuple[str, ...]:
        """All names, sorted."""
        return tuple(self._releases)

    def releases(self, name: str) -> tuple[Release, ...]:
        """Every version of `name`, newest first; empty for an unknown name."""
        return self._releases.get(name, ())

    def matching(self, name: str, text: str) -> frozenset[str]:
        """The versions of `name` in range `text`. Raises RangeInvalid."""
        key = name, text
        found = self._matching.get(key)
        if found is None:
            found = self._matching[key] = frozenset(
                one.version
                for one in self.releases(name)
                if not one.is_planned and (ranges.spans if one.counts_early else ranges.matches)(text, one.version)
            )
        return found

    def offered(self, name: str) -> tuple[Release, ...]:
        """The versions of `name` that a new install may choose, newest first."""
        found = self._offered.get(name)
        if found is None:
            found = self._offered[name] = tuple(one for one in self.releases(name) if one.is_offered)
        return found

    def newest(self, name: str, text: str = "*") -> Release | None:
        """The newest offered version in range `text`, else the planned one, else None.

        Where any will do, a pre-release stands only for what has nothing else.
        """
        offered = self.offered(name)
        if not offered:
            return next((r for r in self.releases(name) if r.is_planned), None)
        wanted = self.matching(name, text)
        found = next((r for r in offered if r.version in wanted), None)
        return found or (offered[0] if text == "*" else None)

    def settled(self, release: Release) -> tuple[Mapping[str, Any], str]:
        """The configuration that a release has where nothing was said, and its hash. Shared: not to be changed."""
        key = release.name, release.version
        found = self._defaults.get(key)
        if found is None:
            defaults = config_schema.defaults(release.manifest.spec.config_schema)
            found = self._defaults[key] = defaults, config_schema.config_hash(defaults)
        return found

    @cached_property
    def early(self) -> "Universe":
        """The same in which every range takes pre-releases, where no other version will do."""
        counted = (replace(one, counts_early=True) for rows in self._releases.values() for one in rows)
        return Universe(counted, self.revision, early_last=True)

    @cached_property
    def graph(self) -> dict[str, frozenset[str]]:
        """Each name with all that any version of it needs."""
        return {
            name: frozenset(edge.blueprint for release in releases for edge in release.edges)
            for name, releases in self._releases.items()
        }

    @cached_property
    def before_circles(self) -> frozenset[str]:
        """Names from which what any version needs leads into a circle."""
        left = {name: set(needs) & self.graph.keys() for name, needs in self.graph.items()}
        parents: dict[str, set[str]] = {name: set() for name in left}
        for name, needs in left.items():
            for need in needs:
                parents[need].add(name)
        # Whoever needs nothing that is left leads nowhere, and then those who needed nothing but such.
        ends = [name for name, needs in left.items() if not needs]
        while ends:
            end = ends.pop()
            del left[end]
            for name in parents[end]:
                left[name].discard(end)
                if not left[name]:
                    ends.append(name)
        return frozenset(left)

    @cached_property
    def private(self) -> frozenset[str]:
        """Names that are an Organization's own."""
        return frozenset(name for name, releases in self._releases.items() if releases[0].owner_org)

    @cached_property
    def heads(self) -> dict[str, Release]:
        """The release that stands for each Blueprint: the newest offered one, else the newest at all."""
        return {name: self.newest(name) or self.releases(name)[0] for name in self.names}


def _newest_first(releases: list[Release]) -> list[Release]:
    planned = [r for r in releases if not r.version]
    released = [r for r in releases if r.version]
    released.sort(key=lambda r: ranges.version(r.version).precedence_key, reverse=True)
    return released + planned


def _is_early(release: Release) -> bool:
    return bool(release.version and ranges.version(release.version).prerelease)
