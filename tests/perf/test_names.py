"""Names: checking and reserving one over the wire, beside an empty call and one row of raw SQL."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from functools import partial
from itertools import count
from pathlib import Path

import aiosqlite
from catalyst.pooldomain.v1 import resources_pb2, service_pb2, service_pb2_grpc
from catalyst_mesh import Issuer, connect
from catalyst_testkit.daemons import reason_of
from catalyst_testkit.servers import NatsServer

from .harness import Goal, Round, batch, compare, crowd, measured, one_by_one
from .serving import serving
from .table import Table

POOL = "pools/omani.works"
RIVALS = 200
Stub = service_pb2_grpc.AllocationServiceStub
NO_LIMIT = 1_000_000


def pool() -> service_pb2.CreatePoolRequest:
    """A pool whose policy limits nobody who measures."""
    policy = resources_pb2.PoolPolicy(
        max_reservations_per_owner=NO_LIMIT, max_names_per_owner=NO_LIMIT, checks_per_second=NO_LIMIT,
        check_burst=NO_LIMIT, reservations_per_minute=NO_LIMIT,
    )  # fmt: skip
    wish = resources_pb2.Pool(kinds=[resources_pb2.Pool.KIND_SOVEREIGN], policy=policy)
    return service_pb2.CreatePoolRequest(pool_id=POOL.removeprefix("pools/"), pool=wish)


def reservation(label: str, owner: str) -> service_pb2.ReserveAllocationRequest:
    """A wish for a name."""
    return service_pb2.ReserveAllocationRequest(parent=POOL, label=label, owner=owner)


@asynccontextmanager
async def raw(path: Path) -> AsyncIterator[aiosqlite.Connection]:
    """One table of names, with the durability that ours has."""
    async with aiosqlite.connect(path, isolation_level=None) as sql:
        await sql.execute("PRAGMA journal_mode=WAL")
        await sql.execute("PRAGMA synchronous=FULL")
        await sql.execute("CREATE TABLE name (label TEXT PRIMARY KEY, owner TEXT, expires_at TEXT)")
        yield sql


@measured
async def test_names(table: Table, home: Path, nats: NatsServer) -> None:
    """CheckName and ReserveAllocation of the real daemon on SQLite; 200 who want one name."""
    (home / "pdm").mkdir()
    numbers = count()
    with (
        serving("echo", home=str(home / "issuer")) as echo,
        serving("pdm", home=str(home / "pdm"), nats_url=nats.url, rows=0) as pdm,
    ):
        own = Issuer.open(home / "issuer").token("service:perf", service="perf")
        theirs, bare = (
            connect(pdm["target"], token=lambda: pdm["token"]),
            connect(f"127.0.0.1:{echo['chain']}", token=lambda: own),
        )
        names, empty = Stub(theirs), Stub(bare)
        await service_pb2_grpc.PoolServiceStub(theirs).CreatePool(pool())
        async with raw(home / "raw.db") as sql:
            check = service_pb2.CheckNameRequest(parent=POOL, label="acme")

            async def read() -> None:
                await empty.CheckName(check)
                await (await sql.execute("SELECT owner FROM name WHERE label = ?", ("acme",))).fetchone()

            async def write() -> None:
                await empty.CheckName(check)
                now = datetime.now(UTC).isoformat()
                await sql.execute("INSERT INTO name VALUES (?, ?, ?)", (f"r{next(numbers)}", "organizations/acme", now))

            async def reserve() -> None:
                await names.ReserveAllocation(reservation(f"n{next(numbers)}", "organizations/acme"))

            row = await compare(
                "PDM: CheckName, SQLite", Goal("p50", 1.5, "empty call + indexed read"),
                ours=lambda: one_by_one(lambda: names.CheckName(check), 300), bare=lambda: one_by_one(read, 300),
            )  # fmt: skip
            table.add(row)
            for measure, limit in (("p50", 2.0), ("p99", 4.0)):
                row = await compare(
                    f"PDM: ReserveAllocation, {measure}, SQLite",
                    Goal(measure, limit, "empty call + one-row transaction"),  # type: ignore[arg-type]  # both are measures
                    ours=lambda: one_by_one(reserve, 200), bare=lambda: one_by_one(write, 200),
                )  # fmt: skip
                table.add(row)
            row = await compare(
                f"PDM: {RIVALS} who want one name at once, SQLite", Goal("throughput", 0.5, "reservations one by one"),
                ours=lambda: _race(names, f"x{next(numbers)}"), bare=lambda: one_by_one(reserve, RIVALS),
            )  # fmt: skip
            table.add(row)
            row = await compare(
                f"PDM: one of {RIVALS} who want one name at once, p99, SQLite",
                Goal("p99", 4.0, "as many empty calls + tries to insert one row"),
                ours=lambda: crowd(_rivals(names, f"y{next(numbers)}"), RIVALS),
                bare=lambda: crowd(_insertions(empty, sql, f"z{next(numbers)}"), RIVALS),
            )  # fmt: skip
            table.add(row)
        for channel in (theirs, bare):
            await channel.close(None)


def _rivals(names: Stub, label: str) -> list[Callable[[], Awaitable[object]]]:
    """A wish of each of them."""
    return [partial(_wish, names, label, n) for n in range(RIVALS)]


async def _wish(names: Stub, label: str, number: int) -> str:
    return await reason_of(names.ReserveAllocation(reservation(label, f"organizations/o{number}")))


def _insertions(empty: Stub, sql: aiosqlite.Connection, label: str) -> list[Callable[[], Awaitable[object]]]:
    """A call and a try to insert of each of them; the primary key lets one."""

    async def one(number: int) -> None:
        await empty.CheckName(service_pb2.CheckNameRequest(parent=POOL, label=label))
        with suppress(sqlite3.IntegrityError):
            await sql.execute("INSERT INTO name VALUES (?, ?, '')", (label, f"organizations/o{number}"))

    return [partial(one, n) for n in range(RIVALS)]


async def _race(names: Stub, label: str) -> Round:
    """All want it at once; one gets it."""

    async def work() -> None:
        outcomes = await asyncio.gather(*(_wish(names, label, n) for n in range(RIVALS)))
        assert sorted(outcomes) == ["NAME_TAKEN"] * (RIVALS - 1) + ["OK"], outcomes

    return await batch(work, RIVALS)
