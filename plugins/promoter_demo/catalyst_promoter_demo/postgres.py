"""PostgreSQL behind the demo application's gateway, where that is what is moved: each row has the epoch that the database knows.

What is visible there is kept: PostgreSQL shows a commit when its synchronous standbys have confirmed it. A wait for them is never
cancelled, since PostgreSQL would then say that all is done; the connection is cut instead, and nobody knows.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
from catalyst_sdk import deadman

from .behind import Closed, Entry, Unsure, Whoami

PATIENCE = 5.0
"""Seconds for a statement, its wait for standbys included."""
_TABLE = """
CREATE TABLE IF NOT EXISTS catalyst.entry (position bigserial PRIMARY KEY, epoch bigint NOT NULL, kind text NOT NULL,
  n bigint NOT NULL, region text NOT NULL, at_ms bigint NOT NULL, UNIQUE (kind, n))
"""
_WRITE = """
INSERT INTO catalyst.entry (epoch, kind, n, region, at_ms)
SELECT max(epoch), $1, $2, $3, (extract(epoch FROM clock_timestamp()) * 1000)::bigint FROM catalyst.epoch ON CONFLICT DO NOTHING
"""
_COLUMNS = "position, epoch, kind, n, region, at_ms"
_FIND = f"SELECT {_COLUMNS} FROM catalyst.entry WHERE kind = $1 AND n = $2"  # noqa: S608 - constants
_READ = f"SELECT {_COLUMNS} FROM catalyst.entry WHERE kind = $1 AND position > $2 ORDER BY position LIMIT $3"  # noqa: S608
_FAULTS = (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)


class Postgres:
    """The database at `address` for the gateway of `region`.

    dead_man   the file by which the region's agent vouches for its writers; None: there is none
    """

    def __init__(self, address: str, region: str, dead_man: Path | None = None) -> None:
        self._address = address
        self._region = region
        self._dead_man = dead_man

    async def write(self, kind: str, n: int) -> Entry:
        """Take a write. Raises Closed, or Unsure."""
        async with self._connected(Closed) as sql:
            if await sql.fetchval("SELECT pg_is_in_recovery()"):
                raise Closed(f"the database of {self._region} is a standby")
            self._demand_sign(Closed, await sql.fetchval("SELECT max(epoch) FROM catalyst.epoch"))
            await sql.execute(_TABLE)
        async with self._connected(Closed) as sql:
            entry = await self._written(sql, kind, n)
        self._demand_sign(Unsure, entry.epoch)
        return entry

    async def find(self, kind: str, n: int) -> Entry | None:
        """The kept entry of a number. Raises Unsure."""
        async with self._connected(Unsure) as sql:
            row = await sql.fetchrow(_FIND, kind, n) if await self._has_rows(sql) else None
        return Entry(**row) if row else None

    async def read(self, kind: str, after: int, most: int) -> list[Entry]:
        """Kept entries after a position. Raises Unsure."""
        async with self._connected(Unsure) as sql:
            rows = await sql.fetch(_READ, kind, after, most) if await self._has_rows(sql) else []
        return [Entry(**row) for row in rows]

    async def whoami(self) -> Whoami:
        """What the database takes itself for."""
        try:
            async with self._connected(Unsure) as sql:
                standby = await sql.fetchval("SELECT pg_is_in_recovery()")
                known = await sql.fetchval("SELECT to_regclass('catalyst.epoch') IS NOT NULL")
                epoch = await sql.fetchval("SELECT max(epoch) FROM catalyst.epoch") if known else 0
        except Unsure as away:
            return Whoami(self._region, "stopped", 0, False, str(away))
        why = "this region is no primary" if standby else self._sign(epoch)
        return Whoami(self._region, "replica" if standby else "primary", epoch or 0, not why, why)

    async def _written(self, sql: asyncpg.Connection, kind: str, n: int) -> Entry:
        try:
            await sql.execute(_WRITE, kind, n, self._region)
            row = await sql.fetchrow(_FIND, kind, n)
        except (asyncpg.ReadOnlySQLTransactionError, asyncpg.NotNullViolationError) as error:
            raise Closed(f"the database takes no write: {error}") from error
        except _FAULTS as error:
            raise Unsure(f"{n} may be written: {type(error).__name__}") from error
        return Entry(**row)

    async def _has_rows(self, sql: asyncpg.Connection) -> bool:
        return bool(await sql.fetchval("SELECT to_regclass('catalyst.entry') IS NOT NULL"))

    def _sign(self, epoch: int | None) -> str:
        """Why nobody vouches for a write; empty: somebody does."""
        if self._dead_man is None:
            return ""
        sign = deadman.read(self._dead_man)
        return (
            "no agent has given a sign of life" if sign is None else sign.refuses(now=deadman.boottime(), epoch=epoch)
        )

    def _demand_sign(self, refusal: Callable[[str], Exception], epoch: int | None) -> None:
        if why := self._sign(epoch):
            raise refusal(why)

    @asynccontextmanager
    async def _connected(self, refusal: Callable[[str], Exception]) -> AsyncIterator[asyncpg.Connection]:
        """A connection of one call; where it breaks, what `refusal` says."""
        connection = None
        try:
            connection = await asyncpg.connect(self._address, timeout=PATIENCE, command_timeout=PATIENCE)
            yield connection
        except _FAULTS as error:
            raise refusal(f"the database does not answer: {type(error).__name__}") from error
        finally:
            if connection is not None:
                connection.terminate()
