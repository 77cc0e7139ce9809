"""The unit of work: what is locked and read together, and how a decided state is written.

Locks are taken in one order, account before voucher before the book, so that no two writers wait for each other.
What was read is remembered; of a decided state only what differs from it is written, each row from version n to n+1.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

from sqlalchemy import Table, delete, insert, or_, select, update

from ..domain import findings
from ..domain.accounts import NOBODY, BillingAccount
from ..domain.campaigns import Campaign
from ..domain.charges import Charge
from ..domain.credit import Grant, Hold, HoldState, Wallet
from ..domain.disputes import Dispute
from ..domain.earnings import Period
from ..domain.findings import Finding
from ..domain.franchise import Agreement, Statement
from ..domain.goodwill import Given, Goodwill
from ..domain.invoices import Invoice, Series
from ..domain.ledger import Txn
from ..domain.orders import OPEN, Kind, Order, OrderNotFound
from ..domain.payments import Checkout, Payment, Refund
from ..domain.providers import Method, Provider, ProviderSecret, Reconciled, Saved
from ..domain.purchases import Purchase, Rivals
from ..domain.quotas import Entitlement, Fired
from ..domain.quotes import Quote, QuoteNotFound
from ..domain.submissions import Redemption
from ..domain.subscriptions import State as SubscriptionState
from ..domain.subscriptions import Subscription
from ..domain.transfers import Imported
from ..domain.usage import Meter
from ..domain.uses import Tally, Use
from ..domain.vouchers import Edited, Revision, Voucher
from ..domain.webhooks import ProviderEvent
from . import tables as t
from .books import Books
from .dealings import Dealings
from .ledgers import LedgerStore
from .mapping import to_row
from .vouchers import VoucherStore

OPERATIONS_KEPT = timedelta(days=30)

TABLES: dict[type, Table] = {
    Agreement: t.agreement,
    BillingAccount: t.billing_account,
    Campaign: t.campaign,
    Charge: t.charge,
    Checkout: t.checkout,
    Dispute: t.dispute,
    Entitlement: t.entitlement,
    Finding: t.finding,
    Fired: t.threshold_fired,
    Goodwill: t.goodwill,
    Grant: t.credit_grant,
    Hold: t.credit_hold,
    Imported: t.imported,
    Invoice: t.invoice,
    Meter: t.meter,
    Method: t.payment_method,
    Order: t.order,
    Payment: t.payment,
    Period: t.period,
    Provider: t.provider,
    ProviderEvent: t.provider_event,
    ProviderSecret: t.provider_secret,
    Quote: t.quote,
    Reconciled: t.reconciled,
    Revision: t.voucher_revision,
    Refund: t.refund,
    Series: t.invoice_series,
    Statement: t.statement,
    Subscription: t.subscription,
    Use: t.voucher_use,
    Voucher: t.voucher,
}


class PurchaseStore(Books, VoucherStore, LedgerStore, Dealings):
    """The part of the store that reads under lock and saves what an order touches."""

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

    async def rivals(self, org: str, sovereign: str, kind: Kind | None, *, but: str = "") -> Rivals:
        """What stands in the way of an order of `org` for `sovereign` (empty: for itself), order `but` left out.

        kind   of orders of which one may be open; None: of any
        """
        o, s = t.order.c, t.subscription.c
        others = select(o.id).where(o.org == org, o.id != but).limit(1)
        alike = others.where(o.kind == kind.value) if kind else others
        opened = (await self.sql.execute(alike.where(o.state.in_(OPEN)))).scalar_one_or_none()
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
        account = await self.lock_account(org)
        order = await self.order(org, id)
        voucher = await self.lock_voucher(order.voucher) if order.voucher else None
        u, p, r, s = t.voucher_use.c, t.payment.c, t.refund.c, t.subscription.c
        uses = (
            select(t.voucher_use)
            .where(u.voucher == order.voucher, u.order == id)
            .order_by(u.created_at.desc(), u.id.desc())
        )
        paid = await self._many(Payment, select(t.payment).where(p.order == id).order_by(p.received_at))
        return Purchase(
            order=order,
            wallet=await self.wallet(org, order.total.currency, id),
            voucher=voucher,
            use=await self._one(Use, uses.limit(1)) if voucher else None,
            tally=await self.tally(voucher.id, org) if voucher else Tally(),
            rivals=await self.rivals(org, order.sovereign, order.kind, but=id),
            checkout=await self.checkout(id),
            subscription=await self._one(Subscription, select(t.subscription).where(s.order == id)),
            payments=tuple(paid),
            disputes=tuple(await self.disputes_of(paid)),
            refunds=tuple(await self._many(Refund, select(t.refund).where(r.order == id).order_by(r.id))),
            paid_txn=await self.txn(f"order_paid:{order.name}"),
            addressee=account.addressee if account else NOBODY,
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
        elif isinstance(state, Txn):
            await self.post(state)
        elif isinstance(state, Given):
            await self.save_all(state.goodwill, state.grant)
            await self._post_all(state.postings)
        elif isinstance(state, Edited):
            await self.save_edit(state)
        elif isinstance(state, Saved):
            await self.save_all(state.provider, *state.secrets)
        elif isinstance(state, Redemption):
            await self.save_all(state.voucher, state.use, *state.wallet.grants)
            await self._post_all(state.postings)
        else:
            await self._save_part(state)

    async def save_edit(self, edited: Edited) -> None:
        """Write a voucher and the revision that it is now, unless that stands already."""
        before = self._seen.get(edited.voucher.name)
        await self._save_part(edited.voucher)
        if before is None or before.revision != edited.voucher.revision:
            await self._save_part(edited.revision)

    async def save_all(self, *parts: Any) -> None:
        """Write several values, what is None or unchanged left out."""
        for part in parts:
            if part is not None:
                await self._save_part(part)

    async def save_wallet(self, wallet: Wallet) -> None:
        """Write grants and holds."""
        await self.save_all(*wallet.grants, *wallet.holds)

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
