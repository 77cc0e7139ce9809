"""`catalyst domain`, as its user has it: over the gateway and PDM, from the import to the way back."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from catalyst.pooldomain.v1.resources_pb2 import RegistrarAccount
from catalyst.pooldomain.v1.service_pb2 import CreateRegistrarAccountRequest
from catalyst.pooldomain.v1.service_pb2_grpc import RegistrarServiceStub
from catalyst_cli.tree import build
from catalyst_gateway.app import compose
from catalyst_gateway.settings import GatewaySettings
from catalyst_testkit import eventually
from catalyst_testkit.daemons import RunningDaemon, running
from catalyst_testkit.servers import NatsServer, free_port
from click.testing import Result
from typer.testing import CliRunner

from services.pool_domain_manager.tests.dns_servers import Dns
from services.pool_domain_manager.tests.flip_bench import CREDENTIAL, World, begin, world
from services.pool_domain_manager.tests.zone_calls import DOMAIN, HOSTS, made_zone

Run = Callable[..., "asyncio.Future[Result]"]


@pytest.fixture
async def it(home: Path) -> AsyncIterator[World]:
    folder = home / "dns"
    folder.mkdir()
    dns = Dns(folder)
    dns.start()
    try:
        async with world(home, dns) as one:
            yield one
    finally:
        dns.end()


@pytest.fixture
async def daemon(it: World, home: Path, clean_nats: NatsServer) -> AsyncIterator[RunningDaemon]:
    async with begin(it, home, clean_nats) as one:
        account = RegistrarAccount(registrar="registrars/ovh", credential=CREDENTIAL)
        wish = CreateRegistrarAccountRequest(registrar_account_id="acme-ovh", registrar_account=account)
        await one.member(RegistrarServiceStub, "acme").CreateRegistrarAccount(wish)
        await made_zone(one, it.ours)
        yield one


@pytest.fixture
async def run(
    daemon: RunningDaemon, home: Path, clean_nats: NatsServer, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Run]:
    """Runs a command as an admin of the Organization acme."""
    edge, port = home / "gateway", free_port()
    edge.mkdir()
    (edge / "issuer").symlink_to(home / "pdm" / "issuer")
    (home / "operator").write_text(daemon.issuer.token("owner", groups=["/acme/org-admin"]))
    monkeypatch.setenv("CATALYST_CLI_SERVER", f"http://127.0.0.1:{port}")
    monkeypatch.setenv("CATALYST_CLI_TOKEN_FILE", str(home / "operator"))
    values = {"http_listen": f"127.0.0.1:{port}", "nats_url": clean_nats.url, "pdm_target": daemon.target}

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


async def test_a_domain_is_imported_planned_moved_watched_and_taken_back_on_the_command_line(
    run: Run, it: World
) -> None:
    found = data(await run("domain", "import", DOMAIN, "--probe", "s1._domainkey", "-o", "json"))
    taken = ("zone", "plan", DOMAIN, "--import", found["name"], "--accept-partial", "-o", "json")
    zone = data(await run(*taken))
    data(await run("zone", "apply", zone["name"], "--hash", zone["hash"], "--yes", "-o", "json"))
    plan = data(await run("domain", "plan", DOMAIN, "--account", "acme-ovh", "-o", "json"))
    assert plan["changes"][0]["sentence"].startswith(f"{DOMAIN} moves from ns1.old.test, ns2.old.test to {HOSTS[0]}")
    told = await run("domain", "plan", DOMAIN, "--account", "acme-ovh")
    assert f"to move it: catalyst domain flip zones/{DOMAIN}/plans/" in told.output
    wrong = await run("domain", "flip", plan["name"], "--hash", "0" * 64, "--yes")
    assert (wrong.exit_code != 0, set(it.fake.domains[DOMAIN].ns)) == (True, {"ns1.old.test", "ns2.old.test"})
    moved = data(await run("domain", "flip", plan["name"], "--hash", plan["hash"], "--yes", "-o", "json"))
    assert (moved["state"], moved["wished"]["ns"]) == ("STATE_DELEGATED", list(HOSTS))
    assert moved["wished"]["ds"], "the zone's key is found by itself"
    assert data(await run("domain", "watch", DOMAIN, "-o", "json"))["state"] == "STATE_DELEGATED"
    back = data(await run("domain", "rollback", DOMAIN, "--reason", "a rehearsal", "--yes", "-o", "json"))
    assert (back["state"], set(it.fake.domains[DOMAIN].ns)) == ("STATE_ROLLED_BACK", {"ns1.old.test", "ns2.old.test"})
    assert data(await run("domain", "close", DOMAIN, "--yes", "-o", "json"))["state"] == "STATE_ROLLED_BACK"
