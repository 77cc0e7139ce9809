"""`catalyst billing`, as an admin has it: over the gateway and billing."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from catalyst_billing.app import compose as compose_billing
from catalyst_billing.settings import BillingSettings
from catalyst_cli.commands.billing import words
from catalyst_cli.failures import Failure
from catalyst_cli.tree import build
from catalyst_gateway.app import compose
from catalyst_gateway.settings import GatewaySettings
from catalyst_testkit import eventually
from catalyst_testkit.daemons import RunningDaemon, running
from catalyst_testkit.servers import NatsServer, free_port
from click.testing import Result
from typer.testing import CliRunner

Run = Callable[..., "asyncio.Future[Result]"]
SECRET = "whsec_canary_0123456789"


@pytest.fixture
async def billing(home: Path, clean_nats: NatsServer) -> AsyncIterator[RunningDaemon]:
    folder = home / "billing"
    folder.mkdir()
    values = {
        "nats_url": clean_nats.url,
        "listen": "127.0.0.1:0",
        "catalog_target": "127.0.0.1:9",
        "worker_pause_seconds": 0.1,
    }
    async with running(compose_billing, BillingSettings, folder, service="billing", **values) as daemon:
        yield daemon


@pytest.fixture
async def run(
    billing: RunningDaemon, home: Path, clean_nats: NatsServer, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Run]:
    """Runs a command as an admin of money and of the Sovereign."""
    edge, port = home / "gateway", free_port()
    edge.mkdir()
    (edge / "issuer").symlink_to(home / "billing" / "issuer")
    (home / "operator").write_text(billing.issuer.token("owner", roles=["billing-admin", "sovereign-admin"]))
    monkeypatch.setenv("CATALYST_CLI_SERVER", f"http://127.0.0.1:{port}")
    monkeypatch.setenv("CATALYST_CLI_TOKEN_FILE", str(home / "operator"))
    values = {"http_listen": f"127.0.0.1:{port}", "nats_url": clean_nats.url, "billing_target": billing.target}

    async def is_up() -> bool:
        try:
            async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as http:
                return (await http.get("/v1/openapi.json")).status_code == 200
        except httpx.TransportError:
            return False

    def command(*given: str, entered: str = "") -> "asyncio.Future[Result]":
        return asyncio.ensure_future(
            asyncio.to_thread(CliRunner().invoke, build("billing"), ["billing", *given], entered)
        )

    async with running(compose, GatewaySettings, edge, service="gateway", **values):
        await eventually(is_up, within=60)
        yield command


def data(result: Result) -> Any:
    """The JSON of a command; the daemons of this process log to the same output."""
    assert result.exit_code == 0, f"{result.output} {result.exception!r}"
    return json.loads(result.stdout[result.stdout.index("{\n") :])


async def test_vouchers_campaigns_and_credit_from_the_command_line(run: Run) -> None:
    campaign = data(await run("campaign", "create", "Spring", "--budget", "100.000 OMR", "-o", "json"))
    flat = (
        "voucher",
        "create",
        "--amount",
        "5.5 OMR",
        "--code",
        "omani-26",
        "--campaign",
        campaign["name"],
        "-o",
        "json",
    )
    assert data(await run(*flat, "--activate", "--dry-run"))["state"] == "STATE_ACTIVE"
    assert data(await run(*flat))["amount"] == {"minor": "5500", "currency": "OMR"}
    edited = data(await run("voucher", "update", "OMANI-26", "--max-total", "9", "--ends", "2099-12-31", "-o", "json"))
    assert (edited["maxTotal"], edited["revision"], edited["endTime"]) == (9, "2", "2099-12-31T00:00:00Z")
    await run("voucher", "activate", "OMANI-26")
    assert "ACTIVE" in (await run("voucher", "list")).stdout
    revisions = data(await run("voucher", "revisions", "OMANI-26", "-o", "json"))["revisions"]
    assert [r["revision"] for r in revisions] == ["2", "1"]
    assert data(await run("voucher", "uses", "OMANI-26", "-o", "json"))["uses"] == []
    assert "100.000 OMR" in (await run("campaign", "list")).stdout
    gone = data(await run("voucher", "revoke", edited["name"], "--reason", "leaked", "-o", "json"))
    assert gone["state"] == "STATE_REVOKED"
    unknown = await run("voucher", "get", "NOWHERE")
    assert isinstance(unknown.exception, Failure)


async def test_accounts_goodwill_and_the_book_from_the_command_line(run: Run, tmp_path: Path) -> None:
    assert data(await run("account", "get", "acme", "-o", "json"))["state"] == "STATE_OPEN"
    given = data(await run("account", "goodwill", "acme", "5 OMR", "--reason", "outage", "--ttl", "30d", "-o", "json"))
    assert given["state"] == "STATE_GRANTED"
    assert "5.000 OMR" in (await run("account", "balance", "acme")).stdout
    changed = data(await run("account", "update", "acme", "--email", "a@acme.example", "--exempt", "-o", "json"))
    assert (changed["contact"]["email"], changed["tax"]["exempt"]) == ("a@acme.example", True)
    accounts = data(await run("ledger", "accounts", "--owner", "organizations/acme", "-o", "json"))["ledgerAccounts"]
    assert [a["balance"]["minor"] for a in accounts] == ["-5000"]
    (txn,) = data(await run("ledger", "transactions", "--account", accounts[0]["name"], "-o", "json"))[
        "ledgerTransactions"
    ]
    assert txn["kind"] == "goodwill_granted"
    assert data(await run("prove", "-o", "json"))["proved"] is True
    assert data(await run("findings", "-o", "json"))["findings"] == []
    assert data(await run("account", "freeze", "acme", "--reason", "fraud", "-o", "json"))["state"] == "STATE_FROZEN"
    await run("account", "unfreeze", "acme", "--reason", "paid")
    bundle = tmp_path / "acme.bundle"
    bundle.write_text("of mine")
    kept = await run("account", "export", "acme", "--target", "second", "--into", str(bundle))
    assert isinstance(kept.exception, Failure)
    assert bundle.read_text() == "of mine"
    assert data(await run("account", "get", "acme", "-o", "json"))["state"] == "STATE_OPEN"
    bundle.unlink()
    exported = await run("account", "export", "acme", "--target", "second", "--into", str(bundle))
    assert exported.exit_code == 0, exported.output
    assert "sovereigns/second" in bundle.read_text()
    refused = await run("account", "import", str(bundle))
    assert isinstance(refused.exception, Failure)


async def test_providers_and_top_ups_from_the_command_line_show_no_secret(run: Run) -> None:
    kept = await run("provider", "set", "fake", "--secrets", "--enable", entered=json.dumps({"webhook_secret": SECRET}))
    assert kept.exit_code == 0, kept.output
    shown = await run("provider", "get", "fake", "-o", "json")
    assert data(shown)["secrets"]["webhook_secret"]["lastFour"] == SECRET[-4:]
    assert SECRET not in kept.output + shown.output
    assert "providers/fake" in (await run("provider", "list")).stdout
    bought = data(await run("order", "top-up", "acme", "20.000 OMR", "-o", "json"))

    async def paid() -> bool:
        return bool(data(await run("order", "get", bought["name"], "-o", "json"))["state"] == "STATE_PAID")

    await eventually(paid, within=60)
    refund = ("order", "refund", bought["name"], "--amount", "4.5 OMR", "--reason", "wished", "-o", "json")
    assert data(await run(*refund, "--dry-run"))["state"] == data(await run(*refund))["state"]
    assert "15.500 OMR" in (await run("account", "balance", "acme")).stdout
    assert "TOP_UP" in (await run("order", "list", "acme")).stdout


@pytest.mark.parametrize("text", ["", "5", "5,5 OMR", "5.5555 OMR", "-5 OMR", "1e3 OMR", "5 omr"])
def test_what_is_no_amount_is_refused(text: str) -> None:
    with pytest.raises(Failure):
        words.amount(text)


@pytest.mark.parametrize("wrong", [lambda: words.moment("soon"), lambda: words.lifetime("30 days")])
def test_what_is_no_moment_or_lifetime_is_refused(wrong: Callable[[], str]) -> None:
    with pytest.raises(Failure):
        wrong()
