"""Statements that go to the driver as they are: what SQLAlchemy would have done with them is done all the same."""

import asyncio
from typing import Any

import pytest
from catalyst_mesh import Database, Json, Ready, UtcTime
from catalyst_mesh.database import is_outage
from catalyst_testkit.postgres import PostgresServer
from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    bindparam,
    event,
    func,
    insert,
    literal,
    select,
    update,
)  # fmt: skip
from sqlalchemy.exc import DBAPIError, IntegrityError

from .bench import NOON

metadata = MetaData()
kept = Table(
    "ready_kept", metadata,
    Column("number", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("name", Text, unique=True), Column("at", UtcTime), Column("doc", Json), Column("is_new", Boolean),
    Column("share", Float),
    Column("body", LargeBinary), Column("tries", Integer, nullable=False, default=3),
)  # fmt: skip
WHOLE = {"name": "a", "at": NOON, "doc": {"b": [1]}, "is_new": True, "share": 0.5, "body": b"\0x"}
EMPTY = dict.fromkeys(WHOLE)
KEEP, FIND = Ready(insert(kept)), Ready(select(kept).where(kept.c.number >= bindparam("least")).order_by(kept.c.number))
RENAME = Ready(
    update(kept).where(kept.c.number == bindparam("of")).values(name=bindparam("to")).returning(kept.c.number, kept.c.at)
)  # fmt: skip


async def test_values_are_kept_and_come_back_as_sqlalchemy_has_them(database: str) -> None:
    db = await Database.open(database, metadata=metadata)
    async with db.begin() as sql:
        assert await KEEP.count(sql, WHOLE) == 1
        await KEEP.each(sql, [EMPTY, {**EMPTY, "name": "c"}])
        await KEEP.each(sql, [])
        await sql.execute(insert(kept).values(WHOLE | {"name": "d"}))
    async with db.read() as sql:
        found = await FIND.rows(sql, {"least": 1})
        assert found == [dict(row) for row in (await sql.execute(select(kept).order_by(kept.c.number))).mappings()]
    assert found[0] == {"number": 1, **WHOLE, "tries": 3}
    assert found[1] == {"number": 2, **EMPTY, "tries": 3}
    async with db.begin() as sql:
        assert await RENAME.row(sql, {"of": 1, "to": "new"}) == {"number": 1, "at": NOON}
        assert await RENAME.row(sql, {"of": 9, "to": "none"}) is None
        assert await RENAME.count(sql, {"of": 9, "to": "none"}) == 0
    await db.close()


async def test_it_is_a_part_of_the_transaction_and_is_taken_back_with_it(database: str) -> None:
    db = await Database.open(database, metadata=metadata)
    with pytest.raises(IntegrityError):
        async with db.begin() as sql:
            await KEEP.count(sql, WHOLE)
            await sql.execute(insert(kept).values(name="b"))
            await KEEP.count(sql, WHOLE)
    with pytest.raises(IntegrityError):
        async with db.begin() as sql:
            await KEEP.each(sql, [WHOLE, WHOLE])
    async with db.read() as sql:
        assert await FIND.rows(sql, {"least": 0}) == []
    await db.close()


async def test_who_listens_to_the_statements_of_a_connection_hears_it(database: str) -> None:
    db, said = await Database.open(database, metadata=metadata), list[str]()

    def hear(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        said.append(statement.split()[0])

    async with db.begin() as sql:
        event.listen(sql.sync_connection, "before_cursor_execute", hear)
        assert await KEEP.count(sql, WHOLE) == 1
        await KEEP.each(sql, [EMPTY, EMPTY])
        assert [row["name"] for row in await FIND.rows(sql, {"least": 0})] == ["a", None, None]
        assert await RENAME.row(sql, {"of": 1, "to": "new"}) == {"number": 1, "at": NOON}
    assert said == ["INSERT", "INSERT", "SELECT", "UPDATE"]
    await db.close()


async def test_a_connection_that_broke_is_an_outage_and_is_not_used_again(postgres: PostgresServer) -> None:
    db = await Database.open(await postgres.database(), metadata=metadata)
    end, ask = Ready(select(func.pg_terminate_backend(bindparam("process")))), Ready(select(func.pg_backend_pid()))
    with pytest.raises(DBAPIError) as broken:
        async with db.begin() as sql:
            (process,) = (await ask.rows(sql))[0].values()
            async with db.begin() as other:
                await end.rows(other, {"process": process})
            await KEEP.count(sql, WHOLE)
    assert is_outage(broken.value)
    async with db.begin() as sql:
        assert await KEEP.count(sql, WHOLE) == 1
    await db.close()


async def test_who_is_cancelled_in_the_middle_of_it_leaves_no_connection_behind_that_answers_the_next(
    postgres: PostgresServer,
) -> None:
    db = await Database.open(await postgres.database(), metadata=metadata, pool_size=1)
    sleep = Ready(select(func.pg_sleep(bindparam("seconds")), literal(1).label("one")))

    async def sleeps() -> None:
        async with db.begin() as sql:
            await KEEP.count(sql, WHOLE)
            begun.set()
            await sleep.rows(sql, {"seconds": 60.0})

    begun = asyncio.Event()
    sleeping = asyncio.create_task(sleeps())
    await begun.wait()  # who set it went on into the statement
    sleeping.cancel()
    await asyncio.wait({sleeping})
    assert sleeping.cancelled()
    async with asyncio.timeout(60), db.begin() as sql:
        assert await sleep.row(sql, {"seconds": 0.0}) is not None
        assert await FIND.rows(sql, {"least": 0}) == []
    await db.close()


async def test_what_has_to_be_made_at_each_execution_cannot_be_ready(home: Any) -> None:
    db = await Database.open(f"sqlite+aiosqlite:///{home}/test.db", metadata=metadata)
    made = Table("ready_made", MetaData(), Column("at", UtcTime, default=lambda: NOON), Column("n", Integer))
    async with db.begin() as sql:
        for statement, given in (
            (select(kept.c.name).where(kept.c.number.in_([1, 2])), {}),
            (insert(made), {"n": 1}),
            (select(kept.c.name).where(kept.c.number == bindparam("of")), {}),
        ):
            with pytest.raises(TypeError):
                await Ready(statement).rows(sql, given)
    await db.close()
