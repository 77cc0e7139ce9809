"""A command's unit of work beside the same rows by the raw driver."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from itertools import count
from typing import Any
from uuid import uuid4

import aiosqlite
import asyncpg
import pytest
from catalyst_mesh import Caller
from catalyst_mesh.calls import Call, enter

from lib.mesh.tests.bench import Bench
from lib.mesh.tests.toy import reserve, to_response

from .harness import Goal, compare, crowd, measured
from .table import Table

Operation = Callable[[], Awaitable[object]]
ANSWER = b"x" * 40
STATEMENTS = (
    "SELECT answer FROM idempotency WHERE principal = $1 AND method = $2 AND request_id = $3",
    "SELECT name, owner, version FROM names WHERE name = $1",
    "INSERT INTO names (name, owner, version) VALUES ($1, $2, $3)",
    "INSERT INTO outbox (event_id, subject, aggregate, version, schema, body, traceparent, created_at)"
    " VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
    "INSERT INTO idempotency (principal, method, request_id, request_hash, answer_type, answer, created_at)"
    " VALUES ($1, $2, $3, $4, $5, $6, $7)",
)


def ours(bench: Bench, numbers: "count[int]", *, request_id: str = "") -> Operation:
    """Lock, decide, save, outbox, answer kept: what each command of a daemon does."""

    async def command() -> None:
        name = f"pools/omani.works/allocations/n{next(numbers)}"
        enter(Call("a.v1.S/Reserve", Caller("ada"), request_id or str(uuid4()), b"hash"))

        async def step(tx: Any) -> Any:
            return reserve(await tx.lock(name), name, "ada")

        await bench.work.run(step, answer=to_response)

    return command


def values(name: str, key: str) -> list[tuple[Any, ...]]:
    """What the five statements are given."""
    now, subject = datetime.now(UTC), "catalyst.v1.pooldomain.allocation.reserved"
    return [
        ("ada", "a.v1.S/Reserve", key), (name,), (name, "ada", 1),
        (str(uuid4()), subject, name, 1, "catalyst.pooldomain.v1.AllocationReserved", ANSWER, "00-0-0-01", now),
        ("ada", "a.v1.S/Reserve", key, b"hash", "catalyst.pooldomain.v1.Answer", ANSWER, now),
    ]  # fmt: skip


@asynccontextmanager
async def raw_postgres(url: str, numbers: "count[int]") -> AsyncIterator[Operation]:
    """asyncpg with a pool and prepared statements."""
    async with asyncpg.create_pool(url.replace("+asyncpg", ""), min_size=8, max_size=8) as pool:

        async def command() -> None:
            rows = values(f"raw{next(numbers)}", str(uuid4()))
            async with pool.acquire() as connection, connection.transaction():
                for n, (sql, row) in enumerate(zip(STATEMENTS, rows, strict=True)):
                    sql = sql + " FOR UPDATE" if n == 1 else sql
                    await (connection.fetchrow(sql, *row) if n < 2 else connection.execute(sql, *row))

        yield command


@asynccontextmanager
async def raw_sqlite(url: str, numbers: "count[int]") -> AsyncIterator[Operation]:
    """aiosqlite: one connection, writers queue for it as ours do."""
    turn = asyncio.Lock()
    async with aiosqlite.connect(url.partition("///")[2], isolation_level=None) as connection:
        await connection.execute("PRAGMA synchronous=FULL")

        async def command() -> None:
            rows = values(f"raw{next(numbers)}", str(uuid4()))
            async with turn:
                await connection.execute("BEGIN IMMEDIATE")
                for sql, row in zip(STATEMENTS, rows, strict=True):
                    plain = [v.isoformat() if isinstance(v, datetime) else v for v in row]
                    async with connection.execute(_question_marks(sql), plain) as cursor:
                        await cursor.fetchone()
                await connection.execute("COMMIT")

        yield command


def _question_marks(sql: str) -> str:
    for n in range(8, 0, -1):
        sql = sql.replace(f"${n}", f"?{n}")
    return sql


@pytest.mark.parametrize("writers", [1, 8])
@measured
async def test_unit_of_work(table: Table, store: tuple[str, str], writers: int) -> None:
    kind, url = store
    bench, numbers = await Bench.open(url), count()
    raw = raw_sqlite if kind == "SQLite" else raw_postgres
    goal = Goal("throughput", 0.5 if writers == 1 else 0.2, "raw driver, same rows")
    async with raw(url, numbers) as bare:
        row = await compare(
            f"command's unit of work, {kind}, {'alone' if writers == 1 else '8 writers'}", goal,
            ours=lambda: crowd([ours(bench, numbers)] * writers, 240), bare=lambda: crowd([bare] * writers, 240),
        )  # fmt: skip
    table.add(row)
    await bench.db.close()


@measured
async def test_sqlite_under_eight_writers(table: Table, home: Any) -> None:
    bench, numbers = await Bench.open(f"sqlite+aiosqlite:///{home}/test.db"), count()
    command = ours(bench, numbers)
    row = await compare(
        "unit of work, SQLite, 8 writers beside one", Goal("p99 : p50 of", 30, "itself with one writer"),
        ours=lambda: crowd([command] * 8, 240), bare=lambda: crowd([command], 200),
    )  # fmt: skip
    table.add(row)
    await bench.db.close()


@measured
async def test_replay(table: Table, store: tuple[str, str]) -> None:
    """The answer kept under a request_id beside the first call that made it."""
    kind, url = store
    bench, numbers = await Bench.open(url), count()
    key = str(uuid4())
    await ours(bench, numbers, request_id=key)()
    row = await compare(
        f"request_id replay, {kind}", Goal("throughput", 2, "first calls"),
        ours=lambda: crowd([ours(bench, numbers, request_id=key)], 300),
        bare=lambda: crowd([ours(bench, numbers)], 300),
    )  # fmt: skip
    table.add(row)
    await bench.db.close()
