"""SQLite inside the event loop: a driver like aiosqlite without its thread, so that the seed alone decides what happens when.

`sqlite+simulated:///file` is opened by the very code that opens `sqlite+aiosqlite:///file`. Around statements the task
hesitates, and may be cancelled there, so a commit may be unknown to whoever asked for it.
"""

import sqlite3
from collections.abc import Callable
from types import ModuleType, SimpleNamespace
from typing import Any, cast

import aiosqlite
from sqlalchemy.dialects import registry
from sqlalchemy.dialects.sqlite.aiosqlite import AsyncAdapt_aiosqlite_dbapi, SQLiteDialect_aiosqlite

from .loop import hesitate, running

STATEMENT = 0.002
"""Seconds that one takes on the average, where the task waits for it at all."""
WAITS = 0.25
"""Share of the statements that others can come between: a task that never waits is not interrupted."""


async def _between(*, always: bool = False) -> None:
    if always or running().chance.random() < WAITS:
        await hesitate(STATEMENT)


class Cursor:
    """A cursor whose methods may be awaited."""

    def __init__(self, cursor: sqlite3.Cursor) -> None:
        self._cursor = cursor

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cursor, name)

    async def __aenter__(self) -> "Cursor":
        return self

    async def execute(self, statement: str, parameters: Any = ()) -> Any:
        # Nothing is proved about power cuts here, and a flush would take most of a seed's time.
        statement = statement.replace("synchronous=FULL", "synchronous=OFF")
        # A connection is set up when it is needed, which depends on the seeds before this one.
        if not statement.startswith("PRAGMA"):
            await _between()
        return self._cursor.execute(statement, parameters)

    async def executemany(self, statement: str, parameters: Any) -> Any:
        await _between()
        return self._cursor.executemany(statement, parameters)

    async def fetchall(self) -> list[Any]:
        return self._cursor.fetchall()

    async def close(self) -> None:
        self._cursor.close()


class Connection:
    """A connection as SQLAlchemy's adapter for aiosqlite wants it."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = self._conn = connection
        self._tx = SimpleNamespace(put_nowait=_at_once)
        self._thread = SimpleNamespace()
        self.stop = connection.close

    def __await__(self) -> Any:
        return _ready(self).__await__()

    @property
    def isolation_level(self) -> str | None:
        return self._connection.isolation_level

    def cursor(self) -> Cursor:
        return Cursor(self._connection.cursor())

    async def create_function(self, *args: Any, **named: Any) -> None:
        self._connection.create_function(*args, **named)

    async def commit(self) -> None:
        await _between(always=True)
        self._connection.commit()
        await _between(always=True)

    async def rollback(self) -> None:
        self._connection.rollback()

    async def close(self) -> None:
        self._connection.close()


async def _ready(connection: Connection) -> Connection:
    return connection


def _at_once(asked: tuple[Any, Callable[[], Any]]) -> None:
    future, function = asked
    future.set_result(function())


class _Driver(ModuleType):
    """aiosqlite's module with another `connect`."""

    Connection = Connection

    def __getattr__(self, name: str) -> Any:
        return getattr(aiosqlite, name)

    def connect(self, *args: Any, **named: Any) -> Connection:
        return Connection(sqlite3.connect(*args, **named))


class SimulatedDialect(SQLiteDialect_aiosqlite):
    """SQLAlchemy's own dialect over this driver."""

    driver = "simulated"
    supports_statement_cache = True

    @classmethod
    def import_dbapi(cls) -> AsyncAdapt_aiosqlite_dbapi:
        return AsyncAdapt_aiosqlite_dbapi(cast(ModuleType, _Driver("simulated")), sqlite3)


registry.register("sqlite.simulated", __name__, "SimulatedDialect")
