"""What waits for a person, what may hurt, and whose word counts."""

from dataclasses import replace
from typing import Any

import pytest
from catalyst_provisioner.domain import gates, plans
from catalyst_provisioner.domain.joins import ROLE_LABEL
from catalyst_provisioner.domain.plan_inputs import Held, Read
from catalyst_sdk.cloud import Action, LedgerRow

from .plan_parts import change, cluster, document, plan

VOLUME = change(Action.DELETE, "volume", "volume.data")
SERVER = change(Action.REPLACE, address="server.control_plane[1]")


def kinds(body: dict[str, Any]) -> list[str]:
    return [gate["kind"] for gate in body["gates"]]


def test_a_creation_in_production_waits_for_nobody() -> None:
    assert kinds(plan(document(cluster(env_type="prod")))) == []


@pytest.mark.parametrize(
    ("changes", "risks", "wanted"),
    [
        ((SERVER,), ["resource.replaced", "cluster.anew", "cluster.downtime"], ["replace", "data_loss"]),
        ((VOLUME,), ["volume.lost"], ["data_loss"]),
        (
            (SERVER, VOLUME),
            ["resource.replaced", "volume.lost", "cluster.anew", "cluster.downtime"],
            ["replace", "data_loss"],
        ),
    ],
)
def test_what_hurts_waits_for_a_second_person_in_production(changes: Any, risks: list[str], wanted: list[str]) -> None:
    body = plan(document(cluster(env_type="prod")), changes)
    assert [risk["code"] for risk in body["risks"]] == risks
    assert kinds(body) == wanted
    assert all(gate["second_person"] and gate["roles"] == ["security-officer"] for gate in body["gates"])
    assert [step["id"] for step in body["steps"] if step["gate"]] == [f"approve.{kind}" for kind in wanted]
    assert kinds(plan(document(), changes)) == [], "elsewhere only what the spec names waits"


def test_several_control_planes_may_lose_their_majority() -> None:
    planes = {"control_plane": {"size": "sb8", "count": 3}}
    body = plan(document(cluster(**planes)), (change(Action.UPDATE, address="server.control_plane[1]"),))
    assert [risk["kind"] for risk in body["risks"]] == ["KIND_QUORUM"]


@pytest.mark.parametrize(("role", "risks"), [("control-plane", ["KIND_QUORUM"]), ("worker", [])])
def test_a_server_whose_address_says_nothing_is_known_by_its_label(role: str, risks: list[str]) -> None:
    node = change(Action.UPDATE, address='hcloud_server.node["omantel-cp-1"]')
    node = replace(node, before={"labels": {ROLE_LABEL: role}}, after={"labels": {ROLE_LABEL: role}})
    planes = {"control_plane": {"size": "sb8", "count": 3}}
    assert [risk["kind"] for risk in plan(document(cluster(**planes)), (node,))["risks"]] == risks


def test_what_the_world_can_reach_is_a_risk() -> None:
    spec = document(api={"public": True}, access={"ssh_allowed_cidrs": ["10.0.0.0/8", "::/0"]})
    assert [(r["code"], r["resources"]) for r in plan(spec)["risks"]] == [("api.public", []), ("ssh.public", ["::/0"])]


def test_a_cluster_that_leaves_is_deleted_by_name_and_waits_in_production() -> None:
    held = Held("sb-west-mgt-prod", LedgerRow("server", "s-1", "west", {}, "srv-1"))
    body = plan(document(cluster(env_type="prod")), removed=("sb-west-mgt-prod",), read={"held": (held,)})
    assert [c["action"] for c in body["changes"] if c["cluster"] == "sb-west-mgt-prod"] == ["ACTION_DELETE"]
    assert kinds(body) == ["destroy", "data_loss"]
    leaving = next(step for step in body["steps"] if step["id"] == "leave.sb-west-mgt-prod")
    assert {"dns.commit", "git.render"} <= set(leaving["needs"])


def test_every_step_of_what_is_made_comes_after_every_gate() -> None:
    body = plan(document(approvals=[{"gate": "*", "roles": ["org-admin"]}]))
    assert kinds(body) == ["spend"]
    assert body["gates"][0]["roles"] == ["org-admin"]
    assert not body["gates"][0]["second_person"]
    needs = {step["id"]: step["needs"] for step in body["steps"]}
    assert "approve.spend" in needs["name.reserve"]
    assert "timeout" not in next(step for step in body["steps"] if step["gate"])


def test_a_repair_always_waits() -> None:
    assert kinds(plan(intent=plans.REPAIR)) == ["repair"]


@pytest.mark.parametrize(("env_type", "rows", "wanted"), [
    ("prod", 1, ["destroy"]), ("prod", 0, []), ("dev", 1, []),
])  # fmt: skip
def test_a_destroy_in_production_waits_where_there_is_something(env_type: str, rows: int, wanted: list[str]) -> None:
    held = (Held("c", LedgerRow("server", "s-1", "east", {}, "srv-1")),) * rows
    body = plans.destroy(Read("sovereigns/acme", 1, 0, "EUR", held), document(cluster(env_type=env_type)), ["c"], ())
    assert kinds(body) == wanted
    first = [step["id"] for step in body["steps"]][: len(wanted) + 1]
    assert first == [*(f"approve.{kind}" for kind in wanted), "quiesce"]
    quiesce = next(step for step in body["steps"] if step["id"] == "quiesce")
    assert quiesce["needs"] == [f"approve.{kind}" for kind in wanted]


GATE = {"kind": "destroy", "roles": ["security-officer"], "principals": ["mallory"], "second_person": True}


@pytest.mark.parametrize(
    ("subject", "holds_role", "refusal"),
    [
        ("alice", True, gates.GateSelfApproval),
        ("bob", False, gates.GateNotApprover),
        ("bob", True, None),
        ("mallory", False, None),
    ],
)
def test_whose_word_opens_a_gate(subject: str, holds_role: bool, refusal: type[Exception] | None) -> None:
    asked: Any = {"subject": subject, "requester": "alice", "holds_role": holds_role}
    if refusal is None:
        gates.demand_approver(GATE, **asked)
    else:
        with pytest.raises(refusal):
            gates.demand_approver(GATE, **asked)


def test_a_requester_may_say_no_to_what_they_asked_for() -> None:
    gates.demand_refuser(GATE, subject="alice", requester="alice", holds_role=False)
    with pytest.raises(gates.GateNotApprover):
        gates.demand_refuser(GATE, subject="bob", requester="alice", holds_role=False)
