"""What needs what, and the waves in which it can be installed."""

import time

import pytest
from catalyst_catalog.domain.closure import closure, dependents, find_cycle, waves
from catalyst_catalog.domain.refusals import BlueprintNotFound, DependencyCycle, NoMatch
from catalyst_catalog.domain.universe import Universe

from .makers import THIRTEEN, needs, one

SLOT = "catalyst.openova.io/slot"


def test_the_closure_of_librechat_has_thirteen_names(seed: Universe) -> None:
    assert " ".join(node.name for node in closure(seed, "bp-librechat").nodes) == THIRTEEN


def test_the_seed_has_78_blueprints_and_127_edges(seed: Universe) -> None:
    heads = seed.heads.values()
    assert (len(heads), sum(len(head.edges) for head in heads)) == (78, 127)
    assert sum(head.is_planned for head in heads) == 27
    assert [head.name for head in heads if head.is_opt_in] == ["bp-spire"]


def test_the_bootstrap_kit_installs_in_six_waves(seed: Universe) -> None:
    kit = {
        name: [edge.blueprint for edge in head.edges]
        for name, head in seed.heads.items()
        if SLOT in head.manifest.metadata.labels
    }
    order = waves(kit)
    assert (len(kit), len(order)) == (47, 6)
    assert order[0] == ("bp-cilium", "bp-reloader", "bp-vpa")
    assert order[-1] == ("bp-anthropic-adapter", "bp-external-dns", "bp-grafana", "bp-librechat", "bp-nemo-guardrails")


def test_spire_is_in_no_closure_but_its_own(seed: Universe) -> None:
    assert [n for n in seed.names if any(x.name == "bp-spire" for x in closure(seed, n).nodes)] == ["bp-spire"]


def test_dependents_come_in_rings_around_the_root(seed: Universe) -> None:
    found = dependents(seed, "bp-vllm")
    assert found.waves[0] == ("bp-vllm",)
    assert {"bp-librechat", "bp-nemo-guardrails", "bp-cortex"} <= set(found.waves[1])
    assert dependents(seed, "bp-vllm", depth=1).waves == found.waves[:2]


def test_depth_bounds_the_walk(seed: Universe) -> None:
    assert {n.name for n in closure(seed, "bp-librechat", depth=1).nodes} == {
        "bp-librechat", "bp-llm-gateway", "bp-vllm", "bp-bge", "bp-keycloak",
    }  # fmt: skip


def test_what_nobody_knows_is_listed_and_ends_nothing() -> None:
    found = closure(Universe([one("bp-aa", depends=needs(gone="*", bb="*")), one("bp-bb")]), "bp-aa")
    assert ([n.name for n in found.nodes], found.unknown) == (["bp-aa", "bp-bb"], ("bp-gone",))


def test_a_root_is_refused_by_name_or_by_range(seed: Universe) -> None:
    with pytest.raises(BlueprintNotFound):
        closure(seed, "bp-nothing")
    with pytest.raises(NoMatch):
        closure(seed, "bp-harbor", "^9")


def test_a_circle_is_told_from_its_smallest_name() -> None:
    graph = {"c": ["a"], "a": ["b"], "b": ["c"], "d": ["a"]}
    assert find_cycle(graph) == ("a", "b", "c", "a")
    with pytest.raises(DependencyCycle, match="a > b > c > a"):
        waves(graph)
    assert find_cycle({"a": ["b", "c"], "b": ["c"], "c": []}) is None


def test_a_chain_of_five_thousand_needs_no_stack() -> None:
    chain = {f"n{n}": [f"n{n + 1}"] for n in range(5000)}
    assert find_cycle(chain) is None
    assert find_cycle({**chain, "n5000": ["n0"]}) is not None


@pytest.mark.perf
def test_a_closure_of_500_nodes(capsys: pytest.CaptureFixture[str]) -> None:
    deep = Universe(one(f"bp-n{n:03}", depends=needs(**{f"n{n + 1:03}": "^1"}) if n < 499 else []) for n in range(500))
    began = time.perf_counter()
    found = closure(deep, "bp-n000")
    spent = (time.perf_counter() - began) * 1000
    with capsys.disabled():
        print(  # noqa: T201 - a figure for whoever runs it
            f"\nclosure of {len(found.nodes)} nodes in {len(found.waves)} waves: {spent:.1f} ms"
        )
    assert len(found.waves) == 500
