"""What the agent of a real server does to nodes and objects, on a real API server; the words of kubectl are spoken by a stand-in.

No kubelet is there, so a pod that was asked to go stays, ending. The API server of these tests is of 1.20, which knows
evictions by their older version.
"""

import asyncio
import json
from typing import Any
from urllib.parse import quote

import pytest
from catalyst.provisioner.v1 import resources_pb2 as pb
from catalyst_agent import commands, draining
from catalyst_agent.kube import Kube, NotAnswered
from catalyst_agent.machine import Machine
from catalyst_testkit import eventually

from .server import KubeServer

Drain = pb.AgentCommand.Drain
MERGE = "application/merge-patch+json"
PLURALS = {"pod": "pods", "node": "nodes", "persistentvolumeclaim": "persistentvolumeclaims", "service": "services"}
BUDGETS = "/apis/policy/v1beta1/namespaces/{}/poddisruptionbudgets"


class OverHttp(Kube):
    """kubectl's words as requests: of the core's kinds, and no others."""

    def __init__(self, server: KubeServer) -> None:
        super().__init__(())
        self._server = server

    async def _run(self, *words: str, given: str = "") -> str:
        return await asyncio.to_thread(self._asked, words, given)

    def _asked(self, words: tuple[str, ...], given: str) -> str:
        match words:
            case ("get", kind, "-A" | "-n", *_):
                fields = (
                    f"?fieldSelector={quote(_after('--field-selector', words))}" if "--field-selector" in words else ""
                )
                return json.dumps(self._ask("GET", _path(kind, words) + fields))
            case ("get", kind, name, *_):
                try:
                    return json.dumps(self._ask("GET", f"{_path(kind, words)}/{name}"))
                except NotAnswered as error:
                    if error.reason == "NotFound":
                        return ""
                    raise
            case ("create", "--raw", path, *_):
                self._ask("POST", path, json.loads(given) | {"apiVersion": "policy/v1beta1"})
            case ("patch", kind, name, *_):
                self._ask("PATCH", f"{_path(kind, words)}/{name}", json.loads(_after("-p", words)), media=MERGE)
            case ("delete", kind, name, *_):
                self._ask("DELETE", f"{_path(kind, words)}/{name}")
        return ""

    def _ask(self, verb: str, path: str, body: Any = None, **how: str) -> Any:
        status, answer = self._server.ask(verb, path, body, **how)
        if status >= 300:
            raise NotAnswered(f"Error from server ({answer['reason']}): {answer['message']}")
        return answer


def _path(kind: str, words: tuple[str, ...]) -> str:
    plain = kind.lower()
    plural = PLURALS.get(plain, plain)
    return f"/api/v1/namespaces/{_after('-n', words)}/{plural}" if "-n" in words else f"/api/v1/{plural}"


def _after(word: str, words: tuple[str, ...]) -> str:
    return words[words.index(word) + 1]


class Place:
    """A node and a namespace of one test's own."""

    def __init__(self, server: KubeServer, namespace: str) -> None:
        self.server, self.namespace, self.node = server, namespace, f"n-{namespace}"
        self.make("/api/v1/nodes", {"metadata": {"name": self.node}})

    def make(self, path: str, body: Any) -> Any:
        status, answer = self.server.ask("POST", path, body)
        assert status == 201, answer
        return answer

    def pod(self, name: str) -> None:
        """One that runs on the node, as far as anybody can tell, and belongs to a set of its own."""
        pods = f"/api/v1/namespaces/{self.namespace}/pods"
        sets = f"/apis/apps/v1/namespaces/{self.namespace}/replicasets"
        runs = {"containers": [{"name": "c", "image": "none"}]}
        template = {"metadata": {"labels": {"app": name}}, "spec": runs}
        selector = {"matchLabels": {"app": name}}
        spec = {"replicas": 0, "selector": selector, "template": template}
        owner = self.make(sets, {"metadata": {"name": name}, "spec": spec})
        mark = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": name, "uid": owner["metadata"]["uid"]}
        meta = {"name": name, "labels": {"app": name}, "ownerReferences": [mark]}
        self.make(pods, {"metadata": meta, "spec": {**runs, "nodeName": self.node}})
        conditions = [{"type": "Ready", "status": "True"}]
        self.status(f"{pods}/{name}", {"phase": "Running", "conditions": conditions})

    def budget(self, name: str) -> None:
        """Nothing of it may go until somebody says so."""
        spec = {"minAvailable": 1, "selector": {"matchLabels": {"app": name}}}
        self.make(BUDGETS.format(self.namespace), {"metadata": {"name": name}, "spec": spec})

    def allow(self, name: str) -> None:
        told = {"disruptionsAllowed": 1, "currentHealthy": 2, "desiredHealthy": 1, "expectedPods": 2}
        self.status(f"{BUDGETS.format(self.namespace)}/{name}", {**told, "observedGeneration": 1})

    def status(self, path: str, values: Any) -> None:
        status, answer = self.server.ask("PATCH", f"{path}/status", {"status": values}, media=MERGE)
        assert status == 200, answer

    def is_ending(self, name: str) -> bool:
        answer = self.server.ask("GET", f"/api/v1/namespaces/{self.namespace}/pods/{name}")[1]
        return "deletionTimestamp" in answer["metadata"]

    def is_closed(self) -> bool:
        return bool(self.server.ask("GET", f"/api/v1/nodes/{self.node}")[1]["spec"].get("unschedulable"))


@pytest.fixture
def place(kube: KubeServer, namespace: str) -> Place:
    return Place(kube, namespace)


async def told(place: Place, **command: Any) -> pb.AgentCommandResult:
    answer = await commands.obey(pb.AgentCommand(id=1, **command), OverHttp(place.server), Machine())
    result = answer["command_result"]
    assert isinstance(result, pb.AgentCommandResult)
    return result


async def test_a_node_is_closed_and_opened_and_its_pods_are_evicted_as_budgets_allow(place: Place) -> None:
    place.pod("free")
    place.pod("bound")
    place.budget("bound")
    kube = OverHttp(place.server)
    await draining.cordon(kube, place.node, is_closed=True)
    assert place.is_closed()
    emptying = asyncio.create_task(draining.node(kube, place.node, grace=120, pause=0.1, last=0))
    try:
        await eventually(lambda: place.is_ending("free"), within=60, what="what no budget keeps goes")
        assert not place.is_ending("bound"), "its budget forbids it"
        place.allow("bound")
        await eventually(lambda: place.is_ending("bound"), within=60, what="what its budget has let go goes")
    finally:
        emptying.cancel()
        await asyncio.gather(emptying, return_exceptions=True)
    assert not (await told(place, drain=Drain(scope=Drain.SCOPE_UNCORDON, node=place.node))).code
    assert not place.is_closed()


async def test_after_its_time_what_a_budget_keeps_is_deleted_and_named_while_it_ends(place: Place) -> None:
    place.pod("bound")
    place.budget("bound")
    left = await draining.node(OverHttp(place.server), place.node, grace=0, pause=0.1, last=0.5)
    assert left == [f"Pod/{place.namespace}/bound"]
    assert place.is_ending("bound")
    assert not (await told(place, drain=Drain(scope=Drain.SCOPE_FORGET, node=place.node))).code
    assert place.server.ask("GET", f"/api/v1/nodes/{place.node}")[0] == 404


async def test_a_claim_that_does_not_end_loses_its_finalizers_by_order_alone(place: Place) -> None:
    claims = f"/api/v1/namespaces/{place.namespace}/persistentvolumeclaims"
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    place.make(claims, {"metadata": {"name": "data", "finalizers": ["example.com/hold"]}, "spec": spec})
    named = f"PersistentVolumeClaim/{place.namespace}/data"
    kinds = pb.AgentCommand.Reconcile
    order = kinds(action=kinds.ACTION_REMOVE_FINALIZERS, objects=[named])
    assert (await told(place, reconcile=order)).code == "not_ending"
    assert named in (await told(place, drain=Drain(scope=Drain.SCOPE_CLOUD_RESOURCES))).remaining
    assert named in (await told(place, drain=Drain(scope=Drain.SCOPE_CLOUD_RESOURCES))).remaining
    assert not (await told(place, reconcile=order)).code
    assert place.server.ask("GET", f"{claims}/data")[0] == 404
