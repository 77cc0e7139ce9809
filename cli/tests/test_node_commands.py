"""`catalyst sovereign node`, as its user has it: over the gateway, the provisioner and the simulated cloud."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from catalyst_cli.failures import Failure
from catalyst_cli.tree import build
from catalyst_gateway.app import compose
from catalyst_gateway.settings import GatewaySettings
from catalyst_testkit import eventually
from catalyst_testkit.daemons import running
from catalyst_testkit.servers import NatsServer, free_port
from click.testing import Result
from typer.testing import CliRunner

from services.provisioner.tests.conftest import Bench, around, bench, start
from services.provisioner.tests.test_runs import active

pytestmark = pytest.mark.either_database
__all__ = ["around", "bench", "start"]  # fixtures
Run = Callable[..., "asyncio.Future[Result]"]


@pytest.fixture(scope="session")
def package() -> str:
    return "catalyst_provisioner"


@pytest.fixture
async def run(bench: Bench, home: Path, clean_nats: NatsServer, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Run]:
    """Runs a command as an admin."""
    edge, port = home / "gateway", free_port()
    edge.mkdir()
    (edge / "issuer").symlink_to(home / "issuer")
    (home / "operator").write_text(bench.daemon.issuer.token("admin", roles=["sovereign-admin"]))
    monkeypatch.setenv("CATALYST_CLI_SERVER", f"http://127.0.0.1:{port}")
    monkeypatch.setenv("CATALYST_CLI_TOKEN_FILE", str(home / "operator"))
    values = {"http_listen": f"127.0.0.1:{port}", "nats_url": clean_nats.url, "provisioner_target": bench.daemon.target}

    async def is_up() -> bool:
        try:
            async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as http:
                return (await http.get("/v1/openapi.json")).status_code == 200
        except httpx.TransportError:
            return False

    def command(*words: str) -> "asyncio.Future[Result]":
        return asyncio.ensure_future(asyncio.to_thread(CliRunner().invoke, build(words[0]), list(words)))

    async with running(compose, GatewaySettings, edge, service="gateway", **values):
        await eventually(is_up, within=60)
        yield command


def data(result: Result) -> Any:
    """The JSON of a command; the daemons of this process log to the same output."""
    assert result.exit_code == 0, (result.output, result.exception)
    lines = result.stdout.splitlines()
    first = next(n for n, line in enumerate(lines) if line == "{")
    last = max(n for n, line in enumerate(lines) if line == "}")
    return json.loads("\n".join(line for line in lines[first : last + 1] if not line.startswith("20")))


async def nodes(run: Run) -> dict[str, Any]:
    """Nodes as the command line lists them."""
    listed = data(await run("sovereign", "node", "list", "omantel", "--output", "json"))
    return {one["id"]: one for one in listed["nodes"]}


async def test_nodes_are_listed_restarted_and_made_anew_from_the_command_line(bench: Bench, run: Run) -> None:
    await active(bench)
    before = await nodes(run)
    raised = data(
        await run("sovereign", "upgrade", "omantel", "--dry-run", "--k3s", "v1.32.1+k3s1", "--output", "json")
    )
    assert [c["address"] for c in raised["changes"] if c["action"] == "ACTION_UPDATE"] == ["k3s"]
    refused = await run("sovereign", "upgrade", "omantel", "--channel", "canary", "--yes")
    assert isinstance(refused.exception, Failure)
    assert "there is no channel canary" in "".join(refused.exception.details)
    node = next(id for id in before if "-data-1-" in id)
    absent = await run("sovereign", "node", "drain", "omantel", "nowhere")
    assert isinstance(absent.exception, Failure)
    assert (absent.exception.exit_code, "shows no node nowhere" in str(absent.exception)) == (3, True)
    tried = data(await run("sovereign", "node", "replace", "omantel", node, "--dry-run", "--output", "json"))
    assert [c["name"] for c in tried["changes"] if c["action"] == "ACTION_REPLACE"] == [node]
    assert {one["serverId"] for one in (await nodes(run)).values()} == {one["serverId"] for one in before.values()}
    done = await run("sovereign", "node", "reboot", "omantel", node, "--grace-period", "0", "--yes", "--output", "json")
    (after,) = data(done)["nodes"]
    assert (after["serverId"], after["bootId"] != before[node]["bootId"]) == (before[node]["serverId"], True)
    assert f"node.{node}" in done.stderr, "the plan was shown"
    done = await run("sovereign", "node", "cordon", "omantel", f"{after['cluster']}/{node}", "--yes")
    assert (done.exit_code, "kept off" in done.stdout) == (0, True), done.output
    again = await run("sovereign", "node", "cordon", "omantel", node, "--yes")
    assert (again.exit_code, "it is so already" in again.stderr) == (0, True), again.output
