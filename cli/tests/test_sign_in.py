"""The sign-in provider of `catalyst dev`: what it gives, once and to whom, and that the console's own way leads through it."""

import base64
import hashlib
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest
from catalyst_cli.dev.sign_in import CLIENT, GUESSES, KEY_SECONDS, OPERATOR, Denied, Desk
from catalyst_cli.dev.sign_in_pages import SignIn
from catalyst_gateway.providers import Provider
from catalyst_mesh import DaemonSettings
from catalyst_mesh.errors import Unauthenticated
from catalyst_mesh.trust import verifier

BACK = "http://127.0.0.1:7400/console/sign-in/back"
VERIFIER = "v" * 43
ASKED = {
    "client_id": CLIENT,
    "redirect_uri": BACK,
    "state": "s",
    "nonce": "n",
    "response_type": "code",
    "code_challenge_method": "S256",
    "code_challenge": base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).decode().rstrip("="),
}  # fmt: skip - one query


@dataclass
class Bench:
    home: Path
    now: float = 1_800_000_000.0
    desk: Desk = field(init=False)

    def __post_init__(self) -> None:
        self.desk = Desk(
            "http://issuer.test", BACK, self.home, lambda: "12345678\n", ["sovereign-admin"], lambda: self.now
        )

    def code(self, person: str = "") -> str:
        """A code for somebody who showed the code of development."""
        back = self.desk.let_in(ASKED, person=person, code="12345678")
        return dict(parse_qsl(urlsplit(back).query))["code"]

    def redeemed(self, code: str, **changed: str) -> dict[str, Any]:
        """What a code is worth."""
        form = {
            "grant_type": "authorization_code",
            "client_id": CLIENT,
            "redirect_uri": BACK,
            "code_verifier": VERIFIER,
        }
        return self.desk.redeem({**form, "code": code, **changed})

    def renewed(self, refresh: str) -> dict[str, Any]:
        """What a refresh token is worth."""
        return self.desk.redeem({"grant_type": "refresh_token", "client_id": CLIENT, "refresh_token": refresh})


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path / "sign-in")


@pytest.mark.parametrize(
    "wrong", [{"code_verifier": "w" * 43}, {"redirect_uri": "http://127.0.0.1:9/"}, {"client_id": "x"}]
)
def test_a_code_is_worth_nothing_to_whoever_did_not_ask_for_it(bench: Bench, wrong: dict[str, str]) -> None:
    with pytest.raises(Denied):
        bench.redeemed(bench.code(), **wrong)


def test_a_code_is_worth_tokens_once_and_for_a_minute(bench: Bench) -> None:
    code, late = bench.code(), bench.code()
    assert bench.redeemed(code)["token_type"] == "Bearer"
    with pytest.raises(Denied):
        bench.redeemed(code)
    bench.now += 61
    with pytest.raises(Denied):
        bench.redeemed(late)


def test_a_copy_of_a_used_refresh_token_ends_all_that_came_of_it_and_a_restart_ends_nothing(bench: Bench) -> None:
    first = bench.redeemed(bench.code())["refresh_token"]
    second = bench.renewed(first)["refresh_token"]
    third = Bench(bench.home, bench.now).renewed(second)["refresh_token"]
    with pytest.raises(Denied):
        bench.renewed(second)
    with pytest.raises(Denied):
        bench.renewed(third)


@pytest.mark.parametrize(
    "name", ["client_id", "redirect_uri", "nonce", "state", "code_challenge", "code_challenge_method"]
)
def test_nobody_is_sent_anywhere_who_did_not_come_from_the_console(bench: Bench, name: str) -> None:
    with pytest.raises(Denied):
        bench.desk.let_in({**ASKED, name: ""}, person="", code="12345678")


def test_codes_cannot_be_tried_one_after_the_other(bench: Bench) -> None:
    for _ in range(GUESSES):
        with pytest.raises(Denied, match="access_denied"):
            bench.desk.let_in(ASKED, person="", code="00000000")
    with pytest.raises(Denied, match="slow_down"):
        bench.code()
    bench.now += 61
    assert bench.code()


@pytest.fixture
def serving(tmp_path: Path) -> Iterator[tuple[str, Bench]]:
    bench = Bench(tmp_path / "sign-in")
    server = SignIn(bench.desk, 0)
    server.start()
    try:
        bench.desk.issuer = f"http://127.0.0.1:{server.port}"
        yield bench.desk.issuer, bench
    finally:
        server.stop()


async def test_the_console_s_way_leads_through_it_and_daemons_check_its_tokens_over_a_change_of_keys(
    serving: tuple[str, Bench], tmp_path: Path
) -> None:
    issuer, bench = serving
    bench.desk.clock = time.time
    provider = Provider(issuer, client=CLIENT, secret="", back=BACK)
    checks = verifier(
        "gateway", DaemonSettings(oidc_issuer=issuer, jwks_file=tmp_path / "none", oidc_refetch_seconds=0.001)
    )
    found = {}
    async with httpx.AsyncClient(trust_env=False) as http:
        for person in ("", "Vera@acme.example"):
            going = await provider.going()
            page = await http.get(going.url)
            assert "for development only" in page.text
            asked = dict(parse_qsl(urlsplit(going.url).query))
            wrong = await http.post(f"{issuer}/authorize", data={**asked, "code": "1", "person": person})
            assert (wrong.status_code, "not the code" in wrong.text) == (401, True)
            agreed = await http.post(f"{issuer}/authorize", data={**asked, "code": "12345678", "person": person})
            came = dict(parse_qsl(urlsplit(agreed.headers["location"]).query))
            assert (agreed.status_code, came["state"]) == (303, going.state)
            tokens = await provider.tokens(came["code"], verifier=going.verifier, nonce=going.nonce)
            caller = await checks.check(tokens.access)
            found[caller.subject] = (caller.roles, caller.email)
            age_the_key(bench.home)
    assert found == {
        OPERATOR: (frozenset({"sovereign-admin"}), OPERATOR), "vera@acme.example": (frozenset(), "vera@acme.example"),
    }  # fmt: skip
    renewed = await provider.renewed(tokens.refresh)
    assert renewed is not None
    assert (await checks.check(renewed.access)).subject == "vera@acme.example"
    assert len((await provider_keys(issuer))["keys"]) == 2
    with pytest.raises(Unauthenticated):
        await checks.check(tokens.access[:-4] + "AAAA")
    await checks.close()


def age_the_key(home: Path) -> None:
    """Let the next token be signed by another key."""
    file = home / "keys.json"
    known = json.loads(file.read_text())
    known[0]["made"] -= KEY_SECONDS
    file.write_text(json.dumps(known))


async def provider_keys(issuer: str) -> Any:
    async with httpx.AsyncClient(trust_env=False) as http:
        return (await http.get(f"{issuer}/keys")).json()
