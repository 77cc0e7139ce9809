"""The book of billing beside plain SQL on the same tables, with the same constraints and triggers."""

import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from itertools import count
from uuid import uuid4

import aiosqlite
import asyncpg
from catalyst_billing.domain.ledger import Account, Entry, Kind, OwnerKind, Txn
from catalyst_billing.domain.money import Money
from catalyst_billing.domain.postings import credit_of
from catalyst_billing.store import Store, metadata, proof
from catalyst_mesh import Database, Work, migrate
from sqlalchemy import insert, text

from .harness import Goal, Round, compare, crowd, measured
from .table import Table

ENTRIES = int(os.environ.get("CATALYST_PERF_LEDGER", "100000"))
"""How many entries are proved: 1,000,000 is what the specification asks for, and takes minutes to write."""
CREDIT = credit_of("acme", "OMR")
REVENUE = Account(OwnerKind.SOVEREIGN, "sovereigns/openova", Kind.REVENUE, "OMR")
NOW = datetime.now(UTC)
STATEMENTS = (
    'INSERT INTO ledger_txn (id, idem_key, kind, booked_at, created_at, actor, reason, "order", voucher, sovereign, org)'
    " VALUES ($1, $2, 'perf', $3, $3, 'ada', '', '', '', '', 'acme')",
    "INSERT INTO ledger_entry (txn_id, n, account_id, amount_minor) VALUES ($1, 1, $2, $3), ($1, 2, $4, $5)",
    "UPDATE ledger_balance SET amount_minor = amount_minor + $2, version = version + 1 WHERE account_id = $1",
    "UPDATE ledger_balance SET amount_minor = amount_minor + $2, version = version + 1 WHERE account_id = $1",
)
Post = Callable[[], Awaitable[object]]


def txn(number: int) -> Txn:
    """A grant of credit: two entries."""
    lines = (Entry(CREDIT, Money(-1000, "OMR")), Entry(REVENUE, Money(1000, "OMR")))
    return Txn(f"perf-{number}", "perf", NOW, "ada", "", lines)


def values(number: int, moment: object) -> list[tuple[object, ...]]:
    """What the four statements are given."""
    id = f"raw-{uuid4()}"
    return [
        (id, id, moment), (id, CREDIT.id, -1000, REVENUE.id, 1000), (CREDIT.id, -1000), (REVENUE.id, 1000),
    ]  # fmt: skip


@asynccontextmanager
async def raw(url: str) -> AsyncIterator[Post]:
    """The driver alone, prepared statements, one connection."""
    if "sqlite" in url:
        async with aiosqlite.connect(url.partition("///")[2], isolation_level=None) as sql:
            await sql.execute("PRAGMA synchronous=FULL")
            await sql.execute("PRAGMA foreign_keys=ON")

            async def post() -> None:
                await sql.execute("BEGIN IMMEDIATE")
                for statement, row in zip(STATEMENTS, values(0, NOW.isoformat()), strict=True):
                    await sql.execute(statement.replace("$", "?"), row)
                await sql.execute("COMMIT")

            yield post
        return
    connection = await asyncpg.connect(url.replace("+asyncpg", ""))

    async def post_there() -> None:
        async with connection.transaction():
            for statement, row in zip(STATEMENTS, values(0, NOW), strict=True):
                await connection.execute(statement, *row)

    yield post_there
    await connection.close()


async def opened(url: str) -> Work[Store]:
    """Billing's own tables by its own migrations, and the two accounts."""
    db = await Database.open(url)
    await migrate(db, "catalyst_billing", metadata)
    work: Work[Store] = Work(db, Store, metadata=metadata)
    async with work.transaction() as tx:
        await tx.post(txn(0))
    return work


@measured
async def test_posting(table: Table, store: tuple[str, str]) -> None:
    kind, url = store
    work, numbers = await opened(url), count(1)

    async def post() -> None:
        async with work.transaction() as tx:
            await tx.post(txn(next(numbers)))

    goal = Goal("throughput", 0.5, "raw SQL, same constraints")
    async with raw(url) as bare:
        row = await compare(
            f"billing: post a transaction, {kind}",
            goal,
            ours=lambda: crowd([post], 200),
            bare=lambda: crowd([bare], 200),
        )
    table.add(row)
    await work.db.close()


@measured
async def test_proof(table: Table, store: tuple[str, str]) -> None:
    """Everything that is proved at night."""
    kind, url = store
    work = await opened(url)
    await _fill(work)

    async def timed(ask: Callable[[object], Awaitable[object]]) -> Round:
        async with work.db.read() as sql:
            began = time.perf_counter()
            await ask(sql)
            spent = time.perf_counter() - began
        return Round([spent], spent, 1)

    async def proved(sql: object) -> None:
        found = await proof(sql)  # type: ignore[arg-type]
        assert found.entries == ENTRIES + 2
        assert not found.differences

    async def summed(sql: object) -> None:
        (await sql.execute(text("SELECT sum(amount_minor) FROM ledger_entry"))).scalar_one()  # type: ignore[attr-defined]

    goal = Goal("p50", 3, "the SUM alone")
    row = await compare(
        f"billing: {ENTRIES:,} entries proved, {kind}", goal, ours=lambda: timed(proved), bare=lambda: timed(summed)
    )  # fmt: skip - one call
    table.add(row)
    await work.db.close()


async def _fill(work: Work[Store]) -> None:
    """`ENTRIES` entries in transactions of two, and balances that agree."""
    transactions, entries, b = metadata.tables["ledger_txn"], metadata.tables["ledger_entry"], "ledger_balance"
    same = {"kind": "perf", "booked_at": NOW, "created_at": NOW, "actor": "ada", "org": "acme"}
    same |= dict.fromkeys(("reason", "order", "voucher", "sovereign"), "")
    for start in range(0, ENTRIES // 2, 5_000):
        numbers = range(start, start + 5_000)
        async with work.db.begin() as sql:
            await sql.execute(insert(transactions), [{"id": f"t{n}", "idem_key": f"t{n}", **same} for n in numbers])
            lines = [
                {"txn_id": f"t{n}", "n": i, "account_id": account.id, "amount_minor": amount}
                for n in numbers for i, (account, amount) in enumerate(((CREDIT, -1000), (REVENUE, 1000)), 1)
            ]  # fmt: skip
            await sql.execute(insert(entries), lines)
            total = 5_000 * 1000
            for account, amount in ((CREDIT, -total), (REVENUE, total)):
                move = f"UPDATE {b} SET amount_minor = amount_minor + :amount WHERE account_id = :id"
                await sql.execute(text(move), {"amount": amount, "id": account.id})
