"""Moving pods off a node, and what a cluster made at its cloud; over a stand-in for kubectl."""

from typing import Any

import pytest
from catalyst.provisioner.v1 import resources_pb2 as pb
from catalyst_agent import commands, draining
from catalyst_agent.machine import Machine
from catalyst_testkit.fake_kubectl import FakeKubectl

Drain = pb.AgentCommand.Drain
OWNED = {"ownerReferences": [{"kind": "ReplicaSet", "name": "web"}]}


def pod(name: str, *, node: str = "w1", phase: str = "Running", **meta: Any) -> dict[str, Any]:
    return {
        "kind": "Pod", "metadata": {"name": name, "namespace": "shop", **(meta or OWNED)},
        "spec": {"nodeName": node}, "status": {"phase": phase},
    }  # fmt: skip


def node(name: str) -> dict[str, Any]:
    return {"kind": "Node", "metadata": {"name": name}, "spec": {}}


def volume_claim(name: str, **meta: Any) -> dict[str, Any]:
    return {"kind": "PersistentVolumeClaim", "metadata": {"name": name, "namespace": "shop", **meta}, "spec": {}}


async def told(cluster: FakeKubectl, **command: Any) -> pb.AgentCommandResult:
    answer = await commands.obey(pb.AgentCommand(id=1, **command), cluster, Machine())
    result = answer["command_result"]
    assert isinstance(result, pb.AgentCommandResult)
    return result


async def drained(cluster: FakeKubectl, *, grace: float = 60, last: float = 60) -> list[str]:
    return await draining.node(cluster, "w1", grace=grace, pause=0.01, last=last)


async def test_pods_of_a_node_are_evicted_and_those_of_others_are_not() -> None:
    cluster = FakeKubectl(node("w1"), pod("a"), pod("b"), pod("c", node="w2"))
    done = await told(cluster, drain=Drain(scope=Drain.SCOPE_NODE, node="w1"))
    assert (done.done, done.code, [*done.remaining]) == (True, "", [])
    assert cluster.told == ["patch node w1", "evict a", "evict b"]
    assert cluster.objects[0]["spec"] == {"unschedulable": True}
    await told(cluster, drain=Drain(scope=Drain.SCOPE_UNCORDON, node="w1"))
    assert cluster.objects[0]["spec"] == {}


async def test_a_budget_that_forbids_it_is_waited_for() -> None:
    cluster = FakeKubectl(pod("a"))
    cluster.forbidden = {"a"}
    looks = 0
    show = cluster.all

    async def later(kind: str, **where: str) -> list[dict[str, Any]]:
        nonlocal looks
        looks += 1
        if looks == 4:
            cluster.forbidden.clear()
        return await show(kind, **where)

    cluster.all = later  # type: ignore[assignment,method-assign]  # the stand-in's own, with a moment in it
    assert await drained(cluster) == []
    assert cluster.told == ["refuse a", "refuse a", "refuse a", "evict a"]


async def test_after_its_time_a_pod_is_deleted_without_leave_and_what_lingers_is_named() -> None:
    cluster = FakeKubectl(pod("a"), pod("b"))
    cluster.forbidden, cluster.lingers = {"a", "b"}, {"b"}
    assert await drained(cluster, grace=0, last=0.2) == ["Pod/shop/b"]
    assert cluster.told == ["delete pod a", "delete pod b"], "what is ending is not asked again"


async def test_what_belongs_to_the_node_or_has_ended_stays_and_what_nobody_makes_anew_is_named() -> None:
    cluster = FakeKubectl(
        pod("agent", ownerReferences=[{"kind": "DaemonSet", "name": "agent"}]),
        pod("static", annotations={"kubernetes.io/config.mirror": "x"}, **OWNED),
        pod("job", phase="Succeeded"),
        pod("bare", labels={"app": "bare"}),
    )
    assert await drained(cluster) == ["Pod/shop/bare"]
    assert cluster.told == []


async def test_balancers_and_claims_are_asked_to_go_once_and_named_while_they_are_there() -> None:
    balancer = {
        "kind": "Service", "metadata": {"name": "web", "namespace": "shop"}, "spec": {"type": "LoadBalancer"},
    }  # fmt: skip
    inner = {"kind": "Service", "metadata": {"name": "db", "namespace": "shop"}, "spec": {"type": "ClusterIP"}}
    cluster = FakeKubectl(balancer, inner, volume_claim("data"), volume_claim("kept"))
    cluster.lingers = {"data"}
    asked = Drain(scope=Drain.SCOPE_CLOUD_RESOURCES, keep=["PersistentVolumeClaim/shop/kept"])
    first = await told(cluster, drain=asked)
    assert [*first.remaining] == ["Service/shop/web", "PersistentVolumeClaim/shop/data"]
    second = await told(cluster, drain=asked)
    assert [*second.remaining] == ["PersistentVolumeClaim/shop/data"]
    assert cluster.told == ["delete Service web", "delete PersistentVolumeClaim data"]


async def test_autoscalers_are_scaled_to_none_and_a_node_whose_server_is_gone_is_forgotten() -> None:
    labels = {"app.kubernetes.io/name": "cloudy-cluster-autoscaler"}
    meta = {"name": "scaler", "namespace": "kube-system", "labels": labels}
    cluster = FakeKubectl({"kind": "Deployment", "metadata": meta, "spec": {"replicas": 2}}, node("w1"))
    done = await told(cluster, drain=Drain(scope=Drain.SCOPE_AUTOSCALERS))
    assert done.message == "stopped: Deployment/kube-system/scaler"
    assert cluster.objects[0]["spec"] == {"replicas": 0}
    assert (await told(cluster, drain=Drain(scope=Drain.SCOPE_AUTOSCALERS))).message == "stopped: none"
    kinds = pb.AgentCommand.Reconcile
    for _ in range(2):  # the second time there is nothing to give back
        await told(cluster, reconcile=kinds(action=kinds.ACTION_RESUME))
    assert cluster.objects[0]["spec"] == {"replicas": 2}
    await told(cluster, drain=Drain(scope=Drain.SCOPE_FORGET, node="w1"))
    assert [one["kind"] for one in cluster.objects] == ["Deployment"]


@pytest.mark.parametrize("is_ending", [True, False])
async def test_finalizers_go_by_order_and_only_off_what_is_ending(is_ending: bool) -> None:
    ending = {"deletionTimestamp": "2026-01-01T12:00:00Z"} if is_ending else {}
    cluster = FakeKubectl(volume_claim("data", finalizers=["pvc-protection"], **ending))
    kinds = pb.AgentCommand.Reconcile
    objects = ["PersistentVolumeClaim/shop/data", "PersistentVolumeClaim/shop/gone"]
    done = await told(cluster, reconcile=kinds(action=kinds.ACTION_REMOVE_FINALIZERS, objects=objects))
    assert done.code == ("" if is_ending else "not_ending")
    assert ("finalizers" in cluster.objects[0]["metadata"]) is not is_ending
