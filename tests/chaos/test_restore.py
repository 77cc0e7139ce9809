"""Row 27: a database that is lost comes back as its backup was, and its outbox goes on without doing anything twice."""

import asyncio
import shutil
import sqlite3
import subprocess
from collections import Counter
from contextlib import closing
from pathlib import Path
from uuid import uuid4

import pytest
from catalyst.pooldomain.v1.service_pb2 import ReserveAllocationRequest
from catalyst.pooldomain.v1.service_pb2_grpc import AllocationServiceStub
from catalyst_testkit import eventually
from catalyst_testkit.processes import Replicas
from catalyst_testkit.servers import need

from .callers import POOL, let_leases_end, rows

pytestmark = pytest.mark.chaos


class Backup:
    """Of one database, by its own tools (docs/runbooks/kubernetes/backup-and-restore.md)."""

    def __init__(self, url: str, home: Path) -> None:
        self._url = url.replace("+asyncpg", "").replace("+aiosqlite", "")
        self._file = home / "backup"

    def take(self) -> None:
        if self._url.startswith("sqlite"):
            with closing(sqlite3.connect(self._path)) as db, closing(sqlite3.connect(self._file)) as copy:
                db.backup(copy)
        else:
            self._run("pg_dump", "--format=custom", f"--file={self._file}", self._url)

    def put_back(self) -> None:
        """On the ruins of what was there."""
        if self._url.startswith("sqlite"):
            for rest in ("", "-wal", "-shm"):
                self._path.with_name(self._path.name + rest).unlink(missing_ok=True)
            shutil.copy(self._file, self._path)
        else:
            self._run("psql", "--quiet", "--command=DROP SCHEMA public CASCADE; CREATE SCHEMA public", self._url)
            self._run("pg_restore", "--no-owner", f"--dbname={self._url}", str(self._file))

    @property
    def _path(self) -> Path:
        return Path(self._url.removeprefix("sqlite:///"))

    def _run(self, program: str, *words: str) -> None:
        done = subprocess.run(
            [need(program, package="postgresql"), *words], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr


async def whole(url: str) -> dict[str, Counter[tuple[str, ...]]]:
    """Everything that a daemon keeps, but for what moves by itself: leases and marks of time."""
    return {
        "names": Counter(map(tuple, await rows(url, "SELECT name, version FROM names"))),
        "outbox": Counter(map(tuple, await rows(url, "SELECT event_id, aggregate, version FROM outbox"))),
        "heard": Counter(map(tuple, await rows(url, "SELECT name FROM heard"))),
    }


async def test_row_27_a_lost_database_comes_back_and_nothing_happens_twice(toy: Replicas, home: Path) -> None:
    url = str(toy.settings["database_url"])
    backup = Backup(url, home)
    await toy.start(1)
    (replica,) = toy.all

    async def reserve(numbers: range) -> None:
        stub = toy.stub(AllocationServiceStub, replica)
        for number in numbers:
            wish = ReserveAllocationRequest(
                parent=POOL, label=f"n{number}", owner="organizations/o", request_id=str(uuid4())
            )  # fmt: skip - one wish
            await stub.ReserveAllocation(wish, timeout=60, wait_for_ready=True)

    async def told(count: int) -> bool:
        heard = [name for (name,) in await rows(url, "SELECT name FROM heard")]
        unmarked = await rows(url, "SELECT 1 FROM outbox WHERE published_at IS NULL")
        return len(heard) == count and not unmarked

    await reserve(range(20))
    await eventually(lambda: told(20), within=60, what="all is told and heard")
    before = await whole(url)
    await asyncio.to_thread(backup.take)
    await reserve(range(20, 25))  # what no backup knows
    await eventually(lambda: told(25), within=60, what="these too")

    await replica.kill()
    await asyncio.to_thread(backup.put_back)
    assert await whole(url) == before

    await let_leases_end(url)
    replica.start()
    await replica.serves()
    await reserve(range(20, 30))
    await eventually(lambda: told(30), within=60, what="it goes on")
    heard = Counter(name for (name,) in await rows(url, "SELECT name FROM heard"))
    assert heard == Counter({f"{POOL}/allocations/n{number}@1": 1 for number in range(30)}), "once each"
