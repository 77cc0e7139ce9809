"""The graph of a run: who stands where, what the longest way is, and how long things took."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

from catalyst_gateway.console.graphs import lay_out, longest
from hypothesis import given
from hypothesis import strategies as st

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def step(id: str, *needs: str, state: str = "PENDING", took: float | None = None, **more: Any) -> dict[str, Any]:
    times = (
        {} if took is None else {"startTime": NOON.isoformat(), "endTime": (NOON + timedelta(seconds=took)).isoformat()}
    )
    return {"name": f"sovereigns/a/runs/r/steps/{id}", "state": f"STATE_{state}", "needs": list(needs), **times, **more}


@st.composite
def graphs(draw: st.DrawFn) -> dict[str, list[str]]:
    size = draw(st.integers(1, 12))
    return {f"s{n}": [f"s{m}" for m in range(n) if draw(st.booleans())] for n in range(size)}


@given(graphs())
def test_each_step_stands_right_of_all_that_it_needs_and_on_no_other(needs: dict[str, list[str]]) -> None:
    graph = lay_out([step(id, *wanted) for id, wanted in needs.items()], now=NOON)
    at = {node.id: (node.x, node.y) for node in graph.nodes}
    assert at.keys() == needs.keys()
    assert len(set(at.values())) == len(at)
    assert all(at[n][0] < at[id][0] for id, wanted in needs.items() for n in wanted)
    assert all(x < graph.width and y < graph.height for x, y in at.values())


@given(graphs(), st.data())
def test_no_way_takes_longer_than_the_longest(needs: dict[str, list[str]], data: st.DataObject) -> None:
    seconds = {id: float(data.draw(st.integers(0, 9))) for id in needs}
    way = longest(needs, seconds)
    assert all(a in needs[b] for a, b in pairwise(way))
    best: dict[str, float] = {}
    for id, wanted in needs.items():  # each stands after what it needs
        best[id] = seconds[id] + max((best[n] for n in wanted), default=0.0)
    assert sum(seconds[id] for id in way) == max(best.values())


def test_a_line_that_follows_from_others_is_not_drawn() -> None:
    graph = lay_out([step("a"), step("b", "a"), step("c", "a", "b")], now=NOON)
    assert len(graph.edges) == 2


def test_a_step_that_goes_on_counts_until_now_and_one_to_come_what_it_usually_takes() -> None:
    going = step("b", "a", state="RUNNING", startTime=(NOON - timedelta(seconds=7)).isoformat())
    graph = lay_out([step("a", state="SUCCEEDED", took=2), going, step("c", "b", usualDuration="3.5s")], now=NOON)
    assert [(n.took, n.usual) for n in graph.nodes] == [(2.0, None), (7.0, None), (None, 3.5)]
    assert (graph.critical, graph.seconds) == (["a", "b", "c"], 12.5)


def test_a_step_is_called_by_what_it_installs_or_does_not_by_its_cluster() -> None:
    cluster = {"cluster": "sb-east-mgt-dev"}
    rows = [
        step("infra.sb-east-mgt-dev", **cluster),
        step("kit.sb-east-mgt-dev.bp-flux", component="bp-flux", **cluster),
        step("dns.commit"),
    ]
    assert sorted(node.label for node in lay_out(rows, now=NOON).nodes) == ["dns.commit", "flux", "infra"]


def test_a_run_without_steps_is_a_graph_too() -> None:
    assert lay_out([], now=NOON).critical == []
