"""A controller at a real API server: a storm, a server that dies under its watches, objects that go, a status of its own."""

import asyncio
import ssl
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from copy import deepcopy
from typing import Any

import httpx
from catalyst_kube import KINDS
from catalyst_kube.cluster import Cluster, Object
from catalyst_kube.conditions import Observed
from catalyst_kube.controller import Controller, Seen
from catalyst_testkit import eventually

from lib.kube.tests.test_linting import SAMPLES

from .server import ADMIN, KubeServer

RUNBOOK = KINDS["Runbook"]
STORM = 1000
FINALIZER = "catalyst.openova.io/test"


class World:
    """What is made of runbooks: their cooldowns."""

    def __init__(self) -> None:
        self.made: dict[str, str] = {}

    async def reconcile(self, one: Object) -> Seen:
        self.made[one["metadata"]["name"]] = one["spec"]["cooldown"]
        return Seen((Observed("Ready", True, "Made"),), {"fireCount": 0})

    async def release(self, one: Object) -> None:
        self.made.pop(one["metadata"]["name"], None)


class Counted(httpx.AsyncHTTPTransport):
    """Counts what is written."""

    writes = 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if request.method != "GET":
            self.writes += 1
        return await super().handle_async_request(request)


@asynccontextmanager
async def controlling(kube: KubeServer, world: World) -> AsyncIterator[Counted]:
    wrong: list[str] = []
    stop = asyncio.Event()
    transport = Counted(verify=ssl.create_default_context(cafile=str(kube.ca)), limits=httpx.Limits(max_connections=20))
    async with httpx.AsyncClient(base_url=kube.url, transport=transport) as http:
        cluster = Cluster(http, lambda: ADMIN, "catalyst-test")
        controller = Controller(
            RUNBOOK,
            world,
            cluster,
            finalizer=FINALIZER,
            pauses=(0.1, 0.5, 1.0),
            wrong=lambda where, error: wrong.append(f"{where}: {error!r}"),
        )  # fmt: skip - one call
        task = asyncio.create_task(controller.run(stop))
        try:
            yield transport
        finally:
            stop.set()
            await task
    assert wrong == []


def runbook(name: str) -> dict[str, Any]:
    one: dict[str, Any] = deepcopy(SAMPLES["runbook"])
    one["metadata"] = {"name": name}
    return one


def place(namespace: str, name: str = "") -> str:
    return f"/apis/{RUNBOOK.api_version}/namespaces/{namespace}/runbooks" + (f"/{name}" if name else "")


async def test_a_storm_settles_with_two_writes_an_object(definitions: KubeServer, namespace: str) -> None:
    kube, world = definitions, World()
    for n in range(STORM):
        assert kube.ask("POST", place(namespace), runbook(f"r{n}"))[0] == 201
    began = time.monotonic()
    async with controlling(kube, world) as transport:

        async def all_are_told() -> bool:
            if transport.writes < 2 * STORM:
                return False
            items = (await asyncio.to_thread(kube.ask, "GET", place(namespace)))[1]["items"]
            return [one.get("status", {}).get("observedGeneration") for one in items] == [1] * STORM

        await eventually(all_are_told, within=300, what="all is told")  # type: ignore[arg-type]  # T is bool
        took = time.monotonic() - began
        print(f"{STORM} objects settled in {took:.1f} s with {transport.writes / STORM:.2f} writes each")  # noqa: T201 - a figure
        assert transport.writes <= 3 * STORM


async def test_a_server_that_dies_costs_no_object_and_who_goes_is_let_go(own_kube: KubeServer) -> None:
    from .conftest import known

    kube, world, namespace = known(own_kube), World(), "default"
    assert kube.ask("POST", place(namespace), runbook("one"))[0] == 201
    async with controlling(kube, world):
        await eventually(lambda: world.made == {"one": "15m"}, within=60)
        await asyncio.to_thread(kube.kill_api)
        await asyncio.to_thread(kube.start_api)
        assert kube.ask("POST", place(namespace), runbook("two"))[0] == 201
        change = {"spec": {"cooldown": "1m"}}
        assert kube.ask("PATCH", place(namespace, "one"), change, media="application/merge-patch+json")[0] == 200
        await eventually(lambda: world.made == {"one": "1m", "two": "15m"}, within=90)
        assert kube.ask("DELETE", place(namespace, "two"))[0] == 200
        await eventually(lambda: kube.ask("GET", place(namespace, "two"))[0] == 404, within=60)
        assert world.made == {"one": "1m"}
