"""Secrets at rest."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from catalyst_mesh import Sealer
from cryptography.exceptions import InvalidTag

CANARY = b"canary-77aa"


def test_what_is_sealed_opens_and_shows_nothing(tmp_path: Path) -> None:
    sealer = Sealer.from_file(tmp_path / "seal.key")
    sealed = sealer.seal(CANARY)
    assert CANARY not in sealed
    assert sealer.seal(CANARY) != sealed
    assert Sealer.from_file(tmp_path / "seal.key").open(sealed) == CANARY


@pytest.mark.parametrize("at", [0, 12, -1])
def test_a_changed_byte_does_not_open(tmp_path: Path, at: int) -> None:
    sealer = Sealer.from_file(tmp_path / "seal.key")
    sealed = bytearray(sealer.seal(CANARY))
    sealed[at] ^= 1
    with pytest.raises(InvalidTag):
        sealer.open(bytes(sealed))


def test_another_key_does_not_open(tmp_path: Path) -> None:
    sealed = Sealer.from_file(tmp_path / "one").seal(CANARY)
    with pytest.raises(InvalidTag):
        Sealer.from_file(tmp_path / "two").open(sealed)


def test_only_the_owner_reads_the_key_and_nothing_else_is_left(tmp_path: Path) -> None:
    Sealer.from_file(tmp_path / "seal.key")
    assert [path.name for path in tmp_path.iterdir()] == ["seal.key"]
    assert (tmp_path / "seal.key").stat().st_mode & 0o777 == 0o600


def test_of_many_that_start_at_once_all_have_one_key(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        sealers = list(pool.map(lambda _: Sealer.from_file(tmp_path / "seal.key"), range(32)))
    sealed = sealers[0].seal(CANARY)
    assert {sealer.open(sealed) for sealer in sealers} == {CANARY}
