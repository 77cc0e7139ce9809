"""The graph of a run, laid out: each step stands right of all that it needs, and the longest way is known. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from . import words

WIDTH, HEIGHT = 172, 42
_GAP_X, _GAP_Y, _EDGE = 44, 10, 12
_OVER = ("SUCCEEDED", "FAILED", "SKIPPED", "UNDONE", "UNDO_FAILED")
_LEAST = 0.001
"""What a step counts that nobody knows a duration of: so that of two ways that take no time the one with more steps is longer."""


@dataclass(frozen=True, slots=True)
class Node:
    """A step at its place.

    took      seconds of its newest try, so far where it goes on; None before it began
    usual     median of past runs; None where there is none
    """

    id: str
    label: str
    cluster: str
    state: str
    x: int
    y: int
    took: float | None
    usual: float | None
    is_critical: bool


@dataclass(frozen=True, slots=True)
class Edge:
    """What one step waits for, as a curve."""

    path: str
    is_critical: bool


@dataclass(frozen=True, slots=True)
class Graph:
    """All of it. `critical` are the ids of the longest way, and `seconds` how long it takes."""

    nodes: Sequence[Node]
    edges: Sequence[Edge]
    width: int
    height: int
    critical: Sequence[str]
    seconds: float


def lay_out(steps: Sequence[Mapping[str, Any]], *, now: datetime | None = None) -> Graph:
    """The graph of `steps`, as ListSteps answers them."""
    moment = now or datetime.now(UTC)
    by_id = {words.leaf(step["name"]): step for step in steps}
    needs = {id: [n for n in step.get("needs", ()) if n in by_id] for id, step in by_id.items()}
    lasting = {id: _lasting(step, moment) for id, step in by_id.items()}
    critical = longest(needs, {id: took if took is not None else usual or 0.0 for id, (took, usual) in lasting.items()})
    places = _places(needs)
    nodes = [_node(id, by_id[id], places[id], lasting[id], id in critical) for id in places]
    edges = [_edge(places[a], places[b], _follows(critical, a, b)) for a, b in _needed(needs)]
    columns = max((x for x, _ in places.values()), default=0) + 1
    rows = max((y for _, y in places.values()), default=0) + 1
    seconds = sum(took if took is not None else usual or 0.0 for took, usual in (lasting[id] for id in critical))
    return Graph(
        nodes,
        edges,
        2 * _EDGE + columns * (WIDTH + _GAP_X) - _GAP_X,
        2 * _EDGE + rows * (HEIGHT + _GAP_Y) - _GAP_Y,
        critical,
        seconds,
    )  # fmt: skip - one call


def longest(needs: Mapping[str, Sequence[str]], seconds: Mapping[str, float]) -> list[str]:
    """The way from a first to a last step that takes longest, in its order."""
    until: dict[str, float] = {}
    before: dict[str, str] = {}
    for id in _in_order(needs):
        latest = max(needs[id], key=lambda n: until[n], default="")
        until[id] = (until[latest] if latest else 0.0) + seconds.get(id, 0.0) + _LEAST
        before[id] = latest
    way: list[str] = []
    at = max(until, key=lambda id: until[id], default="")
    while at:
        way.insert(0, at)
        at = before[at]
    return way


def _in_order(needs: Mapping[str, Sequence[str]]) -> list[str]:
    """Every step after all that it needs; of a ring, which no plan has, nothing."""
    left = {id: set(wanted) for id, wanted in needs.items()}
    order: list[str] = []
    while ready := [id for id, wanted in left.items() if not wanted]:
        order += ready
        for id in ready:
            del left[id]
        for wanted in left.values():
            wanted.difference_update(ready)
    return order


def _places(needs: Mapping[str, Sequence[str]]) -> dict[str, tuple[int, int]]:
    """Column and row of each step: a column further than the furthest of its needs, and near them in height."""
    columns: dict[int, list[str]] = {}
    column: dict[str, int] = {}
    for id in _in_order(needs):
        column[id] = max((column[n] + 1 for n in needs[id]), default=0)
        columns.setdefault(column[id], []).append(id)
    places: dict[str, tuple[int, int]] = {}
    for x in sorted(columns):
        by_height = sorted(columns[x], key=lambda id: (_middle(places[n][1] for n in needs[id]), id))
        places |= {id: (x, y) for y, id in enumerate(by_height)}
    return places


def _middle(heights: Iterable[int]) -> float:
    found = list(heights)
    return sum(found) / len(found) if found else 0.0


def _needed(needs: Mapping[str, Sequence[str]]) -> list[tuple[str, str]]:
    """Pairs of a step and what needs it, without those that follow from others: fewer lines say the same."""
    above: dict[str, set[str]] = {}
    for id in _in_order(needs):
        above[id] = {further for n in needs[id] for further in (n, *above[n])}
    return [(n, id) for id, wanted in needs.items() if id in above
            for n in wanted if not any(n in above[other] for other in wanted)]  # fmt: skip


def _follows(way: Sequence[str], a: str, b: str) -> bool:
    return a in way and b in way and way.index(b) == way.index(a) + 1


def _lasting(step: Mapping[str, Any], now: datetime) -> tuple[float | None, float | None]:
    begun, ended = words.when(step.get("startTime")), words.when(step.get("endTime"))
    usual = words.seconds(step.get("usualDuration"))
    if begun is None:
        return None, usual
    if ended is None and words.bare(step["state"]) in _OVER:
        return None, usual
    return max(0.0, ((ended or now) - begun).total_seconds()), usual


def _node(
    id: str, step: Mapping[str, Any], place: tuple[int, int], lasting: tuple[float | None, float | None], critical: bool
) -> Node:
    x, y = _at(place)
    cluster, component = str(step.get("cluster", "")), str(step.get("component", ""))
    label = component.removeprefix("bp-") or id.removesuffix(f".{cluster}")
    return Node(id, label, cluster, step["state"], x, y, *lasting, critical)


def _at(place: tuple[int, int]) -> tuple[int, int]:
    return _EDGE + place[0] * (WIDTH + _GAP_X), _EDGE + place[1] * (HEIGHT + _GAP_Y)


def _edge(start: tuple[int, int], end: tuple[int, int], critical: bool) -> Edge:
    (x1, y1), (x2, y2) = _at(start), _at(end)
    x1, y1, y2 = x1 + WIDTH, y1 + HEIGHT // 2, y2 + HEIGHT // 2
    bend = max(20, (x2 - x1) // 2)
    return Edge(f"M{x1},{y1}C{x1 + bend},{y1} {x2 - bend},{y2} {x2},{y2}", critical)
