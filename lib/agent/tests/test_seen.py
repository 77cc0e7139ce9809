"""What is told of objects, and what is not."""

import json
from typing import Any

import pytest
from catalyst.provisioner.v1 import service_pb2 as rpc
from catalyst_agent import handover, seen, stages


def node(version: str = "v1.31.4+k3s1", *conditions: str, labels: tuple[str, ...] = ()) -> dict[str, Any]:
    return {
        "metadata": {"name": "n", "labels": dict.fromkeys(labels, "true")},
        "status": {
            "conditions": [{"type": one, "status": "True"} for one in conditions],
            "nodeInfo": {"kubeletVersion": version},
        },
    }


def test_only_members_of_etcd_that_say_so_vote() -> None:
    etcd = ("node-role.kubernetes.io/etcd",)
    nodes = [node("v1", "Ready", "EtcdIsVoter", labels=etcd), node("v1", "Ready", labels=etcd), node("v1", "Ready")]
    beat = seen.heartbeat(nodes, [], healthy=True, version="1")
    assert (beat.voting_members, beat.members, beat.ready_nodes, beat.nodes) == (1, 2, 3, 3)
    assert beat.tree_commit == ""


def test_an_upgrade_is_through_when_the_last_node_has_it() -> None:
    versions = ["v1.31.10+k3s1", "v1.31.9+k3s2", "v1.31.10+k3s1"]
    assert seen.heartbeat([node(v) for v in versions], [], healthy=True, version="").k3s_version == "v1.31.9+k3s2"


@pytest.mark.parametrize("revision", ["main@sha1:0a1b", "main/0a1b", "sha1:0a1b"])
def test_a_commit_is_read_off_every_form_of_a_revision(revision: str) -> None:
    root = {"status": {"lastAppliedRevision": revision, "lastAttemptedRevision": revision}}
    assert seen.heartbeat([], [root], healthy=True, version="").applied_commit == "0a1b"


def test_a_release_without_a_status_says_nothing_of_itself() -> None:
    told = seen.release({"metadata": {"name": "bp-a", "namespace": "flux-system"}})
    assert (told.observed_generation, list(told.conditions), told.digest, told.version) == (0, [], "", "")
    assert not seen.is_ready({"metadata": {"name": "bp-a", "generation": 1}})


def test_a_release_is_not_ready_by_what_was_true_of_an_older_generation() -> None:
    ready = {"observedGeneration": 1, "conditions": [{"type": "Ready", "status": "True"}]}
    assert seen.is_ready({"metadata": {"generation": 1}, "status": ready})
    assert not seen.is_ready({"metadata": {"generation": 2}, "status": ready})


def test_a_component_serves_when_all_that_it_runs_is_available() -> None:
    half = {
        "kind": "Deployment",
        "metadata": {"name": "a"},
        "spec": {"replicas": 2},
        "status": {"availableReplicas": 1},
    }
    every = {
        "kind": "DaemonSet",
        "metadata": {"name": "b"},
        "status": {"desiredNumberScheduled": 3, "numberAvailable": 3},
    }
    assert seen.served("bp-a", [every]).passed
    assert seen.served("bp-a", [half, every]).message == "not available: deployment/a"


def test_a_worker_gets_no_token_that_lets_it_into_the_quorum() -> None:
    answer = rpc.EnrollResponse(role=rpc.EnrollResponse.ROLE_WORKER, join_token="w", join_endpoint="10.0.1.2")
    files = handover.written(answer)
    assert (files["agent-token"], "server-token" in files) == ("w", False)
    assert files["enrolled.env"] == "ROLE=worker\nJOIN_AT=10.0.1.2\n"


def test_the_pull_secret_is_there_whether_it_holds_a_login_or_not() -> None:
    known = rpc.RegistryCredential(server="ghcr.io", username="u", password="p")
    for given, auths in ((known, {"ghcr.io": {"username": "u", "password": "p"}}), (rpc.RegistryCredential(), {})):
        made = handover.pull_secret(given)
        assert (made["metadata"]["name"], made["type"]) == ("registry", "kubernetes.io/dockerconfigjson")
        assert json.loads(made["stringData"][".dockerconfigjson"]) == {"auths": auths}


def test_what_was_cut_off_of_a_stage_is_thrown_away_and_the_others_come_in_order(tmp_path: Any) -> None:
    stages.keep(tmp_path, "k3s", "begun", ["unasked"])
    stages.keep(tmp_path, "k3s", "failed", ["x" * 2_000])
    (tmp_path / "stages" / "0.json").write_text('{"stage": "k')
    found = [stage for _, stage in stages.waiting(tmp_path)]
    assert [(one.number, stages.pb.AgentStage.State.Name(one.state)) for one in found] == [
        (5, "STATE_RUNNING"), (5, "STATE_FAILED"),
    ]  # fmt: skip
    assert (list(found[0].last_lines), len(found[1].last_lines[0])) == ([], 1_000)
