"""What only the database itself tells: log positions, standbys, whether a write comes through."""

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import asyncpg
from catalyst_sdk import Temporary

from .clusters import PROVIDER

_FACTS = """
SELECT pg_is_in_recovery() AS standby,
  CASE WHEN pg_is_in_recovery() THEN pg_last_wal_receive_lsn() ELSE pg_current_wal_flush_lsn() END::text AS received,
  CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_flush_lsn() END::text AS replayed,
  CASE WHEN pg_is_in_recovery() THEN pg_last_xact_replay_timestamp() END AS at,
  (SELECT status FROM pg_stat_wal_receiver) AS stream
"""
_SYNC = (
    "SELECT application_name FROM pg_stat_replication WHERE state = 'streaming' AND sync_state IN ('sync', 'quorum')"
)
_TABLE = """
CREATE SCHEMA IF NOT EXISTS catalyst;
CREATE TABLE IF NOT EXISTS catalyst.canary (n bigint PRIMARY KEY, epoch bigint NOT NULL, at timestamptz NOT NULL DEFAULT now())
"""


@dataclass(frozen=True, slots=True)
class Facts:
    """What a database says of itself."""

    standby: bool
    received: str | None
    replayed: str | None
    committed_ms: int | None
    streams: bool
    sync: frozenset[str]


@asynccontextmanager
async def connected(address: str, patience: float) -> AsyncIterator[asyncpg.Connection]:
    """A connection. Raises Temporary where there is no answer in time, or another than was asked for."""
    connection = None
    try:
        connection = await asyncpg.connect(address, timeout=patience, command_timeout=patience)
        yield connection
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError) as error:
        why = f"the database does not answer: {type(error).__name__}"
        raise Temporary(why, provider=PROVIDER, provider_code=getattr(error, "sqlstate", "") or "") from error
    finally:
        if connection is not None:
            # Not `close`: a commit that waits for a standby must not be cancelled, which would tell it to be done.
            connection.terminate()


async def facts(address: str, patience: float) -> Facts:
    """What the database says. Raises Temporary."""
    async with connected(address, patience) as sql:
        row = await sql.fetchrow(_FACTS)
        sync = frozenset() if row["standby"] else frozenset(r["application_name"] for r in await sql.fetch(_SYNC))
    at = int(row["at"].timestamp() * 1000) if row["at"] else None
    return Facts(row["standby"], row["received"], row["replayed"], at, row["stream"] == "streaming", sync)


async def canary(address: str, epoch: int, patience: float) -> bool:
    """Write a canary and read it back; False where the database takes no write. Raises Temporary."""
    n = secrets.randbits(62)
    async with connected(address, patience) as sql:
        if await sql.fetchval("SELECT pg_is_in_recovery()"):
            return False
        await sql.execute(_TABLE)
        await sql.execute("INSERT INTO catalyst.canary (n, epoch) VALUES ($1, $2)", n, epoch)
        return bool(await sql.fetchval("SELECT count(*) FROM catalyst.canary WHERE n = $1", n))
