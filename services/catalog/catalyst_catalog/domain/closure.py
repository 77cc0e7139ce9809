"""Everything that a Blueprint needs, or that needs it, and the waves in which it can be installed."""

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from .refusals import BlueprintNotFound, DependencyCycle, NoMatch
from .universe import Release, Universe

Graph = Mapping[str, Iterable[str]]
"""Each name with the names that it needs."""


@dataclass(frozen=True, slots=True)
class Link:
    """`parent` needs `child` in range `range`."""

    parent: str
    child: str
    range: str
    alias: str
    when: str = ""


@dataclass(frozen=True, slots=True)
class Closure:
    """Nodes sorted by name, the edges between them, and the install order. `unknown` is needed, but not in sight."""

    root: str
    nodes: tuple[Release, ...]
    links: tuple[Link, ...]
    waves: tuple[tuple[str, ...], ...]
    """Install order; of dependents: by distance from the root."""
    unknown: tuple[str, ...] = ()


def closure(universe: Universe, name: str, text: str = "*", *, depth: int = 0) -> Closure:
    """What `name` needs, with everything that this needs. Each is the newest version that its first parent admits.

    text    range for the root
    depth   how many edges to follow; 0 follows all
    """
    root = _root(universe, name, text)
    nodes, links, unknown = {name: root}, [], set()
    queue = deque([(root, 1)])
    while queue:
        parent, level = queue.popleft()
        for edge in parent.edges:
            child = universe.newest(edge.blueprint, edge.range) or universe.heads.get(edge.blueprint)
            if child is None:
                unknown.add(edge.blueprint)
                continue
            if child.is_opt_in and not edge.when:
                continue  # only an explicit choice brings it in
            if child.name not in nodes and depth and level > depth:
                continue
            links.append(Link(parent.name, child.name, edge.range, edge.alias, edge.when))
            if child.name not in nodes:
                nodes[child.name] = child
                queue.append((child, level + 1))
    return _finished(name, nodes, links, unknown)


def dependents(universe: Universe, name: str, *, depth: int = 0) -> Closure:
    """What needs `name`, directly or through others; over the newest version of each."""
    root = _root(universe, name, "*")
    parents: dict[str, list[Link]] = {}
    for release in universe.heads.values():
        for edge in release.edges:
            link = Link(release.name, edge.blueprint, edge.range, edge.alias, edge.when)
            parents.setdefault(edge.blueprint, []).append(link)
    links: list[Link] = []
    distance, queue = {name: 0}, deque([name])
    while queue:
        child = queue.popleft()
        for link in parents.get(child, ()) if not depth or distance[child] < depth else ():
            links.append(link)
            if link.parent not in distance:
                distance[link.parent] = distance[child] + 1
                queue.append(link.parent)
    nodes = {name: root} | {parent: universe.heads[parent] for parent in distance if parent != name}
    rings = [tuple(sorted(n for n, d in distance.items() if d == ring)) for ring in range(max(distance.values()) + 1)]
    return Closure(name, tuple(nodes[n] for n in sorted(nodes)), _ordered(links), tuple(rings))


def waves(graph: Graph) -> tuple[tuple[str, ...], ...]:
    """Names in the order in which they can be installed: each wave needs only earlier ones. Raises DependencyCycle.

    Needs outside the graph are taken as met.
    """
    left = {name: {need for need in needs if need in graph} for name, needs in graph.items()}
    order: list[tuple[str, ...]] = []
    while left:
        ready = tuple(sorted(name for name, needs in left.items() if not needs))
        if not ready:
            raise DependencyCycle(path=" > ".join(find_cycle(left) or ()))
        order.append(ready)
        left = {name: needs.difference(ready) for name, needs in left.items() if needs}
    return tuple(order)


def find_cycle(graph: Graph) -> tuple[str, ...] | None:
    """A circle of names, its first one repeated at the end and the smallest of the circle; None if there is none."""
    done: set[str] = set()
    for start in sorted(graph):
        if start not in done and (circle := _circle_from(graph, start, done)):
            at = circle.index(min(circle))
            turned = circle[at:] + circle[:at]
            return (*turned, turned[0])
    return None


def _circle_from(graph: Graph, start: str, done: set[str]) -> list[str] | None:
    """Depth first without recursion: a path of thousands of names must not end in a RecursionError."""
    path, stack = [start], [iter(sorted(graph.get(start, ())))]
    on_path = {start}
    while stack:
        following = next(stack[-1], None)
        if following is None:
            stack.pop()
            last = path.pop()
            on_path.discard(last)
            done.add(last)
        elif following in on_path:
            return path[path.index(following) :]
        elif following not in done and following in graph:
            path.append(following)
            on_path.add(following)
            stack.append(iter(sorted(graph[following])))
    return None


def _root(universe: Universe, name: str, text: str) -> Release:
    if name not in universe:
        raise BlueprintNotFound(blueprint=name)
    root = universe.newest(name, text)
    if root is None and text == "*":
        root = universe.heads[name]
    if root is None:
        raise NoMatch(blueprint=name, range=text)
    return root


def _finished(root: str, nodes: dict[str, Release], links: list[Link], unknown: set[str]) -> Closure:
    graph: dict[str, set[str]] = {name: set() for name in nodes}
    for link in links:
        graph[link.parent].add(link.child)
    ordered = tuple(nodes[name] for name in sorted(nodes))
    return Closure(root, ordered, _ordered(links), waves(graph), tuple(sorted(unknown)))


def _ordered(links: Iterable[Link]) -> tuple[Link, ...]:
    return tuple(sorted(links, key=lambda link: (link.parent, link.child, link.alias)))
