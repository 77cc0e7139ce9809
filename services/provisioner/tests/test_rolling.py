"""One node after the other: the agents of four servers over one cluster that is a stand-in, and the step that leads them.

Agents, their line, the daemon, its store and the journal are real; kubectl and k3s are stand-ins, and no pod runs anywhere.
"""

import asyncio
import hashlib
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import partial
from http.server import HTTPServer, SimpleHTTPRequestHandler
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from catalyst_agent import enrolment
from catalyst_agent.enrolment import Born
from catalyst_agent.line import Line
from catalyst_agent.machine import Machine
from catalyst_mesh import Database
from catalyst_mesh.journal import Context, Engine, Kind, RunState, Step
from catalyst_mesh.journal.tables import journal_tables
from catalyst_provisioner.domain.tending import Deed
from catalyst_provisioner.steps.rolling import Rolling
from catalyst_provisioner.steps.tools import Tools
from catalyst_provisioner.store import ClusterRow
from catalyst_sdk.cloud import Binary
from catalyst_testkit import eventually
from catalyst_testkit.fake_kubectl import FakeKubectl
from sqlalchemy import MetaData

from .conftest import Bench
from .test_agents import AUTHORITY, CLUSTER, RESOURCE, Desk

OLD, NEW = "v1.31.4+k3s1", "v1.32.1+k3s1"
PLANE = {"node-role.kubernetes.io/control-plane": "true", "node-role.kubernetes.io/etcd": "true"}
SERVERS = {"cp1": PLANE, "cp2": PLANE, "cp3": PLANE, "w1": {}}


def program(version: str) -> bytes:
    return f"#!/bin/sh\necho 'k3s version {version} (stand-in)'\n".encode()


class Cluster(FakeKubectl):
    """Four nodes, each of which runs what its server started last."""

    def __init__(self, home: Path) -> None:
        super().__init__(*(node(name, labels) for name, labels in SERVERS.items()))
        self.home = home
        self.answers["/readyz"] = "ok"

    async def _run(self, *words: str, given: str = "") -> str:
        for one in self._of("nodes"):
            place = self.home / one["metadata"]["name"]
            runs, boot = ((place / file).read_text().strip() for file in ("runs", "boot"))
            one["status"]["nodeInfo"] = {"kubeletVersion": runs, "bootID": boot}
        return await super()._run(*words, given=given)


def node(name: str, labels: dict[str, str]) -> dict[str, Any]:
    conditions = [{"type": "Ready", "status": "True"}, *([{"type": "EtcdIsVoter", "status": "True"}] if labels else ())]
    return {
        "kind": "Node", "metadata": {"name": name, "labels": dict(labels)}, "spec": {"unschedulable": name == "cp2"},
        "status": {"conditions": conditions},
    }  # fmt: skip


def pod(name: str, where: str) -> dict[str, Any]:
    meta = {"name": name, "namespace": "shop", "ownerReferences": [{"kind": "ReplicaSet", "name": "web"}]}
    return {"kind": "Pod", "metadata": meta, "spec": {"nodeName": where}, "status": {"phase": "Running"}}


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def shelf(home: Path) -> Iterator[Binary]:
    """The new version, where the web shows it."""
    (home / "shelf").mkdir()
    (home / "shelf" / "k3s").write_bytes(program(NEW))
    with HTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(home / "shelf"))) as server:
        serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        serving.start()
        url = f"http://127.0.0.1:{server.server_port}/k3s"
        yield Binary("amd64", url, hashlib.sha256(program(NEW)).hexdigest())
        server.shutdown()
        serving.join()


def machine(home: Path, name: str) -> Machine:
    """A server that runs the old version; what it starts, and in which order, is written down."""
    place = home / name
    place.mkdir()
    (place / "k3s").write_bytes(program(OLD))
    (place / "runs").write_text(OLD)
    (place / "token").write_text(f"K10{AUTHORITY}::server:x")
    (place / "boot").write_text("first")
    restart = f"echo second > {place}/boot && echo {name} restarts >> {home}/order"
    start = f"cd {place} && sh ./k3s | cut -d' ' -f3 > new && mv new runs && echo {name} >> {home}/order"
    return Machine(
        k3s=place / "k3s",
        token=place / "token",
        service=("sh", "-c", start),
        arch="x86_64",
        boot=place / "boot",
        restart=("sh", "-c", restart),
    )  # fmt: skip - the way to what the service runs


@asynccontextmanager
async def agents(desk: Desk, home: Path, cluster: Cluster, machines: dict[str, Machine]) -> AsyncIterator[None]:
    """All of them at work; each has enrolled as its role wants it."""
    lines: list[asyncio.Task[None]] = []
    try:
        for name, labels in SERVERS.items():
            if name != "cp1":
                await desk.expect(name, "control-plane" if labels else "worker")
            born = Born(desk.bench.daemon.target, RESOURCE, "secret" if name == "cp1" else name)
            id = "srv-1" if name == "cp1" else f"srv-{name}"
            me = await enrolment.enrol(born, home / f"etc-{name}", server_id=id, addresses=["10.0.1.2"], pause=0.2)
            line = Line(home / f"etc-{name}", cluster, me, machine=machines[name], look=0.2)
            lines.append(asyncio.create_task(line.run()))
        yield
    finally:
        for task in lines:
            task.cancel()
        await asyncio.gather(*lines, return_exceptions=True)


@asynccontextmanager
async def engine(bench: Bench, home: Path, binary: Binary) -> AsyncIterator[Engine]:
    """A journal with the one step."""
    real = SimpleNamespace(clouds=SimpleNamespace(clouds={"sandbox": SimpleNamespace(simulated=False)}))

    async def row_of(ctx: Context, cluster: str) -> ClusterRow:
        async with bench.daemon.daemon.work.reading() as tx:
            row = await tx.cluster("omantel", cluster)
        assert row is not None
        return row

    tools = SimpleNamespace(
        work=bench.daemon.daemon.work, look_again=timedelta(milliseconds=200), planner=real, cluster=row_of
    )
    rolling = Rolling(cast(Tools, tools))

    async def roll(ctx: Context) -> None:
        await rolling.advance(ctx, await row_of(ctx, CLUSTER), NEW, [binary])

    async def tend(ctx: Context) -> None:
        await rolling.tend(ctx, CLUSTER, Deed(**ctx.input["tended"][0]).step)

    db = await Database.open(f"sqlite+aiosqlite:///{home}/rolls.db")
    metadata = MetaData()
    journal_tables(metadata)
    async with db.begin() as sql:
        await sql.run_sync(metadata.create_all)
    kind = Kind("roll", lambda _: [Step("k3s", roll, timeout=timedelta(minutes=5))])
    work = Kind("tend", lambda _: [Step("node", tend, timeout=timedelta(minutes=5))])
    made, stop = Engine(db, kinds=[kind, work], poll=0.05), asyncio.Event()
    working = asyncio.create_task(made.run(stop, grace=1))
    try:
        yield made
    finally:
        stop.set()
        await working
        await db.close()


async def test_servers_take_a_version_one_by_one_then_workers_and_one_restarts_and_nodes_end_as_they_were(
    bench: Bench, home: Path, shelf: Binary
) -> None:
    desk = Desk(bench)
    await desk.open()
    machines = {name: machine(home, name) for name in SERVERS}
    cluster = Cluster(home)
    cluster.objects += [pod("web-1", "w1"), pod("web-2", "cp3")]
    async with agents(desk, home, cluster, machines), engine(bench, home, shelf) as made:
        run = await made.start("roll", subject=CLUSTER, key="1", input={"sovereign": "omantel"})

        async def ended() -> bool:
            return (await made.status(run.id)).state is RunState.SUCCEEDED

        await eventually(ended, within=120, what="all nodes run the new version")  # type: ignore[arg-type]  # T is bool
        deed = Deed(CLUSTER, "w1", "reboot", 0, before="first")
        restart = await made.start(
            "tend", subject="w1", key="2", input={"sovereign": "omantel", "tended": [deed.plain()]}
        )

        async def restarted() -> bool:
            return (await made.status(restart.id)).state is RunState.SUCCEEDED

        await eventually(restarted, within=120, what="w1 is back")  # type: ignore[arg-type]  # T is bool
    assert (home / "order").read_text().splitlines() == ["cp1", "cp2", "cp3", "w1", "w1 restarts"]
    assert [word for word in cluster.told if word.startswith("evict")] == ["evict web-2", "evict web-1"]
    closed = {one["metadata"]["name"] for one in cluster._of("nodes") if one["spec"].get("unschedulable")}
    assert closed == {"cp2"}, "a node that somebody had closed stays so"
