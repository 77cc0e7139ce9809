"""The agent as a real process against a real gRPC service and a real Git server."""

import asyncio
import contextlib
import os
import signal
import ssl
import sys
import time
from base64 import b64encode
from pathlib import Path

import httpx
import psutil
import pytest
from catalyst.provisioner.v1 import resources_pb2
from catalyst_cloud_sandbox import keeper
from catalyst_sdk.cloud import ClusterFacts
from catalyst_testkit import eventually
from catalyst_testkit.cloud_bench import DyingLedger, cluster_request

Command = resources_pb2.AgentCommand


class Cluster:
    """A simulated cluster that was really applied."""

    def __init__(self, sandbox, ledger: DyingLedger, facts: ClusterFacts) -> None:
        self.sandbox, self.ledger, self.facts = sandbox, ledger, facts

    @property
    def pid(self) -> int | None:
        return keeper.status(self.sandbox.folder)[0].pid

    @property
    def place(self) -> Path:
        return next(self.sandbox.folder.glob("accounts/*/servers/*"))

    async def get(self, path: str = "/", host: str = "console.acme.omani.works") -> httpx.Response:
        way_in = self.facts.load_balancers[0]
        async with httpx.AsyncClient() as client:
            return await client.get(f"http://{way_in.ipv4}:{way_in.ports['http']}{path}", headers={"Host": host})

    def revive(self) -> None:
        keeper.keep(self.sandbox.folder)

    def kill(self) -> int:
        pid = self.pid
        assert pid
        os.kill(pid, signal.SIGKILL)
        return pid


@pytest.fixture
async def cluster(sandbox, home) -> Cluster:
    ledger, plugin = DyingLedger(sandbox), sandbox.plugin()
    plan = await plugin.plan(request=cluster_request(sandbox, workers=2), work=ledger)
    return Cluster(sandbox, ledger, await plugin.apply(plan=plan, work=ledger))


async def test_an_agent_enrols_with_its_token_and_beats_soon_after_its_start(cluster, home) -> None:
    await eventually(lambda: home.of("heartbeat"), within=60)
    # By its own processor time: how long it waits for a processor is the machine's business.
    assert sum(psutil.Process(cluster.pid).cpu_times()[:2]) < 3
    assert len(home.enrolments) == 1
    asked = home.enrolments[0]
    assert (asked.token, asked.server_id) == (
        "canary0enrolment0token0of0a0server",
        next(s.id for s in cluster.facts.servers if s.role == "control_plane"),
    )
    assert asked.csr_pem.startswith("-----BEGIN CERTIFICATE REQUEST-----")
    assert home.bearers == ["agent-1"]


async def test_every_report_says_simulated_and_numbers_have_no_gap(cluster, home, git, manifests) -> None:
    git.push(manifests(bp_one=[]))
    await eventually(lambda: home.ready() == {"bp-one"}, within=60)
    assert all(report.simulated for report in home.reports)
    assert [report.seq for report in home.reports] == list(range(1, len(home.reports) + 1))
    assert {report.cluster for report in home.reports} == {"sovereigns/suite/clusters/one"}


async def test_all_nodes_come_up_and_are_in_the_inventory(cluster, home) -> None:
    await eventually(lambda: any(beat.ready_nodes == 3 for beat in home.of("heartbeat")), within=60)
    inventory = home.of("inventory")[-1]
    assert sorted(node.role for node in inventory.nodes) == ["control-plane", "worker", "worker"]
    assert inventory.ingress_addresses == [cluster.facts.load_balancers[0].ipv4]
    assert home.of("heartbeat")[-1].voting_members == 1


async def test_components_are_installed_in_order_and_uninstalled_when_the_tree_drops_them(
    cluster, home, git, manifests
) -> None:
    git.push(manifests(bp_cilium=[], bp_flux=["bp-cilium"], bp_catalyst_platform=["bp-flux"]))
    await eventually(lambda: len(home.ready()) == 3, within=60)
    order = [release.name for told in home.of("components") for release in told.releases if is_ready(release)]
    assert list(dict.fromkeys(order)) == ["bp-cilium", "bp-flux", "bp-catalyst-platform"]
    assert home.releases()["bp-flux"].depends_on == ["flux-system/bp-cilium"]
    assert home.releases()["bp-flux"].digest == "sha256:bp-flux"

    def probed() -> set[str]:  # which follows the word that it is ready
        return {told.component for told in home.of("probe_result") if told.passed}

    await eventually(lambda: probed() == home.ready(), within=60)
    git.push(manifests(bp_cilium=[]))
    await eventually(lambda: set(home.releases()) == {"bp-cilium"}, within=60)
    assert home.of("components")[0].full


async def test_the_console_answers_503_until_its_component_is_ready_and_then_says_simulated(
    cluster, home, git, manifests
) -> None:
    await eventually(lambda: home.of("heartbeat"), within=60)
    early = await cluster.get()
    assert (early.status_code, early.headers["retry-after"]) == (503, "1")
    assert (await cluster.get("/readyz")).status_code == 503
    git.push(manifests(bp_catalyst_platform=[], bp_grafana=[]))
    await eventually(lambda: len(home.ready()) == 2, within=60)
    page = await cluster.get()
    assert (page.status_code, "simulated" in page.text, "east" in page.text) == (200, True, True)
    assert (await cluster.get("/readyz")).json()["ready"]
    assert (await cluster.get("/healthz", host="anything")).status_code == 200
    assert (await cluster.get(host="grafana.acme.omani.works")).status_code == 200
    assert (await cluster.get(host="console.ehmp.acme.omani.works")).status_code == 200
    assert (await cluster.get(host="console.else.example")).status_code == 404
    assert (await cluster.get(host="<script>.acme.omani.works")).status_code == 404


async def test_after_kill_9_the_keeper_brings_it_back_where_it_was(cluster, home, git, manifests) -> None:
    git.push(manifests(bp_one=[]))
    await eventually(lambda: home.ready() == {"bp-one"}, within=60)
    killed, last = cluster.kill(), home.reports[-1].seq
    await eventually(lambda: cluster.pid is None, within=60)
    assert len(await asyncio.to_thread(keeper.keep, cluster.sandbox.folder)) == 1
    assert await asyncio.to_thread(keeper.keep, cluster.sandbox.folder) == []
    await eventually(lambda: home.streams == 2, within=60)
    await eventually(lambda: home.reports[-1].seq > last and home.of("components")[-1].full, within=60)
    assert (len(home.enrolments), home.ready()) == (1, {"bp-one"})
    assert cluster.pid not in (None, killed)
    numbers = sorted({report.seq for report in home.reports})
    assert numbers == list(range(1, len(numbers) + 1))


async def test_what_was_not_confirmed_is_sent_again_unchanged(cluster, home) -> None:
    home.confirms = False
    await eventually(lambda: len(home.reports) >= 6, within=60)
    before = {report.seq: report for report in home.reports}
    cluster.kill()
    await eventually(lambda: cluster.pid is None, within=60)
    home.reports.clear()
    await asyncio.to_thread(keeper.keep, cluster.sandbox.folder)
    await eventually(lambda: len(home.reports) > len(before), within=60)
    unconfirmed = [report for report in home.reports if report.seq in before]
    assert unconfirmed
    assert all(report == before[report.seq] for report in unconfirmed)
    # What the dead process had sent on may be read late, and is none of them.
    assert [report.seq for report in unconfirmed[:3]] == sorted(report.seq for report in unconfirmed)[:3]


async def test_a_heartbeat_comes_as_often_as_the_daemon_said_last(sandbox, home) -> None:
    home.heartbeat = 3600
    ledger, plugin = DyingLedger(sandbox), sandbox.plugin()
    await plugin.apply(plan=await plugin.plan(request=cluster_request(sandbox), work=ledger), work=ledger)
    await eventually(lambda: home.of("inventory"), within=60)
    pace = Command()
    pace.heartbeat_interval.FromMilliseconds(50)
    home.commands.put_nowait(pace)
    heard = len(home.of("heartbeat"))
    await eventually(lambda: len(home.of("heartbeat")) > heard + 10, within=60)  # at once, and not after an hour


async def test_a_command_is_done_once_and_its_result_comes_back(cluster, home, git, manifests) -> None:
    await eventually(lambda: home.of("heartbeat"), within=60)
    drain = Command(id=1, drain=Command.Drain(scope=Command.Drain.SCOPE_CLOUD_RESOURCES))
    node = Command(id=2, drain=Command.Drain(scope=Command.Drain.SCOPE_NODE))
    for command in (drain, drain, node):
        home.commands.put_nowait(command)
    await eventually(lambda: len(home.of("command_result")) == 2, within=60)
    first, second = home.of("command_result")
    assert (first.command, first.done, first.code, list(first.remaining)) == (1, True, "", [])
    assert (second.command, second.done, second.code) == (2, True, "")


async def test_a_minted_token_opens_the_api_until_it_is_revoked_and_after_kill_9_too(
    cluster, home, git, manifests
) -> None:
    git.push(manifests(bp_one=[]))
    await eventually(lambda: home.ready() == {"bp-one"}, within=60)
    mint = Command.MintToken(grant="sovereigns/acme/grants/g1", role="view")
    mint.ttl.FromSeconds(3600)
    home.commands.put_nowait(Command(id=1, mint_token=mint))
    await eventually(lambda: home.of("command_result"), within=60)
    given = home.of("command_result")[0]
    assert (given.code, given.token_expire_time.seconds - time.time() > 3500) == ("", True)
    trusting = ssl.create_default_context(cadata=given.ca_bundle_pem)

    async def get(path: str, token: str) -> httpx.Response | None:
        with contextlib.suppress(httpx.TransportError):
            async with httpx.AsyncClient(verify=trusting) as client:
                bearer = {"Authorization": f"Bearer {token}"}
                return await client.get(f"{cluster.facts.api_endpoint}{path}", headers=bearer)
        return None

    async def status(path: str, token: str = given.token) -> int:
        answer = await get(path, token)
        return answer.status_code if answer else 0

    await eventually(lambda: status("/version"), within=60)
    nodes = await get("/api/v1/nodes", given.token)
    assert nodes
    assert len(nodes.json()["items"]) == 3
    releases = await get("/apis/helm.toolkit.fluxcd.io/v2/namespaces/flux-system/helmreleases", given.token)
    assert releases
    assert [item["metadata"]["name"] for item in releases.json()["items"]] == ["bp-one"]
    assert (await status("/api/v1/secrets"), await status("/version", "sandbox_guessed")) == (404, 401)
    assert given.token not in (cluster.place / "memory.json").read_text()
    cluster.kill()
    await eventually(lambda: cluster.pid is None, within=60)
    await eventually(lambda: not [p for p in children() if str(cluster.place) in _line(p)], within=60)
    await asyncio.to_thread(keeper.keep, cluster.sandbox.folder)
    await eventually(lambda: home.streams == 2, within=60)  # before it, a command would go into the dead stream
    await eventually(lambda: status("/version"), within=60)
    home.commands.put_nowait(Command(id=2, mint_token=Command.MintToken(grant=mint.grant, revoke=True)))
    # By its own id: after a death the agent tells again what nobody had confirmed, the first result too.
    await eventually(lambda: [one for one in home.of("command_result") if one.command == 2], within=60)
    assert await status("/version") == 401


async def test_the_tree_may_be_moved_and_its_generation_comes_back(cluster, home, git, manifests) -> None:
    first = git.push(manifests(bp_one=[]))
    git.push(manifests(bp_one=[], bp_two=[]))
    await eventually(lambda: len(home.ready()) == 2, within=60)
    home.commands.put_nowait(Command(id=1, tree=Command.Tree(commit=first, generation=7)))
    await eventually(lambda: home.ready() == {"bp-one"}, within=60)
    await eventually(lambda: home.reports[-1].observed_generation == 7, within=60)
    await eventually(lambda: home.of("heartbeat")[-1].applied_commit == first, within=60)


async def test_a_tree_that_cannot_be_used_changes_nothing_and_is_told_once(cluster, home, git, manifests) -> None:
    git.push(manifests(bp_one=[]))
    await eventually(lambda: home.ready() == {"bp-one"}, within=60)
    git.push({**manifests(bp_two=[]), "clusters/acme.omani.works/sb-east-mgt-prod/apps/bad.yaml": "a: [1"})
    await eventually(lambda: warnings(home), within=60)
    assert "bad.yaml is not YAML" in warnings(home)[0].text
    git.push({"README": "empty"})
    await eventually(lambda: len(warnings(home)) == 2, within=60)
    assert "has no folder" in warnings(home)[1].text
    assert set(home.releases()) == {"bp-one"}


async def test_an_unchanged_tree_costs_one_small_request_a_look(cluster, home, git, manifests) -> None:
    git.push(manifests(bp_one=[]))
    await eventually(lambda: home.ready() == {"bp-one"}, within=60)
    seen = len(git.requests)
    await eventually(lambda: len(git.requests) >= seen + 2, within=60)
    assert {path.rsplit("/tree.git", 1)[1] for path in git.requests[seen:]} == {"/info/refs"}


async def test_a_tree_behind_a_login_is_pulled_with_it(sandbox, home, git, manifests) -> None:
    home.tree.username, home.tree.password = "acme", "open-tree-4711"
    git.password = b64encode(b"acme:open-tree-4711").decode()  # as it goes over the wire
    git.push(manifests(bp_one=[]))
    ledger, plugin = DyingLedger(sandbox), sandbox.plugin()
    plan = await plugin.plan(request=cluster_request(sandbox), work=ledger)
    await plugin.apply(plan=plan, work=ledger)
    await eventually(lambda: home.ready() == {"bp-one"}, within=60)
    assert children()
    assert all("open-tree-4711" not in " ".join(_line(p)) for p in children())


async def test_a_refused_agent_token_leads_to_enrolment_with_the_same_key(cluster, home) -> None:
    await eventually(lambda: home.of("heartbeat"), within=60)
    home.refuse_token = "agent-1"
    cluster.kill()
    await eventually(lambda: cluster.pid is None, within=60)
    await asyncio.to_thread(keeper.keep, cluster.sandbox.folder)
    await eventually(lambda: home.bearers[-1:] == ["agent-2"], within=60)
    assert home.enrolments[0].csr_pem == home.enrolments[1].csr_pem


async def test_an_agent_ends_when_its_server_is_powered_off_and_comes_back_with_power(cluster, home) -> None:
    await eventually(lambda: home.of("heartbeat"), within=60)
    plugin = cluster.sandbox.plugin()
    await plugin.fence(work=cluster.ledger, fenced=True)
    assert cluster.pid is None
    with pytest.raises(httpx.ConnectError):
        await cluster.get()
    assert await asyncio.to_thread(keeper.keep, cluster.sandbox.folder) == []
    await plugin.fence(work=cluster.ledger, fenced=False)
    assert cluster.pid
    await eventually(lambda: home.streams == 2, within=60)


async def test_power_off_leaves_no_process_and_power_on_brings_all_back(cluster, home) -> None:
    await eventually(lambda: home.of("heartbeat"), within=60)
    folder = cluster.sandbox.folder
    assert len(await asyncio.to_thread(keeper.power_off, folder)) == 1
    assert [server.pid for server in keeper.status(folder)] == [None]
    assert await asyncio.to_thread(keeper.keep, folder) == []
    assert len(await asyncio.to_thread(keeper.power_on, folder)) == 1
    assert keeper.status(folder)[0].pid


async def test_a_region_without_power_has_no_process_until_it_has_it_again(cluster, home) -> None:
    await eventually(lambda: home.of("heartbeat"), within=60)
    folder, (server,) = cluster.sandbox.folder, keeper.status(cluster.sandbox.folder)
    assert await asyncio.to_thread(keeper.power_region, folder, "elsewhere", False) == []
    assert keeper.status(folder)[0].pid
    assert await asyncio.to_thread(keeper.power_region, folder, server.region, False) != []
    assert await asyncio.to_thread(keeper.keep, folder) == []
    assert keeper.status(folder)[0].pid is None
    assert await asyncio.to_thread(keeper.power_region, folder, server.region, True) != []
    assert keeper.status(folder)[0].pid


async def test_a_deleted_server_has_no_process_no_address_and_no_folder(cluster, home) -> None:
    await eventually(lambda: home.of("heartbeat"), within=60)
    pid, place = cluster.pid, cluster.place
    await cluster.sandbox.plugin().destroy(work=cluster.ledger)
    await eventually(lambda: not lives(pid), within=60)
    assert not place.exists()
    assert keeper.status(cluster.sandbox.folder) == []
    with pytest.raises(httpx.ConnectError):
        await cluster.get()


async def test_an_agent_whose_server_went_without_a_signal_ends_by_itself(cluster, home) -> None:
    await eventually(lambda: home.of("heartbeat"), within=60)
    (cluster.place / "server.json").rename(cluster.place / "gone")
    await eventually(lambda: cluster.pid is None, within=60)


async def test_two_agents_of_one_server_do_not_run_at_once(cluster, home) -> None:
    await eventually(lambda: home.of("heartbeat"), within=60)
    before = cluster.pid
    second = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "catalyst_cloud_sandbox.agent", "--folder", str(cluster.place)
    )
    assert await second.wait() == 0
    assert cluster.pid == before
    assert home.streams == 1


async def test_an_agent_outlives_a_silent_home_and_comes_back_to_it(sandbox, home) -> None:
    real, sandbox.endpoint = sandbox.endpoint, "127.0.0.1:1"
    ledger, plugin = DyingLedger(sandbox), sandbox.plugin()
    plan = await plugin.plan(request=cluster_request(sandbox), work=ledger)
    facts = await plugin.apply(plan=plan, work=ledger)
    cluster = Cluster(sandbox, ledger, facts)
    await eventually(lambda: answers(cluster), within=60)
    place = cluster.place / "server.json"
    place.write_text(place.read_text().replace("127.0.0.1:1\\", f"{real}\\"))
    await eventually(lambda: home.of("heartbeat"), within=60)


async def test_an_agent_stays_within_its_memory(cluster, home, git, manifests) -> None:
    git.push(manifests(**{f"bp_{n}": [] for n in range(40)}))
    await eventually(lambda: len(home.ready()) == 40, within=60)
    assert psutil.Process(cluster.pid).memory_full_info().pss <= 40 * 1024**2


def warnings(home) -> list[resources_pb2.AgentLogLines.Line]:
    return [line for told in home.of("log_lines") for line in told.lines if not line.component]


async def answers(cluster: Cluster) -> bool:
    with contextlib.suppress(httpx.TransportError):
        return (await cluster.get("/healthz")).status_code == 200
    return False


def is_ready(release: resources_pb2.AgentComponents.Release) -> bool:
    return any(c.type == "Ready" and c.status == "True" for c in release.conditions)


def lives(pid: int) -> bool:
    with contextlib.suppress(psutil.NoSuchProcess):
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    return False


def children() -> list[psutil.Process]:
    return [p for p in psutil.process_iter() if "catalyst_cloud_sandbox" in " ".join(_line(p))]


def _line(process: psutil.Process) -> list[str]:
    with contextlib.suppress(psutil.Error):
        return process.cmdline()
    return []
