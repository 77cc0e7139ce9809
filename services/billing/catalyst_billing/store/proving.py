"""Proving the book: L1, L4 and L5 over every entry, in one view of the database.

In one pass by weights that are drawn for the proof, and only where they find something off exactly: an entry counts times the
weight of its transaction. Where all transactions are zero, so are these sums. Where some are not, the sums are zero by chance
only, once in 16 million proofs, and the next proof draws other weights. What exceeds the numbers that a database counts with is
looked at exactly as well.
"""

import secrets
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import BigInteger, Numeric, Select, bindparam, cast, func, literal_column, null, select, text, union
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from ..domain.ledger import Difference, Kind, prove
from ..domain.money import Money
from .tables import TXN_KEY, ledger_account, ledger_balance, ledger_entry

SUSPECTS = 1_000
"""Transactions that are looked at with one question; a whole book never is, but after a great mishap."""


@dataclass(frozen=True, slots=True)
class Proof:
    """What a proof found, over how many entries, the last of them included."""

    differences: tuple[Difference, ...]
    entries: int
    last_entry: int


async def proof(sql: AsyncConnection) -> Proof:
    """Prove everything: in one pass over the entries, and exactly where that finds something off."""
    if sql.dialect.name == "postgresql":
        await sql.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"))
        await sql.execute(text("SET LOCAL work_mem = '64MB'"))  # else groups of 50,000 transactions go to the disk
    try:
        async with sql.begin_nested():
            found = await _WEIGHED[sql.dialect.name](sql, secrets.randbits(62))
    except DBAPIError as error:
        if getattr(error.orig, "sqlstate", None) != _OUT_OF_RANGE and str(error.orig) != _OVERFLOW:
            raise
        found = None
    return found or await _exactly(sql)


async def _at_once(sql: AsyncConnection, seed: int) -> Proof | None:
    """On PostgreSQL, where groups are twice as dear as all else: accounts have weights as well, and where their weighed entries
    come to what their weighed balances do, each is as its balance says."""
    rows = (await sql.execute(_BALANCES)).all()
    currencies = Counter(row.currency for row in rows)
    query = _ungrouped([rare for rare, _ in currencies.most_common()[1:]])
    entries, last, moved, kept, *off = (await sql.execute(query, {"seed": seed})).one()
    return None if any(off) or moved != kept else _told(rows, entries, last)


async def _by_account(sql: AsyncConnection, seed: int) -> Proof | None:
    """On SQLite, which goes through an index in the order of its accounts."""
    rows = (await sql.execute(_BY_WEIGHT, {"seed": seed})).all()
    if any(isinstance(row.weighed, float) for row in rows):
        return None  # SQLite rounds a product of more than 63 bits
    off: Counter[str] = Counter()
    for row in rows:
        off[row.currency] += row.weighed or 0
    return None if any(off.values()) else _told(rows, *_size(rows))


async def _exactly(sql: AsyncConnection) -> Proof:
    rows = (await sql.execute(_BY_ACCOUNT)).all()
    return _told(rows, *_size(rows), unbalanced=await _unbalanced(sql, rows))


def _size(rows: Sequence[Any]) -> tuple[int, int | None]:
    return sum(row.entries or 0 for row in rows), rows[0].last if rows else None


def _told(
    rows: Sequence[Any], entries: int, last: int | None, unbalanced: Iterable[tuple[str, Money]] = ()
) -> Proof:  # fmt: skip - one line more
    differences = prove(
        unbalanced,
        {row.id: Money(int(row.amount), row.currency) for row in rows if row.amount is not None},
        {row.id: Money(int(row.kept), row.currency) for row in rows if row.kept is not None},
        {row.id for row in rows if row.kind == Kind.CUSTOMER_CREDIT.value},
    )
    return Proof(tuple(differences), entries, last or 0)


async def _unbalanced(sql: AsyncConnection, rows: Sequence[Any]) -> list[tuple[str, Money]]:
    """Transactions that are not zero in some currency, with what is off.

    To give each entry its currency costs more than to sum them all. So it is asked which transactions are not zero over
    all currencies together, and which are not zero in one of the rarer currencies. Who is in neither list is zero in each
    rare currency and in the sum, and so in the common one as well.
    """
    used: Counter[str] = Counter()
    for row in rows:
        used[row.currency] += row.entries or 0
    asked = [_OFF, *(_OFF.where(_in(rare)) for rare, _ in used.most_common()[1:])]
    suspects = list((await sql.execute(union(*asked) if len(asked) > 1 else _OFF)).scalars())
    found: list[tuple[str, Money]] = []
    for start in range(0, len(suspects), SUSPECTS):
        exactly = _BY_CURRENCY.where(ledger_entry.c.txn_id.in_(suspects[start : start + SUSPECTS]))
        found += [(txn, Money(int(off), currency)) for txn, currency, off in await sql.execute(exactly)]
    return found


_WEIGHED = {"postgresql": _at_once, "sqlite": _by_account}
_e, _a, _b = ledger_entry.c, ledger_account.c, ledger_balance.c
_sum = func.sum(_e.amount_minor)
_last = select(func.max(_e.number)).scalar_subquery().label("last")
_OFF = select(_e.txn_id).group_by(_e.txn_id).having(_sum != 0)
_BY_CURRENCY = (
    select(_e.txn_id, _a.currency, _sum)
    .select_from(ledger_entry.join(ledger_account))
    .group_by(_e.txn_id, _a.currency)
    .having(_sum != 0)
)
_OUT_OF_RANGE, _OVERFLOW = "22003", "integer overflow"
"""PostgreSQL's code and SQLite's words for a number beyond 64 bits."""
_seed = bindparam("seed", type_=BigInteger)


def _in(currency: str) -> Any:
    return _e.account_id.in_(select(_a.id).where(_a.currency == currency))


def _weight(of: Any) -> Any:
    return func.hashtextextended(of, _seed).op("&")(0xFFFFFF)


def _ungrouped(rare: Iterable[str]) -> Select[Any]:
    """How many entries, the last of them, what they come to weighed by account, and the balances; weighed by transaction over all
    currencies together, and in each of the rarer ones: the common one is zero where these are."""
    weighed = func.sum(_e.amount_minor * _weight(_e.txn_id))
    balances = select(func.sum(cast(_b.amount_minor, Numeric) * _weight(_b.account_id))).scalar_subquery()
    return select(
        func.count(),
        _last,
        func.sum(_e.amount_minor * _weight(_e.account_id)),
        balances,
        weighed,
        *(weighed.filter(_in(one)) for one in rare),
    ).select_from(ledger_entry)  # fmt: skip - as the docstring tells it


# Accounts are few: what each of them sums to is joined with them, not each entry; and the same look counts.
def _grouped(weighed: Any, *, index: str) -> Select[Any]:
    by = (
        select(_e.account_id, _sum.label("amount"), func.count().label("entries"), weighed.label("weighed"))
        .group_by(_e.account_id)
        .with_hint(ledger_entry, f"INDEXED BY {index}", "sqlite")
        .subquery()
    )
    return select(
        _a.id, _a.kind, _a.currency, by.c.amount, by.c.entries, by.c.weighed, _b.amount_minor.label("kept"), _last
    ).select_from(
        ledger_account.outerjoin(by, by.c.account_id == _a.id).outerjoin(ledger_balance, _b.account_id == _a.id)
    )


_BALANCES = select(
    _a.id, _a.kind, _a.currency, _b.amount_minor.label("amount"), _b.amount_minor.label("kept")
).select_from(ledger_account.outerjoin(ledger_balance))
_BY_ACCOUNT = _grouped(null(), index="ledger_entry_of_account")
# What the drawn number leaves divided by the key of a transaction. Of keys without a common factor these are independent of
# each other (Chinese remainders); that 31 bits of a digest are the same happens less often than what chance does above.
_remainder = _seed.op("%")(literal_column(TXN_KEY)).op("&")(0xFFFFFF)
_BY_WEIGHT = _grouped(func.sum(_e.amount_minor * _remainder), index="ledger_entry_weighed")
