"""The order in which nodes take another version, decided without a cluster."""

from typing import Any

import pytest
from catalyst_provisioner.domain import rolling

OLD, NEW = "v1.31.4+k3s1", "v1.32.1+k3s1"
WHOLE = {"api_healthy": True, "voting_members": 3, "members": 3}


def node(id: str, version: str = OLD, role: str = "control-plane", **more: Any) -> dict[str, Any]:
    return {"id": id, "role": role, "version": version, "status": "STATUS_HEALTHY", **more}


def test_the_control_plane_comes_before_any_worker() -> None:
    nodes = [node("a", role="worker"), node("c"), node("b")]
    assert [one["id"] for one in rolling.ordered(nodes)] == ["b", "c", "a"]


def test_a_node_of_the_right_version_that_is_not_ready_has_not_arrived() -> None:
    assert rolling.runs(node("a", NEW), NEW)
    assert not rolling.runs(node("a", NEW, status="STATUS_PENDING"), NEW)
    assert not rolling.runs(node("a"), NEW)


@pytest.mark.parametrize(
    ("beat", "may"),
    [
        (WHOLE, True),
        ({**WHOLE, "voting_members": 2}, False),
        ({**WHOLE, "api_healthy": False}, False),
        ({}, False),
        ({"api_healthy": True, "voting_members": 1}, True),
    ],
)
def test_nothing_begins_while_the_quorum_is_not_whole(beat: dict[str, Any], may: bool) -> None:
    nodes = [node("a"), node("b")]
    assert rolling.may_begin(nodes[0], nodes, beat, NEW) is may


def test_nothing_begins_while_another_node_has_not_come_back() -> None:
    nodes = [node("a", NEW, status="STATUS_PENDING"), node("b")]
    assert not rolling.may_begin(nodes[1], nodes, WHOLE, NEW)


def test_the_only_node_that_takes_pods_keeps_its_own() -> None:
    alone = node("a")
    assert not rolling.emptied(alone, [alone])
    assert not rolling.emptied(alone, [alone, node("b", cordoned=True)])
    assert rolling.emptied(alone, [alone, node("b")])
