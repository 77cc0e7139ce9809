"""Tokens: who signed, for whom, until when; and keys that change while a daemon runs."""

import base64
import json
import time
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from catalyst_mesh import Caller, Issuer, KeyFileVerifier, TokenFile
from catalyst_mesh.errors import Unauthenticated
from catalyst_mesh.identity import ALGORITHM, AUDIENCE, DEVELOPMENT_ISSUER
from catalyst_mesh.keyfiles import write_private
from catalyst_mesh.verifiers import LOOK
from joserfc import jwt
from joserfc.jwk import OctKey, OKPKey


@pytest.fixture
def issuer(tmp_path: Path) -> Issuer:
    return Issuer.open(tmp_path)


@pytest.fixture
def verifier(tmp_path: Path, issuer: Issuer) -> KeyFileVerifier:
    return KeyFileVerifier(tmp_path / "jwks.json")


async def refused(verifier: KeyFileVerifier, token: str) -> str:
    with pytest.raises(Unauthenticated) as caught:
        await verifier.check(token)
    return caught.value.metadata["why"]


def signed(folder: Path, **changed: Any) -> str:
    """A token by the right key whose claims are changed; None leaves one out."""
    key = OKPKey.import_key(json.loads((folder / "issuer.json").read_text()))
    claims = {"iss": DEVELOPMENT_ISSUER, "aud": AUDIENCE, "sub": "me", "exp": int(time.time()) + 60, **changed}
    kept = {name: value for name, value in claims.items() if value is not None}
    return jwt.encode({"alg": ALGORITHM, "kid": key.kid}, kept, key, algorithms=[ALGORITHM])


async def test_a_token_says_who_asks(issuer: Issuer, verifier: KeyFileVerifier) -> None:
    token = issuer.token("ada", roles=["sovereign-admin"], groups=["/acme/org-admin"], service="billing")
    wanted = Caller("ada", "billing", frozenset({"sovereign-admin"}), frozenset({"/acme/org-admin"}))
    assert (await verifier.check(token)) == wanted


async def test_it_ends_at_its_expiry_and_the_leeway(issuer: Issuer, verifier: KeyFileVerifier) -> None:
    now = int(time.time())
    assert (await verifier.check(issuer.token("me", ttl=1, issued_at=now - 3))).subject == "me"
    assert await refused(verifier, issuer.token("me", ttl=1, issued_at=now - 30))


@pytest.mark.parametrize(
    "changed",
    [
        {"iss": "another"},
        {"iss": None},
        {"aud": "another"},
        {"aud": None},
        {"sub": None},
        {"exp": None},
        {"exp": "soon"},
        {"nbf": 4_000_000_000},
    ],
    ids=str,
)
async def test_claims_that_are_wrong_or_missing_are_refused(
    tmp_path: Path, verifier: KeyFileVerifier, changed: dict[str, Any]
) -> None:
    assert (await verifier.check(signed(tmp_path))).subject == "me"
    assert await refused(verifier, signed(tmp_path, **changed))


async def test_claims_of_a_strange_shape_give_no_role(tmp_path: Path, verifier: KeyFileVerifier) -> None:
    caller = await verifier.check(signed(tmp_path, roles="sovereign-admin", groups={"/acme/org-admin": 1}))
    assert (caller.roles, caller.groups) == (frozenset(), frozenset())


async def test_a_stranger_s_signature_is_refused(tmp_path: Path, verifier: KeyFileVerifier) -> None:
    assert await refused(verifier, Issuer.open(tmp_path / "stranger").token("me"))


async def test_a_changed_token_is_refused(issuer: Issuer, verifier: KeyFileVerifier) -> None:
    head, body, signature = issuer.token("me", roles=["org-viewer"]).split(".")
    _, other, _ = issuer.token("me", roles=["sovereign-admin"]).split(".")
    assert body != other
    assert await refused(verifier, f"{head}.{other}.{signature}")


async def test_no_algorithm_and_another_algorithm_are_refused(tmp_path: Path, verifier: KeyFileVerifier) -> None:
    claims = {"iss": DEVELOPMENT_ISSUER, "aud": AUDIENCE, "sub": "me", "exp": int(time.time()) + 60}
    public = (tmp_path / "jwks.json").read_text()
    symmetric = OctKey.import_key(public.encode())  # the public key, used as if it were a shared one
    assert await refused(verifier, jwt.encode({"alg": "HS256"}, claims, symmetric))
    head, body, _ = jwt.encode({"alg": "HS256"}, claims, symmetric).split(".")
    none = base64.urlsafe_b64encode(b'{"alg":"none"}').decode().rstrip("=")
    assert head != none
    assert await refused(verifier, f"{none}.{body}.")


@pytest.mark.parametrize("rubbish", ["", ".", "..", "a.b.c", "ü.ü.ü", "e30.e30.", "x" * 100_000])
async def test_rubbish_is_refused_as_a_token(verifier: KeyFileVerifier, rubbish: str) -> None:
    assert await refused(verifier, rubbish)


async def test_new_keys_are_known_at_once_and_old_ones_no_longer(
    tmp_path: Path, issuer: Issuer, verifier: KeyFileVerifier
) -> None:
    before = issuer.token("me")
    await verifier.check(before)
    (tmp_path / "issuer.json").unlink()
    after = Issuer.open(tmp_path).token("me")
    assert (await verifier.check(after)).subject == "me"
    assert await refused(verifier, before)


async def test_a_token_that_is_remembered_ends_with_its_key_and_comes_back_with_it(
    tmp_path: Path, issuer: Issuer
) -> None:
    now = count()
    verifier = KeyFileVerifier(tmp_path / "jwks.json", clock=lambda: next(now) * 2 * LOOK)
    token, ours = issuer.token("me"), (tmp_path / "jwks.json").read_text()
    Issuer.open(tmp_path / "newer")
    for _ in range(2):
        assert [(await verifier.check(token)).subject for _ in range(3)] == ["me"] * 3
        write_private(tmp_path / "jwks.json", (tmp_path / "newer" / "jwks.json").read_text())
        assert [await refused(verifier, token) for _ in range(3)]
        write_private(tmp_path / "jwks.json", ours)


async def test_keys_are_looked_at_for_a_token_that_is_new_and_else_every_tenth_of_a_second(
    tmp_path: Path, issuer: Issuer
) -> None:
    now = [0.0]
    verifier = KeyFileVerifier(tmp_path / "jwks.json", clock=lambda: now[0])
    newer, old = Issuer.open(tmp_path / "newer"), issuer.token("me")
    assert (await verifier.check(old)).subject == "me"
    write_private(tmp_path / "jwks.json", (tmp_path / "newer" / "jwks.json").read_text())
    assert (await verifier.check(old)).subject == "me"
    now[0] += LOOK
    await refused(verifier, old)
    write_private(tmp_path / "jwks.json", (tmp_path / "newer" / "jwks.json").read_text())
    assert (await verifier.check(newer.token("you"))).subject == "you"


async def test_during_a_rotation_both_keys_are_good(tmp_path: Path, issuer: Issuer, verifier: KeyFileVerifier) -> None:
    newer = Issuer.open(tmp_path / "newer")
    keys = [json.loads((f / "jwks.json").read_text())["keys"][0] for f in (tmp_path, tmp_path / "newer")]
    write_private(tmp_path / "jwks.json", json.dumps({"keys": keys}))
    assert [(await verifier.check(i.token("me"))).subject for i in (issuer, newer)] == ["me", "me"]


@pytest.mark.parametrize("broken", ["", "{", '{"keys": 1}', "[]", '{"keys": [{"kty": "OKP"}]}'])
async def test_a_broken_file_of_keys_leaves_the_former_keys(
    tmp_path: Path, issuer: Issuer, verifier: KeyFileVerifier, broken: str
) -> None:
    await verifier.check(issuer.token("me"))
    write_private(tmp_path / "jwks.json", broken)
    assert (await verifier.check(issuer.token("me"))).subject == "me"
    (tmp_path / "jwks.json").unlink()
    assert (await verifier.check(issuer.token("me"))).subject == "me"


async def test_without_any_keys_nobody_is_let_in(tmp_path: Path, issuer: Issuer) -> None:
    assert "no keys" in await refused(KeyFileVerifier(tmp_path / "nothing.json"), issuer.token("me"))


async def test_a_private_key_is_made_once_and_only_its_owner_reads_it(
    tmp_path: Path, verifier: KeyFileVerifier
) -> None:
    assert (await verifier.check(Issuer.open(tmp_path).token("again"))).subject == "again"
    assert (tmp_path / "issuer.json").stat().st_mode & 0o077 == 0
    assert "d" not in json.loads((tmp_path / "jwks.json").read_text())["keys"][0]


async def test_a_renewed_token_is_used_at_once(tmp_path: Path) -> None:
    own = TokenFile(tmp_path / "token")
    write_private(tmp_path / "token", "first\n")
    assert own() == "first"
    write_private(tmp_path / "token", "second\n")
    assert own() == "second"
    assert TokenFile(None)() == ""
