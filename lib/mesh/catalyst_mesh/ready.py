"""Statements that are ready: written once by SQLAlchemy, and from then on given to the driver as they are.

SQLAlchemy takes some 100 µs of processor time to send a statement that it has compiled, and SQLite 3 to do it. So what each
command and each step sends goes past it. The text, the order of its parameters and what becomes of values are SQLAlchemy's;
so are the connection, its transaction, what its errors are called, and when it is of no use any more.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from sqlalchemy import BindParameter, Connection, Dialect, Float, Numeric, ReturnsRows, Select
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql.dml import UpdateBase
from sqlalchemy.types import TypeEngine

from .errands import ErrandConnection

Convert = Callable[[Any], Any]
Given = Mapping[str, Any]
Found = dict[str, Any]


_FLOAT8, _NUMERIC = 701, 1700
"""Types of columns by PostgreSQL's catalogue (pg_type.oid)."""


class Ready:
    """A statement that takes the same parameters each time. Its rows come as dictionaries.

    It has no lists among its parameters, and no defaults of columns that Python makes at each execution.
    Where somebody listens to the statements of a connection, SQLAlchemy sends it, so that he hears it.
    """

    def __init__(self, statement: "Select[Any] | UpdateBase") -> None:
        self.statement = statement
        self._written: dict[tuple[str, frozenset[str]], _Written] = {}

    async def rows(self, sql: AsyncConnection, given: Given | None = None) -> list[Found]:
        """All rows that it answers."""
        return (await self._done(sql, given or {}))[0]

    async def row(self, sql: AsyncConnection, given: Given | None = None) -> Found | None:
        """The first row that it answers, if there is one."""
        found = await self.rows(sql, given)
        return found[0] if found else None

    async def count(self, sql: AsyncConnection, given: Given | None = None) -> int:
        """How many rows it changed."""
        return (await self._done(sql, given or {}))[1]

    async def each(self, sql: AsyncConnection, rows: Sequence[Given]) -> None:
        """Do it with each of these; all of them give the same parameters."""
        if len(rows) == 1:
            await self._done(sql, rows[0])
        elif rows:
            connection = await _begun(sql)
            if _is_heard(connection):
                await sql.execute(self.statement, list(rows))
                return
            written = self._for(connection.dialect, rows[0])
            await _sent(sql, connection, written, [written.values(given) for given in rows], many=True)

    async def _done(self, sql: AsyncConnection, given: Given) -> tuple[list[Found], int]:
        connection = await _begun(sql)
        if _is_heard(connection):
            return await self._done_aloud(sql, given)
        written = self._for(connection.dialect, given)
        found, count = await _sent(sql, connection, written, written.values(given))
        return written.rows(found) if found else [], count

    async def _done_aloud(self, sql: AsyncConnection, given: Given) -> tuple[list[Found], int]:
        result = await sql.execute(self.statement, dict(given))
        return [dict(row) for row in result.mappings()] if result.returns_rows else [], result.rowcount

    def _for(self, dialect: Dialect, given: Given) -> "_Written":
        key = (dialect.driver, frozenset(given))
        if key not in self._written:
            self._written[key] = _write(self.statement, dialect, list(given))
        return self._written[key]


@dataclass(frozen=True, slots=True)
class _Place:
    """A place in the text: the parameter that fills it, or else a value that always does."""

    key: str | None
    value: Any
    convert: Convert | None


@dataclass(frozen=True, slots=True)
class _Written:
    """A statement as its driver takes it."""

    text: str
    places: Sequence[_Place]
    columns: Sequence[tuple[str, Convert | None]]

    def values(self, given: Given) -> list[Any]:
        """What fills the places."""
        raw = [(given[p.key] if p.key is not None else p.value, p.convert) for p in self.places]
        return [value if convert is None else convert(value) for value, convert in raw]

    def rows(self, found: Sequence[Any]) -> list[Found]:
        """Rows of the driver, under their names."""
        return [
            {
                name: value if convert is None else convert(value)
                for (name, convert), value in zip(self.columns, row, strict=True)
            }
            for row in found
        ]


def _write(statement: "Select[Any] | UpdateBase", dialect: Dialect, keys: list[str]) -> _Written:
    # For many: so an INSERT does not ask for the number of its row.
    compiled: Any = statement.compile(dialect=dialect, column_keys=keys, for_executemany=True)
    defaults = {column.key: column.default for column in compiled.insert_prefetch}
    if compiled.update_prefetch or not all(default.is_scalar for default in defaults.values()):
        raise TypeError(f"Python makes a value for this statement each time: {compiled}")
    same = {key: default.arg for key, default in defaults.items()}
    places = tuple(_place(compiled.binds[name], dialect, keys, same) for name in compiled.positiontup or ())
    columns = statement.exported_columns if isinstance(statement, ReturnsRows) else ()
    return _Written(compiled.string, places, tuple((c.key or "", _back(c.type, dialect)) for c in columns))


def _place(bind: BindParameter[Any], dialect: Dialect, keys: list[str], same: Given) -> _Place:
    if bind.expanding or bind.literal_execute:
        raise TypeError(f"{bind.key} is written into the statement each time anew")
    convert = bind.type.dialect_impl(dialect).bind_processor(dialect)
    if bind.key in keys:
        return _Place(bind.key, None, convert)
    if bind.required:
        raise TypeError(f"{bind.key} is not given")
    return _Place(None, same.get(bind.key, bind.effective_value), convert)


def _back(kind: TypeEngine[Any], dialect: Dialect) -> Convert | None:
    # On PostgreSQL the number of the column's type decides what a number is made to; a Float has eight octets here.
    number = _FLOAT8 if isinstance(kind, Float) else _NUMERIC if isinstance(kind, Numeric) else None
    return kind.dialect_impl(dialect).result_processor(dialect, number)


async def _begun(sql: AsyncConnection) -> Connection:
    """The connection, in the transaction that SQLAlchemy begins with the first statement."""
    connection = sql.sync_connection
    assert connection is not None
    if not connection.in_transaction():
        await sql.begin()
    return connection


def _is_heard(connection: Any) -> bool:
    """Whether somebody listens to the statements of this connection, or its driver is none of ours."""
    return (
        connection._has_events
        or connection.engine._has_events
        or connection.dialect.driver not in {"aiosqlite", "asyncpg"}
    )


async def _sent(
    sql: AsyncConnection, connection: Connection, it: _Written, values: list[Any], *, many: bool = False
) -> tuple[Sequence[Any], int]:
    """Rows that the driver answers, and how many rows were changed."""
    adapted: Any = connection.connection.dbapi_connection
    try:
        if isinstance(adapted.driver_connection, ErrandConnection):
            return await _by_errand(adapted.driver_connection, it, values, many)
        return await _by_asyncpg(adapted, it, values, many)
    except BaseException as error:
        await sql.run_sync(_raised, error, it.text)
        raise


async def _by_errand(
    driver: ErrandConnection, it: _Written, values: list[Any], many: bool
) -> tuple[Sequence[Any], int]:
    cursor = driver.cursor()
    await (cursor.executemany if many else cursor.execute)(it.text, values)
    return await cursor.fetchall(), cursor.rowcount


async def _by_asyncpg(adapted: Any, it: _Written, values: list[Any], many: bool) -> tuple[Sequence[Any], int]:
    """By the driver's own memory of prepared statements, within the transaction as SQLAlchemy's adapter begins it."""
    driver = adapted.driver_connection
    async with adapted._execute_mutex:
        if adapted._transaction is None:
            await adapted._start_transaction()
        if many:
            await driver.executemany(it.text, values)
            return (), -1
        if it.columns:
            found = await driver.fetch(it.text, *values)
            return found, len(found)
        done: str = await driver.execute(it.text, *values)
        return (), int(done.rpartition(" ")[2])


def _raised(connection: Connection, error: BaseException, text: str) -> NoReturn:
    """Raise `error` as SQLAlchemy does where it sends the statement itself, which also gives up a broken connection."""
    ours: Any = connection
    try:
        if isinstance(error, Exception):
            ours.connection.dbapi_connection._handle_exception(error)
        raise error
    except BaseException as said:
        ours._handle_dbapi_exception(said, text, None, None, None)
        raise
