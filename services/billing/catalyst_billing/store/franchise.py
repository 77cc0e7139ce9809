"""Agreements, statements, and the entries that a statement counts."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from catalyst_mesh import Page
from sqlalchemy import and_, case, func, or_, select, text

from ..domain.franchise import Agreement, Booked, Statement
from ..domain.ledger import Kind, Part
from ..domain.money import Money
from . import metering
from . import tables as t
from .mapping import of_plain

CHARGED = (Kind.DEFERRED_REVENUE.value, Kind.REVENUE.value)
_EARNED = "revenue_earned"
"""Moves what was charged before; it charges nothing."""


class Store(metering.Store):
    """Everything that billing reads under lock and saves; here what is shared with a publisher."""

    async def agreement(self, id: str, *, lock: bool = False) -> Agreement | None:
        """One agreement."""
        return await self._one(Agreement, select(t.agreement).where(t.agreement.c.id == id), lock=lock)

    async def agreements_of(self, sovereign: str) -> list[Agreement]:
        """All agreements of a Sovereign; nobody else makes or moves one until the commit."""
        await self.alone("agreements", sovereign)
        a = t.agreement.c
        return await self._many(Agreement, select(t.agreement).where(a.sovereign == sovereign).order_by(a.valid_from))

    async def agreements(self, page: Page, *, sovereign: str) -> list[Agreement]:
        """Agreements, latest span first."""
        a = t.agreement.c
        query = select(t.agreement).where(*([a.sovereign == sovereign] if sovereign else []))
        return await self._newest(Agreement, query, a.valid_from, a.id, page)

    async def statement(self, month: str) -> Statement | None:
        """The statement of a month."""
        return await self._one(Statement, select(t.statement).where(t.statement.c.month == month))

    async def statements(self, page: Page) -> list[Statement]:
        """Statements, latest month first."""
        s = t.statement.c
        query = select(t.statement).order_by(s.month.desc()).limit(page.size + 1)
        return await self._all(Statement, query.where(s.month < page.after) if page.after else query)

    async def last_statement(self) -> Statement | None:
        """The latest statement; no other is issued until the commit."""
        await self.alone("statements")
        return await self._one(Statement, select(t.statement).order_by(t.statement.c.month.desc()).limit(1))

    async def count_statements(self) -> int:
        return int((await self.sql.execute(select(func.count()).select_from(t.statement))).scalar_one())

    async def last_entry(self) -> int:
        """The highest entry of the book. Until the commit no other is written, and none below it is still on its way."""
        if self.has_row_locks:
            await self.sql.execute(text("LOCK TABLE ledger_entry IN SHARE ROW EXCLUSIVE MODE"))
        return int((await self.sql.execute(select(func.coalesce(func.max(t.ledger_entry.c.number), 0)))).scalar_one())

    async def booked(
        self, currency: str, since: datetime, cutoff: datetime, last_entry: int, before: Statement | None
    ) -> list[Booked]:
        """Transactions that a statement counts: booked before its cutoff, and not counted in the one before."""
        e, x, a = t.ledger_entry.c, t.ledger_txn.c, t.ledger_account.c
        wanted: list[Any] = [
            a.currency == currency, x.booked_at < cutoff, x.booked_at >= since, e.number <= last_entry, x.kind != _EARNED
        ]  # fmt: skip
        if before is not None:
            wanted.append(or_(e.number > before.last_entry, x.booked_at >= before.cutoff))
        net = func.sum(case((a.kind.in_(CHARGED), -e.amount_minor), else_=0)).label("net")
        tax = func.sum(case((a.kind == Kind.TAX_PAYABLE.value, -e.amount_minor), else_=0)).label("tax")
        query: Any = (
            select(x.id, x.vouchers, x["items"], net, tax)
            .select_from(t.ledger_entry.join(t.ledger_txn).join(t.ledger_account))
            .where(and_(*wanted))
            .group_by(x.id, x.vouchers, x["items"])
            .having(func.max(case((a.kind.in_(CHARGED), 1), else_=0)) == 1)
            .order_by(x.id)
        )
        return [_booked(row, currency) for row in (await self.sql.execute(query)).mappings()]


def _booked(row: Any, currency: str) -> Booked:
    parts: Sequence[tuple[Part, ...]] = [of_plain(tuple[Part, ...], row[name]) for name in ("items", "vouchers")]
    return Booked(Money(int(row["net"]), currency), Money(int(row["tax"]), currency), parts[0], parts[1])
