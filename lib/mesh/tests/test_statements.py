"""Engines of one kind of database compile a statement once, and each database answers for itself."""

from catalyst_mesh import Database
from catalyst_mesh.statements import sharing
from sqlalchemy import Column, Integer, MetaData, Table, insert, select

METADATA = MetaData()
NUMBERS = Table("numbers_of_a_test", METADATA, Column("number", Integer, primary_key=True))


async def test_what_one_database_compiled_the_next_one_uses_and_answers_for_itself(database: str) -> None:
    kept = sharing(database)["compiled_cache"]
    one = await Database.open(database, metadata=METADATA)
    async with one.begin() as sql:
        await sql.execute(insert(NUMBERS).values(number=1))
    assert await _numbers(one) == [1]
    compiled = len(kept)
    other = await Database.open(database)
    assert await _numbers(other) == [1]
    async with other.begin() as sql:
        await sql.execute(insert(NUMBERS).values(number=2))
    assert await _numbers(other) == [1, 2]
    assert len(kept) == compiled
    for each in (one, other):
        await each.close()


def test_kinds_of_databases_share_nothing() -> None:
    sqlite, postgresql = (
        sharing(url)["compiled_cache"] for url in ("sqlite+aiosqlite:///x", "postgresql+asyncpg://h/x")
    )
    assert sqlite is not postgresql


async def _numbers(database: Database) -> list[int]:
    async with database.read() as sql:
        return list((await sql.execute(select(NUMBERS.c.number).order_by(NUMBERS.c.number))).scalars())
