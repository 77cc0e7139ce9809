"""A real daemon reconciles at a real API server, with the rights that the chart gives it and no others.

It is killed under its work, its watches break, and somebody else writes to the same objects all the time.
"""

import asyncio
import json
import os
import subprocess
import sys
import threading
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from copy import deepcopy
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from catalyst.provisioner.v1 import resources_pb2 as pb
from catalyst.provisioner.v1 import service_pb2 as rpc
from catalyst_kube.cluster import Cluster, served_at
from catalyst_kube.conditions import Observed
from catalyst_kube.daemons import Own
from catalyst_kube.occurrences import occurrence
from catalyst_mesh import Issuer
from catalyst_provisioner.controllers.sovereigns import deployment_of
from catalyst_provisioner.controllers.states import States
from catalyst_testkit import eventually
from catalyst_testkit.servers import NatsServer

from lib.kube.tests.memory import SAMPLES
from services.environment.tests.house import FakeBilling, serving_billing
from tests.chart.charts import Rendered, render

from .conftest import known
from .helms import VALUES
from .server import ADMIN, ISSUER, KubeServer

ORGANIZATIONS = "/apis/orgs.openova.io/v1/organizations"
RBAC = {
    "ClusterRole": "clusterroles",
    "ClusterRoleBinding": "clusterrolebindings",
    "Role": "roles",
    "RoleBinding": "rolebindings",
}
MANY = 24
CHILD = Path("services/environment/tests/child.py").resolve()


def granted(kube: KubeServer, rendered: Rendered, daemon: str) -> str:
    """Give one daemon's account what the chart gives it; the account's token for the API server."""
    ours = [one for one in rendered.of(*RBAC) if f"-{daemon}-" in one["metadata"]["name"]]
    account = next(one["subjects"][0] for one in ours if "subjects" in one)
    for one in ours:
        where = f"/namespaces/{one['metadata']['namespace']}" if one["kind"].startswith("Role") else ""
        path = f"/apis/rbac.authorization.k8s.io/v1{where}/{RBAC[one['kind']]}"
        status, answer = kube.ask("POST", path, one)
        assert status == 201, answer
    kube.ask("POST", "/api/v1/namespaces", {"metadata": {"name": account["namespace"]}})
    path = f"/api/v1/namespaces/{account['namespace']}/serviceaccounts"
    assert kube.ask("POST", path, {"metadata": {"name": account["name"]}})[0] == 201
    wish = {"spec": {"audiences": [ISSUER], "expirationSeconds": 3600}}
    status, answer = kube.ask("POST", f"{path}/{account['name']}/token", wish)
    assert status == 201, answer
    return str(answer["status"]["token"])


@asynccontextmanager
async def daemon(settings: dict[str, Any]) -> AsyncIterator["subprocess.Popen[bytes]"]:
    """One in a process of its own, once it serves; it is killed when the block ends, if it lives still."""
    process, reading = await asyncio.to_thread(started, settings)
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        reading.join()


def started(settings: dict[str, Any]) -> tuple["subprocess.Popen[bytes]", threading.Thread]:
    """The process, and what reads its words, so that it never waits for a reader."""
    command = [sys.executable, str(CHILD), "nowhere", json.dumps(settings, default=str)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    process = subprocess.Popen(command, stderr=subprocess.PIPE, env=environment)
    serving, said = threading.Event(), list[str]()

    def read() -> None:
        assert process.stderr is not None
        with process.stderr:
            for line in process.stderr:
                said.append(line.decode())
                if line == b"serving\n":
                    serving.set()
        serving.set()

    reading = threading.Thread(target=read)
    reading.start()
    assert serving.wait(120), said
    assert process.poll() is None, "".join(said)
    return process, reading


@contextmanager
def meddling(kube: KubeServer, names: list[str]) -> Iterator[None]:
    """Somebody annotates these objects without an end: each write of ours by version meets another version."""
    done = threading.Event()

    def meddle() -> None:
        number = 0
        while not done.is_set():
            for name in names:
                number += 1
                change = {"metadata": {"annotations": {"somebody": str(number)}}}
                kube.ask("PATCH", f"{ORGANIZATIONS}/{name}", change, media="application/merge-patch+json")

    thread = threading.Thread(target=meddle)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def organization(name: str) -> dict[str, Any]:
    one: dict[str, Any] = deepcopy(SAMPLES["organization"])
    one["metadata"] = {"name": name}
    one["spec"] |= {"slug": name}
    return one


def ready(kube: KubeServer) -> dict[str, str]:
    """Each Organization with the reason of its condition Ready."""
    told = {}
    for one in kube.ask("GET", ORGANIZATIONS)[1]["items"]:
        seen = {each["type"]: each["reason"] for each in one.get("status", {}).get("conditions", ())}
        told[one["metadata"]["name"]] = seen.get("Ready", "")
    return told


async def test_a_daemon_that_is_killed_goes_on_with_its_objects_whoever_else_writes_them(
    own_kube: KubeServer, home: Path, clean_nats: NatsServer
) -> None:
    kube = known(own_kube)
    rendered = render(home=home, values=VALUES, apis=())
    token = home / "api-token"
    token.write_text(granted(kube, rendered, "environment"))
    Issuer.open(home / "issuer")
    names = [f"org-{uuid.uuid4().hex[:6]}" for _ in range(MANY)]
    async with serving_billing() as (billing, address):
        settings = {
            "nats_url": clean_nats.url,
            "database_url": f"sqlite+aiosqlite:///{home}/environment.db",
            "jwks_file": home / "issuer" / "jwks.json",
            "data_folder": home,
            "drain_seconds": 0,
            "billing_target": address,
            "kubernetes_url": kube.url,
            "kubernetes_issuer": ISSUER,
            "kubernetes_ca_file": kube.ca,
            "kubernetes_token_file": token,
            "controllers": True,
        }  # fmt: skip - a table
        for name in names:
            assert kube.ask("POST", ORGANIZATIONS, organization(name))[0] == 201
        with meddling(kube, names[:4]):
            async with daemon(settings) as first:
                await eventually(lambda: any(ready(kube).values()), within=120, what="it has begun")
                first.kill()
            async with daemon(settings):
                await eventually(lambda: set(ready(kube).values()) == {"Active"}, within=180, what="all are there")
        await settled(kube, billing, names, settings)


async def settled(kube: KubeServer, billing: FakeBilling, names: list[str], settings: dict[str, Any]) -> None:
    """Each was made once; one goes while the API server is away and comes back; nobody may do more than the chart says."""
    assert sorted(set(billing.asked)) == sorted(f"organizations/{name}" for name in names)
    async with daemon(settings):
        await asyncio.to_thread(kube.kill_api)
        await asyncio.to_thread(kube.start_api)
        assert kube.ask("DELETE", f"{ORGANIZATIONS}/{names[0]}")[0] == 200
        await eventually(
            lambda: kube.ask("GET", f"{ORGANIZATIONS}/{names[0]}")[0] == 404, within=120, what="it is let go"
        )
        change = {"spec": {"displayName": "Another name"}}
        path = f"{ORGANIZATIONS}/{names[1]}"
        assert kube.ask("PATCH", path, change, media="application/merge-patch+json")[0] == 200

        def is_told() -> bool:
            status = kube.ask("GET", path)[1].get("status", {})
            return bool(status.get("observedGeneration") == 2)

        await eventually(is_told, within=120, what="a change after the watch broke is seen")
    await asyncio.to_thread(demand_no_more_rights, kube, Path(settings["kubernetes_token_file"]))


def demand_no_more_rights(kube: KubeServer, token: Path) -> None:
    others = "/apis/catalyst.openova.io/v1alpha1/sovereigns"
    for verb, path in (("POST", ORGANIZATIONS), ("GET", "/api/v1/secrets"), ("GET", others)):
        body = organization("more") if verb == "POST" else None
        assert kube.ask(verb, path, body, token=token.read_text())[0] == 403, (verb, path)


class Told:
    """What the provisioner's own services would answer about one Sovereign."""

    def __init__(self, sovereign: pb.Sovereign) -> None:
        self.sovereigns = [sovereign]

    async def ListSovereigns(self, request: Any, context: Any) -> rpc.ListSovereignsResponse:
        return rpc.ListSovereignsResponse(sovereigns=self.sovereigns)

    async def GetRun(self, request: Any, context: Any) -> pb.Run:
        return pb.Run(name=request.name, state=pb.Run.STATE_RUNNING)

    async def ListComponents(self, request: Any, context: Any) -> rpc.ListComponentsResponse:
        made = pb.Component(name="sovereigns/home/clusters/c/components/cilium", state=pb.Component.STATE_READY)
        return rpc.ListComponentsResponse(components=[made])


async def test_what_is_shown_of_provisioning_is_taken_and_goes_with_its_sovereign(
    definitions: KubeServer, namespace: str
) -> None:
    kube = definitions
    sovereign = pb.Sovereign(
        name="sovereigns/home",
        uid=str(uuid.uuid4()),
        version=3,
        state=pb.Sovereign.STATE_PROVISIONING,
        fqdn="home.example",
        last_run="sovereigns/home/runs/run-1",
    )  # fmt: skip - one call
    sovereign.spec.organization.slug, sovereign.spec.domain.mode = "acme", "byo-manual"
    told, path = Told(sovereign), f"/apis/catalyst.openova.io/v1alpha1/namespaces/{namespace}/provisioningstates"
    async with served_at(kube.url, kube.ca) as http:
        cluster = Cluster(http, lambda: ADMIN, "catalyst-provisioner")
        states = States(Own("provisioner"), told, told, told, cluster, namespace)
        await states.look()
        (shown,) = (await asyncio.to_thread(kube.ask, "GET", path))[1]["items"]
        assert shown["metadata"]["name"] == deployment_of(sovereign)
        assert (shown["status"]["phase"], shown["spec"]["orgName"]) == ("bootstrapping", "acme")
        assert shown["status"]["componentStates"] == {"cilium": "installed"}
        version = shown["metadata"]["resourceVersion"]
        await states.look()
        (again,) = (await asyncio.to_thread(kube.ask, "GET", path))[1]["items"]
        assert again["metadata"]["resourceVersion"] == version, "what stands still is not written"
        told.sovereigns.clear()
        await states.look()
        assert (await asyncio.to_thread(kube.ask, "GET", path))[1]["items"] == []


async def test_an_event_of_ours_is_kept_once(definitions: KubeServer, namespace: str) -> None:
    kube, one = definitions, deepcopy(SAMPLES["runbook"])
    one["metadata"] = {"name": "once"}
    place = f"/apis/{one['apiVersion']}/namespaces/{namespace}/runbooks"
    made = (await asyncio.to_thread(kube.ask, "POST", place, one))[1]
    async with served_at(kube.url, kube.ca) as http:
        cluster = Cluster(http, lambda: ADMIN, "catalyst-test")
        for _ in range(2):
            told = Observed("Accepted", False, "Invalid", "it is wrong")
            await cluster.note(occurrence(made, told, "Reconcile", "catalyst.openova.io/runbook", datetime.now(UTC)))
    events = (await asyncio.to_thread(kube.ask, "GET", f"/api/v1/namespaces/{namespace}/events"))[1]["items"]
    assert [(each["reason"], each["type"], each["involvedObject"]["name"]) for each in events] == [
        ("Invalid", "Warning", "once")
    ]
