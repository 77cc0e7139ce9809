"""SQLite's connections, each statement one errand of the thread."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from catalyst_mesh import Database
from catalyst_mesh.errands import ErrandConnection
from sqlalchemy import Column, Integer, MetaData, Table, insert, select, text, update
from sqlalchemy.exc import IntegrityError, OperationalError

metadata = MetaData()
kept = Table("kept", metadata, Column("n", Integer, primary_key=True), Column("m", Integer))


async def opened(folder: Path) -> Database:
    return await Database.open(f"sqlite+aiosqlite:///{folder}/it's 100%.db", metadata=metadata)


async def test_rows_counts_and_keys_are_the_driver_s(tmp_path: Path) -> None:
    db = await opened(tmp_path)
    async with db.begin() as sql:
        await sql.execute(insert(kept), [{"n": n, "m": 0} for n in range(5)])
        changed = await sql.execute(update(kept).where(kept.c.n > 2).values(m=1))
        made = await sql.execute(insert(kept).values(m=7).returning(kept.c.n))
        assert (changed.rowcount, made.scalar_one()) == (2, 5)
    async with db.read() as sql:
        rows = (await sql.execute(select(kept).order_by(kept.c.n))).all()
        assert [tuple(row) for row in rows] == [(0, 0), (1, 0), (2, 0), (3, 1), (4, 1), (5, 7)]
        assert (await sql.execute(select(kept.c.n).where(kept.c.n == 99))).first() is None
    await db.close()


async def test_what_the_driver_raises_keeps_its_type(tmp_path: Path) -> None:
    db = await opened(tmp_path)
    with pytest.raises(IntegrityError):
        async with db.begin() as sql:
            await sql.execute(insert(kept), [{"n": 1}, {"n": 1}])
    with pytest.raises(OperationalError, match="no such table"):
        async with db.read() as sql:
            await sql.execute(text("SELECT * FROM nowhere"))
    await db.close()


async def test_a_reader_s_view_is_given_up_with_its_block(tmp_path: Path) -> None:
    db = await opened(tmp_path)
    for n in range(20):  # more than there are connections: one that went back within its view would show an old one
        async with db.begin() as sql:
            await sql.execute(insert(kept).values(n=n))
        async with db.read() as sql:
            assert len((await sql.execute(select(kept.c.n))).all()) == n + 1
    await db.close()


async def test_who_is_cancelled_amid_a_statement_leaves_no_transaction_behind(tmp_path: Path) -> None:
    db, other = await opened(tmp_path), await opened(tmp_path)
    begun, written = asyncio.Event(), 0

    async def write() -> None:
        nonlocal written
        async with db.begin() as sql:
            begun.set()
            for written in range(1, 9_000):
                await sql.execute(insert(kept).values(n=1000 + written))

    for _ in range(10):
        begun.clear()
        task = asyncio.create_task(write())
        await begun.wait()
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert written < 1_000, "a long transaction lets others have their turn"
        async with asyncio.timeout(60), other.begin() as sql:  # the file is free again
            await sql.execute(text("DELETE FROM kept"))
    async with db.begin() as sql:
        assert (await sql.execute(select(kept))).all() == []
    await db.close()
    await other.close()


async def test_a_short_read_asks_no_thread_and_a_long_one_stops_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent, turns = list[str](), 0
    send = ErrandConnection._execute

    async def counted(self: ErrandConnection, errand: Any, *given: Any, **named: Any) -> Any:
        sent.append(errand.__name__)
        return await send(self, errand, *given, **named)

    async def others() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    monkeypatch.setattr(ErrandConnection, "_execute", counted)
    db = await opened(tmp_path)
    async with db.begin() as sql:
        await sql.execute(insert(kept), [{"n": n, "m": 0} for n in range(5)])
    async with db.read() as sql:
        assert len((await sql.execute(select(kept))).all()) == 5  # the connection is made
    sent.clear()
    async with db.read() as sql:
        assert len((await sql.execute(select(kept))).all()) == 5
    assert sent == []

    beside = asyncio.create_task(others())
    counting = "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 300000) SELECT count(*) FROM c"
    async with db.read() as sql:
        await sql.execute(select(kept.c.n))
        turns = 0
        assert (await sql.execute(text(counting))).scalar_one() == 300_000
        assert turns > 10, "the loop went on"
        assert sent, "in the thread"
        async with db.begin() as other:
            await other.execute(insert(kept).values(n=9))
        assert len((await sql.execute(select(kept))).all()) == 5, (
            "the view is the same after a statement was begun anew"
        )
    beside.cancel()
    await db.close()
