"""The search where versions of Blueprints need each other in a circle.

resolvelib lets a later choice undo an earlier one, together with all that this one had demanded, and does not ask for it
again if the earlier choice comes back: in a circle it may go round for ever, miss a solution, or leave a demand unmet.
Here no choice is undone but by going back: plain backtracking, with the name of the fewest candidates next. It is slower,
and rarely needed: a circle among the newest versions never gets into the catalogue, and where there is one resolvelib is
asked first, for a while, and its answer looked through.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from .provider import Demand, Pick, Provider
from .universe import Universe

Demands = Mapping[str, tuple[Demand, ...]]
Picks = Mapping[str, Pick]


def has_circle(universe: Universe, names: Iterable[str]) -> bool:
    """Whether what `names` may need, in any version, leads back to itself."""
    return not universe.before_circles.isdisjoint(names)


def search(provider: Provider, demands: Sequence[Demand], tick: Callable[[], None]) -> Picks | None:
    """Picks that meet everything; None if there are none.

    tick   called before each try; what it raises ends the search
    """
    stack: list[Iterator[tuple[Picks, Demands]]] = [iter([({}, _joined({}, demands))])]
    while stack:
        state = next(stack[-1], None)
        if state is None:
            stack.pop()
            continue
        tick()
        picks, demanded = state
        open_names = [name for name in demanded if name not in picks]
        if not open_names:
            return picks
        stack.append(_tries(provider, picks, demanded, open_names))
    return None


def is_whole(provider: Provider, demands: Sequence[Demand], picks: Picks) -> bool:
    """Whether picks meet all demands, and those of every pick that these lead to."""
    asked, seen = list(demands), set[str]()
    while asked:
        demand = asked.pop()
        pick = picks.get(demand.name)
        if pick is None or not provider.is_satisfied_by(demand, pick):
            return False
        if demand.name not in seen:
            seen.add(demand.name)
            asked.extend(provider.get_dependencies(pick))
    return True


def _tries(
    provider: Provider, picks: Picks, demanded: Demands, open_names: Sequence[str]
) -> Iterator[tuple[Picks, Demands]]:
    """The states that follow from choosing one more name, best candidate first."""
    candidates = {name: provider.find_matches(name, demanded, {name: ()}) for name in open_names}
    name = min(open_names, key=lambda n: (len(candidates[n]), n))
    for pick in candidates[name]:
        fresh = list(provider.get_dependencies(pick))
        known = {**picks, name: pick}
        if all(d.name not in known or provider.is_satisfied_by(d, known[d.name]) for d in fresh):
            yield known, _joined(demanded, fresh)


def _joined(demanded: Demands, fresh: Sequence[Demand]) -> Demands:
    joined = dict(demanded)
    for demand in fresh:
        joined[demand.name] = (*joined.get(demand.name, ()), demand)
    return joined
