"""Reading the book, accounts and goodwill; and what other Sovereigns exported."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from catalyst_mesh import Page
from sqlalchemy import ColumnElement, and_, exists, func, or_, select

from ..domain.accounts import BillingAccount
from ..domain.goodwill import LIFE, Goodwill, State
from ..domain.ledger import Account
from ..domain.money import Money
from ..domain.transfers import Imported
from . import tables as t
from .reading import Reading
from .remembering import Remembering


class LedgerStore(Reading, Remembering):
    """The part of the store that shows the book to people."""

    async def accounts(self, page: Page, *, state: str) -> list[BillingAccount]:
        """Accounts by name."""
        a = t.billing_account.c
        query = select(t.billing_account).where(a.org > (page.after or ""))
        if state:
            query = query.where(a.state == state)
        return await self._all(BillingAccount, query.order_by(a.org).limit(page.size + 1))

    async def ledger_accounts(self, page: Page, *, owner: str, kind: str) -> Sequence[Any]:
        """Accounts of the book with their balances, by id."""
        a, b = t.ledger_account.c, t.ledger_balance.c
        query = (
            select(t.ledger_account, b.amount_minor, b.version).join(t.ledger_balance).where(a.id > (page.after or ""))
        )
        if owner:
            query = query.where(a.owner == owner)
        if kind:
            query = query.where(a.kind == kind)
        return (await self.sql.execute(query.order_by(a.id).limit(page.size + 1))).mappings().all()

    async def ledger_txn(self, id: str) -> Any:
        """One transaction; None where there is none."""
        return (await self.sql.execute(select(t.ledger_txn).where(t.ledger_txn.c.id == id))).mappings().first()

    async def ledger_txns(
        self, page: Page, *, account: str, order: str, begin: datetime | None, end: datetime | None
    ) -> Sequence[Any]:
        """Transactions, newest first by when they were booked."""
        x = t.ledger_txn.c
        query = select(t.ledger_txn).where(*_within(x.booked_at, begin, end))
        if order:
            query = query.where(x.order == order)
        if account:
            e = t.ledger_entry.c
            query = query.where(exists().where(e.txn_id == x.id, e.account_id == account))
        if page.after:
            at, last = datetime.fromisoformat(page.after[0]), page.after[1]
            query = query.where(or_(x.booked_at < at, and_(x.booked_at == at, x.id < last)))
        query = query.order_by(x.booked_at.desc(), x.id.desc()).limit(page.size + 1)
        return (await self.sql.execute(query)).mappings().all()

    async def lines_of(self, txns: Sequence[str]) -> dict[str, list[Any]]:
        """Entries of transactions with the currency of their accounts."""
        e, a = t.ledger_entry.c, t.ledger_account.c
        query = select(e.txn_id, e.account_id, e.amount_minor, a.currency).join(t.ledger_account)
        found: defaultdict[str, list[Any]] = defaultdict(list)
        for row in (await self.sql.execute(query.where(e.txn_id.in_(txns)).order_by(e.txn_id, e.n))).mappings():
            found[row["txn_id"]].append(row)
        return found

    async def history(self, account: Account) -> Sequence[Any]:
        """Every entry of an account with its transaction, in the order in which they were written."""
        e = t.ledger_entry.c
        query = select(e.number, e.n, e.amount_minor, t.ledger_txn).join_from(t.ledger_entry, t.ledger_txn)
        return (await self.sql.execute(query.where(e.account_id == account.id).order_by(e.number))).mappings().all()

    async def lock_goodwill(self, org: str, id: str) -> Goodwill | None:
        """One wish of an account."""
        g = t.goodwill.c
        return await self._one(Goodwill, select(t.goodwill).where(g.id == id, g.org == org), lock=True)

    async def goodwill_since(self, org: str, since: datetime, currency: str) -> Money:
        """What an account was given since a moment."""
        g = t.goodwill.c
        mine = (g.org == org, g.currency == currency, g.state == State.GRANTED.value, g.updated_at >= since)
        total = (await self.sql.execute(select(func.sum(g.amount_minor)).where(*mine))).scalar_one()
        return Money(int(total or 0), currency)

    async def goodwills(self, org: str, page: Page, *, state: str) -> list[Goodwill]:
        """Wishes, newest first, by the state they are in now; `org` empty: of everybody."""
        g = t.goodwill.c
        query = select(t.goodwill)
        if org:
            query = query.where(g.org == org)
        late = g.created_at <= self.now - LIFE
        if state == State.EXPIRED.value:
            query = query.where(or_(g.state == state, and_(g.state == State.PENDING.value, late)))
        elif state:
            query = query.where(g.state == state, ~late if state == State.PENDING.value else g.state == state)
        return await self._newest(Goodwill, query, g.created_at, g.id, page)

    async def uses_of(self, org: str) -> Sequence[Any]:
        """Every use of a voucher by an Organization."""
        u = t.voucher_use.c
        query = select(
            u.id, u.voucher, u.order, u.value_minor, u.currency, u.state, u.created_at, u.settled_at, u.grant
        )
        return (await self.sql.execute(query.where(u.org == org).order_by(u.created_at, u.id))).mappings().all()

    async def imported(self, id: str) -> Imported | None:
        """That an account of another Sovereign was taken over."""
        return await self._one(Imported, select(t.imported).where(t.imported.c.id == id))


def _within(at: ColumnElement[Any], begin: datetime | None, end: datetime | None) -> list[ColumnElement[bool]]:
    return [*([at >= begin] if begin else []), *([at < end] if end else [])]
