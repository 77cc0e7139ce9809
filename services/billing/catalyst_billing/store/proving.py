"""Proving the book: L1, L4 and L5 over every entry, in one view of the database."""

import secrets
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import BigInteger, Select, bindparam, func, null, select, text, union
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from ..domain.ledger import Difference, Kind, prove
from ..domain.money import Money
from .tables import ledger_account, ledger_balance, ledger_entry

SUSPECTS = 1_000
"""Transactions that are looked at with one question; a whole book never is, but after a great mishap."""


@dataclass(frozen=True, slots=True)
class Proof:
    """What a proof found, over how many entries, the last of them included."""

    differences: tuple[Difference, ...]
    entries: int
    last_entry: int


async def proof(sql: AsyncConnection) -> Proof:
    """Prove everything: by account and by transaction; on PostgreSQL in one pass over the entries where nothing is off."""
    if sql.dialect.name == "postgresql":
        await sql.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"))
        await sql.execute(text("SET LOCAL work_mem = '64MB'"))  # else groups of 50,000 transactions go to the disk
        rows = await _weighed(sql) or (await sql.execute(_BY_ACCOUNT)).all()
    else:
        rows = (await sql.execute(_BY_ACCOUNT)).all()
    differences = prove(
        [] if _is_level(rows) else await _unbalanced(sql, rows),
        {row.id: Money(int(row.amount), row.currency) for row in rows if row.entries},
        {row.id: Money(int(row.kept), row.currency) for row in rows if row.kept is not None},
        {row.id for row in rows if row.kind == Kind.CUSTOMER_CREDIT.value},
    )
    last = max((row.last for row in rows if row.entries), default=0)
    return Proof(tuple(differences), sum(row.entries or 0 for row in rows), last)


async def _weighed(sql: AsyncConnection) -> Sequence[Any]:
    """What stands on each account, each entry also times a weight that is drawn for its transaction; nothing where that
    exceeds what PostgreSQL counts with."""
    try:
        async with sql.begin_nested():
            found: Sequence[Any] = (await sql.execute(_BY_WEIGHT, {"seed": secrets.randbits(62)})).all()
            return found
    except DBAPIError as error:
        if getattr(error.orig, "sqlstate", None) != _OUT_OF_RANGE:
            raise
        return ()


def _is_level(rows: Sequence[Any]) -> bool:
    """Whether the weighed entries are zero in each currency.

    Where all transactions are zero they always are. Where some are not, they are by chance only, once in 16 million proofs,
    and the next proof draws other weights. To group entries by transaction instead takes PostgreSQL twice as long as all else.
    """
    off: Counter[str] = Counter()
    for row in rows:
        if row.weighed is None and row.entries:
            return False
        off[row.currency] += int(row.weighed or 0)
    return not any(off.values())


async def _unbalanced(sql: AsyncConnection, rows: Sequence[Any]) -> list[tuple[str, Money]]:
    """Transactions that are not zero in some currency, with what is off.

    To give each entry its currency costs more than to sum them all. So it is asked which transactions are not zero over
    all currencies together, and which are not zero in one of the rarer currencies. Who is in neither list is zero in each
    rare currency and in the sum, and so in the common one as well.
    """
    used: Counter[str] = Counter()
    for row in rows:
        used[row.currency] += row.entries or 0
    asked = [_OFF, *(_off_in(rare) for rare, _ in used.most_common()[1:])]
    suspects = list((await sql.execute(union(*asked) if len(asked) > 1 else _OFF)).scalars())
    found: list[tuple[str, Money]] = []
    for start in range(0, len(suspects), SUSPECTS):
        exactly = _BY_CURRENCY.where(ledger_entry.c.txn_id.in_(suspects[start : start + SUSPECTS]))
        found += [(txn, Money(int(off), currency)) for txn, currency, off in await sql.execute(exactly)]
    return found


_e, _a, _b = ledger_entry.c, ledger_account.c, ledger_balance.c
_sum = func.sum(_e.amount_minor)
_OFF = select(_e.txn_id).group_by(_e.txn_id).having(_sum != 0)
_BY_CURRENCY = (
    select(_e.txn_id, _a.currency, _sum)
    .select_from(ledger_entry.join(ledger_account))
    .group_by(_e.txn_id, _a.currency)
    .having(_sum != 0)
)
_OUT_OF_RANGE = "22003"
_WEIGHT = func.hashtextextended(_e.txn_id, bindparam("seed", type_=BigInteger)).op("&")(0xFFFFFF)


# Accounts are few: what each of them sums to is joined with them, not each entry; and the same look counts.
def _by_account(weighed: Any) -> Select[Any]:
    by = (
        select(
            _e.account_id,
            _sum.label("amount"),
            func.count().label("entries"),
            func.max(_e.number).label("last"),
            weighed.label("weighed"),
        )
        .group_by(_e.account_id)
        .subquery()
    )  # fmt: skip - a list
    return select(
        _a.id, _a.kind, _a.currency, by.c.amount, by.c.entries, by.c.last, by.c.weighed, _b.amount_minor.label("kept")
    ).select_from(
        ledger_account.outerjoin(by, by.c.account_id == _a.id).outerjoin(ledger_balance, _b.account_id == _a.id)
    )


_BY_ACCOUNT = _by_account(null())
_BY_WEIGHT = _by_account(func.sum(_e.amount_minor * _WEIGHT))


def _off_in(currency: str) -> Any:
    theirs = select(_a.id).where(_a.currency == currency)
    return _OFF.where(_e.account_id.in_(theirs))
