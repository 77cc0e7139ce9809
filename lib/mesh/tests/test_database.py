"""Columns and connections."""

import asyncio
import re
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from traceback import format_exception
from typing import Any

import pytest
from catalyst_mesh import Database, Json, ManualClock, UtcTime
from catalyst_mesh.database import is_outage
from catalyst_mesh.ready import Ready
from catalyst_testkit.postgres import PostgresServer
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Column, Integer, MetaData, Table, Text, bindparam, cast, insert, select, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError, StatementError

from .bench import NOON

metadata = MetaData()
kept = Table("kept", metadata, Column("n", Integer, primary_key=True), Column("at", UtcTime), Column("doc", Json))


async def test_moments_come_back_in_utc_whatever_zone_they_had(database: str) -> None:
    db = await Database.open(database, metadata=metadata)
    muscat = NOON.astimezone(timezone(timedelta(hours=4)))
    async with db.begin() as sql:
        await sql.execute(insert(kept), [{"n": 1, "at": muscat}, {"n": 2, "at": None}])
    async with db.read() as sql:
        first, second = (await sql.execute(select(kept.c.at).order_by(kept.c.n))).scalars().all()
        # Compared by the database too: text of two zones would sort wrongly.
        assert (await sql.execute(select(kept.c.n).where(kept.c.at == NOON))).scalar_one() == 1
    assert (first, first.tzinfo, second) == (NOON, UTC, None)
    with pytest.raises(StatementError, match="without a zone"):
        async with db.begin() as sql:
            await sql.execute(insert(kept).values(n=3, at=datetime(2026, 1, 1)))  # noqa: DTZ001 - what must be refused
    await db.close()


@given(st.dictionaries(st.text(), st.none() | st.integers() | st.text() | st.lists(st.booleans())))
def test_equal_documents_are_equal_bytes_and_come_back(doc: dict[str, Any]) -> None:
    dialect = sqlite.dialect()
    written = Json().process_bind_param(doc, dialect)
    assert written == Json().process_bind_param(dict(reversed(doc.items())), dialect)
    assert Json().process_result_value(written, dialect) == doc


async def test_readers_do_not_wait_for_a_writer(database: str) -> None:
    db = await Database.open(database, metadata=metadata)
    async with db.begin() as writing:
        await writing.execute(insert(kept).values(n=1))
        async with asyncio.timeout(60), db.read() as sql:
            assert (await sql.execute(select(kept))).all() == []
    await db.ping()
    await db.close()


async def test_who_reads_while_it_reads_takes_no_second_connection_and_waits_for_nobody(database: str) -> None:
    db = await Database.open(database, metadata=metadata, pool_size=2)
    met = asyncio.Barrier(2)

    async def twice() -> None:
        async with db.read() as outer:
            await met.wait()  # both hold one of the two connections now
            async with db.read() as inner:
                assert inner is outer
                assert (await inner.execute(select(kept))).all() == []
            await met.wait()
            assert db.in_use() == 2

    await asyncio.gather(twice(), twice())
    assert db.in_use() == 0
    await db.close()


async def test_on_sqlite_who_is_urgent_writes_before_all_who_wait(home: Path) -> None:
    """A lease whose renewal waits behind a crowd of callers ends, and with it everything that is done under it."""
    db = await Database.open(f"sqlite+aiosqlite:///{home}/test.db", metadata=metadata)
    order: list[str] = []

    async def write(name: str, *, urgent: bool = False) -> None:
        async with db.begin(urgent=urgent):
            order.append(name)

    async with db.begin():
        crowd = [asyncio.create_task(write(f"caller {n}")) for n in range(3)]
        await asyncio.sleep(0)
        renewal = asyncio.create_task(write("renewal", urgent=True))
        await asyncio.sleep(0)
        crowd[0].cancel()
    await asyncio.gather(*crowd, renewal, return_exceptions=True)
    assert order == ["renewal", "caller 1", "caller 2"]
    await asyncio.wait_for(write("the next"), 60)  # nobody took the turn away with him
    await db.close()


async def test_replicas_that_open_a_new_file_at_once_all_get_it(tmp_path: Path) -> None:
    async def write(db: Database) -> None:
        async with db.begin() as sql:
            await sql.execute(text("SELECT 1"))

    for round_number in range(40):  # before the switch was tried again, one round in fifteen was refused
        replicas = [await Database.open(f"sqlite+aiosqlite:///{tmp_path}/{round_number}.db") for _ in range(4)]
        await asyncio.gather(*map(write, replicas))
        for db in replicas:
            await db.close()


async def test_what_an_error_says_holds_no_value_of_a_row(database: str) -> None:
    """It is written to the log, and kept with dead letters."""
    db = await Database.open(database, metadata=metadata)
    row = {"n": 1, "at": None, "doc": {"password": "canary-77d2"}}
    with pytest.raises(IntegrityError) as one:
        async with db.begin() as sql:
            await sql.execute(insert(kept), row)
            await sql.execute(insert(kept), row)
    with pytest.raises(IntegrityError) as many:
        async with db.begin() as sql:
            await sql.execute(insert(kept), [row, row])
    for caught in (one, many):
        assert "INSERT INTO kept" in str(caught.value)
        assert "canary" not in f"{caught.value} {caught.value!r} {caught.value.__cause__!r}"
    await db.close()


@pytest.mark.parametrize("ready", [False, True], ids=["by SQLAlchemy", "past it"])
async def test_what_postgresql_says_of_a_value_is_not_told(postgres: PostgresServer, ready: bool) -> None:
    """It quotes keys, whole rows and what it cannot read, in the message or in the details."""
    held = MetaData()
    told = Table("told", held, Column("secret", Text, primary_key=True), Column("n", Integer, nullable=False))
    db = await Database.open(await postgres.database(), metadata=held)

    async def write(statement: Any, **given: Any) -> None:
        async with db.begin() as sql:
            if ready:
                await Ready(statement).rows(sql, given)
            else:
                await sql.execute(statement, given)

    await write(insert(told), secret="canary-1", n=1)
    cast_number = select(cast(cast(bindparam("text"), Text), Integer))
    cast_json = select(cast(cast(bindparam("text"), Text), postgresql.JSONB))
    for statement, values in (
        (insert(told), {"secret": "canary-1", "n": 1}),
        (insert(told), {"secret": "canary-2", "n": None}),
        (insert(told), {"secret": "canary-3", "n": "canary-4"}),
        (cast_number, {"text": "canary-5"}),
        (cast_number, {"text": "9" * 30 + "00421"}),
        (cast_json, {"text": '{"a": canary-6}'}),
    ):
        with pytest.raises(DBAPIError) as caught:
            await write(statement, **values)
        said = "".join(format_exception(caught.value))
        assert "asyncpg" in said
        assert not re.search("canary|00421", said)
        assert "canary" not in f"{caught.value!r} {vars(caught.value.__cause__ or caught.value)}"
    await db.close()


async def test_what_fails_is_rolled_back(database: str) -> None:
    db = await Database.open(database, metadata=metadata)
    with pytest.raises(ZeroDivisionError):
        async with db.begin() as sql:
            await sql.execute(insert(kept).values(n=1))
            raise ZeroDivisionError
    async with db.read() as sql:
        assert (await sql.execute(select(kept))).all() == []
    await db.close()


async def test_commits_to_a_file_survive_a_power_failure_and_foreign_keys_hold(home: Path) -> None:
    db = await Database.open(f"sqlite+aiosqlite:///{home}/kept.db")
    async with db.begin() as sql:
        found = {p: (await sql.execute(text(f"PRAGMA {p}"))).scalar_one() for p in ("synchronous", "foreign_keys")}
        assert found == {"synchronous": 2, "foreign_keys": 1}
        assert (await sql.execute(text("PRAGMA journal_mode"))).scalar_one() == "wal"
    await db.close()


async def test_an_injected_clock_tells_the_moment(database: str) -> None:
    db = await Database.open(database, clock=ManualClock(NOON))
    async with db.read() as sql:
        assert await db.now(sql) == NOON
    await db.close()


async def test_a_new_password_counts_for_new_connections_and_ends_no_old_one(
    home: Path, own_postgres: PostgresServer
) -> None:
    await own_postgres.execute("CREATE ROLE daemon LOGIN PASSWORD 'old'")
    await own_postgres.demand_password("daemon")
    url, file = (await own_postgres.database()).replace("postgres@", "daemon:wrong@"), home / "password"
    file.write_text("old\n")
    db = await Database.open(url, password_file=file)
    async with db.read() as old:
        await old.execute(text("SELECT 1"))
        await own_postgres.execute("ALTER ROLE daemon PASSWORD 'new'")
        later = asyncio.create_task(db.ping())  # a second connection, which is refused until the file is changed too
        await old.execute(text("SELECT 1"))
        file.write_text("new\n")
        await later
        await old.execute(text("SELECT 1"))
    await db.close()


async def test_a_transaction_that_falls_silent_is_ended_and_its_rows_are_free(postgres: PostgresServer) -> None:
    """As that of a replica that was frozen in the middle of one."""
    db = await Database.open(await postgres.database())
    async with db.begin() as sql:
        await sql.execute(text("CREATE TABLE held (n int)"))
        await sql.execute(text("INSERT INTO held VALUES (1)"))
        assert (await sql.execute(text("SHOW idle_in_transaction_session_timeout"))).scalar_one() == "15s"
    with pytest.raises(DBAPIError) as ended:
        async with db.begin() as silent:
            await silent.execute(text("SET LOCAL idle_in_transaction_session_timeout = '50ms'"))
            await silent.execute(text("UPDATE held SET n = 2"))
            async with db.begin() as other:
                await other.execute(text("UPDATE held SET n = 3"))  # waits until the rows are free
            await silent.execute(text("UPDATE held SET n = 4"))
    assert is_outage(ended.value)
    async with db.read() as sql:
        assert (await sql.execute(text("SELECT n FROM held"))).scalar_one() == 3
    await db.close()


async def test_a_wrong_password_is_an_outage_and_not_a_bug(own_postgres: PostgresServer) -> None:
    await own_postgres.execute("CREATE ROLE daemon LOGIN PASSWORD 'right'")
    await own_postgres.demand_password("daemon")
    db = await Database.open((await own_postgres.database()).replace("postgres@", "daemon:wrong@"))
    with pytest.raises(DBAPIError) as caught:
        await db.ping()
    assert is_outage(caught.value)
    await db.close()


def said(sqlstate: str) -> Exception:
    """As the driver's errors come through SQLAlchemy: the class is lost, the SQLSTATE is not."""
    error = Exception(sqlstate)
    error.sqlstate = sqlstate  # type: ignore[attr-defined]  # the driver sets it
    return error


@pytest.mark.parametrize(
    ("error", "outage"),
    [(OSError(), True), (TimeoutError(), True), (ConnectionRefusedError(), True), (ValueError(), False),
     (OperationalError("", {}, ValueError("no such table")), False),
     (DBAPIError("", {}, ValueError(), connection_invalidated=True), True),
     (DBAPIError("", {}, said("57P03")), True), (DBAPIError("", {}, said("23505")), False),
     (DBAPIError("", {}, said("53100")), True)],
    ids=repr,
)  # fmt: skip
def test_an_outage_is_told_from_a_refusal(error: Exception, outage: bool) -> None:
    assert is_outage(error) is outage


async def test_a_full_disk_is_an_outage_after_which_everything_goes_on(tmp_path: Path) -> None:
    db = await Database.open(f"sqlite+aiosqlite:///{tmp_path / 'small.db'}")
    try:
        async with db.begin() as sql:
            await sql.execute(text("CREATE TABLE some (word TEXT)"))
            await sql.execute(text("PRAGMA max_page_count = 8"))  # as a disk that has no more
        with pytest.raises(DBAPIError) as full:
            async with db.begin() as sql:
                await sql.execute(text("INSERT INTO some VALUES (:word)"), {"word": "x" * 100_000})
        assert is_outage(full.value)
        async with db.begin() as sql:
            await sql.execute(text("INSERT INTO some VALUES ('y')"))
    finally:
        await db.close()
