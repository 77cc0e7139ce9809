"""The unit of work: what is locked and read together, and how a decided state is written.

Locks are taken in one order, account before voucher before the book, so that no two writers wait for each other.
What was read is remembered; of a decided state only what differs from it is written, each row from version n to n+1.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any, TypeVar

from sqlalchemy import Select, Table, delete, func, insert, or_, select, update

from ..domain import findings
from ..domain.accounts import BillingAccount
from ..domain.charges import Charge
from ..domain.credit import Grant, Hold, HoldState, Wallet
from ..domain.earnings import Period
from ..domain.findings import Finding
from ..domain.franchise import Agreement, Statement
from ..domain.invoices import Invoice, Series
from ..domain.orders import OPEN, Order, OrderNotFound
from ..domain.payments import Checkout, Payment, Refund
from ..domain.purchases import Purchase, Rivals
from ..domain.quotas import Entitlement, Fired
from ..domain.quotes import Quote, QuoteNotFound
from ..domain.submissions import Redemption
from ..domain.subscriptions import State as SubscriptionState
from ..domain.subscriptions import Subscription
from ..domain.usage import Meter
from ..domain.uses import Tally, Use, UseState
from ..domain.vouchers import Voucher
from . import tables as t
from .books import Books
from .mapping import of_row, to_row
from .reading import Reading

S = TypeVar("S")
OPERATIONS_KEPT = timedelta(days=30)

TABLES: dict[type, Table] = {
    Agreement: t.agreement,
    BillingAccount: t.billing_account,
    Charge: t.charge,
    Checkout: t.checkout,
    Entitlement: t.entitlement,
    Finding: t.finding,
    Fired: t.threshold_fired,
    Grant: t.credit_grant,
    Hold: t.credit_hold,
    Invoice: t.invoice,
    Meter: t.meter,
    Order: t.order,
    Payment: t.payment,
    Period: t.period,
    Quote: t.quote,
    Refund: t.refund,
    Series: t.invoice_series,
    Statement: t.statement,
    Subscription: t.subscription,
    Use: t.voucher_use,
    Voucher: t.voucher,
}


class PurchaseStore(Books, Reading):
    """The part of the store that reads under lock and saves what an order touches."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._seen: dict[str, Any] = {}

    async def keep_operation(self, name: str, answer: bytes) -> None:
        """Keep an operation that is done; those of last month go."""
        old = t.operation.c.created_at < self.now - OPERATIONS_KEPT
        await self.sql.execute(delete(t.operation).where(old))
        await self.write(insert(t.operation).values(name=name, answer=answer, created_at=self.now))

    async def lock_account(self, org: str) -> BillingAccount | None:
        """The account of an Organization; nobody else spends from it until the commit.

        One that was never used has no row to lock: of two first comers the primary key picks one, in `save`.
        """
        return await self._one(
            BillingAccount, select(t.billing_account).where(t.billing_account.c.org == org), lock=True
        )

    async def account(self, org: str) -> BillingAccount | None:
        """The account of an Organization, only to be read."""
        return await self._one(BillingAccount, select(t.billing_account).where(t.billing_account.c.org == org))

    async def wallet(self, org: str, currency: str, order: str = "") -> Wallet:
        """Credit in one currency: grants with something left, open holds, and what `order` drew from."""
        h, g = t.credit_hold.c, t.credit_grant.c
        mine = (h.org == org) & (h.currency == currency)
        holds = await self._many(Hold, select(t.credit_hold).where(mine & (h.state == HoldState.ACTIVE.value)))
        if order and not any(hold.id == order for hold in holds):
            holds += await self._many(Hold, select(t.credit_hold).where(mine & (h.id == order)))
        drawn = [draw.grant for hold in holds for draw in hold.draws]
        query = select(t.credit_grant).where(
            g.org == org, g.currency == currency, or_(g.remaining_minor > 0, g.id.in_(drawn))
        )
        return Wallet(org, currency, tuple(await self._many(Grant, query)), tuple(holds))

    async def quote(self, org: str, id: str) -> Quote:
        """One quote. Raises QuoteNotFound; another Organization's is not found either."""
        found = await self._one(Quote, select(t.quote).where(t.quote.c.id == id, t.quote.c.org == org))
        if found is None:
            raise QuoteNotFound(quote=f"billingAccounts/{org}/quotes/{id}")
        return found

    async def order(self, org: str, id: str) -> Order:
        """One order. Raises OrderNotFound; another Organization's is not found either."""
        found = await self._one(Order, select(t.order).where(t.order.c.id == id, t.order.c.org == org))
        if found is None:
            raise OrderNotFound(order=f"billingAccounts/{org}/orders/{id}")
        return found

    async def checkout(self, order: str) -> Checkout | None:
        """The checkout of an order."""
        return await self._one(Checkout, select(t.checkout).where(t.checkout.c.id == order))

    async def lock_voucher(self, id: str) -> Voucher | None:
        """One voucher; nobody else uses it until the commit."""
        return await self._one(Voucher, select(t.voucher).where(t.voucher.c.id == id), lock=True)

    async def voucher_of_code(self, code: str) -> Voucher | None:
        """The voucher with a normalised code, revoked ones too."""
        return await self._one(Voucher, select(t.voucher).where(t.voucher.c.code == code))

    async def tally(self, voucher: str, org: str) -> Tally:
        """Uses that count now; true until the commit if the voucher is locked."""
        u = t.voucher_use.c
        counts = or_(
            u.state == UseState.CONFIRMED.value, (u.state == UseState.RESERVED.value) & (u.expires_at > self.now)
        )
        query = select(u.state, u.org, func.count(), func.sum(u.value_minor)).where(u.voucher == voucher, counts)
        rows = (await self.sql.execute(query.group_by(u.state, u.org))).all()
        return Tally(
            confirmed=sum(count for state, _, count, _ in rows if state == UseState.CONFIRMED.value),
            reserved=sum(count for state, _, count, _ in rows if state == UseState.RESERVED.value),
            of_org=sum(count for _, owner, count, _ in rows if owner == org),
            value_minor=sum(int(value) for _, _, _, value in rows),
        )

    async def rivals(self, org: str, sovereign: str, but: str = "") -> Rivals:
        """What stands in the way of an order of `org` for `sovereign` (empty: for itself), order `but` left out."""
        o, s = t.order.c, t.subscription.c
        others = select(o.id).where(o.org == org, o.id != but).limit(1)
        opened = (await self.sql.execute(others.where(o.state.in_(OPEN)))).scalar_one_or_none()
        paid = (await self.sql.execute(others.where(o.paid_at.is_not(None)))).scalar_one_or_none()
        taken = select(o.id).where(o.sovereign == sovereign, o.claims_sovereign, o.id != but).limit(1)
        live = select(s.id).where(
            s.scope == (sovereign or f"organizations/{org}"),
            s.state != SubscriptionState.CANCELLED.value,
            s.order != but,
        )
        return Rivals(
            open_order=f"billingAccounts/{org}/orders/{opened}" if opened else "",
            sovereign_taken=bool(sovereign) and (await self.sql.execute(taken)).first() is not None,
            scope_taken=(await self.sql.execute(live.limit(1))).first() is not None,
            org_is_new=paid is None,
        )

    async def lock_purchase(self, org: str, id: str) -> Purchase:
        """An order with everything it touches, its account and voucher locked. Raises OrderNotFound."""
        await self.lock_account(org)
        order = await self.order(org, id)
        voucher = await self.lock_voucher(order.voucher) if order.voucher else None
        u, p, r, s = t.voucher_use.c, t.payment.c, t.refund.c, t.subscription.c
        uses = (
            select(t.voucher_use)
            .where(u.voucher == order.voucher, u.order == id)
            .order_by(u.created_at.desc(), u.id.desc())
        )
        return Purchase(
            order=order,
            wallet=await self.wallet(org, order.total.currency, id),
            voucher=voucher,
            use=await self._one(Use, uses.limit(1)) if voucher else None,
            tally=await self.tally(voucher.id, org) if voucher else Tally(),
            rivals=await self.rivals(org, order.sovereign, but=id),
            checkout=await self.checkout(id),
            subscription=await self._one(Subscription, select(t.subscription).where(s.order == id)),
            payments=tuple(await self._many(Payment, select(t.payment).where(p.order == id).order_by(p.received_at))),
            refunds=tuple(await self._many(Refund, select(t.refund).where(r.order == id).order_by(r.id))),
            paid_txn=await self.txn(f"order_paid:{order.name}"),
        )

    async def save(self, state: Any) -> None:
        """Write what was decided. Raises LostRace where another writer was faster."""
        if isinstance(state, Purchase):
            await self._save_purchase(state)
        elif isinstance(state, tuple):
            for part in state:
                await self.save(part)
        elif isinstance(state, Wallet):
            await self.save_wallet(state)
        elif isinstance(state, Redemption):
            await self.save_all(state.voucher, state.use, *state.wallet.grants)
            await self._post_all(state.postings)
        else:
            await self._save_part(state)

    async def save_all(self, *parts: Any) -> None:
        """Write several values, what is None or unchanged left out."""
        for part in parts:
            if part is not None:
                await self._save_part(part)

    async def save_wallet(self, wallet: Wallet) -> None:
        """Write grants and holds."""
        await self.save_all(*wallet.grants, *wallet.holds)

    async def voucher(self, id: str) -> Voucher | None:
        """One voucher, only to be read."""
        return await self._one(Voucher, select(t.voucher).where(t.voucher.c.id == id))

    async def refund(self, id: str) -> Refund | None:
        """One refund; nobody else carries it on until the commit."""
        return await self._one(Refund, select(t.refund).where(t.refund.c.id == id), lock=True)

    async def open_finding(self, finding: Finding) -> None:
        """Write a finding and tell of it; one that is known is only seen again."""
        known = await self._one(Finding, select(t.finding).where(t.finding.c.id == finding.id), lock=True)
        if known is None:
            await self._save_part(finding)
            self.emit(findings.Opened(finding))
        else:
            await self._save_part(replace(known, last_seen_at=self.now, version=known.version + 1))

    async def _save_purchase(self, p: Purchase) -> None:
        await self.save_all(p.order, p.quote, p.voucher, p.use, p.subscription, p.checkout, *p.payments, *p.refunds)
        await self.save_wallet(p.wallet)
        await self._post_all(p.postings)
        for finding in p.findings:
            await self.open_finding(finding)

    async def _post_all(self, postings: Sequence[Any]) -> None:
        for txn in postings:
            await self.post(txn)

    async def _save_part(self, part: Any) -> None:
        before = self._seen.get(part.name)
        if before is part:
            return
        table = TABLES[type(part)]
        row = to_row(part, table)
        if before is None:
            await self.write(insert(table).values(row))
        else:
            mine = [column == row[column.name] for column in table.primary_key]
            await self.write(update(table).where(*mine, table.c.version == before.version).values(row))
        self._seen[part.name] = part

    async def _one(self, kind: type[S], query: Select[Any], *, lock: bool = False) -> S | None:
        row = (await self.sql.execute(query.with_for_update() if lock else query)).mappings().first()
        return self._remember(of_row(kind, row), fresh=lock) if row else None

    async def _many(self, kind: type[S], query: Select[Any]) -> list[S]:
        rows = (await self.sql.execute(query)).mappings().all()
        return [self._remember(of_row(kind, row)) for row in rows]

    def _remember(self, value: Any, *, fresh: bool = False) -> Any:
        """What was read, once per transaction; only what is read under its lock is newer than what was read before."""
        if fresh:
            self._seen[value.name] = value
        return self._seen.setdefault(value.name, value)
