"""`catalyst org|env|app|promotion`, as a user has them: over the gateway, the daemon and a real catalog."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from catalyst_catalog.app import compose as compose_catalog
from catalyst_catalog.settings import CatalogSettings
from catalyst_cli.tree import build
from catalyst_environment.app import compose as compose_environment
from catalyst_environment.settings import EnvironmentSettings
from catalyst_gateway.app import compose
from catalyst_gateway.settings import GatewaySettings
from catalyst_testkit import eventually
from catalyst_testkit.daemons import running
from catalyst_testkit.servers import NatsServer, free_port
from typer.testing import CliRunner, Result

from services.catalog.tests.asking import read
from services.catalog.tests.makers import write
from services.environment.tests.house import serving_billing

Run = Callable[..., "asyncio.Future[Result]"]


@pytest.fixture
async def run(
    home: Path, clean_nats: NatsServer, fake_billing: str, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Run]:
    """Runs a command as the owner of an Organization."""
    (home / "issuer").mkdir()
    for name in ("catalog", "environment", "gateway"):
        (home / name).mkdir()
        (home / name / "issuer").symlink_to(home / "issuer")
    write(home / "blueprints", "bp-cache")
    port = free_port()
    monkeypatch.setenv("CATALYST_CLI_SERVER", f"http://127.0.0.1:{port}")
    monkeypatch.setenv("CATALYST_CLI_TOKEN_FILE", str(home / "ada"))
    usual = {"nats_url": clean_nats.url, "listen": "127.0.0.1:0"}
    catalog_values = {**usual, "blueprints": home / "blueprints"}

    async def is_up() -> bool:
        try:
            async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as http:
                return (await http.get("/v1/openapi.json")).status_code == 200
        except httpx.TransportError:
            return False

    def command(*given: str) -> "asyncio.Future[Result]":
        return asyncio.ensure_future(asyncio.to_thread(CliRunner().invoke, build(given[0]), list(given)))

    async with running(
        compose_catalog, CatalogSettings, home / "catalog", service="catalog", **catalog_values
    ) as catalog:
        await read(catalog)
        (home / "ada").write_text(catalog.issuer.token("ada"))
        values = {**usual, "billing_target": fake_billing, "catalog_target": catalog.target}
        async with running(
            compose_environment, EnvironmentSettings, home / "environment", service="environment", **values
        ) as daemon:
            edge = {
                "http_listen": f"127.0.0.1:{port}",
                "nats_url": clean_nats.url,
                "environment_target": daemon.target,
                "catalog_target": catalog.target,
            }  # fmt: skip - one table
            async with running(compose, GatewaySettings, home / "gateway", service="gateway", **edge):
                await eventually(is_up, within=60)
                yield command


@pytest.fixture
async def fake_billing() -> AsyncIterator[str]:
    async with serving_billing() as (_, target):
        yield target


def data(result: Result) -> Any:
    """The JSON of a command; the daemons of this process log to the same output."""
    assert result.exit_code == 0, f"{result.output} {result.exception!r}"
    return json.loads(result.stdout[result.stdout.index("{\n") :])


async def test_an_organization_installs_promotes_and_uninstalls_from_the_command_line(run: Run) -> None:
    made = data(await run("org", "create", "acme", "--title", "Acme", "--env", "dev", "-o", "json"))
    assert made["state"] == "STATE_ACTIVE"
    assert data(await run("env", "create", "acme", "prod", "-o", "json"))["branch"] == "main"
    wrong: Any = (await run("app", "install", "acme-dev/cache", "cache", "--choice", "db")).exception
    assert wrong.what == "'db' is no choice"
    planned = data(await run("app", "install", "acme-dev/cache", "cache@1.0.0", "--dry-run", "-o", "json"))
    installed = data(await run("app", "install", "acme-dev/cache", "cache", "-o", "json"))
    assert installed["blueprintVersion"] == planned["blueprintVersion"], "the newest, where none is named"
    assert (installed["state"], installed["pin"]["version"]) == ("STATE_INSTALLING", "1.0.0")
    policy = data(await run("env", "policy", "acme-prod", "--approvals", "1", "-o", "json"))
    assert policy["requiredApprovals"] == 1
    held = data(await run("promotion", "create", "cache", "acme-dev", "acme-prod", "-o", "json"))
    assert held["state"] == "STATE_PENDING_APPROVAL"
    own = data(await run("promotion", "approve", held["name"], "-o", "json"))
    assert own["state"] == "STATE_PENDING_APPROVAL", "one's own yes does not count"
    assert data(await run("promotion", "cancel", held["name"], "-o", "json"))["state"] == "STATE_CANCELLED"
    gone = data(await run("app", "uninstall", "acme-dev/cache", "--yes", "-o", "json"))
    assert gone["state"] == "STATE_DELETED"
    refused = await run("app", "get", "acme-dev/cache")
    why: Any = refused.exception
    assert (why.reason, why.exit_code) == ("APPLICATION_NOT_FOUND", 3)
    invited = data(await run("org", "invite", "acme", "bo@acme.example", "--role", "viewer", "-o", "json"))
    assert invited["token"]
    await _webhooks(run)
    left = data(await run("org", "delete", "acme", "--yes", "-o", "json"))
    assert left["state"] == "STATE_DELETING"
    assert data(await run("org", "undelete", "acme", "-o", "json"))["state"] == "STATE_ACTIVE"


async def _webhooks(run: Run) -> None:
    """From one that is made to one that is gone; its address is nobody's, and nothing is sent there."""
    types = ("catalyst.v1.billing.*", "catalyst.v1.catalog.source.created")
    hook = data(await run("webhook", "create", "acme", "https://93.184.216.34/x", *types, "-o", "json"))
    assert hook["drawnSecret"].startswith("whsec_")
    name = hook["name"]
    other = data(await run("webhook", "update", name, "--type", types[0], "-o", "json"))
    assert (other["types"], other["url"]) == ([types[0]], hook["url"])
    assert data(await run("webhook", "disable", name, "-o", "json"))["state"] == "STATE_DISABLED"
    off: Any = (await run("webhook", "test", name)).exception
    assert off.reason == "WEBHOOK_DISABLED"
    assert data(await run("webhook", "enable", name, "-o", "json"))["state"] == "STATE_ACTIVE"
    assert data(await run("webhook", "rotate-secret", name, "-o", "json"))["drawnSecret"] != hook["drawnSecret"]
    sent = data(await run("webhook", "replay", name, "--from", "2026-01-01T00:00:00Z", "-o", "json"))
    assert sent.get("deliveryCount", 0) == 0
    assert data(await run("webhook", "deliveries", name, "-o", "json"))["webhookDeliveries"] == []
    assert [one["name"] for one in data(await run("webhook", "list", "acme", "-o", "json"))["webhooks"]] == [name]
    assert (await run("webhook", "delete", name, "--yes")).exit_code == 0
    missing: Any = (await run("webhook", "get", name)).exception
    assert (missing.reason, missing.exit_code) == ("WEBHOOK_NOT_FOUND", 3)
