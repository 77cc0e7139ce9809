"""`catalyst continuum`, as its user has it: over the gateway, continuum and three real cells."""

import asyncio
import json
from pathlib import Path

import httpx
import pytest
from catalyst.continuum.v1.service_pb2_grpc import ContinuumServiceStub
from catalyst_cli.main import build
from catalyst_continuum.app import compose as compose_continuum
from catalyst_continuum.settings import ContinuumSettings
from catalyst_gateway.app import compose as compose_gateway
from catalyst_gateway.settings import GatewaySettings
from catalyst_testkit import eventually
from catalyst_testkit.daemons import running
from catalyst_testkit.servers import NatsServer, free_port
from click.testing import Result
from typer.testing import CliRunner

from services.continuum.tests.manifests import EAST, WEST, stateful
from services.continuum.tests.test_daemon import Cells, activate
from services.continuum.tests.test_resource import wish


async def test_cells_are_verified_and_one_that_does_not_answer_fails_the_command(
    home: Path, own_nats: NatsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    cells, port = Cells(home), free_port()
    cells.start_all()
    (home / "edge").mkdir()
    settings = {"nats_url": own_nats.url, "cells": cells.setting, "tsig_key_file": cells.key}

    async def run(*words: str) -> Result:
        return await asyncio.to_thread(CliRunner().invoke, build(), ["continuum", *words])

    async def verified() -> Result | None:
        told = await run("witness", "verify", "omantel", "-o", "json")
        return told if told.exit_code == 0 else None

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
                "http_listen": f"127.0.0.1:{port}", "nats_url": own_nats.url, "continuum_target": daemon.target,
                "service": "gateway",
            }  # fmt: skip
            async with running(compose_gateway, GatewaySettings, home / "edge", **values):
                await eventually(is_up, within=30)
                await activate(own_nats)
                told = await eventually(verified, within=30)
                assert told is not None
                report = json.loads(told.stdout[told.stdout.index("{\n") : told.stdout.rindex("\n}") + 2])
                assert [(c["name"], c["passed"], c["cases"]) for c in report["cells"]] == [
                    (f"cell-{n}", True, 11) for n in (1, 2, 3)
                ]
                cells.kill("cell-3")
                lame = await run("witness", "verify", "omantel", "--cell", "cell-3")
                assert lame.exit_code == 1
                assert "does not answer" in lame.output
                alone = await run("plan", "omantel", "--kind", "failover")
                assert "none may become primary" in str(alone.exception)
                await daemon.member(ContinuumServiceStub, "demo").CreateContinuum(wish(stateful()))
                blocked = await run("plan", "demo/shop", "-o", "json")
                assert blocked.exit_code == 1
                plan = json.loads(blocked.stdout[blocked.stdout.index("{\n") : blocked.stdout.rindex("\n}") + 2])
                assert (len(plan["steps"]), plan["kind"]) == (14, "RUN_KIND_SWITCHOVER")
                table = await run("plan", "demo/shop", "--to", WEST, "--accept-data-loss")
                assert "FlipTraffic" in table.output
                assert f"{EAST} -> {WEST}" in table.output
                assert "blocked: target-ready" in table.output
    finally:
        cells.kill_all()
