"""Migrations are additive: data survives each revision, and the release before goes on writing on the schema of the next."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from catalyst_mesh import Database, migrate
from sqlalchemy import Connection, MetaData, Table, insert, select
from sqlalchemy.exc import DBAPIError

from . import schema
from .schema import Shape

GUARDED = "ledger_"
"""Tables of the book, which triggers keep in balance: a made-up row is refused, and billing's own tests have real ones."""

ONE_ROW = {"incarnation"}
"""Tables that have one row for ever; a revision may take others away."""


@pytest.fixture
async def db(database: str) -> AsyncIterator[Database]:
    opened = await Database.open(database)
    yield opened
    await opened.close()


async def to(db: Database, package: str, revision: str) -> Shape:
    """Bring the schema to a revision; what it is then."""
    await migrate(db, package, MetaData(), revision)
    async with db.begin() as sql:
        return await sql.run_sync(schema.shape)


def filled(connection: Connection, mark: int) -> dict[str, Table]:
    """Tables into which a row could be put; what a table refuses by a rule of its own is left out."""
    found = {}
    for table in schema.reflected(connection):
        if table.name.startswith(GUARDED) or (table.name in ONE_ROW and mark > 1):
            continue
        try:
            with connection.begin_nested():
                connection.execute(insert(table).values(schema.row_of(table, mark)))
            found[table.name] = table
        except DBAPIError:
            continue
    return found


@pytest.mark.either_database
@pytest.mark.parametrize("daemon", schema.PACKAGES)  # not "package": the database would have its tables already
async def test_each_revision_keeps_the_data_and_lets_the_release_before_go_on(db: Database, daemon: str) -> None:
    first, *later = schema.revisions(daemon)
    before = await to(db, daemon, schema.number(first))
    for n, revision in enumerate(later):
        async with db.begin() as sql:
            tables = await sql.run_sync(filled, 2 * n + 1)
        assert len(tables) > len(before) / 2, "hardly a table took a row"
        kept = await rows(db, tables)
        after = await to(db, daemon, schema.number(revision))
        if schema.is_contracting(revision):
            assert schema.added(before, after) == [], "expand and contract are two revisions"
        else:
            assert schema.narrowed(before, after) == []
            assert await rows(db, tables) == kept
            await _former_code_writes(db, tables, 2 * n + 2)
        before = after


async def rows(db: Database, tables: dict[str, Table]) -> dict[str, list[tuple[Any, ...]]]:
    """What the statements of the former code read."""
    async with db.read() as sql:
        return {name: sorted(map(tuple, await sql.execute(select(table))), key=repr) for name, table in tables.items()}


async def _former_code_writes(db: Database, tables: dict[str, Table], mark: int) -> None:
    async with db.begin() as sql:
        for table in (
            t for name, t in tables.items() if name not in ONE_ROW
        ):  # as the former code knows them: without what has been added
            await sql.execute(insert(table).values(schema.row_of(table, mark)))


@pytest.mark.parametrize("daemon", schema.PACKAGES)  # not "package": the database would have its tables already
async def test_what_a_release_has_left_is_never_taken_away(home: Any, daemon: str) -> None:
    """Also where somebody edits an old revision instead of writing a new one."""
    opened = await Database.open(f"sqlite+aiosqlite:///{home}/head.db")
    now = await to(opened, daemon, schema.number(schema.revisions(daemon)[-1]))
    await opened.close()
    contracting = [r.name for r in schema.revisions(daemon) if schema.is_contracting(r)]
    assert contracting or schema.narrowed(schema.released(daemon), now) == []


def test_a_column_that_goes_changes_or_is_demanded_is_found() -> None:
    old = {"t": {"a": {"type": "TEXT", "needed": True}, "b": {"type": "TEXT", "needed": False}}}
    new = {"t": {"a": {"type": "INTEGER", "needed": True}, "c": {"type": "TEXT", "needed": True}}}
    assert schema.narrowed(old, new) == ["t.a is INTEGER now", "t.b is gone", "t.c must be given now"]
    assert schema.narrowed(old, {}) == ["t is gone"]
    assert schema.added(old, new | {"u": {}}) == ["t.c", "u"]
