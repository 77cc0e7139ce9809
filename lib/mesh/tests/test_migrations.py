"""Schemas: what a daemon's revisions make is what its tables say; starts race and lose nothing."""

import asyncio
import importlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from catalyst_mesh import Database, migrate
from catalyst_mesh.migrations import _run
from catalyst_testkit.revisions import compared
from sqlalchemy import Connection, MetaData, inspect, text

ROOT = Path(__file__).parents[3]
DAEMONS = sorted(path.parents[1].name for path in ROOT.glob("services/*/catalyst_*/migrations/versions"))


def metadata_of(package: str) -> MetaData:
    metadata = importlib.import_module(f"{package}.store").metadata
    assert isinstance(metadata, MetaData)
    return metadata


@asynccontextmanager
async def opened(*urls: str) -> AsyncIterator[list[Database]]:
    databases = [await Database.open(each) for each in urls]
    try:
        yield databases
    finally:
        for db in databases:
            await db.close()


async def by_revisions(db: Database, package: str) -> None:
    """Every revision, one after the other, as on a database that is older than the first of them."""
    folder = Path(str(importlib.import_module(package).__file__)).parent / "migrations"
    async with db.begin() as sql:
        await sql.run_sync(lambda connection: _run(connection, folder, metadata_of(package), "head"))


async def differences(db: Database, metadata: MetaData) -> list[Any]:
    async with db.begin() as sql:
        return await sql.run_sync(compared, metadata)


async def written(db: Database) -> list[Any]:
    """What the database itself tells of its tables, and the number of the revision."""

    def look(connection: Connection) -> list[Any]:
        names = sorted(inspect(connection).get_table_names())
        return [
            connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one(),
            *(table_of(connection, name) for name in names),
            *(rows_of(connection, name) for name in names if name != "alembic_version"),
            *(sorted(map(tuple, connection.execute(text(query)))) for query in DEFINED[connection.dialect.name]),
        ]

    async with db.begin() as sql:
        return await sql.run_sync(look)


DEFINED = {
    "sqlite": ["SELECT type, name, sql FROM sqlite_master WHERE type IN ('index', 'trigger', 'view') AND sql <> ''"],
    "postgresql": [
        "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'",
        "SELECT tgname, pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal",
        "SELECT proname, prosrc FROM pg_proc WHERE pronamespace = 'public'::regnamespace",
        "SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint WHERE connamespace = 'public'::regnamespace",
    ],
}
"""What tells of indexes with their conditions, triggers and what they call."""

DRAWN = {"incarnation"}
"""Tables whose one row is another one in each database."""


def rows_of(connection: Connection, name: str) -> tuple[Any, ...]:
    """What stands in a table from the start."""
    asked = "count(*)" if name in DRAWN else "*"
    return name, sorted(map(tuple, connection.execute(text(f'SELECT {asked} FROM "{name}"'))))


def table_of(connection: Connection, name: str) -> tuple[Any, ...]:
    told = inspect(connection)
    # SQLite keeps the words of a default; '0' and 0 are the same for a column of numbers.
    columns = sorted(
        (c["name"], str(c["type"]), c["nullable"], c["default"] and c["default"].strip("'"))
        for c in told.get_columns(name)
    )
    indexes = sorted((i["name"], i["column_names"], i["unique"]) for i in told.get_indexes(name))
    unique = sorted(u["column_names"] for u in told.get_unique_constraints(name))
    foreign = sorted((f["constrained_columns"], f["referred_table"]) for f in told.get_foreign_keys(name))
    checks = sorted(str(c["sqltext"]) for c in told.get_check_constraints(name))
    return name, columns, told.get_pk_constraint(name)["constrained_columns"], indexes, unique, foreign, checks


def test_the_daemons_with_tables_are_found() -> None:
    assert {"catalyst_billing", "catalyst_catalog", "catalyst_pool_domain_manager"} <= set(DAEMONS)


@pytest.mark.parametrize("daemon", DAEMONS)  # not "package": the database would have its tables already
async def test_the_revisions_of_a_daemon_make_its_tables(database: str, daemon: str) -> None:
    async with opened(database) as (db,):
        await by_revisions(db, daemon)
        assert await differences(db, metadata_of(daemon)) == []


@pytest.mark.parametrize("daemon", DAEMONS)  # not "package": the database would have its tables already
async def test_a_fresh_start_makes_the_same_and_says_so(database: str, second_database: str, daemon: str) -> None:
    async with opened(database, second_database) as (fresh, revised):
        await migrate(fresh, daemon, metadata_of(daemon))
        await by_revisions(revised, daemon)
        assert await written(fresh) == await written(revised)


async def test_a_database_that_is_not_empty_is_brought_forward_by_revisions(database: str) -> None:
    metadata = metadata_of("catalyst_gateway")
    async with opened(database) as (db,):
        await migrate(db, "catalyst_gateway", metadata, "0003")
        async with db.begin() as sql:
            drawn = (await sql.execute(text("SELECT id FROM incarnation"))).scalar_one()
        await migrate(db, "catalyst_gateway", metadata)
        async with db.begin() as sql:
            assert (await sql.execute(text("SELECT id FROM incarnation"))).scalar_one() == drawn
        assert await differences(db, metadata) == []


async def test_replicas_that_start_at_once_migrate_once(database: str) -> None:
    metadata = metadata_of("catalyst_billing")
    async with opened(*[database] * 4) as replicas:
        await asyncio.gather(*(migrate(db, "catalyst_billing", metadata) for db in replicas))
        await migrate(replicas[0], "catalyst_billing", metadata)
        assert await differences(replicas[0], metadata) == []


async def test_a_schema_that_a_later_release_made_is_left_as_it_is(database: str) -> None:
    metadata = metadata_of("catalyst_billing")
    async with opened(database) as (db,):
        await migrate(db, "catalyst_billing", metadata)
        async with db.begin() as sql:
            await sql.execute(text("UPDATE alembic_version SET version_num = '9998'"))
        before = await written(db)
        await migrate(db, "catalyst_billing", metadata)
        assert await written(db) == before
