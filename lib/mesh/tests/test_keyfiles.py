"""Keys that replicas on one folder share: whoever is first makes them."""

import secrets
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from catalyst_mesh import Issuer, KeyFileVerifier
from catalyst_mesh.keyfiles import kept, write_private


def test_of_many_that_start_at_once_all_have_one_key(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        found = set(pool.map(lambda _: kept(tmp_path / "key", lambda: secrets.token_hex(16)), range(32)))
    assert len(found) == 1
    assert kept(tmp_path / "key", lambda: "another") == found.pop()


def test_only_the_owner_reads_a_key_and_nothing_else_is_left(tmp_path: Path) -> None:
    kept(tmp_path / "key", lambda: "drawn")
    write_private(tmp_path / "token", "first")
    write_private(tmp_path / "token", "second")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["key", "token"]
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o600}
    assert (tmp_path / "token").read_text() == "second"


def test_writers_of_one_file_do_not_hinder_one_another(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: write_private(tmp_path / "token", f"{n}" * 1000), range(8)))
    text = (tmp_path / "token").read_text()
    assert text == text[0] * 1000


async def test_issuers_that_start_at_once_know_one_another_s_tokens(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        issuers = list(pool.map(lambda _: Issuer.open(tmp_path), range(16)))
    verifier = KeyFileVerifier(tmp_path / "jwks.json")
    assert {(await verifier.check(issuer.token("agent:1"))).subject for issuer in issuers} == {"agent:1"}
