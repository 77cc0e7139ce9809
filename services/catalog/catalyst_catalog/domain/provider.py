"""What the search is told: which versions can be chosen, which come first, and what a choice demands in turn."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from resolvelib import AbstractProvider

from . import ranges, whens
from .config_schema import config_hash
from .conflicts import Why
from .refusals import ValuesConflict
from .universe import Edge, Release, State, Universe
from .ways import no_way

NOTHING: Mapping[str, Any] = {}


@dataclass(frozen=True, slots=True)
class Root:
    """One Blueprint that was asked for, with its configuration and the name of the Application it is for."""

    name: str
    range: str = "*"
    config: Mapping[str, Any] = field(default_factory=dict)
    application: str = ""


@dataclass(frozen=True, slots=True)
class Policy:
    """What the caller allows.

    installed        version by name: what stands there already
    locked           names whose installed version an earlier lock holds, so that it may stay although it was withdrawn
    update           names that may leave their installed version
    allow_downgrade  whether a version below the installed one may be chosen
    allow_early      whether pre-releases may be chosen where nothing else gives an answer
    environment      what `environment.…` means in conditions and values
    """

    installed: Mapping[str, str] = field(default_factory=dict)
    locked: frozenset[str] = frozenset()
    update: frozenset[str] = frozenset()
    allow_downgrade: bool = False
    allow_early: bool = False
    environment: Mapping[str, Any] = field(default_factory=dict)


# Neither of the two is ever changed; to freeze them would cost a search a tenth of its time.
@dataclass(slots=True, eq=False)
class Demand:
    """`parent` (None: the caller) wants `name` in `range`."""

    name: str
    range: str
    admits: frozenset[str]
    """The versions in `range`."""
    parent: "Pick | None" = None
    edge: Edge | None = None
    values: Mapping[str, Any] = field(default_factory=dict)
    explicit: bool = False
    """Asked for by the caller or by a condition that holds, so that an opt-in Blueprint may come in."""


@dataclass(slots=True, eq=False)
class Pick:
    """A release, with the values that its parents pass to it."""

    release: Release
    values: Mapping[str, Any]
    is_shared: bool = False
    """Whether all searches over the universe choose this very one."""
    name: str = field(init=False)
    version: str = field(init=False)

    def __post_init__(self) -> None:
        # Asked for all the time.
        self.name, self.version = self.release.name, self.release.version


Choice = tuple[tuple[Pick, ...], tuple[Pick, ...]]
"""Candidates, best first: without opt-in ones, and all, for whom an explicit demand may choose."""


class Provider(AbstractProvider[Demand, Pick, str]):
    """What resolvelib asks."""

    def __init__(self, universe: Universe, roots: Sequence[Root], policy: Policy) -> None:
        self._universe = universe
        self.policy = policy
        self._configs = {root.name: root.config for root in roots}
        self._applications = {root.name: root.application for root in roots}
        self._counts: dict[str, int] = {}
        self._dead: set[str] = set()
        self._order: dict[str, Choice] = {}
        self._demands: dict[Pick, list[Demand]] = {}
        self._memory = universe.memory
        self.values_conflict: ValuesConflict | None = None

    def identify(self, requirement_or_candidate: Demand | Pick) -> str:
        return requirement_or_candidate.name

    def get_preference(
        self, identifier: str, resolutions: Any, candidates: Any, information: Any, backtrack_causes: Any
    ) -> tuple[int, str]:
        """Fewest candidates first, then by name."""
        return self._counts.get(identifier, 0), identifier

    def narrow_requirement_selection(
        self, identifiers: Iterable[str], resolutions: Any, candidates: Any, information: Any, backtrack_causes: Any
    ) -> Iterable[str]:
        """A name without candidates at once; else names of the present conflict before all others."""
        open_names = list(identifiers)
        if self._dead and (dead := [name for name in open_names if name in self._dead]):
            return dead
        if not backtrack_causes:
            return open_names
        causes = {cause.requirement.name for cause in backtrack_causes}
        causes |= {cause.parent.name for cause in backtrack_causes if cause.parent is not None}
        return [name for name in open_names if name in causes] or open_names

    def find_matches(self, identifier: str, requirements: Any, incompatibilities: Any) -> Sequence[Pick]:
        demands: list[Demand] = list(requirements[identifier])
        values = self._shared_values(identifier, demands)
        if values is None:
            self._count(identifier, 0)
            return ()
        found = self._admitted(identifier, demands, {pick.version for pick in incompatibilities[identifier]})
        if values is not NOTHING:
            found = [Pick(pick.release, values) for pick in found]
        self._count(identifier, len(found))
        return found

    def is_satisfied_by(self, requirement: Demand, candidate: Pick) -> bool:
        if requirement.values and requirement.values != candidate.values:
            return False
        return candidate.version in requirement.admits

    def get_dependencies(self, candidate: Pick) -> Iterable[Demand]:
        # Asked for again and again: at each try, when a choice is undone, and for the answer.
        found: list[Demand] | None = (self._memory if candidate.is_shared else self._demands).get(candidate)
        if found is None:
            found = self._demands.get(candidate)
        if found is None:
            scope = self._scope(candidate)
            found = [
                self.demand(
                    edge.blueprint, edge.range, candidate, edge, self._passed(edge, scope), explicit=bool(edge.when)
                )
                for edge in candidate.release.edges
                if not edge.when or whens.parse(edge.when).holds(scope)
            ]
            # What depends on no configuration is the same for every search that may choose this pick.
            kept = self._memory if scope is NOTHING and candidate.is_shared else self._demands
            kept[candidate] = found
        return found

    def demand(
        self, name: str, range: str, parent: Pick | None = None, edge: Edge | None = None,
        values: Mapping[str, Any] = NOTHING, *, explicit: bool = False,
    ) -> Demand:  # fmt: skip
        """A demand on this universe. Raises RangeInvalid."""
        return Demand(name, range, self._universe.matching(name, range), parent, edge, values, explicit)

    def follow(self, release: Release) -> Iterator[Edge]:
        """The edges that hold for a release chosen without values; for explanations."""
        for demand in self.get_dependencies(Pick(release, NOTHING)):
            assert demand.edge is not None
            yield demand.edge

    def config(self, pick: Pick) -> Mapping[str, Any]:
        """Configuration of a node: the root's, or what its parents pass, over the defaults. Shared: not to be changed."""
        given = self._configs.get(pick.name) or pick.values
        defaults, _ = self._universe.settled(pick.release)
        return _merged(defaults, given) if given else defaults

    def configured(self, pick: Pick) -> tuple[Mapping[str, Any], str]:
        """Configuration of a node, and its hash."""
        config = self.config(pick)
        defaults, its_hash = self._universe.settled(pick.release)
        return config, its_hash if config is defaults else config_hash(config)

    def why_out(self, release: Release) -> Why | None:
        """Why a release cannot be chosen whatever the ranges say; None if it can."""
        installed = self.policy.installed.get(release.name)
        if release.is_planned:
            return Why("PLANNED", "has no release yet")
        is_kept = release.version == installed and release.name in self.policy.locked
        if release.state is State.YANKED and not is_kept:
            return Why("YANKED", "was withdrawn")
        if not release.is_offered and release.state is not State.YANKED:
            return Why(release.state.name, f"is {release.state.name.lower()}")
        if installed is None or installed == release.version:
            return None
        return self._no_path(release, installed)

    def _no_path(self, release: Release, installed: str) -> Why | None:
        if ranges.version(release.version) < ranges.version(installed):
            return None if self.policy.allow_downgrade else Why("DOWNGRADE", f"is below the installed {installed}")
        return no_way(release, installed)

    def _count(self, name: str, candidates: int) -> None:
        self._counts[name] = candidates
        (self._dead.discard if candidates else self._dead.add)(name)

    def _admitted(self, name: str, demands: Sequence[Demand], refused: set[str]) -> Sequence[Pick]:
        """Candidates that all demands admit and nothing refused, best first; without any demand, which is what
        backtracking may leave behind, every version will do."""
        whoever_asks, only_if_asked = self._candidates(name)
        candidates: Sequence[Pick] = only_if_asked if any(d.explicit for d in demands) else whoever_asks
        if demands:
            admits = [demand.admits for demand in demands]
            wanted = admits[0] if len(admits) == 1 else frozenset.intersection(*admits)
            candidates = [pick for pick in candidates if pick.version in wanted]
        if refused:
            candidates = [pick for pick in candidates if pick.version not in refused]
        return candidates

    def _candidates(self, name: str) -> Choice:
        """What may be chosen at all, best first: the installed version, then the newest."""
        if name not in self.policy.installed:
            shared: Choice | None = self._memory.get(name)
            if shared is None:
                offered = self._universe.offered(name)
                shared = self._memory.setdefault(name, _choice(Pick(one, NOTHING, is_shared=True) for one in offered))
            return shared
        order = self._order.get(name)
        if order is None:
            order = self._order[name] = _choice(Pick(one, NOTHING) for one in self._usable(name))
        return order

    def _usable(self, name: str) -> Sequence[Release]:
        usable = [one for one in self._universe.releases(name) if self.why_out(one) is None]
        kept = None if name in self.policy.update else self.policy.installed[name]
        return sorted(usable, key=lambda one: one.version != kept)

    def _shared_values(self, name: str, demands: Sequence[Demand]) -> Mapping[str, Any] | None:
        """The values that all parents agree on; None if two do not."""
        passing = [d for d in demands if d.values]
        for other in passing[1:]:
            if other.values != passing[0].values:
                pair = sorted(d.parent.name if d.parent else "the caller" for d in (passing[0], other))
                self.values_conflict = ValuesConflict(blueprint=name, first=pair[0], second=pair[1])
                return None
        return passing[0].values if passing else NOTHING

    def _scope(self, pick: Pick) -> Mapping[str, Any]:
        if not any(edge.when or edge.values for edge in pick.release.edges):
            return NOTHING
        return {
            "config": self.config(pick),
            "application": {"name": self._applications.get(pick.name) or pick.name.removeprefix("bp-")},
            "environment": self.policy.environment,
        }

    @staticmethod
    def _passed(edge: Edge, scope: Mapping[str, Any]) -> Mapping[str, Any]:
        return {key: _filled(value, scope) for key, value in edge.values.items()} if edge.values else NOTHING


def _choice(picks: Iterable[Pick]) -> Choice:
    every = tuple(picks)
    return tuple(pick for pick in every if not pick.release.is_opt_in), every


def _filled(value: Any, scope: Mapping[str, Any]) -> Any:
    """A passed value: `{config.a.b}` alone keeps its type, inside a text it becomes text."""
    if isinstance(value, Mapping):
        return {key: _filled(inner, scope) for key, inner in value.items()}
    if not isinstance(value, str) or "{" not in value:
        return value
    pieces = value.split("{")
    if not pieces[0] and len(pieces) == 2 and value.endswith("}"):
        return whens.look_up(scope, tuple(value[1:-1].split(".")))
    text = pieces[0]
    for piece in pieces[1:]:
        path, _, rest = piece.partition("}")
        found = whens.look_up(scope, tuple(path.split(".")))
        text += ("" if found is None else str(found)) + rest
    return text


def _merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    both = dict(base)
    for key, value in over.items():
        inner = both.get(key)
        both[key] = _merged(inner, value) if isinstance(inner, Mapping) and isinstance(value, Mapping) else value
    return both
