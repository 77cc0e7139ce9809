"""Whether a component does what it is there for; over a stand-in for kubectl."""

import json
from typing import Any

import pytest
from catalyst.provisioner.v1 import resources_pb2 as pb
from catalyst_agent import commands, probing
from catalyst_agent.machine import Machine
from catalyst_testkit.fake_kubectl import FakeKubectl

MINE = {"app.kubernetes.io/instance": "bp-grafana"}
RELEASE = {
    "kind": "HelmRelease", "metadata": {"name": "bp-grafana", "namespace": "flux-system"},
    "spec": {"targetNamespace": "grafana"},
}  # fmt: skip
HEALTH = "/api/v1/namespaces/grafana/services/web:80/proxy/api/health"


def runs(available: int = 1) -> dict[str, Any]:
    meta = {"name": "web", "namespace": "grafana", "labels": MINE}
    return {"kind": "Deployment", "metadata": meta, "spec": {"replicas": 1}, "status": {"availableReplicas": available}}


def service(*ports: dict[str, Any]) -> dict[str, Any]:
    meta = {"name": "web", "namespace": "grafana", "labels": MINE}
    return {"kind": "Service", "metadata": meta, "spec": {"ports": [*ports]}}


def policy(name: str, ready: str) -> dict[str, Any]:
    conditions = [{"type": "Ready", "status": ready}]
    return {"kind": "ClusterPolicy", "metadata": {"name": name}, "status": {"conditions": conditions}}


async def passed(cluster: FakeKubectl, spec: dict[str, Any]) -> tuple[bool, str]:
    found = await probing.once(cluster, RELEASE, spec)
    return found.passed, found.message


async def test_a_service_of_the_component_has_to_answer_all_the_words_that_are_expected() -> None:
    port = {"name": "grpc", "port": 9095}, {"name": "http", "port": 80}
    cluster, spec = FakeKubectl(runs(), service(*port)), {"http": "/api/health", "expect": "database ok"}
    is_passed, text = await passed(cluster, spec)
    assert (is_passed, "NotFound" in text) == (False, True)
    cluster.answers[HEALTH] = '{"database": "failing"}'
    assert await passed(cluster, spec) == (False, "web:9095/api/health: " + NOT_FOUND)
    cluster.answers[HEALTH] = '{"database": "OK"}'
    assert await passed(cluster, spec) == (True, "web:80/api/health answers as it should")
    cluster.objects[0]["status"] = {}
    assert await passed(cluster, spec) == (False, "not available: deployment/web")


NOT_FOUND = "Error from server (NotFound): the server could not find the requested resource"


@pytest.mark.parametrize(
    ("body", "is_one"), [('{"data": [1]}', True), ('{"data": []}', False), ("[]", False), ("<html>", False)]
)
def test_an_answer_that_must_not_be_empty_is_a_list_with_something_in_it(body: str, is_one: bool) -> None:
    assert probing.is_expected(body, "not empty") is is_one


async def test_objects_have_to_show_the_condition_all_of_them_or_one() -> None:
    cluster = FakeKubectl(runs(), policy("a", "True"), policy("b", "False"))
    assert await passed(cluster, {"check": "policy ready"}) == (False, "not Ready of clusterpolicies.kyverno.io: b")
    cluster.objects.pop()
    assert (await passed(cluster, {"check": "policy ready"}))[0]
    is_passed, text = await passed(cluster, {"check": "backup location Available"})
    assert (is_passed, text) == (False, "there are no backupstoragelocations.velero.io yet")
    meta = {"name": "default", "namespace": "velero"}
    cluster.objects.append({"kind": "BackupStorageLocation", "metadata": meta, "status": {"phase": "Available"}})
    assert (await passed(cluster, {"check": "backup location Available"}))[0]


async def test_a_database_that_only_a_dependent_will_wish_is_not_waited_for() -> None:
    assert (await passed(FakeKubectl(runs()), {"check": "a database cluster is healthy"}))[0]


async def test_a_probe_that_cannot_be_made_is_said_to_be_none() -> None:
    is_passed, text = await passed(FakeKubectl(runs()), {"command": "PING"})
    assert is_passed
    assert text.endswith('this agent cannot make its own probe, {"command": "PING"}')


async def test_an_ordered_probe_tells_its_order_and_ends_when_its_time_is_over() -> None:
    command = pb.AgentCommand(id=7, probe=pb.AgentCommand.Probe(component="bp-grafana", probe="health"))
    command.probe.spec.update({"http": "/api/health"})
    command.probe.timeout.FromMilliseconds(1)
    cluster = FakeKubectl(RELEASE, runs(), service({"port": 80}))
    answer = (await commands.obey(command, cluster, Machine()))["probe_result"]
    assert (answer.command, answer.probe, answer.passed) == (7, "health", False)
    cluster.answers[HEALTH] = "fine"
    assert (await commands.obey(command, cluster, Machine()))["probe_result"].passed


async def test_probes_of_the_tree_are_read_by_component() -> None:
    data = {"bp-grafana": json.dumps({"http": "/api/health"})}
    brought = {"kind": "ConfigMap", "metadata": {"name": probing.PROBES, "namespace": probing.PLACE}, "data": data}
    assert await probing.known(FakeKubectl(brought)) == {"bp-grafana": {"http": "/api/health"}}
    assert await probing.known(FakeKubectl()) == {}
