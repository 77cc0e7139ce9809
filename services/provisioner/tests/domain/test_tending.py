"""Work on single nodes, decided without one."""

from typing import Any

import pytest
from catalyst_provisioner.domain import graphs, tending
from catalyst_provisioner.domain.previews import TargetNotFound
from catalyst_provisioner.domain.rules import SpecInvalid
from catalyst_provisioner.domain.tending import Deed

EAST = "sb-east-mgt-dev"
NODES: dict[str, list[dict[str, Any]]] = {EAST: [{"id": "one"}, {"id": "two", "cordoned": True}]}


def test_a_drain_obeys_budgets_for_as_long_as_it_is_told() -> None:
    assert tending.asked("DRAIN", f"{EAST}/one", {"grace": 0.0}, NODES) == Deed(EAST, "one", "drain", 0)
    assert tending.asked("DRAIN", f"{EAST}/one", {}, NODES).grace == 300
    assert "for 3600 s" in tending.change(Deed(EAST, "one", "drain", 3600).plain())["reason"]


@pytest.mark.parametrize("target", ["", "one", f"{EAST}/three", "elsewhere/one", EAST])
def test_what_no_cluster_shows_is_not_found(target: str) -> None:
    with pytest.raises(TargetNotFound):
        tending.asked("CORDON", target, {}, NODES)


@pytest.mark.parametrize(
    ("verb", "spec"),
    [("DRAIN", {"grace": 3601}), ("DRAIN", {"grace": -1}), ("DRAIN", {"grace": 1.5}), ("DRAIN", {"grace": True}),
     ("DRAIN", {"grace": "5 min"}), ("DRAIN", {"force": True}), ("CORDON", {"grace": 5})],
)  # fmt: skip
def test_a_field_that_a_verb_does_not_have_is_refused(verb: str, spec: dict[str, Any]) -> None:
    with pytest.raises(SpecInvalid):
        tending.asked(verb, f"{EAST}/one", spec, NODES)


def test_who_has_nowhere_to_go_is_said() -> None:
    assert [f.code for f in tending.findings(Deed(EAST, "one", "drain"), NODES[EAST])] == ["node.last"]
    assert not tending.findings(Deed(EAST, "two", "drain"), NODES[EAST])
    assert not tending.findings(Deed(EAST, "one", "uncordon"), NODES[EAST])


def test_what_a_cluster_shows_decides_whether_it_is_done() -> None:
    assert not Deed(EAST, "one", "cordon").is_done(NODES[EAST])
    assert Deed(EAST, "two", "cordon").is_done(NODES[EAST])
    assert Deed(EAST, "one", "uncordon").is_done(NODES[EAST])
    assert not Deed(EAST, "gone", "uncordon").is_done(NODES[EAST])


def test_nodes_of_one_cluster_take_their_turns_and_the_probe_is_last() -> None:
    deeds = [Deed(EAST, "one", "drain").plain(), Deed(EAST, "two", "uncordon").plain()]
    steps = {s.id: s for s in graphs.provision({"clusters": [{"name": EAST, "components": []}], "tended": deeds})}
    assert steps["node.drain.one"].needs == (f"quorum.{EAST}",)
    assert steps["node.uncordon.two"].needs == ("node.drain.one",)
    assert {"node.drain.one", "node.uncordon.two"} <= set(steps["probe"].needs)
