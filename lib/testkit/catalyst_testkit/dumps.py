"""Everything that a database holds, as bytes: for tests that look for what must not be in it."""

from pathlib import Path

import asyncpg


async def dump(url: str) -> bytes:
    """The files of an SQLite database as they lie on the disk; every row of every table of a PostgreSQL database."""
    if url.startswith("sqlite"):
        file = Path(url.split("///", 1)[1])
        return b"".join(path.read_bytes() for path in sorted(file.parent.glob(f"{file.name}*")))
    connection = await asyncpg.connect(url.replace("postgresql+asyncpg:", "postgresql:"))
    try:
        tables = await connection.fetch("SELECT format('%I.%I', schemaname, tablename) AS name FROM pg_tables "
                                        "WHERE schemaname NOT IN ('pg_catalog', 'information_schema')")  # fmt: skip
        rows = [row for table in tables for row in await connection.fetch(f"SELECT * FROM {table['name']}")]  # noqa: S608 - names come from the catalogue, quoted
    finally:
        await connection.close()
    return b"\n".join(value if isinstance(value, bytes) else str(value).encode() for row in rows for value in row)
