"""The password of the database's role, changed while the daemon runs.

Whoever changes it changes it in two places, the role and the file, and nobody can do both at once. Between the two a new
connection is refused, so it is tried again for a while with what stands in the file by then. Connections that are open stay.
"""

import asyncio
from pathlib import Path
from typing import Any

from sqlalchemy import event
from sqlalchemy.engine import Dialect
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.util import await_only

PAUSES = (0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 1.6)
"""Seconds between two tries of one connection."""
REFUSED = "28P01"
"""SQLSTATE invalid_password."""


def take_password_from(file: Path, engine: AsyncEngine) -> None:
    """Have each new connection of `engine` use the password that stands in `file` then, without white space at its ends."""

    @event.listens_for(engine.sync_engine, "do_connect")
    def _connect(dialect: Dialect, _record: Any, args: Any, options: dict[str, Any]) -> Any:
        for pause in PAUSES:
            options["password"] = file.read_text().strip()
            try:
                return dialect.connect(*args, **options)
            except Exception as error:
                if _sqlstate(error) != REFUSED:
                    raise
            await_only(asyncio.sleep(pause))
        options["password"] = file.read_text().strip()
        return dialect.connect(*args, **options)


def _sqlstate(error: Exception) -> str:
    """By whomever it is wrapped."""
    return str(getattr(getattr(error, "orig", error), "sqlstate", None) or "")
