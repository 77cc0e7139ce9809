"""The tables of a daemon in a database."""

import importlib

from catalyst_mesh import Database, migrate


async def migrated(url: str, package: str) -> None:
    """Bring the database at `url` to the newest tables of the daemon in `package`."""
    db = await Database.open(url)
    await migrate(db, package, importlib.import_module(f"{package}.store").metadata)
    await db.close()
