"""Database files with a daemon's tables in them, made once and copied for each test: a tenth of making them anew."""

import asyncio
from pathlib import Path


class SqliteTemplates:
    """One file for each daemon's package, made when it is first asked for; nobody has it open."""

    def __init__(self, home: Path) -> None:
        self._home = home

    def of(self, package: str) -> Path:
        """The file with the tables of `package`."""
        path = self._home / f"{package}.db"
        if not path.exists():
            from .migrated import migrated  # here: most who load this plugin have no daemon's tables

            # A loop of its own that is never set as the thread's: the test that follows has another one.
            with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:
                runner.run(migrated(f"sqlite+aiosqlite:///{path}", package))
        return path
