"""One database per daemon: SQLite or PostgreSQL, the same code on both.

SQLite has one writer. Its transactions queue for a lock of this process before they say BEGIN IMMEDIATE, because the
busy handler of eight competing writers starves some of them for most of a second (conventions, section 7).
"""

import asyncio
import json
import math
import sqlite3
import time
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import ColumnElement, DateTime, MetaData, Text, event, func, select, text
from sqlalchemy.engine import Dialect, make_url
from sqlalchemy.exc import DBAPIError, InvalidatePoolError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import QueuePool
from sqlalchemy.types import TypeDecorator

from .clocks import Clock
from .doors import Doors
from .errands import PATIENCE, errand_engine
from .passwords import take_password_from
from .quiet import QUIET, quiet
from .ready import Ready
from .statements import sharing
from .telemetry import span


class UtcTime(TypeDecorator[datetime]):
    """A moment, always with zone UTC in Python; kept without a zone by SQLite, which has no such type."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a moment without a zone cannot be stored")
        moment = value.astimezone(UTC)
        return moment.replace(tzinfo=None) if dialect.name == "sqlite" else moment

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Json(TypeDecorator[Any]):
    """A JSON document, kept as canonical text so that equal documents are equal bytes on both databases."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:
        return None if value is None else json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)

    def process_result_value(self, value: str | None, dialect: Dialect) -> Any:
        return None if value is None else json.loads(value)


_NOW = Ready(select(func.clock_timestamp().label("now")))
_ASKED = text("SELECT 1")


class _Turn:
    """One writer at a time, in the order in which they came; who is urgent goes before all who wait."""

    def __init__(self) -> None:
        self._is_taken = False
        self._waiting: deque[asyncio.Future[None]] = deque()

    @asynccontextmanager
    async def held(self, *, urgent: bool) -> AsyncIterator[None]:
        """The turn, for the block."""
        if self._is_taken:
            await self._given(urgent=urgent)
        self._is_taken = True
        try:
            yield
        finally:
            self._pass_on()

    async def _given(self, *, urgent: bool) -> None:
        mine: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        (self._waiting.appendleft if urgent else self._waiting.append)(mine)
        try:
            await mine
        except asyncio.CancelledError:
            if mine.done() and not mine.cancelled():
                self._pass_on()  # it was given at the very moment
            raise

    def _pass_on(self) -> None:
        while self._waiting:
            if not (following := self._waiting.popleft()).done():
                following.set_result(None)
                return
        self._is_taken = False


class Database:
    """Connections to one database. `begin()` writes, `read()` only reads."""

    def __init__(self, writer: AsyncEngine, reader: AsyncEngine, clock: Clock | None) -> None:
        self._writer = writer
        self._reader = reader
        self._clock = clock
        self._turn = _Turn()
        self._doors = Doors()
        self._views: dict[asyncio.Task[Any] | None, AsyncConnection] = {}
        """What each task is reading now."""

    @property
    def dialect(self) -> str:
        """`sqlite` or `postgresql`."""
        return self._writer.dialect.name

    @property
    def has_row_locks(self) -> bool:
        """Whether FOR UPDATE means something; SQLite's one writer needs no row locks."""
        return self.dialect == "postgresql"

    @classmethod
    async def open(
        cls,
        url: str,
        *,
        metadata: MetaData | None = None,
        clock: Clock | None = None,
        pool_size: int = 8,
        password_file: Path | None = None,
    ) -> "Database":
        """Open `url`, `sqlite+aiosqlite:///file` or `postgresql+asyncpg://…`.

        metadata       tables to create where they are absent: for tests; daemons migrate
        clock          None: the moment comes from the database on PostgreSQL, from this machine on SQLite
        password_file  with the role's password on PostgreSQL, read at each connection; None: the URL has it
        """
        if make_url(url).get_backend_name() == "sqlite":
            writer, reader = _sqlite(url, 1, "BEGIN IMMEDIATE"), _sqlite(url, pool_size, "BEGIN")
        else:
            writer = reader = create_async_engine(
                url, pool_size=pool_size, execution_options=sharing(url), **QUIET,
                connect_args={"server_settings": {"idle_in_transaction_session_timeout": f"{SILENCE}s"}},
            )  # fmt: skip
            _ask_after_a_rest(quiet(writer))
            if password_file is not None:
                take_password_from(password_file, writer)
        self = cls(writer, reader, clock)
        if metadata is not None:
            async with self.begin() as sql:
                await sql.run_sync(metadata.create_all)
        return self

    @asynccontextmanager
    async def begin(self, *, urgent: bool = False) -> AsyncIterator[AsyncConnection]:
        """One write transaction: committed at the end of the block, rolled back if it raises.

        urgent   goes before all writers of this process that wait: for what is late when it has waited, such as a lease
        """
        with span("transaction", "CLIENT", db_system_name=self.dialect):
            if self.dialect != "sqlite":
                async with self._doors, self._writer.begin() as sql:
                    yield sql
                return
            async with self._turn.held(urgent=urgent), self._writer.begin() as sql:
                yield sql

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """One consistent view, thrown away at the end of the block.

        Within a block of the same task it is that block's view: of tasks that each held one connection while they waited for
        another one, as many as there are connections would wait for each other.
        """
        task = asyncio.current_task()
        if (ours := self._views.get(task)) is not None:
            yield ours
            return
        async with self._doors, self._reader.connect() as sql:
            self._views[task] = sql
            try:
                yield sql
            finally:
                del self._views[task]

    @property
    def moment(self) -> ColumnElement[datetime] | None:
        """The present moment as an expression, for a statement that is sent anyway; None where `now` asks no database."""
        return None if self._clock is not None or self.dialect == "sqlite" else func.clock_timestamp()

    async def now(self, sql: AsyncConnection) -> datetime:
        """The present moment by the clock that all replicas share."""
        if self._clock is not None:
            return self._clock.now()
        if self.dialect == "sqlite":
            return datetime.now(UTC)
        moment: datetime = (await _NOW.rows(sql))[0]["now"]
        return moment.astimezone(UTC)

    def in_use(self) -> int:
        """How many connections are in somebody's hands now."""
        engines = {self._writer, self._reader}
        return sum(pool.checkedout() for pool in (e.pool for e in engines) if isinstance(pool, QueuePool))

    async def ping(self) -> None:
        """Ask the database one question. Raises what the driver raises."""
        async with self.read() as sql:
            await sql.execute(_ASKED)

    async def close(self) -> None:
        """Give all connections back."""
        await self._writer.dispose()
        if self._reader is not self._writer:
            await self._reader.dispose()


def is_outage(error: BaseException) -> bool:
    """Whether `error` says that the database could not be asked, rather than that it refused."""
    if isinstance(error, DBAPIError):
        said = str(getattr(error.orig, "sqlstate", None) or "")
        failed = str(getattr(error.orig, "sqlite_errorname", None) or "").startswith(_NO_DISK)
        return error.connection_invalidated or type(error.orig).__name__ in _OUTAGES or said.startswith(_AWAY) or failed
    return isinstance(error, OSError | TimeoutError)


SILENCE = 15
"""Seconds after which PostgreSQL ends a transaction in which nobody says anything: a replica that was frozen in the middle of
one would keep its rows locked, and no other could take over what it held."""

_AWAY = ("08", "57P", "53", "58", "28", "25P03")
"""SQLSTATEs of PostgreSQL: connection lost, shutting down or starting up, no disk, memory or connection left, a disk that fails,
a password that is not right yet or not any more, a transaction that was silent for too long. SQLAlchemy wraps the driver's
errors, so the classes below are met only where it could not."""
_NO_DISK = ("SQLITE_FULL", "SQLITE_IOERR", "SQLITE_CANTOPEN")
"""Results of SQLite (sqlite.org/rescode.html) of a disk that is full or fails: nothing was refused, and later it goes on."""
_OUTAGES = {"ConnectionDoesNotExistError", "CannotConnectNowError", "AdminShutdownError", "InterfaceError"}


RESTED = 1.0
"""Seconds after which a connection is asked whether it still lives before it is used. Asking each time costs a tenth of a
command; one that broke a moment ago tells its user so, and all others are asked or made anew."""


def _ask_after_a_rest(engine: AsyncEngine) -> None:
    @event.listens_for(engine.sync_engine, "checkin")
    def _checkin(_connection: Any, record: Any) -> None:
        record.info["rests_since"] = time.monotonic()

    @event.listens_for(engine.sync_engine, "checkout")
    def _checkout(connection: Any, record: Any, _proxy: Any) -> None:
        if record.driver_connection.is_closed():
            raise InvalidatePoolError
        if time.monotonic() - record.info.get("rests_since", math.inf) < RESTED:
            return
        try:
            engine.sync_engine.dialect.do_ping(connection)
        except Exception as error:  # whatever it says, they are of no use any more: the pool makes others
            raise InvalidatePoolError from error


_SWITCH_TRIES, _SWITCH_PAUSE = 500, 0.02
"""Ten seconds, as long as SQLite itself waits for a lock."""


def _write_ahead(connection: Any, cursor: Any) -> None:
    """Switch the file to write-ahead logging, which it remembers.

    SQLite does not wait for its busy timeout here: two replicas that switch a new file at once would wait for each
    other for ever, so it refuses one of them at once.
    """
    for tries_left in reversed(range(_SWITCH_TRIES)):
        try:
            cursor.execute("PRAGMA journal_mode=WAL")
            return
        except (DBAPIError, sqlite3.OperationalError) as error:
            if "locked" not in str(error) or not tries_left:
                raise
        connection.run_async(lambda _: asyncio.sleep(_SWITCH_PAUSE))


def _sqlite(url: str, pool_size: int, begin: str) -> AsyncEngine:
    whole = make_url(url)
    options = {"pool_size": pool_size, "max_overflow": 0, "pool_timeout": 60, "execution_options": sharing(url)}
    ours = whole.get_driver_name() == "aiosqlite"
    engine = (
        errand_engine(whole, writes=begin == "BEGIN IMMEDIATE", **options)
        if ours
        else create_async_engine(whole, **QUIET, **options)
    )

    # The driver would begin transactions by its own rules; ours are said aloud.
    @event.listens_for(engine.sync_engine, "connect")
    def _connect(connection: Any, _record: Any) -> None:
        connection.isolation_level = None
        cursor = connection.cursor()
        for pragma in (f"busy_timeout={PATIENCE}", "synchronous=FULL", "foreign_keys=ON"):
            cursor.execute(f"PRAGMA {pragma}")
        _write_ahead(connection, cursor)
        cursor.close()

    def _begin(dbapi_connection: Any) -> None:
        dbapi_connection.execute(begin)

    # Not by a listener: where an engine has one, each statement asks for those of every kind, a twentieth of a command.
    engine.sync_engine.dialect.do_begin = _begin  # type: ignore[method-assign]  # the dialect's own does nothing
    return engine
