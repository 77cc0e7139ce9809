"""Lists and single rows for reading, in pages. Nothing here locks or writes."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, TypeVar

from catalyst_mesh import Page, Transaction
from sqlalchemy import ColumnElement, Select, and_, or_, select

from ..domain.credit import Grant
from ..domain.findings import Finding
from ..domain.ledger import Account
from ..domain.orders import OPEN, Order
from ..domain.payments import Checkout, CheckoutState, Refund, RefundState
from ..domain.subscriptions import Subscription
from . import tables as t
from .mapping import of_row

T = TypeVar("T")


class Reading(Transaction):
    """The part of the store that answers lists."""

    async def orders(
        self, org: str, page: Page, *, states: Collection[str], sovereign: str, voucher: str
    ) -> list[Order]:
        """Orders, newest first; `org` empty: of everybody."""
        o = t.order.c
        wanted = [
            *([o.org == org] if org else []),
            *([o.state.in_(states)] if states else []),
            *([o.sovereign == sovereign] if sovereign else []),
            *([o.voucher == voucher] if voucher else []),
        ]
        return await self._newest(Order, select(t.order).where(*wanted), o.created_at, o.id, page)

    async def operation(self, name: str) -> bytes | None:
        """An operation that was kept."""
        query = select(t.operation.c.answer).where(t.operation.c.name == name)
        found: bytes | None = (await self.sql.execute(query)).scalar_one_or_none()
        return found

    async def subscriptions(self, org: str, page: Page, *, states: Collection[str]) -> list[Subscription]:
        """Subscriptions by scope; `org` empty: of everybody."""
        s = t.subscription.c
        query = select(t.subscription).order_by(s.scope, s.id).limit(page.size + 1)
        if org:
            query = query.where(s.org == org)
        if states:
            query = query.where(s.state.in_(states))
        if page.after:
            scope, id = page.after
            query = query.where(or_(s.scope > scope, and_(s.scope == scope, s.id > id)))
        return await self._all(Subscription, query)

    async def findings(self, page: Page, *, reason: str, account: str) -> list[Finding]:
        """Findings, latest seen first."""
        f = t.finding.c
        query = select(t.finding)
        if reason:
            query = query.where(f.reason == reason)
        if account:
            query = query.where(f.account == account)
        return await self._newest(Finding, query, f.last_seen_at, f.id, page)

    async def finding(self, id: str) -> Finding | None:
        """One finding."""
        return next(iter(await self._all(Finding, select(t.finding).where(t.finding.c.id == id))), None)

    async def subscription(self, org: str, id: str) -> Subscription | None:
        """One subscription of an Organization."""
        s = t.subscription.c
        return next(iter(await self._all(Subscription, select(t.subscription).where(s.id == id, s.org == org))), None)

    async def grants(self, org: str) -> list[Grant]:
        """Every grant of an Organization."""
        return await self._all(Grant, select(t.credit_grant).where(t.credit_grant.c.org == org))

    async def refunds(self, order: str) -> list[Refund]:
        """Refunds of an order, oldest first."""
        return await self._all(Refund, select(t.refund).where(t.refund.c.order == order).order_by(t.refund.c.id))

    async def entries(self, account: Account, page: Page) -> Sequence[Any]:
        """Entries of one ledger account with their transactions, newest first."""
        e = t.ledger_entry.c
        query = (
            select(e.number, e.n, e.amount_minor, t.ledger_txn)
            .join_from(t.ledger_entry, t.ledger_txn)
            .where(e.account_id == account.id)
            .order_by(e.number.desc())
            .limit(page.size + 1)
        )
        if page.after:
            query = query.where(e.number < int(page.after))
        return (await self.sql.execute(query)).mappings().all()

    async def due_checkouts(self, most: int) -> list[Checkout]:
        """Checkouts about which the provider is to be asked now."""
        c = t.checkout.c
        query = select(t.checkout).where(c.state != CheckoutState.CLOSED.value, c.next_at <= self.now)
        return await self._all(Checkout, query.order_by(c.next_at).limit(most))

    async def due_refunds(self, most: int) -> list[Refund]:
        """Refunds that the provider has still to do."""
        r = t.refund.c
        query = select(t.refund).where(r.state == RefundState.PENDING.value, r.next_at <= self.now)
        return await self._all(Refund, query.order_by(r.next_at).limit(most))

    async def overdue_orders(self, most: int) -> list[tuple[str, str]]:
        """Organization and id of unpaid orders whose deadline is over."""
        o = t.order.c
        query = select(o.org, o.id).where(o.state.in_(OPEN), o.deadline <= self.now).order_by(o.deadline).limit(most)
        return [(row.org, row.id) for row in await self.sql.execute(query)]

    async def lapsed_wallets(self, most: int) -> list[tuple[str, str]]:
        """Organization and currency of grants that expired with something left that nobody holds."""
        g = t.credit_grant.c
        query = select(g.org, g.currency).where(g.expires_at <= self.now, g.remaining_minor > g.held_minor)
        return [(row.org, row.currency) for row in await self.sql.execute(query.distinct().limit(most))]

    async def _newest(
        self, kind: type[T], query: Select[Any], at: ColumnElement[Any], id: ColumnElement[Any], page: Page
    ) -> list[T]:
        if page.after:
            moment, last = datetime.fromisoformat(page.after[0]), page.after[1]
            query = query.where(or_(at < moment, and_(at == moment, id < last)))
        return await self._all(kind, query.order_by(at.desc(), id.desc()).limit(page.size + 1))

    async def _all(self, kind: type[T], query: Select[Any]) -> list[T]:
        return [of_row(kind, row) for row in (await self.sql.execute(query)).mappings()]
