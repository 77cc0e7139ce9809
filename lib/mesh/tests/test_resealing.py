"""What was sealed by an old key is sealed anew, and a key goes only when nothing needs it."""

import asyncio
import os
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest
from catalyst_mesh import Leases, Sealer, main, sealed_at
from catalyst_mesh.resealing import BITE, SETTLED, KeysInUse, Resealer, remove_free, sealed_columns, usage
from catalyst_mesh.sealing import rotate
from catalyst_testkit import eventually
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy import insert, select

from .bench import NOON, Bench, going
from .toy import ToySettings, compose, metadata

ANSWERS = metadata.tables["idempotency"]


@pytest.fixture
async def bench(database: str, home: Path) -> AsyncIterator[Bench]:
    opened = await Bench.open(database, seal=home / "seal.key")
    yield opened
    await opened.db.close()


def sealer_of(bench: Bench) -> Sealer:
    assert bench.work.sealer is not None
    return bench.work.sealer


def there(number: int) -> bytes:
    """The place of the answer in row `number`."""
    return sealed_at(ANSWERS.c.answer, "ada", "m", f"{number:06}")


async def keep(bench: Bench, *values: bytes) -> None:
    """Values as they are, each in a row of its own."""
    row = {"principal": "ada", "method": "m", "request_hash": b"", "answer_type": "", "created_at": NOON}
    known = len(await bench.rows("idempotency"))
    rows = [{**row, "request_id": f"{known + n:06}", "answer": value} for n, value in enumerate(values)]
    async with bench.db.begin() as sql:
        await sql.execute(insert(ANSWERS), rows)


async def kept(bench: Bench) -> list[bytes]:
    async with bench.db.read() as sql:
        return list((await sql.execute(select(ANSWERS.c.answer).order_by(ANSWERS.c.request_id))).scalars())


def resealer(bench: Bench, replica: str = "") -> Resealer:
    return Resealer(bench.db, metadata, sealer_of(bench), Leases(bench.db, metadata, replica=replica), pause=0.05)


def aged(path: Path) -> None:
    """The keyring, as if it had been rotated long ago."""
    before = path.stat().st_mtime - 2 * SETTLED.total_seconds()
    os.utime(path, (before, before))


def turned(bench: Bench) -> Path:
    """The keyring, with a new key."""
    rotate(sealer_of(bench).path)
    return sealer_of(bench).path


async def test_after_a_rotation_everything_is_sealed_by_the_new_key_and_the_old_one_may_go(bench: Bench) -> None:
    sealer = sealer_of(bench)
    await keep(bench, *(sealer.seal(f"value {n}".encode(), there(n)) for n in range(3)))
    path = turned(bench)
    assert [*(await usage(bench.db, metadata, sealer)).by_key.values()] == [3, 0]
    async with going(resealer(bench)):

        async def all_new() -> bool:
            return not any(map(sealer.is_stale, await kept(bench)))

        await eventually(all_new, within=60)
    assert [sealer.open(value, there(n)) for n, value in enumerate(await kept(bench))] == [
        b"value 0",
        b"value 1",
        b"value 2",
    ]
    aged(path)
    left = await remove_free(bench.db, metadata, sealer)
    assert ([*left.by_key.values()], left.free) == ([3], ())
    assert len(path.read_text().split()) == 1
    assert sealer.open((await kept(bench))[0], there(0)) == b"value 0"


async def test_a_bite_is_small_and_whoever_comes_next_goes_on(bench: Bench) -> None:
    sealer = sealer_of(bench)
    await keep(bench, *(sealer.seal(b"x", there(n)) for n in range(2 * BITE + 1)))
    turned(bench)
    (place,) = sealed_columns(metadata)
    first = await resealer(bench).bite(*place)
    assert first.resealed == BITE
    assert sum(map(sealer.is_stale, await kept(bench))) == BITE + 1
    assert await resealer(bench, "next").round(asyncio.Event()) == BITE + 1
    assert await resealer(bench, "next").round(asyncio.Event()) == 0


async def test_one_replica_does_it_at_a_time(bench: Bench) -> None:
    await keep(bench, sealer_of(bench).seal(b"x", there(0)))
    turned(bench)
    await Leases(bench.db, metadata, replica="other").acquire("reseal")
    assert await resealer(bench).round(asyncio.Event()) == 0


async def test_what_no_key_opens_is_left_and_holds_every_key(bench: Bench) -> None:
    sealer, stranger = sealer_of(bench), Sealer(os.urandom(32)).seal(b"lost", there(0))
    await keep(bench, stranger, *(sealer.seal(b"x", there(n)) for n in (1, 2)))
    path = turned(bench)
    assert await resealer(bench).round(asyncio.Event()) == 2
    assert (await kept(bench))[0] == stranger
    aged(path)
    with pytest.raises(KeysInUse, match="1 values do not say their key"):
        await remove_free(bench.db, metadata, sealer)


async def test_values_of_the_first_form_are_sealed_anew_too(bench: Bench) -> None:
    sealer, nonce, key = sealer_of(bench), os.urandom(12), os.urandom(32)
    sealer.path.write_text(f"{key.hex()}\n{sealer.path.read_text()}")
    await keep(bench, nonce + AESGCM(key).encrypt(nonce, b"old", None))
    assert (await usage(bench.db, metadata, sealer)).elsewhere == 1
    assert await resealer(bench).round(asyncio.Event()) == 1
    assert sealer.open((await kept(bench))[0], there(0)) == b"old"
    assert (await usage(bench.db, metadata, sealer)).elsewhere == 0


async def test_what_an_earlier_release_sealed_is_bound_to_its_row_after_a_rotation(bench: Bench) -> None:
    sealer, key = sealer_of(bench), os.urandom(32)
    sealer.path.write_text(key.hex())
    await keep(bench, *(sealer.seal(b"x", there(n)) for n in range(2)))
    assert "binds no value to its row" in str(await usage(bench.db, metadata, sealer))
    turned(bench)
    assert await resealer(bench).round(asyncio.Event()) == 2
    one, two = await kept(bench)
    assert (sealer.open(one, there(0)), sealer.open(two, there(1))) == (b"x", b"x")
    with pytest.raises(InvalidTag):
        sealer.open(one, there(1))
    assert "binds no value" not in str(await usage(bench.db, metadata, sealer))


async def test_what_was_put_into_another_row_stays_closed_and_is_told(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    sealer = sealer_of(bench)
    await keep(bench, *[sealer.seal(b"ada's", there(0))] * 2)
    turned(bench)
    assert await resealer(bench).round(asyncio.Event()) == 1
    assert "values that no key opens" in capsys.readouterr().out
    with pytest.raises(InvalidTag):
        sealer.open((await kept(bench))[1], there(1))


async def test_no_key_goes_right_after_a_rotation_and_none_that_is_needed(bench: Bench) -> None:
    sealer = sealer_of(bench)
    await keep(bench, sealer.seal(b"x", there(0)))
    path = turned(bench)
    with pytest.raises(KeysInUse, match="may still be on its way"):
        await remove_free(bench.db, metadata, sealer)
    aged(path)
    with pytest.raises(KeysInUse, match="no key can go"):
        await remove_free(bench.db, metadata, sealer)


@pytest.fixture
def asked(home: Path) -> ToySettings:
    return ToySettings(
        data_folder=home, database_url=f"sqlite+aiosqlite:///{home}/toy.db", jwks_file=home / "jwks.json",
        token_file=home / "token",
    )  # fmt: skip


def test_a_daemon_tells_of_its_keyring_on_the_command_line(
    asked: ToySettings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["toy", "--rotate-key"])
    main("pooldomain", asked, compose)
    first, newest, last = capsys.readouterr().out.splitlines()
    assert first.endswith("0 values")
    assert newest.endswith("0 values, newest")
    assert last.startswith(f"can go: {first.split()[0]}")
    monkeypatch.setattr("sys.argv", ["toy", "--remove-keys"])
    with pytest.raises(SystemExit, match="may still be on its way"):
        main("pooldomain", asked, compose)


def test_a_daemon_that_is_to_migrate_makes_its_tables_and_ends(
    asked: ToySettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.argv", ["toy", "--migrate"])
    for _ in range(2):
        main("pooldomain", asked, compose)
    with closing(sqlite3.connect(asked.data_folder / "toy.db")) as db:
        assert db.execute("SELECT count(*) FROM sqlite_master WHERE name = 'outbox'").fetchone() == (1,)
