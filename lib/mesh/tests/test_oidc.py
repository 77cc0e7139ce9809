"""People's tokens: checked by the keys that a provider publishes, while it turns them, and while it is away."""

import asyncio
import base64
import hmac
import json
import re
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from catalyst_mesh import Caller, DaemonSettings
from catalyst_mesh.claims import PEOPLE, Reading, Terms
from catalyst_mesh.errors import Unauthenticated
from catalyst_mesh.oidc import ALGORITHMS, OidcVerifier, Patience
from catalyst_mesh.roles import MEMBER_NAMES, SOVEREIGN_NAMES
from catalyst_mesh.trust import verifier
from catalyst_mesh.verifiers import IssuerUnavailable
from catalyst_mesh.web import Web
from catalyst_testkit import eventually
from joserfc import jwt
from joserfc.jwk import OKPKey, RSAKey

from .outside import Provider, serving

PATIENCE = Patience(fresh=300, refetch=30, grace=3600)


class Bench:
    """A provider, a verifier of its tokens, and a clock that a test turns."""

    def __init__(self, provider: Provider) -> None:
        self.provider = provider
        self.now = 1000.0
        reading = Reading("realm_access.roles", "groups", SOVEREIGN_NAMES, MEMBER_NAMES)
        terms = Terms(provider.issuer, "catalyst", ALGORITHMS, PEOPLE, reading)
        self.verifier = OidcVerifier(terms, web=Web(), patience=PATIENCE, clock=lambda: self.now)

    async def subject(self, **changed: Any) -> str:
        return (await self.verifier.check(self.provider.token(**changed))).subject

    async def refused(self, token: str) -> str:
        with pytest.raises(Unauthenticated) as caught:
            await self.verifier.check(token)
        return caught.value.metadata["why"]


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    provider = Provider()
    async with serving(provider.server):
        made = Bench(provider)
        yield made
        await made.verifier.close()


@pytest.mark.parametrize("kind", ["Ed25519", "ES256", "RS256", "PS256"])
async def test_a_token_counts_whatever_asymmetric_key_signed_it(bench: Bench, kind: str) -> None:
    bench.provider.rotate(kind)
    assert await bench.subject() == "ada"


async def test_groups_and_realm_roles_become_ours_by_a_table(bench: Bench) -> None:
    claims = {
        "realm_access": {"roles": ["superadmin", "billing-admin", "offline_access", "org-admin"]},
        "groups": ["/acme/owner", "/globex/member", "/acme/sovereign-admin", "/acme", "/a/b/admin", "acme/admin", 7],
    }
    wanted = Caller(
        "ada",
        roles=frozenset({"sovereign-admin", "billing-admin"}),
        groups=frozenset({"/acme/org-admin", "/globex/org-developer"}),
    )
    assert await bench.verifier.check(bench.provider.token(**claims)) == wanted


@pytest.mark.parametrize(
    "changed",
    [
        {"exp": 1_700_000_000}, {"exp": None}, {"nbf": 4_000_000_000}, {"aud": "another"}, {"aud": None}, {"sub": None},
        {"sub": ""}, {"iss": "https://other.example"}, {"iss": None}, {"service": "billing"},
        {"realm_access": {"roles": ["agent"]}}, {"realm_access": {"roles": ["service:billing"]}},
    ],
    ids=str,
)  # fmt: skip
async def test_a_token_that_is_old_or_another_s_or_claims_too_much_is_refused(
    bench: Bench, changed: dict[str, Any]
) -> None:
    assert await bench.subject(aud=["account", "catalyst"]) == "ada"
    assert await bench.refused(bench.provider.token(**changed))


async def test_no_algorithm_and_a_public_key_used_as_a_shared_one_are_refused(bench: Bench) -> None:
    bench.provider.rotate("RS256")
    public = bench.provider.keys[0]
    assert isinstance(public, RSAKey)
    head, body, _ = bench.provider.token().split(".")
    claims = json.loads(base64.urlsafe_b64decode(body + "=="))
    for algorithm, secret in (("none", None), ("HS256", public.as_pem(private=False))):
        fresh = _segment({"alg": algorithm, "kid": public.kid})
        signed = f"{fresh}.{_segment(claims)}"
        mac = hmac.digest(secret, signed.encode(), "sha256") if secret else b""
        assert await bench.refused(f"{signed}.{base64.urlsafe_b64encode(mac).decode().rstrip('=')}")
        assert fresh != head


async def test_a_token_made_for_another_end_is_refused(bench: Bench) -> None:
    key, now = bench.provider.keys[0], int(time.time())
    claims = {"iss": bench.provider.issuer, "aud": "catalyst", "sub": "ada", "exp": now + 60}
    made = jwt.encode({"alg": "Ed25519", "kid": key.kid, "typ": "logout+jwt"}, claims, key, algorithms=["Ed25519"])
    assert "another end" in await bench.refused(made)


async def test_a_rotation_is_seen_at_the_first_token_by_the_new_key(bench: Bench) -> None:
    before = bench.provider.token()
    assert await bench.subject() == "ada"
    bench.now += 60
    bench.provider.rotate(keep=True)
    assert await bench.subject() == "ada"
    assert (await bench.verifier.check(before)).subject == "ada"
    bench.now += 60
    bench.provider.rotate()
    assert await bench.subject() == "ada"
    assert await bench.refused(before)


@pytest.mark.parametrize("kind", ["Ed25519", "RS256"])
async def test_another_key_under_the_old_ones_name_is_seen_at_its_first_token(bench: Bench, kind: str) -> None:
    bench.provider.keys = [OKPKey.generate_key("Ed25519", {"kid": "the key"})]
    before = bench.provider.token()
    assert await bench.subject() == "ada"
    bench.now += PATIENCE.refetch
    named = {"kid": "the key"}
    key = OKPKey.generate_key("Ed25519", named) if kind == "Ed25519" else RSAKey.generate_key(2048, named)
    bench.provider.keys, bench.provider.kind = [key], kind
    assert await bench.subject() == "ada"
    assert await bench.refused(before)
    assert bench.provider.asked["/keys"] == 2, "a wrong signature makes us ask once an interval, as an unknown key does"


def by_hand(key: Any, *parts: dict[str, Any]) -> str:
    """A token as no library would make it."""
    said = ".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts)
    signature = base64.urlsafe_b64encode(key.private_key.sign(said.encode())).decode().rstrip("=")
    return f"{said}.{signature}"


async def test_a_key_in_the_token_itself_and_a_header_that_must_be_understood_are_refused(bench: Bench) -> None:
    own, now = OKPKey.generate_key("Ed25519", {"kid": "own"}), int(time.time())
    claims = {"iss": bench.provider.issuer, "aud": "catalyst", "sub": "ada", "exp": now + 60}
    published = bench.provider.keys[0]
    shown = {"jwk": own.as_dict(private=False), "jku": "http://127.0.0.1:1/keys"}
    understood = {"kid": published.kid, "crit": ["x"], "x": 1}
    for key, header in ((own, shown), (own, {**shown, "kid": published.kid}), (published, understood)):
        assert await bench.refused(by_hand(key, {"alg": "Ed25519", **header}, claims))
    assert bench.provider.asked["/keys"] == 1


async def test_a_key_that_was_withdrawn_counts_no_longer_than_keys_are_fresh(bench: Bench) -> None:
    before = bench.provider.token()
    assert await bench.subject() == "ada"
    bench.provider.rotate()
    bench.now += PATIENCE.fresh - 1
    assert (await bench.verifier.check(before)).subject == "ada"
    bench.now += 2
    await bench.verifier.check(before)  # this one notices, and does not wait
    await eventually(lambda: bench.provider.asked["/keys"] == 2, within=60)
    await eventually(lambda: _is_refused(bench, before), within=60)


async def test_unknown_keys_make_us_ask_once_an_interval(bench: Bench) -> None:
    stranger = Provider()
    stranger.server.port = bench.provider.server.port
    assert await bench.subject() == "ada"
    for _ in range(3):
        rubbish = [stranger.token(sub=f"s{n}") for n in range(20)]
        await asyncio.gather(*(bench.refused(token) for token in rubbish))
        stranger.rotate()
    assert bench.provider.asked["/keys"] == 1
    bench.now += PATIENCE.refetch
    await asyncio.gather(*(bench.refused(stranger.token(sub=f"s{n}")) for n in range(20)))
    assert bench.provider.asked["/keys"] == 2


async def test_a_token_that_is_remembered_ends_with_its_key(bench: Bench) -> None:
    token = bench.provider.token()
    assert [(await bench.verifier.check(token)).subject for _ in range(3)] == ["ada"] * 3
    bench.provider.rotate("ES256")
    assert (await bench.verifier.check(token)).subject == "ada", "nobody has told us yet"
    bench.now += PATIENCE.fresh
    await bench.verifier.check(token)  # notices that the keys are old, and has them fetched beside it
    await eventually(lambda: _is_refused(bench, token), within=60, what="the withdrawn key counts no longer")


async def test_a_token_that_is_remembered_is_not_let_in_past_the_grace(bench: Bench) -> None:
    token = bench.provider.token()
    assert (await bench.verifier.check(token)).subject == "ada"
    await bench.provider.server.stop()
    bench.now += PATIENCE.grace
    with pytest.raises(IssuerUnavailable):
        await bench.verifier.check(token)


async def test_the_first_callers_share_one_question(bench: Bench) -> None:
    assert await asyncio.gather(*(bench.subject() for _ in range(30))) == ["ada"] * 30
    assert bench.provider.asked == {"/.well-known/openid-configuration": 1, "/keys": 1}


async def test_while_the_provider_is_away_known_keys_are_right_for_a_while_and_then_nobody_is_let_in(
    bench: Bench,
) -> None:
    assert await bench.subject() == "ada"
    await bench.provider.server.stop()
    bench.now += PATIENCE.grace - 1
    assert await bench.subject() == "ada"
    bench.now += 2
    with pytest.raises(IssuerUnavailable):
        await bench.subject()
    await bench.provider.server.start()
    bench.now += PATIENCE.refetch
    assert await bench.subject() == "ada"


async def test_a_daemon_that_never_saw_the_provider_lets_nobody_in_until_it_does(bench: Bench) -> None:
    await bench.provider.server.stop()
    with pytest.raises(IssuerUnavailable):
        await bench.subject()
    await bench.provider.server.start()
    bench.now += 1
    assert await bench.subject() == "ada"


@pytest.mark.parametrize(
    "says", [{"issuer": "http://127.0.0.1:9"}, {"jwks_uri": "http://192.0.2.1/keys"}, {"jwks_uri": 7}], ids=str
)  # fmt: skip
async def test_a_discovery_document_that_is_another_s_or_unsafe_gives_no_keys(
    bench: Bench, says: dict[str, Any]
) -> None:
    bench.provider.says = says
    with pytest.raises(IssuerUnavailable):
        await bench.subject()


@pytest.mark.filterwarnings("ignore:Key size should")  # the library warns, we refuse
async def test_keys_that_are_weak_shared_or_for_encryption_check_nothing(bench: Bench) -> None:
    good = bench.provider.token()
    kid = bench.provider.keys[0].kid
    bench.provider.published = [
        {"kty": "oct", "kid": "shared", "k": "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0"},
        {"kty": "new-kind", "kid": "unheard"},
    ]
    assert (await bench.verifier.check(good)).subject == "ada"
    found = await bench.verifier._keys_with(str(kid))
    assert [key.kid for key in found] == [kid]
    bench.now += PATIENCE.refetch
    bench.provider.rotate("weak", keep=True)
    assert await bench.refused(bench.provider.token())


@pytest.mark.parametrize("url", ["http://login.example", "ftp://login.example", "login.example", "https://", ""])
def test_a_provider_without_https_is_not_taken(url: str) -> None:
    with pytest.raises(ValueError, match="https"):
        OidcVerifier(Terms(url, "catalyst", ALGORITHMS, PEOPLE), web=Web())


async def test_a_provider_that_others_made_is_understood(tmp_path: Path) -> None:
    """oidc-provider-mock, run as its own process: code flow, then its ID token at our door."""
    program = [sys.executable, "-W", "ignore", "-m", "oidc_provider_mock", "--port", "0"]
    process = await asyncio.create_subprocess_exec(*program, stdout=-1, stderr=-2)
    try:
        assert process.stdout is not None
        found = None
        async with asyncio.timeout(60):
            while not found:
                found = re.search(rb"http://(?:localhost|127\.0\.0\.1):(\d+)", await process.stdout.readline())
        issuer = f"http://localhost:{found[1].decode()}"
        token = await _signed_in(issuer)
        trust = verifier("billing", DaemonSettings(oidc_issuer=issuer, jwks_file=tmp_path / "none"))
        caller = await trust.check(token)
        assert (caller.subject, caller.groups) == ("ada", {"/acme/org-admin"})
        await trust.close()
    finally:
        process.terminate()
        await process.communicate()


async def _signed_in(issuer: str) -> str:
    """Ada's ID token."""
    async with httpx.AsyncClient(base_url=issuer) as http:
        made = await http.put("/users/ada", json={"groups": ["/acme/owner"]})
        assert made.is_success
        query = {
            "client_id": "catalyst",
            "redirect_uri": "http://localhost/back",
            "response_type": "code",
            "scope": "openid",
        }
        sent = await http.post("/oauth2/authorize", params=query, data={"sub": "ada"})
        code = httpx.URL(sent.headers["location"]).params["code"]
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": query["redirect_uri"]}
        answer = await http.post("/oauth2/token", data=form, auth=("catalyst", "any"))
        return str(answer.json()["id_token"])


def _segment(value: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


async def _is_refused(bench: Bench, token: str) -> bool:
    try:
        await bench.verifier.check(token)
    except Unauthenticated:
        return True
    return False
