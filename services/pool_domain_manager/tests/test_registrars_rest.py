"""Registrars over REST: the gateway and PDM as they run, and the fake of a registrar."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from catalyst_gateway.app import compose
from catalyst_gateway.settings import GatewaySettings
from catalyst_testkit import eventually
from catalyst_testkit.daemons import running
from catalyst_testkit.servers import NatsServer, free_port

from .registrar_bench import DOMAIN, GOOD, KEY, SECRET, WRONG, Desk, desk

ACCOUNTS = "/v1/registrar-accounts"


@pytest.fixture
async def at(home: Path, clean_nats: NatsServer) -> AsyncIterator[Desk]:
    async with desk(home, clean_nats, f"sqlite+aiosqlite:///{home}/pdm.db") as one:
        yield one


@pytest.fixture
async def http(at: Desk, home: Path, clean_nats: NatsServer) -> AsyncIterator[httpx.AsyncClient]:
    """A client who is org-admin of acme."""
    edge, url = home / "gateway", f"http://127.0.0.1:{free_port()}"
    edge.mkdir()
    (edge / "issuer").symlink_to(home / "pdm" / "issuer")
    headers = {"authorization": f"Bearer {at.daemon.issuer.token('owner', groups=['/acme/org-admin'])}"}
    values = {"http_listen": url.removeprefix("http://"), "nats_url": clean_nats.url, "pdm_target": at.daemon.target}

    async def is_up() -> bool:
        try:
            return (await client.get("/v1/openapi.json")).status_code == 200
        except httpx.TransportError:
            return False

    async with (
        running(compose, GatewaySettings, edge, service="gateway", **values),
        httpx.AsyncClient(base_url=url, headers=headers, timeout=60) as client,
    ):
        await eventually(is_up, within=60)
        yield client


async def test_registrars_tell_their_id_their_form_and_how_long_changes_take(http: httpx.AsyncClient) -> None:
    listed = (await http.get("/v1/registrars")).json()["registrars"]
    assert [one["id"] for one in listed] == ["cloudflare", "dynadot", "godaddy", "manual", "namecheap", "ovh"]
    ovh = (await http.get("/v1/registrars/ovh")).json()
    assert (ovh["available"], ovh["capabilities"]["setDs"], ovh["delayHint"]["maxSeconds"]) == (True, True, 86400)
    assert ovh["credentialSchema"]["properties"]["appSecret"]["x-secret"] is True
    unknown = await http.get("/v1/registrars/nobody")
    assert (unknown.status_code, unknown.json()["reason"]) == (404, "REGISTRAR_NOT_FOUND")
    assert "ovh" in unknown.json()["metadata"]["supported"]


async def test_a_credential_in_any_form_is_validated_and_none_comes_back(http: httpx.AsyncClient, at: Desk) -> None:
    path, told = "/v1/registrars/godaddy/validate", []
    for given in ({"credential": GOOD}, {"token": f"{KEY}:{SECRET}"}):
        answer = await http.post(path, json={"domain": f" {DOMAIN.upper()}. ", **given})
        told.append(answer.text)
        assert answer.status_code == 200, answer.text
        assert (answer.json()["valid"], answer.json()["access"]["canWriteNs"]) == (True, True)
    wrong = await http.post(path, json={"domain": DOMAIN, "credential": WRONG})
    assert (wrong.status_code, wrong.json()["valid"], wrong.json()["userAction"] != "") == (200, False, True)
    told.append(wrong.text)
    seen = len(at.fake.seen)
    refused = [
        (400, {"domain": DOMAIN, "credential": GOOD, "colour": "red"}),
        (422, {"domain": DOMAIN}),
        (422, {"token": KEY}),
        (422, {"domain": DOMAIN, "token": KEY, "account": "x"}),
        (422, {"domain": "co.uk", "credential": GOOD}),
        (422, {"domain": DOMAIN, "credential": {"key": KEY}}),
        (422, {"domain": DOMAIN, "credential": {"key": 7}}),
        (422, {"domain": "a/../b", "credential": GOOD}),
        (422, {"domain": DOMAIN, "token": f"{KEY}:{SECRET}:more"}),
    ]  # fmt: skip - a table
    for status, body in refused:
        answer = await http.post(path, json=body)
        told.append(answer.text)
        assert answer.status_code == status, (body, answer.text)
    assert len(at.fake.seen) == seen
    assert [text for text in told for secret in (KEY, SECRET, WRONG["secret"]) if secret in text] == []


async def test_an_account_is_made_changed_and_deleted_by_its_own_path(http: httpx.AsyncClient) -> None:
    key = {"Idempotency-Key": "once"}
    wish = {"id": "acme-gd", "registrar": "godaddy", "owner": "acme", "credential": GOOD}
    made = await http.post(ACCOUNTS, json=wish, headers=key)
    assert (made.status_code, made.headers["location"]) == (201, f"{ACCOUNTS}/acme-gd"), made.text
    assert made.json() == (await http.post(ACCOUNTS, json=wish, headers=key)).json()
    assert (made.json()["id"], made.json()["owner"], made.json()["credential"]) == ("acme-gd", "organizations/acme", {})
    answer = await http.post("/v1/registrars/godaddy/validate", json={"domain": DOMAIN, "account": "acme-gd"})
    assert answer.json()["valid"]
    held = await http.get(f"{ACCOUNTS}/acme-gd")
    stale = await http.patch(
        f"{ACCOUNTS}/acme-gd", json={"credential": WRONG}, headers={"If-Match": made.headers["etag"]}
    )
    assert (stale.status_code, stale.json()["reason"]) == (412, "ETAG_MISMATCH")
    etag = {"If-Match": held.headers["etag"]}
    changed = await http.patch(f"{ACCOUNTS}/acme-gd", json={"credential": WRONG}, headers=etag)
    assert (changed.status_code, "lastCheck" in changed.json()) == (200, False)
    listed = (await http.get(ACCOUNTS)).json()["registrarAccounts"]
    assert [one["id"] for one in listed] == ["acme-gd"]
    gone = await http.delete(f"{ACCOUNTS}/acme-gd", headers={"If-Match": changed.headers["etag"]})
    assert gone.status_code == 200
    assert (await http.get(f"{ACCOUNTS}/acme-gd")).status_code == 404
    told = "".join(one.text for one in (made, held, stale, changed, gone))
    assert [secret for secret in (KEY, SECRET, WRONG["secret"]) if secret in told] == []
