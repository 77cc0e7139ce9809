"""Real PostgreSQL in two regions of this machine, for tests of what moves a database: places, deaths, and a client.

What makes, starts and promotes the servers is what is tried; here is the rest.
"""

import os
import shutil
import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import asyncpg

from catalyst_testkit.servers import NOBODY, drop, folder, free_port, need
from catalyst_testkit.waiting import eventually_sync

EAST, WEST = "sb-east-rtz-dev", "sb-west-rtz-dev"
FAST = {"fsync": "off", "shared_buffers": "16MB", "max_connections": "40", "autovacuum": "off", "wal_keep_size": "64MB"}
"""For tests only: what a power failure would lose. A killed server loses nothing."""
PATIENCE = 2.0
"""Seconds for which a client waits for an acknowledgement."""


class PostgresPair:
    """Folders and ports of two servers."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.bin = str(Path(need("pg_basebackup", package="postgresql")).parent)
        self.ports: Mapping[str, int] = {region: free_port() for region in (EAST, WEST)}
        for region in self.ports:
            place = self.folder(region)
            place.mkdir()
            if os.geteuid() == 0:
                os.chown(place, NOBODY, NOBODY)

    def config(self) -> dict[str, Any]:
        """Addresses, folders and programs, as a plugin is told."""
        regions = {
            region: {"address": f"127.0.0.1:{port}", "folder": str(self.folder(region))}
            for region, port in self.ports.items()
        }
        return {"regions": regions, "bin": self.bin, "prefix": drop(), "settings": FAST, "patience_seconds": 3.0}

    def folder(self, region: str) -> Path:
        """Where a region's server lies."""
        return self.home / region

    def kill(self, region: str) -> None:
        """kill -9 of the server and of all its children."""
        killed = self._processes(region)
        for pid in killed:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        # Until somebody has taken note of its end, a dead server's number looks to the next one like a running server.
        gone = lambda: not any(Path(f"/proc/{pid}").exists() for pid in killed)  # noqa: E731
        eventually_sync(gone, within=60, what=f"the server of {region} is gone")

    async def write(self, region: str, n: int) -> bool | None:
        """Commit a row; None where nobody knows what became of it."""
        try:
            sql = await asyncpg.connect(self._url(region), timeout=PATIENCE)
        except (OSError, TimeoutError, asyncpg.PostgresError):
            return False
        try:
            await sql.execute("CREATE TABLE IF NOT EXISTS rows (n bigint PRIMARY KEY)", timeout=PATIENCE)
            await sql.execute("INSERT INTO rows VALUES ($1)", n, timeout=PATIENCE)
        except asyncpg.ReadOnlySQLTransactionError:
            return False
        except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError):
            return None
        finally:
            sql.terminate()
        return True

    async def rows(self, region: str) -> set[int]:
        """The rows that a region's copy has."""
        sql = await asyncpg.connect(self._url(region), timeout=60)
        try:
            return {row["n"] for row in await sql.fetch("SELECT n FROM rows")}
        finally:
            sql.terminate()

    def _url(self, region: str) -> str:
        return f"postgresql://postgres@127.0.0.1:{self.ports[region]}/postgres?sslmode=disable"

    def _processes(self, region: str) -> list[int]:
        """Every process that works in the region's data folder."""
        data, found = (self.folder(region) / "data").resolve(), []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                with suppress(OSError):
                    if (entry / "cwd").resolve() == data:
                        found.append(int(entry.name))
        return found


@contextmanager
def postgres_pair() -> Iterator[PostgresPair]:
    """Two places for the block; whatever runs there ends with it."""
    pair = PostgresPair(folder())
    try:
        yield pair
    finally:
        for region in pair.ports:
            pair.kill(region)
        shutil.rmtree(pair.home, ignore_errors=True)
