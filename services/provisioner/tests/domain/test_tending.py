"""Work on single nodes, decided without one."""

from typing import Any

import pytest
from catalyst_provisioner.domain import graphs, tending
from catalyst_provisioner.domain.previews import TargetNotFound
from catalyst_provisioner.domain.rules import SpecInvalid
from catalyst_provisioner.domain.tending import Deed

EAST = "sb-east-mgt-dev"
NODES: dict[str, list[dict[str, Any]]] = {EAST: [{"id": "one"}, {"id": "two", "cordoned": True}]}


SERVERS = {EAST: [{"name": "one", "id": "srv-1"}]}


def test_a_drain_obeys_budgets_for_as_long_as_it_is_told() -> None:
    assert tending.asked("DRAIN", f"{EAST}/one", {"grace_period": 0.0}, NODES, SERVERS) == Deed(EAST, "one", "drain", 0)
    assert tending.asked("DRAIN", f"{EAST}/one", {}, NODES, SERVERS).grace == 300
    assert "for 3600 s" in tending.change(Deed(EAST, "one", "drain", 3600).plain())["reason"]


@pytest.mark.parametrize("target", ["", "one", f"{EAST}/three", "elsewhere/one", EAST])
def test_what_no_cluster_shows_is_not_found(target: str) -> None:
    with pytest.raises(TargetNotFound):
        tending.asked("CORDON", target, {}, NODES, SERVERS)


@pytest.mark.parametrize(
    ("verb", "spec"),
    [("DRAIN", {"grace_period": 3601}), ("DRAIN", {"grace_period": -1}), ("REBOOT", {"grace_period": 1.5}),
     ("REPLACE", {"grace_period": True}),
     ("DRAIN", {"grace_period": "5 min"}), ("DRAIN", {"force": True}), ("CORDON", {"grace_period": 5})],
)  # fmt: skip
def test_a_field_that_a_verb_does_not_have_is_refused(verb: str, spec: dict[str, Any]) -> None:
    with pytest.raises(SpecInvalid):
        tending.asked(verb, f"{EAST}/one", spec, NODES, SERVERS)


def found(deed: Deed, *, can_replace: bool = True) -> list[str]:
    return [one.code for one in tending.findings(deed, NODES[EAST], can_replace=can_replace)]


def test_a_restart_names_the_boot_and_a_replacement_the_server_that_end() -> None:
    nodes = {EAST: [{"id": "one", "boot_id": "b1", "server_id": "srv-1", "status": "STATUS_HEALTHY", "role": "worker"}]}
    restart, anew = (tending.asked(verb, f"{EAST}/one", {}, nodes, SERVERS) for verb in ("REBOOT", "REPLACE"))
    assert (restart.before, anew.before, anew.server, anew.server_id) == ("b1", "srv-1", "one", "srv-1")
    assert [deed.is_done(nodes[EAST]) for deed in (restart, anew)] == [False, False]
    later = [{**nodes[EAST][0], "boot_id": "b2", "server_id": "srv-2"}]
    assert [deed.is_done(later) for deed in (restart, anew)] == [True, True]
    pending = [{**later[0], "status": "STATUS_PENDING"}]
    assert [deed.is_done(pending) for deed in (restart, anew)] == [False, False]
    assert [Deed(**deed.plain()) for deed in (restart, anew)] == [restart, anew]


def test_what_cannot_be_seen_or_made_is_said_before() -> None:
    assert "node.boot_unknown" in found(Deed(EAST, "two", "reboot"))
    assert "node.unmanaged" in found(Deed(EAST, "two", "replace"))
    assert "plugin.capability_missing" in found(Deed(EAST, "two", "replace", server_id="1"), can_replace=False)
    assert found(Deed(EAST, "two", "replace", server_id="1")) == []


def test_who_has_nowhere_to_go_is_said() -> None:
    assert found(Deed(EAST, "one", "drain")) == ["node.last"]
    assert not found(Deed(EAST, "two", "drain"))
    assert not found(Deed(EAST, "one", "uncordon"))


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
