"""Decisions without any server: the solver beside resolvelib alone, a run's graph beside `graphlib`."""

import time
from collections.abc import Callable, Iterable, Sequence
from graphlib import TopologicalSorter
from random import Random
from typing import Any

from catalyst_catalog.domain import locks, ranges
from catalyst_catalog.domain.closure import closure
from catalyst_catalog.domain.provider import Policy, Root
from catalyst_catalog.domain.solver import solve
from catalyst_catalog.domain.universe import Universe
from catalyst_mesh.journal import Step
from catalyst_mesh.journal.graph import ordered
from resolvelib import AbstractProvider, BaseReporter, Resolver

from services.catalog.tests.makers import needs, one, seed_releases

from .harness import Goal, Round, compare, measured
from .table import Table

BUDGET = 0.5
"""Seconds of one round, about."""


class Bare(AbstractProvider[Any, Any, str]):
    """The least that resolvelib asks for: (name, range) pairs, versions newest first, ranges parsed once."""

    def __init__(self, universe: Universe) -> None:
        self._universe = universe

    def identify(self, requirement_or_candidate: Any) -> str:
        return str(requirement_or_candidate[0])

    def get_preference(
        self, identifier: str, resolutions: Any, candidates: Any, information: Any, backtrack_causes: Any
    ) -> str:
        return identifier

    def narrow_requirement_selection(
        self, identifiers: Iterable[str], resolutions: Any, candidates: Any, information: Any, backtrack_causes: Any
    ) -> Iterable[str]:
        """Names of the present conflict first, as resolvelib's documentation advises."""
        causes = {cause.requirement[0] for cause in backtrack_causes}
        causes |= {cause.parent[0] for cause in backtrack_causes if cause.parent is not None}
        found = list(identifiers)
        return [name for name in found if name in causes] or found

    def find_matches(self, identifier: str, requirements: Any, incompatibilities: Any) -> Sequence[Any]:
        wanted = [r[1] for r in requirements[identifier]]
        bad = {c[1].version for c in incompatibilities[identifier]}
        return [
            (identifier, release)
            for release in self._universe.releases(identifier)
            if release.version not in bad and all(ranges.matches(w, release.version) for w in wanted)
        ]

    def is_satisfied_by(self, requirement: Any, candidate: Any) -> bool:
        return ranges.matches(requirement[1], candidate[1].version)

    def get_dependencies(self, candidate: Any) -> Iterable[Any]:
        return [(edge.blueprint, edge.range) for edge in candidate[1].edges if not edge.when]


def synthetic() -> Universe:
    """300 Blueprints of 20 versions with three needs each, towards higher numbers, so that there is no circle."""
    dice, found = Random(7), []
    for n in range(300):
        for minor in range(20):
            others = dice.sample(range(n + 1, 300), min(3, 299 - n))
            found.append(
                one(f"bp-n{n:03}", f"1.{minor}.0", depends=needs(**{f"n{o:03}": _range(dice) for o in others}))
            )
    return Universe(found)


def _range(dice: Random) -> str:
    return dice.choice(("^1", ">=1.3", "<1.18", "^1.5"))


def planned(universe: Universe, roots: Sequence[Root]) -> Callable[[], object]:
    """Closure and plan as the daemon answers them: solved, ordered in waves, locked."""

    def work() -> object:
        policy = Policy()
        return locks.lock(solve(universe, roots, policy), policy, universe.revision)

    return work


def resolved(universe: Universe, roots: Sequence[Root]) -> Callable[[], object]:
    """The same roots by resolvelib alone."""
    return lambda: Resolver(Bare(universe), BaseReporter()).resolve([(r.name, r.range) for r in roots], 20_000).mapping


async def compute(work: Callable[[], object]) -> Round:
    """`work` again and again for about a second."""
    each: list[float] = []
    while sum(each) < BUDGET:
        began = time.perf_counter()
        work()
        each.append(time.perf_counter() - began)
    return Round(each, sum(each), len(each))


@measured
async def test_plan(table: Table) -> None:
    goal = Goal("p50", 1.5, "bare resolvelib, ranges cached")
    seed = Universe(seed_releases())
    offered = [Root(name) for name, head in seed.heads.items() if head.is_offered and not head.is_opt_in]
    worlds = {
        "catalog: plan of bp-librechat (aim 30 ms)": (seed, [Root("bp-librechat", "^1")]),
        f"catalog: plan of all {len(offered)} released Blueprints (aim 30 ms)": (seed, offered),
        "catalog: plan of 20 roots among 300 × 20 synthetic (aim 300 ms)": (
            synthetic(), [Root(f"bp-n{n:03}") for n in range(20)]
        ),
    }  # fmt: skip
    for words, (universe, roots) in worlds.items():
        ours, bare = planned(universe, roots), resolved(universe, roots)
        table.add(await compare(words, goal, ours=lambda o=ours: compute(o), bare=lambda b=bare: compute(b)))


@measured
async def test_closure_of_500(table: Table) -> None:
    """A chain of 500, nothing to solve; the aim is 50 ms."""
    chain = [one(f"bp-n{n:03}", depends=needs(**{f"n{n + 1:03}": "^1"}) if n < 499 else []) for n in range(500)]
    universe = Universe(chain)
    row = await compare(
        "catalog: closure of 500 nodes (aim 50 ms)", Goal("p50", 1.5, "bare resolvelib, ranges cached"),
        ours=lambda: compute(lambda: closure(universe, "bp-n000")),
        bare=lambda: compute(resolved(universe, [Root("bp-n000", "^1")])),
    )  # fmt: skip
    table.add(row)


@measured
async def test_run_graph(table: Table) -> None:
    """500 steps, each needing up to three earlier ones: the order in which a run starts."""
    dice = Random(7)

    async def nothing(_ctx: Any) -> None: ...

    graph = {f"s{n}": tuple(f"s{m}" for m in dice.sample(range(n), min(n, 3))) for n in range(500)}
    steps = [Step(name, nothing, needs=wanted) for name, wanted in graph.items()]

    def sorted_ready() -> list[str]:
        sorter, found = TopologicalSorter(graph), []
        sorter.prepare()
        while sorter.is_active():
            for name in sorter.get_ready():
                found.append(name)
                sorter.done(name)
        return found

    row = await compare(
        "provisioner: scheduling a run graph of 500 steps", Goal("p50", 3, "graphlib over the same 500 nodes"),
        ours=lambda: compute(lambda: ordered(steps)), bare=lambda: compute(sorted_ready),
    )  # fmt: skip
    table.add(row)
