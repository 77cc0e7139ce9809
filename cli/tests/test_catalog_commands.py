"""`catalyst catalog` and `catalyst blueprint`, as their user has them: over the gateway, to a running catalogue."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import catalyst_catalog.app
import catalyst_gateway.app
import httpx
import pytest
import yaml
from catalyst_catalog.settings import CatalogSettings
from catalyst_cli.failures import Failure
from catalyst_cli.tree import build
from catalyst_gateway.settings import GatewaySettings
from catalyst_mesh.plugins import NoSecrets
from catalyst_sdk.source import Location
from catalyst_source_oci.source import OciSource
from catalyst_testkit import eventually
from catalyst_testkit.daemons import running
from catalyst_testkit.servers import NatsServer, free_port
from click.testing import Result
from typer.testing import CliRunner

from services.catalog.tests.makers import needs, write
from services.catalog.tests.sigstore import House, pem, public

Run = Callable[..., "asyncio.Future[Result]"]


@pytest.fixture
async def run(home: Path, clean_nats: NatsServer, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Run]:
    """Runs a command as the Sovereign's administrator."""
    edge, store, port = home / "gateway", home / "catalog", free_port()
    for folder in (edge, store):
        folder.mkdir()
    write(home / "blueprints", "bp-db", visibility="listed")
    write(home / "blueprints", "bp-shop", visibility="listed", depends=needs(db="^1"))
    url = f"http://127.0.0.1:{port}"
    monkeypatch.setenv("CATALYST_CLI_SERVER", url)
    monkeypatch.setenv("CATALYST_CLI_TOKEN_FILE", str(home / "operator"))

    async def is_up() -> bool:
        try:
            async with httpx.AsyncClient(base_url=url) as http:
                return len((await http.get("/v1/catalog/cards")).json().get("cards", ())) == 2
        except (httpx.TransportError, ValueError):
            return False

    def command(*words: str) -> "asyncio.Future[Result]":
        return asyncio.ensure_future(asyncio.to_thread(CliRunner().invoke, build(words[0]), list(words)))

    settings: dict[str, Any] = {"nats_url": clean_nats.url, "blueprints": home / "blueprints"}
    async with running(catalyst_catalog.app.compose, CatalogSettings, store, **settings) as catalog:
        (edge / "issuer").symlink_to(store / "issuer")
        roles = ["sovereign-admin", "security-officer"]
        token = catalog.issuer.token("operator", roles=roles, groups=["/acme/org-admin"])
        (home / "operator").write_text(token)
        values = {"http_listen": f"127.0.0.1:{port}", "nats_url": clean_nats.url, "catalog_target": catalog.target}
        async with running(catalyst_gateway.app.compose, GatewaySettings, edge, service="gateway", **values):
            await eventually(is_up, within=60)
            yield command


def data(result: Result) -> Any:
    """The JSON of a command; the daemons of this process log to the same output."""
    assert result.exit_code == 0, (result.output, result.exception)
    text = result.stdout
    return json.loads(text[text.index("{\n") : text.rindex("}") + 1])


async def test_a_blueprint_is_found_looked_at_and_planned(run: Run) -> None:
    found = data(await run("blueprint", "list", "shop", "-o", "json"))
    assert [card["name"] for card in found["cards"]] == ["blueprints/bp-shop"]
    assert data(await run("blueprint", "show", "shop", "-o", "json"))["latestVersion"].endswith("/1.0.0")
    nodes = data(await run("blueprint", "closure", "shop", "-o", "json"))["nodes"]
    assert [node["name"] for node in nodes] == ["blueprints/bp-db", "blueprints/bp-shop"]
    plan = data(await run("blueprint", "plan", "shop", "--environment", "acme-prod", "-o", "json"))
    assert [one["name"] for one in plan["applications"]] == ["shop-db", "shop"]
    wrong = await run("blueprint", "plan", "shop", "--environment", "acme-prod", "--choice", "nothing")
    assert isinstance(wrong.exception, Failure)
    assert wrong.exception.exit_code == 2


async def test_a_version_is_withdrawn_and_taken_back(run: Run) -> None:
    yanked = data(await run("catalog", "yank", "shop@1.0.0", "--reason", "it loses mail", "-o", "json"))
    assert (yanked["state"], yanked["stateReason"]) == ("STATE_YANKED", "it loses mail")
    assert data(await run("catalog", "unyank", "shop@1.0.0", "--reason", "it does not", "-o", "json"))["state"] == (
        "STATE_VERIFIED"
    )  # fmt: skip - one comparison
    table = await run("blueprint", "versions", "shop")
    assert ["1.0.0", "VERIFIED", "it", "does", "not", "NOT_REQUIRED", "sources/public"] in [
        line.split() for line in table.stdout.splitlines()
    ]
    data(await run("catalog", "yank", "db@1.0.0", "--reason", "x", "-o", "json"))
    assert data(await run("blueprint", "versions", "db", "-o", "json"))["versions"] == []
    (kept,) = data(await run("blueprint", "versions", "db", "--all", "-o", "json"))["versions"]
    assert kept["state"] == "STATE_YANKED"
    for unclear in ("shop", "@1.0.0", "shop@"):
        vague = await run("catalog", "yank", unclear, "--reason", "x")
        assert isinstance(vague.exception, Failure)
        assert (vague.exception.exit_code, "@VERSION" in vague.exception.next_step) == (2, True)
    refused = await run("catalog", "release", "db@9.9.9", "--reason", "x")
    assert isinstance(refused.exception, Failure)
    assert refused.exception.exit_code == 3


def trusted_root() -> dict[str, Any]:
    """Sigstore's form of what stands for keyless signers."""
    house = House()

    def raw(pem: str) -> str:
        return "".join(pem.split("-----")[2].split())

    log = {"publicKey": {"rawBytes": raw(public(house.log_key)), "keyDetails": "PKIX_ECDSA_P256_SHA_256"}}
    old = {"publicKey": {"rawBytes": "AAAA", "keyDetails": "PKCS1_RSA_PKCS1V5"}}
    chain = {"certificates": [{"rawBytes": raw(pem(house.root))}]}
    return {"tlogs": [log], "ctlogs": [old], "certificateAuthorities": [{"certChain": chain}]}


async def test_a_source_is_made_synced_and_taken_away(run: Run, home: Path) -> None:
    write(home / "more", "bp-mail")
    (home / "more" / "bad").mkdir()
    (home / "more" / "bad" / "blueprint.yaml").write_text(yaml.safe_dump({"kind": "Blueprint"}))
    config = json.dumps({"folder": str(home / "more")})
    made = data(
        await run("catalog", "source", "create", "more", "--kind", "directory", "--config", config, "-o", "json")
    )
    assert made["name"] == "sources/more"
    assert data(await run("catalog", "sync", "more", "-o", "json"))["listedCount"] == 2
    (issue,) = data(await run("catalog", "issues", "more", "-o", "json"))["issues"]
    assert issue["ref"] == "bad"
    assert data(await run("catalog", "retry", issue["name"], "-o", "json"))["name"] == issue["name"]
    await run("catalog", "sync", "more")
    gone = await run("catalog", "source", "delete", "more", "--yes")
    assert gone.exit_code == 0, gone.exception
    left = data(await run("catalog", "source", "list", "-o", "json"))["sources"]
    assert [source["name"] for source in left] == ["sources/public"]
    root = home / "trusted_root.json"
    root.write_text(json.dumps(trusted_root()))
    less = ("catalog", "source", "create", "less", "--kind", "directory", "--config", config, "--dry-run")
    signer = ("--signer", "https://token.example ci@example", "--trusted-root", str(root))
    asked = data(await run(*less, *signer, "-o", "json"))["trust"]
    assert asked["identities"] == [{"issuer": "https://token.example", "subjectPattern": "ci@example"}]
    assert [len(asked.get(field, ())) for field in ("authorities", "logKeys", "certificateLogKeys")] == [1, 1, 0]
    for faulty in (("--signer", "nobody"), ("--trusted-root", str(home / "nowhere"))):
        assert isinstance((await run(*less, *faulty)).exception, Failure)
    wrong = await run("catalog", "source", "create", "x1x", "--kind", "git", "--config", "rubbish")
    assert isinstance(wrong.exception, Failure)


async def test_what_is_mirrored_is_read_elsewhere_under_the_same_digests_and_only_once_copied(
    run: Run, home: Path
) -> None:
    layout = home / "layout"
    first = data(await run("catalog", "mirror", str(layout), "shop", "-o", "json"))["versions"]
    assert [(row["name"], row["now"]) for row in first] == [
        ("blueprints/bp-db/versions/1.0.0", "copied"), ("blueprints/bp-shop/versions/1.0.0", "copied"),
    ]  # fmt: skip
    again = data(await run("catalog", "mirror", str(layout), "-o", "json"))["versions"]
    assert [row["now"] for row in again] == ["was there"] * 2
    lock = home / "lock.json"
    entries = [{"name": "blueprints/bp-db", "version": "1.0.0", "digest": first[0]["digest"]}]
    lock.write_text(json.dumps({"lock": {"entries": entries}}))
    assert len(data(await run("catalog", "mirror", str(layout), "--lock", str(lock), "-o", "json"))["versions"]) == 1
    # A Sovereign's plan, and the lock of its tree, have what is installed in each cluster.
    row = {"blueprint": "bp-db", "version": "1.0.0", "digest": first[0]["digest"], "action": "ACTION_ADD"}
    gone = {"blueprint": "bp-x", "action": "ACTION_REMOVE"}
    lock.write_text(json.dumps({"components": [{**row, "cluster": "a"}, {**row, "cluster": "b"}, gone]}))
    assert len(data(await run("catalog", "mirror", str(layout), "--lock", str(lock), "-o", "json"))["versions"]) == 1
    lock.write_text(
        "---\n" + json.dumps({"components": [{"name": "bp-db", **{k: row[k] for k in ("version", "digest")}}]})
    )
    assert len(data(await run("catalog", "mirror", str(layout), "--lock", str(lock), "-o", "json"))["versions"]) == 1
    lock.write_text("{}")
    wrong = await run("catalog", "mirror", str(layout), "--lock", str(lock))
    assert isinstance(wrong.exception, Failure)
    carried = layout.rename(home / "carried")
    at = Location({"registry": f"file://{carried}"})
    source = OciSource(NoSecrets())
    found = [await source.fetch(at=at, ref=ref) for ref in (await source.list(at=at)).refs]
    assert [one.digest for one in found] == [row["digest"] for row in first]
    for one, folder in zip(found, ("db", "shop"), strict=True):
        assert one.files["blueprint.yaml"] == (home / "blueprints" / folder / "blueprint.yaml").read_bytes()


async def test_a_plan_is_sold_changed_by_one_limit_retired_and_taken_away(run: Run) -> None:
    terms = ("--title", "Team", "--price", "14.500 OMR", "--cpu", "3000", "--ram", "6144", "--disk", "40")
    wish = ("catalog", "plan", "create", "team", *terms, "-o", "json")
    data(await run(*wish, "--validate-only"))
    assert (await run("catalog", "plan", "get", "team")).exception.exit_code == 3  # type: ignore[union-attr] # a Failure
    once = ("--request-id", "6e1f5b8e-6a3c-4d55-9d1a-0a3f5a1f9a01")
    made = data(await run(*wish, *once))
    assert (made["name"], made["price"]["minor"], int(made["limits"]["ramMb"])) == ("plans/team", "14500", 6144)
    assert data(await run(*wish, *once))["etag"] == made["etag"], "one wish, one plan"
    assert getattr((await run(*wish)).exception, "why", "") == "SLUG_TAKEN"

    previewed = data(await run("catalog", "plan", "update", "team", "--ram", "8192", "--validate-only", "-o", "json"))
    assert (int(previewed["limits"]["ramMb"]), int(previewed["limits"]["cpuMilli"])) == (8192, 3000)
    assert data(await run("catalog", "plan", "get", "team", "-o", "json"))["etag"] == made["etag"]
    changed = data(
        await run("catalog", "plan", "update", "plans/team", "--ram", "8192", "--unlimited", "disk", "-o", "json")
    )
    assert {key: int(value) for key, value in changed["limits"].items() if value is not None} == (
        {"cpuMilli": 3000, "ramMb": 8192}
    )  # fmt: skip - one comparison
    stale = await run("catalog", "plan", "update", "team", "--popular", "--etag", made["etag"])
    assert getattr(stale.exception, "why", "") == "ETAG_MISMATCH"
    torn = await run("catalog", "plan", "update", "team", "--ram", "1", "--unlimited", "ram")
    assert getattr(torn.exception, "exit_code", 0) == 2
    assert getattr((await run("catalog", "plan", "update", "team")).exception, "exit_code", 0) == 2

    data(await run("catalog", "plan", "update", "team", "--retired", "--etag", changed["etag"], "-o", "json"))
    sold = (await run("catalog", "plan", "list", "-o", "name")).stdout.split()
    every = (await run("catalog", "plan", "list", "--retired", "-o", "name")).stdout.split()
    assert (set(every) - set(sold), set(sold) - set(every)) == ({"plans/team"}, set())
    table = (await run("catalog", "plan", "get", "team")).stdout.splitlines()
    assert table[1].split() == ["plans/team", "Team", "14.500", "OMR", "3000", "8192", "metered", "no", "yes"]
    assert (await run("catalog", "plan", "delete", "team", "--validate-only")).exit_code == 0
    assert (await run("catalog", "plan", "delete", "team", "--yes")).stdout.split() == ["plans/team"]
    assert (await run("catalog", "plan", "get", "team")).exception.exit_code == 3  # type: ignore[union-attr] # a Failure


async def test_an_add_on_is_sold_changed_retired_and_taken_away(run: Run) -> None:
    terms = ("--title", "Archive", "--price", "3.000 OMR", "--blueprint", "db", "--attributes", '{"retention_days": 9}')
    made = data(await run("catalog", "addon", "create", "archive", *terms, "-o", "json"))
    assert (made["name"], made["blueprint"]) == ("addOns/archive", "blueprints/bp-db")
    changed = data(await run("catalog", "addon", "update", "archive", "--price", "2.500 OMR", "-o", "json"))
    assert (changed["price"]["minor"], changed["attributes"]) == ("2500", {"retention_days": 9})
    free = data(await run("catalog", "addon", "update", "archive", "--blueprint", "", "--retired", "-o", "json"))
    assert (free["blueprint"], free["retired"]) == ("", True)
    sold = (await run("catalog", "addon", "list", "-o", "name")).stdout.split()
    every = (await run("catalog", "addon", "list", "--retired", "-o", "name")).stdout.split()
    assert set(every) - set(sold) == {"addOns/archive"}
    for wrong in ("{", "[]"):
        refused = await run("catalog", "addon", "update", "archive", "--attributes", wrong)
        assert getattr(refused.exception, "exit_code", 0) == 2
    assert (await run("catalog", "addon", "delete", "archive", "--yes")).stdout.split() == ["addOns/archive"]
