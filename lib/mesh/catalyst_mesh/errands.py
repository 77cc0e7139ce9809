"""Connections to SQLite on which a statement is one errand of the connection's thread, or none.

The driver's own cursor goes to the thread four times for it: to open, execute, fetch and close. Each way costs more than most
of our statements do. What waits for other processes or for the disk must go there: to begin to write, to commit. In between, a
transaction that writes has its lock and waits for nothing; its statements are short, since all other writers wait for them.
So they are run on the spot; of many in a row some go to the thread all the same, so that others have their turn.

A transaction that reads waits for nobody either, but may look at much, or meet a process that mends the file after a death.
It is tried on the spot with neither time nor patience; what needs one of them changed nothing, and begins anew in the thread.
"""

import sqlite3
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Self

import aiosqlite
from sqlalchemy.engine import URL
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from .quiet import QUIET

Given = Sequence[Any] | Mapping[str, Any]

FEW = 64
"""Rows that are written on the spot, and statements that are run there in a row."""
SHORT = 20_000
"""Instructions of SQLite's machine within which a statement that reads is done on the spot: below a millisecond."""
PATIENCE = 10_000
"""Milliseconds for which a statement in the thread waits for other processes."""
_LATER = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_INTERRUPT)
"""Results of a statement that was hurried, and is run again."""


class ErrandCursor:
    """What SQLAlchemy asks of a driver's cursor. It holds the rows of its last statement, and nothing of the database."""

    arraysize = 1

    def __init__(self, connection: "ErrandConnection") -> None:
        self._connection = connection
        self._rows: list[Any] = []
        self.description: Any = None
        self.rowcount = -1
        self.lastrowid: int | None = None

    async def __aenter__(self) -> Self:
        return self

    async def execute(self, sql: str, given: Given = ()) -> Self:
        """Run one statement, and fetch all its rows."""
        await self._connection.send(self._execute, sql, given, at_once=True, begins=sql == "BEGIN")
        return self

    async def executemany(self, sql: str, given: Sequence[Given]) -> Self:
        """Run one statement with each of `given`."""
        await self._connection.send(self._executemany, sql, given, at_once=len(given) <= FEW)
        return self

    async def fetchall(self) -> list[Any]:
        """The rows; they are here already."""
        return self._rows

    async def close(self) -> None:
        """There is nothing to close."""

    def _execute(self, connection: sqlite3.Connection, sql: str, given: Given) -> None:
        self._take(connection.execute(sql, given))

    def _executemany(self, connection: sqlite3.Connection, sql: str, given: Sequence[Given]) -> None:
        self._take(connection.executemany(sql, given))

    def _take(self, cursor: sqlite3.Cursor) -> None:
        self._rows = cursor.fetchall()
        self.description, self.rowcount, self.lastrowid = cursor.description, cursor.rowcount, cursor.lastrowid
        cursor.close()


class ErrandConnection(aiosqlite.Connection):
    """The driver's connection with such cursors."""

    writes = False
    """Whether its transactions hold the lock of writers from their beginning."""
    _knows = True
    """Whether the last errand was awaited to its end. Who is cancelled leaves one behind that may begin a transaction yet."""

    _in_a_row = 0
    """Statements that were run on the spot since others had their turn."""
    _hurries = False
    """Whether a statement is being read on the spot, and is to end when it takes longer than it may."""

    def cursor(self) -> ErrandCursor:  # type: ignore[override]  # the driver's is awaited, which SQLAlchemy leaves to the cursor
        """Another cursor; nobody is asked for it."""
        return ErrandCursor(self)

    def hurried(self, file: sqlite3.Connection) -> sqlite3.Connection:
        """The file just opened, for reading alone: without patience, and asked within long statements whether they are to end."""
        file.execute("PRAGMA busy_timeout=0")
        file.set_progress_handler(lambda: self._hurries, SHORT)  # anything but 0 ends it
        return file

    async def send(self, errand: Any, *given: Any, at_once: bool = False, begins: bool = False) -> None:
        """Run `errand(connection, …)` in the thread of this connection.

        at_once   on the spot, if it can wait for nothing: in a transaction, and with no errand left behind
        begins    it begins a transaction that reads, which by itself touches nothing
        """
        if at_once and self._knows and self._in_a_row < FEW and (begins or self._conn.in_transaction):
            self._in_a_row += 1
            if self.writes:
                errand(self._conn, *given)
                return
            if self._hurried(errand, *given):
                return
        self._knows = False
        self._in_a_row = 0
        try:
            await self._execute(errand if self.writes else _patiently(errand), self._conn, *given)  # type: ignore[no-untyped-call]
        except Exception:
            self._knows = True
            raise
        self._knows = True

    def _hurried(self, errand: Any, *given: Any) -> bool:
        """Whether the errand was done on the spot, in the little time that it had."""
        self._hurries = True
        try:
            errand(self._conn, *given)
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF not in _LATER:
                raise
            return False
        finally:
            self._hurries = False
        return True

    async def commit(self) -> None:
        """Commit, as one errand."""
        await self.send(sqlite3.Connection.commit)

    async def rollback(self) -> None:
        """Roll back, as one errand; none where there is nothing to take back, as after each commit."""
        if not self._knows or self._conn.in_transaction:
            await self.send(sqlite3.Connection.rollback, at_once=not self.writes)


def _patiently(errand: Any) -> Any:
    """The errand with patience for other processes, in the connection's thread."""

    def waiting(connection: sqlite3.Connection, *given: Any) -> Any:
        connection.execute(f"PRAGMA busy_timeout={PATIENCE}")
        try:
            return errand(connection, *given)
        finally:
            connection.execute("PRAGMA busy_timeout=0")

    return waiting


def errand_engine(url: URL, *, writes: bool, **options: Any) -> AsyncEngine:
    """An engine over such connections. `writes`: its transactions begin with the lock of writers."""
    places, named = url.get_dialect()().create_connect_args(url)
    open_file = partial(sqlite3.connect, *places, **named)

    async def connect() -> ErrandConnection:
        def opened() -> sqlite3.Connection:
            return open_file() if writes else connection.hurried(open_file())

        connection = ErrandConnection(opened, iter_chunk_size=64)
        connection._thread.daemon = True  # it must not keep a process from ending
        connection.writes = writes
        return await connection  # type: ignore[return-value]  # it answers itself

    return create_async_engine(url, async_creator=connect, **QUIET, **options)
