"""What `catalyst dev` asks of a PostgreSQL server. Apart from the rest, because a dev without one need not load the driver."""

import asyncio
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, TypeAlias

import asyncpg

from .databases import DatabaseUnusable, Server
from .layout import DAEMONS

if TYPE_CHECKING:
    Connection: TypeAlias = asyncpg.Connection[asyncpg.Record]

READY_WITHIN = 120.0
"""Seconds until the server must answer; after a kill it reads its log first."""
_MARK = "catalyst dev "
_AWAY = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError)


async def connect(server: Server, within: float = 10) -> "Connection":
    """A connection by which databases are made. Raises what the driver raises."""
    return await asyncpg.connect(
        host=server.host, port=server.port, user=server.user, password=server.password or None, database="postgres",
        timeout=within,
    )  # fmt: skip


async def answers(where: Server) -> None:
    """Wait until the server answers. Raises DatabaseUnusable."""
    deadline = time.monotonic() + READY_WITHIN
    while True:
        try:
            await (await connect(where, within=2)).close()
            return
        except _AWAY as error:
            if time.monotonic() > deadline:
                raise DatabaseUnusable(f"PostgreSQL does not answer: {error}; see postgres.log") from error
        await asyncio.sleep(0.02)


async def prepare(server: Server, mark: str) -> Mapping[str, str]:
    """Make the databases that are absent; URLs by daemon. Raises DatabaseUnusable."""
    try:
        connection = await connect(server)
        try:
            for daemon in DAEMONS:
                await _prepare(connection, server.name(daemon), _MARK + mark)
        finally:
            await connection.close()
    except _AWAY as error:
        raise DatabaseUnusable(f"{server.shown} cannot be used: {error or type(error).__name__}") from error
    return {daemon: server.url(daemon) for daemon in DAEMONS}


async def drop(server: Server, mark: str) -> list[str]:
    """Drop what starts in this folder have made; the names. Raises DatabaseUnusable."""
    dropped = []
    try:
        connection = await connect(server)
        try:
            for name in map(server.name, DAEMONS):
                if await _comment(connection, name) == _MARK + mark:
                    await connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
                    dropped.append(name)
        finally:
            await connection.close()
    except _AWAY as error:
        raise DatabaseUnusable(f"{server.shown} cannot be asked: {error or type(error).__name__}") from error
    return dropped


async def _prepare(connection: "Connection", name: str, mark: str) -> None:
    known = await connection.fetchval("SELECT count(*) FROM pg_database WHERE datname = $1", name)
    if not known:
        await connection.execute(f'CREATE DATABASE "{name}"')
        await connection.execute(f"COMMENT ON DATABASE \"{name}\" IS '{mark}'")
        return
    # One without a mark was made by somebody for us; one with another mark is another folder's, whose keys we lack.
    comment = await _comment(connection, name)
    if comment.startswith(_MARK) and comment != mark:
        raise DatabaseUnusable(f"the database {name} belongs to a dev in another folder; name others: …/another_name")


async def _comment(connection: "Connection", name: str) -> str:
    query = "SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = $1"
    return await connection.fetchval(query, name) or ""
