"""Secrets at rest."""

import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from catalyst_mesh import Sealer, sealed_at
from catalyst_mesh.sealing import Key, rotate
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy import Column, LargeBinary, MetaData, Table, Text

CANARY = b"canary-77aa"
T = Table(
    "token", MetaData(), *(Column(name, Text, primary_key=True) for name in ("org", "id")), Column("value", LargeBinary)
)
HERE = sealed_at(T.c.value, "acme", "one")


def test_what_is_sealed_opens_and_shows_nothing(tmp_path: Path) -> None:
    sealer = Sealer.from_file(tmp_path / "seal.key")
    sealed = sealer.seal(CANARY, HERE)
    assert CANARY not in sealed
    assert sealer.seal(CANARY, HERE) != sealed
    assert Sealer.from_file(tmp_path / "seal.key").open(sealed, HERE) == CANARY


@pytest.mark.parametrize("at", [0, 4, 12, 40, 72, 84, -1])
def test_a_changed_byte_does_not_open(tmp_path: Path, at: int) -> None:
    sealer = Sealer.from_file(tmp_path / "seal.key")
    sealed = bytearray(sealer.seal(CANARY, HERE))
    sealed[at] ^= 1
    with pytest.raises(InvalidTag):
        sealer.open(bytes(sealed), HERE)


def test_another_key_does_not_open(tmp_path: Path) -> None:
    sealed = Sealer.from_file(tmp_path / "one").seal(CANARY, HERE)
    with pytest.raises(InvalidTag):
        Sealer.from_file(tmp_path / "two").open(sealed, HERE)


def test_only_the_owner_reads_the_key_and_nothing_else_is_left(tmp_path: Path) -> None:
    Sealer.from_file(tmp_path / "seal.key")
    assert [path.name for path in tmp_path.iterdir()] == ["seal.key"]
    assert (tmp_path / "seal.key").stat().st_mode & 0o777 == 0o600


def test_of_many_that_start_at_once_all_have_one_key(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        sealers = list(pool.map(lambda _: Sealer.from_file(tmp_path / "seal.key"), range(32)))
    sealed = sealers[0].seal(CANARY, HERE)
    assert {sealer.open(sealed, HERE) for sealer in sealers} == {CANARY}


def test_a_value_opens_in_its_own_place_and_in_no_other() -> None:
    sealer = Sealer(os.urandom(32))
    sealed = sealer.seal(CANARY, HERE)
    other = Table("other", MetaData(), *(Column(c.name, c.type, primary_key=c.primary_key) for c in T.c))
    for there in (
        sealed_at(T.c.value, "acme", "two"), sealed_at(T.c.value, "bankdhofar", "one"), sealed_at(T.c.value, "one", "acme"),
        sealed_at(T.c.value, 'acme", "one', ""), sealed_at(other.c.value, "acme", "one"), sealed_at(T.c.org, "acme", "one"), b"",
    ):  # fmt: skip
        with pytest.raises(InvalidTag):
            sealer.open(sealed, there)
    assert sealer.open(sealed, HERE) == CANARY
    with pytest.raises(TypeError, match="named by org, id"):
        sealed_at(T.c.value, "acme")


def old(path: Path) -> bytes:
    """A keyring as earlier releases made it; its key."""
    key = os.urandom(32)
    path.write_text(key.hex())
    return key


def first_form(key: bytes, nonce: bytes) -> bytes:
    return nonce + AESGCM(key).encrypt(nonce, CANARY, None)


def test_what_the_first_form_sealed_still_opens_and_wants_sealing_anew(tmp_path: Path) -> None:
    key, nonce = old(tmp_path / "seal.key"), os.urandom(12)
    sealer = Sealer.from_file(tmp_path / "seal.key")
    for begins in (nonce, b"CSL2" + nonce[4:]):
        sealed = first_form(key, begins)
        assert (sealer.open(sealed, HERE), sealer.is_stale(sealed)) == (CANARY, True)
    rotate(tmp_path / "seal.key")
    assert sealer.open(sealed, HERE) == CANARY


def test_a_keyring_of_an_earlier_release_seals_as_that_release_does_until_it_is_rotated(tmp_path: Path) -> None:
    """Replicas of both releases share a database while the new one is installed, and on the way back."""
    path = tmp_path / "seal.key"
    key = old(path)
    sealer = Sealer.from_file(path)
    before = sealer.seal(CANARY, HERE)
    earlier = Sealer(Key(key, binds=False))
    assert (earlier.open(before, b"elsewhere"), before[:4], sealer.binds) == (CANARY, b"CSL2", False)
    rotate(path)
    after = sealer.seal(CANARY, HERE)
    assert (after[:4], sealer.binds, sealer.is_stale(before)) == (b"CSL3", True, True)
    assert sealer.open(before, HERE) == CANARY


def test_a_binding_key_opens_nothing_that_is_not_bound() -> None:
    """Else whoever may write rows would take the mark away with the place."""
    raw = os.urandom(32)
    binding, free = Sealer(raw), Sealer(Key(raw, binds=False))
    bound = binding.seal(CANARY, HERE)
    for sealed in (free.seal(CANARY, HERE), first_form(raw, os.urandom(12)), b"CSL2" + bound[4:]):
        with pytest.raises(InvalidTag):
            binding.open(sealed, HERE)


def test_after_a_rotation_the_new_key_seals_and_the_old_one_still_opens(tmp_path: Path) -> None:
    running, path = Sealer.from_file(tmp_path / "seal.key"), tmp_path / "seal.key"
    before = running.seal(CANARY, HERE)
    assert not running.is_stale(before)
    rotate(path)
    after = running.seal(CANARY, HERE)
    assert (running.is_stale(before), running.is_stale(after)) == (True, False)
    assert (running.open(before, HERE), Sealer.from_file(path).open(after, HERE)) == (CANARY, CANARY)
    path.write_text(path.read_text().split()[-1])  # the old key is taken away
    with pytest.raises(InvalidTag):
        Sealer.from_file(path).open(before, HERE)
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_keyring_that_a_kubelet_swaps_is_taken_up_without_a_restart(tmp_path: Path) -> None:
    def mount(version: str, *keys: str) -> None:
        """As a kubelet does: a new folder, and a link that is moved to it in one step."""
        (tmp_path / version).mkdir()
        (tmp_path / version / "seal.key").write_text("\n".join(keys))
        (tmp_path / "..new").symlink_to(version)
        (tmp_path / "..new").rename(tmp_path / "..data")

    old, new = (os.urandom(32).hex() for _ in range(2))
    mount("..1", old)
    (tmp_path / "seal.key").symlink_to("..data/seal.key")
    one, another = (Sealer.from_file(tmp_path / "seal.key") for _ in range(2))
    before = one.seal(CANARY, HERE)
    mount("..2", new, old)
    assert one.seal(CANARY, HERE)[:12] == before[:12], "a key before the last one opens, and does not seal yet"
    mount("..3", old, new)
    after = one.seal(CANARY, HERE)
    assert after[:12] != before[:12]
    assert [another.open(value, HERE) for value in (before, after)] == [CANARY, CANARY]


def test_a_rotation_under_load_loses_no_value(tmp_path: Path) -> None:
    path = tmp_path / "seal.key"
    replicas, done, sealed = [Sealer.from_file(path) for _ in range(3)], threading.Event(), list[bytes]()

    def work(replica: Sealer) -> None:
        while not done.is_set():
            sealed.append(replica.seal(CANARY, HERE))
            assert replicas[0].open(sealed[-1], HERE) == CANARY

    with ThreadPoolExecutor(5) as pool:
        working = [pool.submit(work, replica) for replica in replicas]
        for rotation in [pool.submit(rotate, path) for _ in range(8)]:
            rotation.result()
        done.set()
        for one in working:
            one.result()
    assert len(path.read_text().split()) == 9
    assert {Sealer.from_file(path).open(value, HERE) for value in sealed} == {CANARY}


def test_a_key_that_was_cut_is_none(tmp_path: Path) -> None:
    path = tmp_path / "seal.key"
    running = Sealer.from_file(path)
    before = running.seal(CANARY, HERE)
    path.write_text(f"{path.read_text()}\nbound:{os.urandom(16).hex()}")  # AES takes 16 bytes as well
    assert not running.is_stale(before), "what is known goes on being right"
    with pytest.raises(ValueError, match="32 bytes"):
        Sealer.from_file(path)


def test_a_rotation_that_is_killed_at_any_step_leaves_a_whole_ring_and_the_next_one_nothing_else(
    tmp_path: Path,
) -> None:
    path = tmp_path / "seal.key"
    before, steps = Sealer.from_file(path).seal(CANARY, HERE), ("sealing._sync", "os.fsync", "os.replace")
    for step in steps:
        code = "import os, pathlib\nfrom catalyst_mesh import sealing\n"
        code += f"{step} = lambda *_: os.kill(os.getpid(), 9)\nsealing.rotate(pathlib.Path({str(path)!r}))"
        assert subprocess.run([sys.executable, "-c", code], check=False).returncode == -9
        assert Sealer.from_file(path).open(before, HERE) == CANARY
    assert [file.name for file in tmp_path.iterdir() if file.name.startswith(".seal.key.")]
    rotate(path)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["seal.key", "seal.key.lock"]
    assert len(path.read_text().split()) == 3, "of those that were killed one had put its key in place"
