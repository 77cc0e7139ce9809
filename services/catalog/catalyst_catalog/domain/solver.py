"""A wish resolves to exactly one version of everything that it needs, or to the reason why it cannot.

Invariants
  one version  a Blueprint has one version per answer;
  same bytes   the answer does not depend on the order of roots or of rows, nor on Blueprints that nobody asked for;
  soft pins    what is installed stays as it is unless a demand or `update` says otherwise, and never goes down unasked;
  bounded      the search ends with an answer, an explanation or SOLVER_BUDGET.

The search itself is resolvelib's; what it is told stands in `provider`.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from resolvelib import BaseReporter, ResolutionImpossible, ResolutionTooDeep
from resolvelib.resolvers import Resolution

from . import circles
from .conflicts import Conflict, explain
from .provider import Demand, Pick, Policy, Provider, Root
from .refusals import (
    BlueprintNotFound,
    LockedVersionQuarantined,
    NoMatch,
    NotReleased,
    PublicNeedsPrivate,
    SolverBudget,
)
from .universe import Release, State, Universe

MOST_ROUNDS = 20_000
ROUNDS_IN_CIRCLES = 500
"""Rounds that resolvelib gets where it may go round for ever."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """One node of the answer."""

    release: Release
    config: Mapping[str, Any]
    parents: tuple[tuple[str, str], ...]
    """Who needs it, each with the alias by which the parent knows it; the caller is ''."""
    needs: tuple[str, ...]
    config_hash: str


@dataclass(frozen=True, slots=True)
class Solution:
    """Everything chosen, sorted by name."""

    roots: tuple[Root, ...]
    chosen: tuple[Chosen, ...]


def solve(
    universe: Universe,
    roots: Iterable[Root],
    policy: Policy | None = None,
    *,
    out_of_time: Callable[[], bool] = lambda: False,
    most_rounds: int = MOST_ROUNDS,
) -> Solution:
    """Choose versions for `roots` and all their needs.

    Raises BlueprintNotFound, NotReleased, NoMatch, RangeInvalid for a root; Unsatisfiable with the tree of demands;
    ValuesConflict; SolverBudget; WhenTypeMismatch.
    """
    policy, wished = policy or Policy(), tuple(sorted(roots, key=lambda root: (root.name, root.range)))
    try:
        return _solve(universe, wished, policy, _Watch(out_of_time, most_rounds))
    except (NoMatch, Conflict):
        if not policy.allow_early:
            raise
    # Only now: to prefer a pre-release of one to an older version of another is nobody's wish.
    return _solve(universe.early, wished, policy, _Watch(out_of_time, most_rounds))


def _solve(universe: Universe, wished: tuple[Root, ...], policy: Policy, watch: "_Watch") -> Solution:
    provider = Provider(universe, wished, policy)
    demands = [provider.demand(root.name, root.range, explicit=True) for root in wished]
    _check_lock(universe, provider.policy)
    for root in wished:
        _check_root(universe, root, provider)
    try:
        picks = _search(universe, provider, demands, watch)
    except ResolutionImpossible as error:
        if provider.values_conflict is not None:
            raise provider.values_conflict from error
        names = {cause.requirement.name for cause in error.causes}
        raise explain(universe, wished, names, provider.follow, provider.why_out) from error
    except (ResolutionTooDeep, _OutOfTime) as error:
        raise _budget(watch, universe, wished, provider) from error
    return _solution(universe, wished, provider, picks)


def _search(universe: Universe, provider: Provider, demands: list[Demand], watch: "_Watch") -> Mapping[str, Pick]:
    if not circles.has_circle(universe, [demand.name for demand in demands]):
        return _resolved(provider, demands, watch, watch.most_rounds)
    try:
        # In most circles resolvelib finds the way, and sooner; whether it has is seen from what it found.
        found = _resolved(provider, demands, watch, min(ROUNDS_IN_CIRCLES, watch.most_rounds))
    except (ResolutionImpossible, ResolutionTooDeep):
        found = {}
    if circles.is_whole(provider, demands, found):
        return found
    whole = circles.search(provider, demands, watch.tick)
    if whole is None:
        raise ResolutionImpossible([])
    return whole


def _resolved(provider: Provider, demands: list[Demand], watch: "_Watch", most_rounds: int) -> Mapping[str, Pick]:
    # Not `Resolver`, which walks back to the roots by recursion; what can be reached is found by `_solution`.
    return Resolution(provider, watch).resolve(demands, max_rounds=most_rounds).mapping


def _check_root(universe: Universe, root: Root, provider: Provider) -> None:
    releases = universe.releases(root.name)
    if not releases:
        raise BlueprintNotFound(blueprint=root.name)
    matching = universe.matching(root.name, root.range)
    if all(one.is_planned for one in releases):
        raise NotReleased(blueprint=root.name)
    if not any(one.version in matching and provider.why_out(one) is None for one in releases):
        raise NoMatch(blueprint=root.name, range=root.range)


def _check_lock(universe: Universe, policy: Policy) -> None:
    """What is locked and no longer trusted blocks everything: silently choosing another would hide it."""
    for name in sorted(policy.locked - policy.update):
        for one in universe.releases(name):
            if one.version == policy.installed.get(name) and one.state is State.QUARANTINED:
                raise LockedVersionQuarantined(blueprint=name, version=one.version, why=one.state_reason or "unknown")


def _solution(universe: Universe, roots: tuple[Root, ...], provider: Provider, picks: Mapping[str, Pick]) -> Solution:
    """What can be reached from the roots; picks that the search left behind on its way are dropped.

    Raises PublicNeedsPrivate.
    """
    parents: dict[str, set[tuple[str, str]]] = {root.name: {("", "")} for root in roots}
    needs: dict[str, set[str]] = {}
    open_names = list(parents)
    while open_names:
        name = open_names.pop()
        if name in needs:
            continue
        needs[name] = set()
        for demand in provider.get_dependencies(picks[name]):
            assert demand.edge is not None
            needs[name].add(demand.name)
            if demand.name in universe.private and name not in universe.private:
                raise PublicNeedsPrivate(public=name, private=demand.name)
            parents.setdefault(demand.name, set()).add((name, demand.edge.alias))
        open_names.extend(needs[name])
    return Solution(roots, tuple(_chosen(provider, picks[n], parents[n], needs[n]) for n in sorted(needs)))


def _chosen(provider: Provider, pick: Pick, parents: set[tuple[str, str]], needs: set[str]) -> Chosen:
    config, config_hash = provider.configured(pick)
    return Chosen(pick.release, config, tuple(sorted(parents)), tuple(sorted(needs)), config_hash)


class _OutOfTime(Exception):
    pass


class _Watch(BaseReporter[Demand, Pick, str]):
    """Ends a search that takes too long, and remembers what it quarrelled about."""

    def __init__(self, out_of_time: Callable[[], bool], most_rounds: int) -> None:
        self._out_of_time = out_of_time
        self._ticks = 0
        self.most_rounds = most_rounds
        self.contested: Counter[str] = Counter()

    def starting_round(self, index: int) -> None:
        if self._out_of_time():
            raise _OutOfTime

    def tick(self) -> None:
        """One try of the search for circles."""
        self._ticks += 1
        if self._ticks > self.most_rounds or self._out_of_time():
            raise _OutOfTime

    def resolving_conflicts(self, causes: Any) -> None:
        self.contested.update(cause.requirement.name for cause in causes)


def _budget(watch: _Watch, universe: Universe, roots: Sequence[Root], provider: Provider) -> SolverBudget:
    most = min(watch.contested, key=lambda name: (-watch.contested[name], name), default="")
    told = explain(universe, roots, {most}, provider.follow, provider.why_out) if most else None
    demands = ", ".join(f"{d.range} by {d.by}" for c in told.contested for d in c.demands) if told else "nothing twice"
    return SolverBudget(blueprint=most or "none", demands=demands)
