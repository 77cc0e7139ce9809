"""`catalyst continuum`, as its user has it: over the gateway, continuum and three real cells."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from catalyst_cli.api import Api, Refused
from catalyst_cli.commands.continuum import manifests
from catalyst_cli.context import context
from catalyst_cli.failures import Failure
from catalyst_cli.tree import build
from catalyst_continuum.app import compose as compose_continuum
from catalyst_continuum.settings import ContinuumSettings
from catalyst_gateway.app import compose as compose_gateway
from catalyst_gateway.settings import GatewaySettings
from catalyst_testkit import eventually
from catalyst_testkit.daemons import running
from catalyst_testkit.servers import NatsServer, free_port
from click.testing import Result
from typer.testing import CliRunner

from services.continuum.tests.manifests import EAST, WEST, having, lone, stateful
from services.continuum.tests.test_daemon import Cells, activate

Run = Callable[..., Awaitable[Result]]


@pytest.fixture
def cells(home: Path) -> Cells:
    three = Cells(home)
    three.start_all()
    return three


@pytest.fixture
async def run(home: Path, clean_nats: NatsServer, cells: Cells, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Run]:
    """Runs a command as the Sovereign's admin."""
    port = free_port()
    (home / "edge").mkdir()
    settings = {"nats_url": clean_nats.url, "cells": cells.setting, "tsig_key_file": cells.key}

    async def command(*words: str) -> Result:
        return await asyncio.to_thread(CliRunner().invoke, build("continuum"), ["continuum", *words])

    async def is_up() -> bool:
        try:
            async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as http:
                return (await http.get("/v1/openapi.json")).status_code == 200
        except httpx.TransportError:
            return False

    try:
        async with running(compose_continuum, ContinuumSettings, home, **settings) as daemon:
            (home / "edge" / "issuer").symlink_to(home / "issuer")
            (home / "operator").write_text(daemon.issuer.token("owner", roles=["sovereign-admin"]))
            monkeypatch.setenv("CATALYST_CLI_SERVER", f"http://127.0.0.1:{port}")
            monkeypatch.setenv("CATALYST_CLI_TOKEN_FILE", str(home / "operator"))
            values = {
                "http_listen": f"127.0.0.1:{port}", "nats_url": clean_nats.url, "continuum_target": daemon.target,
                "service": "gateway",
            }  # fmt: skip
            async with running(compose_gateway, GatewaySettings, home / "edge", **values):
                await eventually(is_up, within=60)
                yield command
    finally:
        cells.kill_all()


def data(told: Result) -> Any:
    """The JSON of a command that printed words besides."""
    assert told.exit_code == 0, (told.output, told.exception)
    return json.loads(told.stdout[told.stdout.index("{\n") : told.stdout.rindex("\n}") + 2])


def file(home: Path, spec: dict[str, Any], **outside: Any) -> Path:
    document = {
        "apiVersion": "dr.openova.io/v1", "kind": "Continuum", "metadata": {"name": "shop", "namespace": "demo"},
        "spec": spec, **outside,
    }  # fmt: skip
    path = home / "shop.yaml"
    path.write_text(yaml.safe_dump(document))
    return path


async def test_cells_are_verified_and_one_that_does_not_answer_fails_the_command(
    run: Run, clean_nats: NatsServer, cells: Cells
) -> None:
    await activate(clean_nats)

    async def verified() -> Result | None:
        told = await run("witness", "verify", "omantel", "-o", "json")
        return told if told.exit_code == 0 else None

    told = await eventually(verified, within=60)
    assert told is not None
    assert [(c["name"], c["passed"], c["cases"]) for c in data(told)["cells"]] == [
        (f"cell-{n}", True, 11) for n in (1, 2, 3)
    ]
    cells.kill("cell-3")
    lame = await run("witness", "verify", "omantel", "--cell", "cell-3")
    assert lame.exit_code == 1
    assert "does not answer" in lame.output


async def test_a_run_is_planned_before_it_is_started(run: Run, home: Path) -> None:
    on_the_house = stateful() | {"leaseClient": {"kind": "dns-quorum"}}  # the daemon's own cells
    assert "created" in (await run("apply", "-f", str(file(home, on_the_house)))).output
    blocked = await run("plan", "demo/shop", "-o", "json")
    assert blocked.exit_code == 1
    plan = json.loads(blocked.stdout[blocked.stdout.index("{\n") : blocked.stdout.rindex("\n}") + 2])
    assert (len(plan["steps"]), plan["kind"]) == (14, "RUN_KIND_SWITCHOVER")
    table = await run("plan", "demo/shop", "--to", WEST, "--accept-data-loss")
    assert "FlipTraffic" in table.output
    assert f"{EAST} -> {WEST}" in table.output
    assert "blocked: target-ready" in table.output


async def test_a_slot_is_applied_listed_frozen_and_thawed_by_command(run: Run, home: Path) -> None:
    lonely = file(home, lone())
    assert "would be created" in (await run("apply", "-f", str(lonely), "--dry-run")).output
    assert data(await run("apply", "-f", str(lonely), "-o", "json"))["generation"] == "1"
    assert "unchanged" in (await run("apply", "-f", str(lonely))).output

    printed = home / "printed.yaml"
    printed.write_text((await run("get", "demo/shop", "--manifest")).stdout)
    assert "unchanged" in (await run("apply", "-f", str(printed))).output
    printed.write_text((await run("get", "demo/shop", "-o", "yaml")).stdout)
    with pytest.raises(Failure, match="no manifest"):
        manifests.read(printed)

    async def held() -> bool:
        return bool(data(await run("get", "demo/shop", "-o", "json"))["status"]["leaseHolder"] == EAST)

    await eventually(held, within=60)
    assert data(await run("suspend", "demo/shop", "-o", "json"))["register"]["state"] == "STATE_FROZEN"
    changed = await run("apply", "-f", str(file(home, lone() | {"rto": "2m"})), "-o", "json")
    assert data(changed)["spec"]["suspend"], "a file that says nothing of suspension leaves it as it is"
    listed = (await run("list", "--namespace", "demo")).output
    assert "demo/shop" in listed
    assert "SUSPENDED" in listed
    assert data(await run("resume", "demo/shop", "-o", "json"))["register"]["state"] == "STATE_HELD"
    with Api(context()) as api:  # what `watch` shows, line by line
        stream = api.stream("/v1/namespaces/demo/continuums/shop:watch")
        _, _, first = await asyncio.to_thread(next, stream)
        stream.close()
    assert first["continuum"]["register"]["state"] == "STATE_HELD"
    assert first["cursor"]
    assert data(await run("ack", "demo/shop", "--epoch", "1", "-o", "json"))["version"]
    for words, reason, code in (
        ("get demo/blog", "CONTINUUM_NOT_FOUND", 3),
        ("ack demo/shop --epoch 9", "EPOCH_MOVED", 4),
    ):
        refused = (await run(*words.split())).exception
        assert isinstance(refused, Refused)
        assert (refused.reason, refused.exit_code) == (reason, code)


def test_all_that_is_wrong_in_a_file_is_said_before_anything_is_sent(home: Path) -> None:
    bad = having(stateful(), rto="1minute", primaryRegion="fsn", luaRecord__selector="round-robin", colour="red")
    with pytest.raises(Failure) as refused:
        manifests.read(file(home, bad, kind="Continuous"))
    assert refused.value.exit_code == 2
    told = "\n".join(refused.value.details)
    for path in ("kind", "spec.rto", "spec.primaryRegion", "spec.luaRecord.selector", "spec.colour"):
        assert f"document 1: {path}: " in told


def test_what_the_server_refuses_is_said_with_the_paths_of_the_file() -> None:
    refused = Refused("SPEC_INVALID", "no", details=("continuum.spec.lease_client.config.ttl: C1", "other: x"))
    assert manifests.explained(refused).details == ("spec.leaseClient.config.ttlSeconds: C1", "other: x")
