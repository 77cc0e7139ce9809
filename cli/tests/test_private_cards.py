"""A private card looked for at every door of the gateway: REST, GraphQL, pages, streams, commands. Strangers find none."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import catalyst_catalog.app
import catalyst_gateway.app
import httpx
import pytest
from catalyst_catalog.settings import CatalogSettings
from catalyst_cli.failures import Failure
from catalyst_cli.tree import build
from catalyst_gateway.settings import GatewaySettings
from catalyst_testkit import eventually
from catalyst_testkit.daemons import running
from catalyst_testkit.servers import NatsServer, free_port
from typer.testing import CliRunner

from services.catalog.tests.asking import read, sync
from services.catalog.tests.makers import needs, write

PRIVATE, NEVER = "bp-zephyr", "bp-zephyx"
"""One that Acme has, and one that nobody ever had."""
BLUEPRINTS = ("/v1/catalog/blueprints/{n}", "/v1/catalog/organizations/acme/blueprints/{n}")
READS = (
    *(
        f"{one}{rest}"
        for one in BLUEPRINTS
        for rest in (
            "",
            "/versions",
            "/versions/1.0.0",
            "/versions/1.0.0:readArtifact",
            ":closure",
            ":closure?reverse=true",
            ":compare?fromVersion=1.0.0&toVersion=1.0.0",
        )
    ),
    "/v1/catalog/cards?q={n}",
    "/v1/catalog/cards?q={bare}",
    "/v1/catalog/apps:search?q={bare}",
    "/v1/catalog/apps/{bare}",
    "/v1/catalog/environments/rival-prod/upgrades?application={bare}",
    "/v1/catalog/environments/acme-prod/upgrades?application={bare}",
    "/v1/search?q={n}",
    "/console/marketplace?q={n}",
    "/console/marketplace/{n}",
)  # fmt: skip - a table
WRITES: Mapping[str, dict[str, Any]] = {
    "/v1/catalog:resolve": {"roots": [{"name": "blueprints/{n}"}]},
    "/v1/catalog:resolve#explanation": {"roots": [{"name": "blueprints/bp-wants-{bare}"}]},
    "/v1/catalog:resolve#owner": {"roots": [{"name": "organizations/acme/blueprints/{n}"}]},
    "/v1/catalog:validate": {"version": "blueprints/{n}/versions/1.0.0", "config": {}},
    "/v1/catalog:select": {"add": ["{n}"]},
    "/v1/catalog:planInstall": {"blueprint": "blueprints/{n}", "environment": "environments/rival-prod"},
    "/graphql": {"query": '{ search(q: "{n}") { nodes { key } } }'},
    "/graphql#thing": {"query": '{ thing(key: "organizations/acme/blueprints/{n}") { key } }'},
}
COMMANDS = (
    ("blueprint", "show"),
    ("blueprint", "versions"),
    ("blueprint", "closure"),
    ("blueprint", "list"),
)  # fmt: skip - a table


class House:
    """A catalogue with a private Blueprint of Acme's behind a gateway."""

    def __init__(self, url: str, catalog: Any, public: Path) -> None:
        self.url, self.catalog, self.public = url, catalog, public

    def token(self, who: Mapping[str, Any]) -> str:
        return str(self.catalog.issuer.token(**who)) if who else ""

    def as_(self, who: Mapping[str, Any]) -> httpx.AsyncClient:
        headers = {"authorization": f"Bearer {self.token(who)}"} if who else {}
        return httpx.AsyncClient(base_url=self.url, headers=headers, timeout=30)


OWNER = {"subject": "dev", "groups": ["/acme/org-developer"]}
STRANGERS: Mapping[str, Mapping[str, Any]] = {
    "another's admin": {"subject": "spy", "groups": ["/rival/org-admin"]},
    "one whose name begins alike": {"subject": "near", "groups": ["/acm/org-admin", "/acme-x/org-developer"]},
    "the sovereign-admin": {"subject": "root", "roles": ["sovereign-admin"], "groups": ["/rival/org-admin"]},
    "nobody": {},
}


@pytest.fixture
async def house(home: Path, clean_nats: NatsServer, database: str) -> AsyncIterator[House]:
    edge, store, public, acme = (home / name for name in ("gateway", "catalog", "public", "acme"))
    for folder in (edge, store):
        folder.mkdir()
    write(public, "bp-db", visibility="listed")
    for name in (PRIVATE, NEVER):
        bare = name.removeprefix("bp-")
        write(public, f"bp-wants-{bare}", visibility="listed", depends=needs(**{bare: "^1"}))
    write(acme, PRIVATE, visibility="listed", depends=needs(db="*"))
    port = free_port()
    fields: dict[str, Any] = {
        "nats_url": clean_nats.url, "blueprints": public, "database_url": database, "organization_folders": {"acme": acme},
    }  # fmt: skip
    async with running(catalyst_catalog.app.compose, CatalogSettings, store, **fields) as catalog:
        await read(catalog)
        (edge / "issuer").symlink_to(store / "issuer")
        values = {"http_listen": f"127.0.0.1:{port}", "nats_url": clean_nats.url, "catalog_target": catalog.target}
        async with running(catalyst_gateway.app.compose, GatewaySettings, edge, service="gateway", **values):
            found = House(f"http://127.0.0.1:{port}", catalog, public)
            await eventually(partial(_finds, found), within=60, what="the model has Acme's Blueprint")
            yield found


async def _finds(house: House) -> bool:
    async with house.as_(OWNER) as http:
        try:
            answer = await http.get("/v1/search", params={"q": PRIVATE})
        except httpx.TransportError:
            return False
    return answer.status_code == 200 and PRIVATE in answer.text


def _plain(text: str, name: str) -> str:
    """An answer without the name that was asked for, and without what is drawn anew for each."""
    text = re.sub(r'("(traceId|nextPageToken)":\s*)"[^"]*"', r'\1""', text)
    return re.sub(r"[0-9a-f]{32}", "-", text.lower()).replace(name, "bp-xxx").replace(name.removeprefix("bp-"), "xxx")


def _of(text: str, name: str) -> str:
    return text.replace("{n}", name).replace("{bare}", name.removeprefix("bp-"))


async def _answers(http: httpx.AsyncClient, name: str) -> dict[str, tuple[int, str]]:
    """What each door says to somebody who asks for a name."""
    found = {}
    for path in READS:
        answer = await http.get(_of(path, name))
        found[path] = answer.status_code, _plain(answer.text, name)
    for path, body in WRITES.items():
        answer = await http.post(path.partition("#")[0], json=json.loads(_of(json.dumps(body), name)))
        found[path] = answer.status_code, _plain(answer.text, name)
    return found


async def test_at_no_door_a_stranger_hears_more_of_a_private_card_than_of_one_that_never_was(house: House) -> None:
    async with house.as_(OWNER) as http:
        own, other = await _answers(http, PRIVATE), await _answers(http, NEVER)
    seen = {path for path in own if own[path] != other[path]}
    assert seen >= {
        BLUEPRINTS[1],
        "/v1/search?q={n}",
        "/v1/catalog/cards?q={n}",
        "/graphql",
        "/console/marketplace?q={n}",
    }
    for who, claims in STRANGERS.items():
        async with house.as_(claims) as http:
            heard, never = await _answers(http, PRIVATE), await _answers(http, NEVER)
            assert not {p: (heard[p], never[p]) for p in heard if heard[p] != never[p]}, who
            assert all(status < 500 for status, _ in heard.values()), who
            events = {
                "query": '{ events(first: 100) { nodes { key } } things(kind: "", first: 100) { nodes { key } } }'
            }
            assert f"acme/blueprints/{PRIVATE}" not in (await http.post("/graphql", json=events)).text, who
            for path in ("/v1/catalog/blueprints?pageSize=1000", "/v1/catalog/cards?pageSize=1000", "/console/shop"):
                assert f"{PRIVATE}<" not in (text := (await http.get(path)).text), who
                assert f'/{PRIVATE}"' not in text.replace(f'"blueprints/{PRIVATE}"', ""), (
                    who,
                    "but as a need of others",
                )


async def test_in_no_stream_a_stranger_hears_of_a_private_card(house: House) -> None:
    async def heard(who: Mapping[str, Any], path: str) -> str:
        async with house.as_(who) as http, http.stream("GET", path) as answer:
            assert answer.status_code == 200, (who, await answer.aread())
            text = ""
            async for part in answer.aiter_text():
                text += part
                if "bp-last" in text:
                    return text
        raise AssertionError(f"{path} ended")

    write(house.public, "bp-last", visibility="listed")
    await sync(house.catalog)
    people = [OWNER, *(one for one in STRANGERS.values() if one)]
    for path in ("/v1/stream?cursor=0", "/v1/catalog:watch?afterRevision=1"):
        own, *others = await asyncio.wait_for(asyncio.gather(*(heard(who, path) for who in people)), 60)
        assert f"organizations/acme/blueprints/{PRIVATE}" in own
        for who, text in zip(people[1:], others, strict=True):
            assert f"acme/blueprints/{PRIVATE}" not in text, (who, path)


async def test_no_command_tells_a_stranger_of_a_private_card(
    house: House, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CATALYST_CLI_SERVER", house.url)
    monkeypatch.setenv("CATALYST_CLI_TOKEN_FILE", str(home / "token"))

    async def told(who: Mapping[str, Any], name: str) -> list[Any]:
        (home / "token").write_text(house.token(who))
        found: list[Any] = []
        for words in COMMANDS:
            for full in (name, f"organizations/acme/blueprints/{name}"):
                run = await asyncio.to_thread(CliRunner().invoke, build(words[0]), [*words, full, "-o", "json"])
                failed = run.exception
                why = (failed.what, failed.why, failed.exit_code) if isinstance(failed, Failure) else ""
                found.append((words, _plain(f"{run.exit_code} {run.stdout.partition('{')[2]} {why}", name)))
        return found

    assert await told(OWNER, PRIVATE) != await told(OWNER, NEVER)
    for who in ("another's admin", "the sovereign-admin"):
        assert await told(STRANGERS[who], PRIVATE) == await told(STRANGERS[who], NEVER), who
