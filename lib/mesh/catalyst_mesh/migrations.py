"""Alembic, run by a daemon at its start under a lock, so that replicas do not race.

Each daemon keeps its revisions in `migrations/versions` beside its code, numbered in order. Alembic is imported here
alone, when it is needed: it costs 10 MiB.

Invariant
  one schema   what all revisions make of an empty database is what the tables of the code make: columns, constraints,
               indexes, triggers, and the rows that are there from the start.
"""

import importlib.resources
from pathlib import Path
from typing import Any

from sqlalchemy import Column, Connection, MetaData, PrimaryKeyConstraint, String, Table, inspect, text

from .database import Database

_LOCK = 0x43_41_54_41
"""Number of PostgreSQL's advisory lock for migrations."""


async def migrate(db: Database, package: str, metadata: MetaData, revision: str = "head") -> None:
    """Bring the schema to `revision`. Additive changes first, so that the release before still runs on it.

    A schema that is up to date costs one question, and an empty database gets the tables as they are: neither has use for
    Alembic. A schema that a later release made is left as it is: whoever goes back one release runs on it.

    revision   `head`, or the number of one: then it is reached revision by revision, also in an empty database
    """
    folder = Path(str(importlib.resources.files(package))) / "migrations"
    last = max((file.stem.split("_")[0] for file in (folder / "versions").glob("[0-9]*.py")), default="")

    def upgrade(connection: Connection) -> None:
        if connection.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:number)"), {"number": _LOCK})
        tables = set(inspect(connection).get_table_names())
        if revision == "head" and not tables:
            _lay(connection, metadata, last)
        elif revision != "head" or (_version(connection, tables) or "") < last:
            _run(connection, folder, metadata, revision)

    async with db.begin() as sql:
        await sql.run_sync(upgrade)


def _version(connection: Connection, tables: set[str]) -> str | None:
    if "alembic_version" not in tables:
        return None
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one_or_none()


def _lay(connection: Connection, metadata: MetaData, last: str) -> None:
    """All tables at once, and the mark of the last revision, as Alembic writes it."""
    metadata.create_all(connection, checkfirst=False)
    version = Table("alembic_version", MetaData(), Column("version_num", String(32), nullable=False))
    version.append_constraint(PrimaryKeyConstraint("version_num", name="alembic_version_pkc"))
    version.create(connection)
    connection.execute(version.insert().values(version_num=last))


def _run(connection: Connection, folder: Path, metadata: MetaData, revision: str) -> None:
    from alembic.config import Config
    from alembic.runtime.environment import EnvironmentContext
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(folder))
    script = ScriptDirectory.from_config(config)

    def steps(current: Any, _context: Any) -> Any:
        return script._upgrade_revs(revision, current)

    with EnvironmentContext(config, script, fn=steps, destination_rev=revision) as environment:
        environment.configure(connection=connection, target_metadata=metadata, render_as_batch=True)
        environment.run_migrations()
