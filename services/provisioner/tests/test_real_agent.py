"""The agent of a real server as a process of its own: it enrols, tells what kubectl shows, dies and goes on.

What stands behind kubectl is a fake: files of a folder. No k3s and no Flux has been asked.
"""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from catalyst.provisioner.v1.resources_pb2 import AgentCommand
from catalyst_agent import enrolment
from catalyst_agent.__main__ import main
from catalyst_agent.enrolment import NotEnrolled
from catalyst_agent.identity import Identity
from catalyst_provisioner.domain.enrolments import sha256
from catalyst_provisioner.observing import BOOT
from catalyst_provisioner.store import ClusterRow
from catalyst_testkit import eventually

from .conftest import Bench
from .test_agents import CLUSTER, RESOURCE, Desk, states

pytestmark = pytest.mark.either_database
FAKE = Path(__file__).with_name("fake_kubectl.sh")
NODE = {
    "metadata": {
        "name": "cp1",
        "labels": {"node-role.kubernetes.io/control-plane": "true", "node-role.kubernetes.io/etcd": "true"},
    },
    "spec": {"providerID": "hcloud://srv-1"},
    "status": {
        "conditions": [{"type": "Ready", "status": "True"}, {"type": "EtcdIsVoter", "status": "True"}],
        "addresses": [{"type": "InternalIP", "address": "10.0.1.2"}],
        "nodeInfo": {"kubeletVersion": "v1.31.4+k3s1"},
    },
}  # fmt: skip - as the API has it


def helm_release(name: str, *conditions: dict[str, Any]) -> dict[str, Any]:
    return {
        "metadata": {"name": name, "namespace": "flux-system", "generation": 1, "resourceVersion": "7"},
        "spec": {"targetNamespace": name},
        "status": {
            "observedGeneration": 1,
            "conditions": list(conditions),
            "history": [{"chartVersion": "1", "ociDigest": f"sha256:{name[-1]}"}],
        },
    }


READY = {"type": "Ready", "status": "True", "reason": "InstallSucceeded", "observedGeneration": 1}
BROKEN = {"type": "Ready", "status": "False", "reason": "UpgradeFailed", "observedGeneration": 1}
BEHIND = {"type": "Ready", "status": "False", "reason": "DependencyNotReady", "observedGeneration": 1}
STALLED = {"type": "Stalled", "status": "True", "reason": "RetriesExceeded"}


class Server:
    """One server: its folder, and what kubectl shows on it."""

    def __init__(self, desk: Desk, home: Path) -> None:
        self.desk, self.home, self.cluster = desk, home / "etc", home / "cluster"
        self.cluster.mkdir()
        born = {"endpoint": desk.bench.daemon.target, "cluster": RESOURCE, "token": "secret", "ca_pin": ""}
        (home / "enrolment.json").write_text(json.dumps(born))
        self.born = home / "enrolment.json"

    def shows(self, kind: str, *objects: dict[str, Any]) -> None:
        fresh = self.cluster / f".{kind}.new"
        fresh.write_text(json.dumps({"items": list(objects)}))
        fresh.replace(self.cluster / f"{kind}.json")

    async def call(self, *words: str) -> tuple[int, str]:
        """A command that ends: its code, and all it printed."""
        async with self.started(*words) as process:
            out, _ = await asyncio.wait_for(process.communicate(), 60)
        return int(process.returncode or 0), out.decode()

    @property
    def asked(self) -> tuple[str, ...]:
        """How the first boot calls the agent."""
        born = ("--enrolment", str(self.born), "--server-id", "srv-1", "--address", "10.0.1.2")
        return ("enrol", *born, "--pause", "0.2", "--into", str(self.home))

    async def enrol(self) -> Identity:
        """The same without a process of its own."""
        here = enrolment.born(self.born)
        return await enrolment.enrol(here, self.home, server_id="srv-1", addresses=["10.0.1.2"], pause=0.2)

    @asynccontextmanager
    async def started(self, *words: str) -> AsyncIterator[asyncio.subprocess.Process]:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "catalyst_agent", *words,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        try:
            yield process
        finally:
            if process.returncode is None:
                process.kill()
            await process.communicate()

    def service(self) -> Any:
        kubectl = f"sh {FAKE} {self.cluster}"
        return self.started("run", "--home", str(self.home), "--kubectl", kubectl, "--look", "0.2")

    async def seen(self) -> ClusterRow:
        async with self.desk.bench.daemon.daemon.work.reading() as tx:
            row = await tx.cluster("omantel", CLUSTER)
        assert row is not None
        return row


@pytest.fixture
async def server(bench: Bench, home: Path) -> Server:
    desk = Desk(bench)
    await desk.open()
    (home / "server").mkdir()
    return Server(desk, home / "server")


async def test_a_server_enrols_once_and_finds_what_its_first_boot_needs(server: Server) -> None:
    assert await server.call(*server.asked) == (0, "")
    files = {path.name: path for path in server.home.rglob("*") if path.is_file()}
    assert {path.stat().st_mode & 0o777 for path in files.values()} == {0o600}
    assert files["enrolled.env"].read_text() == "ROLE=init\nJOIN_AT=''\n"
    tokens = {files["server-token"].read_text(), files["agent-token"].read_text()}
    assert {len(bytes.fromhex(token)) for token in tokens} == {32}
    assert len(tokens) == 2
    login, source, root = json.loads(files["tree.yaml"].read_text())["items"]
    assert login["stringData"]["username"] == f"omantel/{CLUSTER}"
    assert (source["kind"], source["spec"]["ref"]) == ("GitRepository", {"branch": "main"})
    assert root["spec"]["path"] == f"./clusters/omantel.omani.works/{CLUSTER}"
    (server.home / "boot.log").write_text("one\ntwo\n")
    asked = ("--stage", "system", "--state", "failed", "--log", str(server.home / "boot.log"), "--lines", "1")
    assert (await server.call("report", "--home", str(server.home), *asked))[0] == 0
    assert not list((server.home / "stages").iterdir()), "it was told and confirmed"
    async with server.desk.bench.daemon.daemon.work.reading() as tx:
        lines = await tx.component_lines("omantel", CLUSTER, BOOT, after=0, limit=10)
    assert [(line.level, line.text) for line in lines] == [
        ("ERROR", "server srv-1: stage 4 system failed"), ("ERROR", "two"),
    ]  # fmt: skip
    kept = files["identity.json"].read_text()
    server.born.unlink()
    assert main(server.asked) == 0, "nothing is left to do"
    assert files["identity.json"].read_text() == kept


async def test_a_server_whose_token_is_not_known_ends_its_boot_with_a_sentence(server: Server) -> None:
    server.born.write_text(server.born.read_text().replace("secret", "another"))
    with pytest.raises(NotEnrolled, match="this enrolment token is not known"):
        await server.enrol()
    assert not (server.home / "identity.json").exists()
    server.born.write_text(server.born.read_text().replace("127.0.0.1", "192.0.2.1"))
    with pytest.raises(NotEnrolled, match="no authority is pinned"):
        await server.enrol()


async def test_what_kubectl_shows_is_told_and_commands_are_done_once_over_a_death(server: Server) -> None:
    await server.enrol()
    (server.cluster / "readyz").write_text("ok")
    server.shows("nodes", NODE)
    server.shows("helmreleases.helm.toolkit.fluxcd.io", helm_release("bp-a", READY), helm_release("bp-b"))
    async with server.service():
        await told(server, {"bp-a": "READY", "bp-b": "PENDING"})
        there = await server.seen()
        assert there.heartbeat is not None
        assert there.inventory is not None
        assert (there.heartbeat["voting_members"], there.heartbeat["ready_nodes"]) == (1, 1)
        assert there.heartbeat["k3s_version"] == "v1.31.4+k3s1"
        assert [node["server_id"] for node in there.inventory["nodes"]] == ["srv-1"]
        await asked(server, AgentCommand(reconcile=reset("bp-a")))
    written = (server.cluster / "told").read_text()
    assert "patch helmreleases.helm.toolkit.fluxcd.io bp-a -n flux-system" in written
    assert "reconcile.fluxcd.io/resetAt" in written
    broken = helm_release("bp-a", BROKEN, STALLED)
    server.shows("helmreleases.helm.toolkit.fluxcd.io", broken, helm_release("bp-b", BEHIND))
    async with server.service():
        await told(server, {"bp-a": "FAILED", "bp-b": "BLOCKED"})
        await asked(server, AgentCommand(probe=AgentCommand.Probe(component="bp-a")))
    assert (server.cluster / "told").read_text() == written, "nothing was done a second time"
    async with server.desk.bench.daemon.daemon.work.reading() as tx:
        row = await tx.enrolment(token_sha256=sha256("secret"))
    assert row is not None
    assert row.last_report > 4


def reset(component: str) -> AgentCommand.Reconcile:
    return AgentCommand.Reconcile(action=AgentCommand.Reconcile.ACTION_RESET, components=[component])


async def told(server: Server, wished: dict[str, str]) -> None:
    async def check() -> bool:
        assert await states(server.desk) == wished
        return True

    await eventually(check, within=60, what=f"the components are {wished}")  # type: ignore[arg-type]  # T is bool


async def asked(server: Server, command: AgentCommand) -> None:
    """A command, and its end."""
    work = server.desk.bench.daemon.daemon.work
    number = await work.again(lambda tx: tx.command("omantel", CLUSTER, command.SerializeToString()))

    async def done() -> bool:
        async with work.reading() as tx:
            return bool(await tx.is_command_done("omantel", CLUSTER, number))

    await eventually(done, within=60, what=f"command {number} is done")  # type: ignore[arg-type]  # T is bool
