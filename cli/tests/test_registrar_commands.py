"""`catalyst registrar`, as its user has it: over the gateway and PDM, to the fake of a registrar."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from catalyst_cli.failures import Failure
from catalyst_cli.tree import build
from catalyst_gateway.app import compose
from catalyst_gateway.settings import GatewaySettings
from catalyst_testkit import eventually
from catalyst_testkit.daemons import running
from catalyst_testkit.servers import NatsServer, free_port
from click.testing import Result
from typer.testing import CliRunner

from services.pool_domain_manager.tests.registrar_bench import GOOD, KEY, SECRET, WRONG, Desk, desk

Run = Callable[..., "asyncio.Future[Result]"]


@pytest.fixture
async def at(home: Path, clean_nats: NatsServer) -> AsyncIterator[Desk]:
    async with desk(home, clean_nats, f"sqlite+aiosqlite:///{home}/pdm.db") as one:
        yield one


@pytest.fixture
async def run(at: Desk, home: Path, clean_nats: NatsServer, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Run]:
    """Runs a command as an admin of the Organization acme."""
    edge, port = home / "gateway", free_port()
    edge.mkdir()
    (edge / "issuer").symlink_to(home / "pdm" / "issuer")
    (home / "operator").write_text(at.daemon.issuer.token("owner", groups=["/acme/org-admin"]))
    monkeypatch.setenv("CATALYST_CLI_SERVER", f"http://127.0.0.1:{port}")
    monkeypatch.setenv("CATALYST_CLI_TOKEN_FILE", str(home / "operator"))
    values = {"http_listen": f"127.0.0.1:{port}", "nats_url": clean_nats.url, "pdm_target": at.daemon.target}

    async def is_up() -> bool:
        try:
            async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as http:
                return (await http.get("/v1/openapi.json")).status_code == 200
        except httpx.TransportError:
            return False

    def command(*words: str, entered: str = "") -> "asyncio.Future[Result]":
        return asyncio.ensure_future(
            asyncio.to_thread(CliRunner().invoke, build("registrar"), ["registrar", *words], entered)
        )

    async with running(compose, GatewaySettings, edge, service="gateway", **values):
        await eventually(is_up, within=60)
        yield command


def data(result: Result) -> Any:
    """The JSON of a command; the daemons of this process log to the same output."""
    return json.loads(result.stdout[result.stdout.index("{\n") :])


async def test_registrars_are_listed_and_their_forms_shown(run: Run) -> None:
    listed = await run("list", "-o", "json")
    names = [one["name"] for one in data(listed)["registrars"]]
    assert names == [f"registrars/{n}" for n in ("cloudflare", "dynadot", "godaddy", "manual", "namecheap", "ovh")]
    table = (await run("list")).stdout
    assert "1 h to 2 d" in next(line for line in table.splitlines() if "godaddy" in line)
    form = (await run("get", "ovh")).stdout
    assert "consumerKey" in form
    assert "registrars/ovh" in form


async def test_an_account_is_made_asked_replaced_and_deleted_and_shows_no_secret(
    run: Run, at: Desk, tmp_path: Path
) -> None:
    file = tmp_path / "godaddy.yaml"
    file.write_text(yaml.safe_dump(GOOD))
    rehearsed = await run(
        "accounts", "create", "acme-gd", "--registrar", "godaddy", "--credential", str(file), "--dry-run"
    )
    assert rehearsed.exit_code == 0, rehearsed.output
    made = await run("accounts", "create", "acme-gd", "--registrar", "godaddy", "--credential", str(file), "-o", "json")
    assert data(made)["name"] == "registrarAccounts/acme-gd"
    asked = await run("validate", "godaddy", "acme.example", "--account", "acme-gd", "-o", "json")
    assert (asked.exit_code, data(asked)["canWriteNs"]) == (0, True)
    read = await run("accounts", "delegation", "acme-gd", "acme.example")
    assert "ns1.old.example, ns2.old.example" in read.stdout
    replaced = await run("accounts", "replace", "acme-gd", "--credential", "-", entered=json.dumps(WRONG))
    assert replaced.exit_code == 0, replaced.output
    refused = await run("validate", "godaddy", "acme.example", "--account", "acme-gd")
    assert refused.exit_code == 4
    assert "REGISTRAR_CREDENTIALS_REJECTED" in refused.stdout
    listed = await run("accounts", "list", "-o", "name")
    assert listed.stdout.split()[-1:] == ["registrarAccounts/acme-gd"]
    gone = await run("accounts", "delete", "acme-gd", "--yes")
    assert gone.exit_code == 0, gone.output
    told = "".join(one.output for one in (rehearsed, made, asked, read, replaced, refused, listed, gone))
    assert [secret for secret in (KEY, SECRET, WRONG["secret"]) if secret in told] == []


async def test_a_credential_in_hand_comes_by_the_standard_input_and_a_bad_one_is_not_quoted(run: Run, at: Desk) -> None:
    asked = await run("validate", "godaddy", "acme.example", "--credential", "-", entered=yaml.safe_dump(GOOD))
    assert asked.exit_code == 0, asked.output
    before = len(at.fake.seen)
    for entered in ("- canary-list", "canary-text", "{canary-broken: [", ""):
        bad = await run("validate", "godaddy", "acme.example", "--credential", "-", entered=entered)
        assert isinstance(bad.exception, Failure)
        assert not any("canary" in line for line in bad.exception.lines())
    short = await run("validate", "godaddy", "acme.example", "--credential", "-", entered="key: canary-1\nsecret: x\n")
    assert isinstance(short.exception, Failure)
    lines = "\n".join(short.exception.lines())
    assert ("secret" in lines, "canary-1" in lines, short.exception.exit_code) == (True, False, 2)
    assert len(at.fake.seen) == before


async def test_what_cannot_be_meant_is_said_before_anybody_is_asked(run: Run, at: Desk, tmp_path: Path) -> None:
    for words in (
        ("validate", "godaddy", "acme.example"),
        ("validate", "godaddy", "acme.example", "--account", "x", "--credential", "y"),
        ("validate", "godaddy", "acme.example", "--credential", str(tmp_path / "nothing")),
    ):
        answer = await run(*words)
        assert isinstance(answer.exception, Failure)
        assert answer.exception.exit_code == 2
    unknown = await run("get", "nobody")
    assert isinstance(unknown.exception, Failure)
    assert unknown.exception.exit_code == 3
    assert "catalyst registrar list" in unknown.exception.lines()[-2]
