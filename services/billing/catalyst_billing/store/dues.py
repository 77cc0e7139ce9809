"""What a renewal is decided on, and what is due: subscriptions, charges, periods, documents."""

from collections.abc import Collection
from dataclasses import replace
from datetime import timedelta
from typing import Any

from catalyst_mesh import Page
from sqlalchemy import and_, func, or_, select, update

from ..domain import documents, earnings, invoices
from ..domain.accounts import NOBODY
from ..domain.accounts import State as AccountState
from ..domain.charges import Charge
from ..domain.charges import State as ChargeState
from ..domain.earnings import Earning, Period
from ..domain.further_orders import Ordered
from ..domain.invoices import SERIES, Invoice, InvoiceNotFound, Kind, Series, year_of
from ..domain.orders import OPEN, UNDER_WAY, Order
from ..domain.orders import Kind as OrderKind
from ..domain.postings import Books as HouseBooks
from ..domain.providers import Method
from ..domain.purchases import Purchase
from ..domain.renewals import Dues
from ..domain.subscriptions import EARNING, State, Subscription, SubscriptionNotFound
from . import tables as t
from .store import TABLES, PurchaseStore

ASIDE = timedelta(minutes=5)
"""When something is looked at again that failed for a reason of its own."""
PRICED = (State.ACTIVE.value, State.TRIALING.value)
"""States in which new prices are told; an unpaid subscription keeps those of its open invoice."""


class DuesStore(PurchaseStore):
    """The part of the store that goes from period to period."""

    async def lock_purchase(self, org: str, id: str) -> Purchase:
        """An order with everything it touches, what it pays for too."""
        p = await super().lock_purchase(org, id)
        account = await self.account(org)
        if account is not None and account.state is AccountState.CLOSED:
            p = replace(p, rivals=replace(p.rivals, closed=account.name))
        order = p.order
        p = replace(p, invoice=await self.invoice(org, order.invoice) if order.invoice else None)
        if order.kind is OrderKind.SUBSCRIPTION:
            unpaid = p.subscription.invoice if p.subscription else ""
            return replace(
                p,
                period=await self._paid_by(order),
                open_invoice=await self.invoice(org, unpaid) if unpaid else None,
            )
        if order.kind not in (OrderKind.CHANGE, OrderKind.ONE_OFF):
            return p
        paid = order.invoice if order.kind is OrderKind.ONE_OFF else ""
        dues = await self.lock_dues(org, order.subscription, HouseBooks(order.sovereign, ""), invoice=paid)
        if order.kind is OrderKind.CHANGE:
            return replace(p, subscription=dues.subscription, period=await self._changed_by(order) or dues.period)
        if (period := await self._paid_by(order)) is None:
            return replace(p, dues=dues)
        # It may be the current one, and is written once.
        return replace(p, dues=replace(dues, period=None), period=period)

    async def save(self, state: Any) -> None:
        """Write what was decided. Raises LostRace where another writer was faster."""
        if isinstance(state, Dues):
            await self._save_dues(state)
            await self.save_wallet(state.wallet)
        elif isinstance(state, Ordered):
            await self.save(state.purchase)
            if state.given:
                await self.save_all(state.given.note, state.given.series)
        elif isinstance(state, Earning):
            await self.save_all(state.period)
            await self._post_all(state.postings)
        else:
            if isinstance(state, Purchase):
                await self._save_papers(state)
            await super().save(state)
            if isinstance(state, Purchase):
                await self.save_all(state.period, state.open_invoice)

    async def _save_papers(self, p: Purchase) -> None:
        """Write what belongs to an order's documents; series are locked before the book, as a renewal does."""
        if p.dues:
            await self._save_dues(p.dues)
        for paper in p.papers:
            series = await self._series(paper.draft.kind, paper.year)
            sealed, paid, taken = documents.numbered(paper, series, self.now)
            await self.save_all(paid, taken)
            self.emit(invoices.Finalized(sealed), invoices.Paid(paid))

    async def _save_dues(self, d: Dues) -> None:
        await self.save_all(
            d.subscription, d.invoice, d.charge, d.period, d.new_period, *d.documents, *d.payments, *d.refunds
        )
        # Locked though nothing was numbered, a series of this year has no row yet and needs none.
        await self.save_all(*(series for series in (d.series, d.notes) if series.version))
        await self._post_all(d.postings)

    async def lock_dues(self, org: str, id: str, books: HouseBooks, *, invoice: str = "") -> Dues:
        """A subscription with everything its renewal touches, its account locked.

        invoice   the document that is meant; empty: the open one
        Raises SubscriptionNotFound, also for another Organization's.
        """
        account = await self.lock_account(org)
        found = await self._one(Subscription, select(t.subscription).where(t.subscription.c.id == id), lock=True)
        if found is None or found.org != org:
            raise SubscriptionNotFound(subscription=f"billingAccounts/{org}/subscriptions/{id}")
        wanted = invoice or found.invoice
        return Dues(
            subscription=_charged_to(found, await self._method(org)),
            wallet=await self.wallet(org, found.price.currency, found.charge),
            series=await self.lock_series(Kind.INVOICE, books),
            notes=await self.lock_series(Kind.CREDIT_NOTE, books),
            is_frozen=account is not None and account.state is not AccountState.OPEN,
            addressee=account.addressee if account else NOBODY,
            invoice=await self.invoice(org, wanted) if wanted else None,
            charge=await self._one(Charge, select(t.charge).where(t.charge.c.id == found.charge))
            if found.charge
            else None,
            period=await self._period(found, books),
        )

    async def lock_charge(self, org: str, id: str, books: HouseBooks) -> Dues | None:
        """What a charge belongs to, as `lock_dues`; None where its answer was applied before."""
        await self.lock_account(org)
        charge = await self._one(Charge, select(t.charge).where(t.charge.c.id == id), lock=True)
        if charge is None or charge.state is not ChargeState.WANTED:
            return None
        dues = await self.lock_dues(org, charge.subscription, books, invoice=charge.invoice)
        return replace(dues, charge=charge, wallet=await self.wallet(org, charge.amount.currency, charge.id))

    async def lock_series(self, kind: Kind, books: HouseBooks) -> Series:
        """The numbers of a kind of document in this year; nobody else takes one until the commit.

        Of a year that has no row yet, the primary key picks one of two first comers, in `save`.
        """
        return await self._series(kind, year_of(self.now, books))

    async def _series(self, kind: Kind, year: int) -> Series:
        name, c = SERIES[kind], t.invoice_series.c
        query = select(t.invoice_series).where(c.series == name, c.year == year)
        return await self._one(Series, query, lock=True) or Series(name, year, 0)

    async def invoice(self, org: str, id: str) -> Invoice:
        """One document. Raises InvoiceNotFound; another Organization's is not found either."""
        i = t.invoice.c
        found = await self._one(Invoice, select(t.invoice).where(i.id == id, i.org == org))
        if found is None:
            raise InvoiceNotFound(invoice=f"billingAccounts/{org}/invoices/{id}")
        return found

    async def invoices(self, org: str, page: Page, *, states: Collection[str]) -> list[Invoice]:
        """Documents, newest first; `org` empty: of everybody."""
        i = t.invoice.c
        wanted = [*([i.org == org] if org else []), *([i.state.in_(states)] if states else [])]
        return await self._newest(Invoice, select(t.invoice).where(*wanted), i.created_at, i.id, page)

    async def due_subscriptions(self, most: int) -> list[tuple[str, str]]:
        """Organization and id of subscriptions that are to be looked at now."""
        s = t.subscription.c
        is_old = and_(s.anchor_at.is_(None), s.wake_at.is_(None), s.state != State.CANCELLED.value)
        query = select(s.org, s.id).where(or_(s.wake_at <= self.now, and_(is_old, s.period_end <= self.now)))
        return [(row.org, row.id) for row in await self.sql.execute(query.order_by(s.wake_at).limit(most))]

    async def open_orders(self, org: str) -> list[str]:
        """Ids of the unpaid orders of an Organization."""
        o = t.order.c
        query = select(o.id).where(o.org == org, o.state.in_(OPEN)).order_by(o.created_at)
        return list((await self.sql.execute(query)).scalars())

    async def awaited_orders(self, org: str, environment: str) -> list[str]:
        """Ids of paid orders whose apps are to stand in an Environment, or in whichever."""
        o = t.order.c
        query = select(o.id).where(
            o.org == org, o.state.in_(UNDER_WAY), o.fulfilled_at.is_(None), o.sovereign == "",
            o.environment.in_(("", environment)),
        )  # fmt: skip
        return list((await self.sql.execute(query.order_by(o.created_at))).scalars())

    async def unfinished_subscriptions(self, org: str) -> list[str]:
        """Ids of the subscriptions of an Organization of which something is still to come: a last bill may be."""
        s = t.subscription.c
        is_running = or_(s.state != State.CANCELLED.value, s.wake_at.is_not(None), s.charge != "")
        query = select(s.id).where(s.org == org, is_running).order_by(s.id)
        return list((await self.sql.execute(query)).scalars())

    async def set_aside(self, kind: type, id: str) -> None:
        """Look later at what is due and fails for a reason of its own: else it would keep all behind it waiting."""
        table = TABLES[kind]
        due = table.c.wake_at if kind is Subscription else table.c.next_at
        later = update(table).where(table.c.id == id, due <= self.now).values({due.name: self.now + ASIDE})
        await self.sql.execute(later)

    async def due_charges(self, most: int) -> list[Charge]:
        """Charges that a provider is to be asked for now."""
        c = t.charge.c
        query = select(t.charge).where(c.state == ChargeState.WANTED.value, c.next_at <= self.now)
        return await self._many(Charge, query.order_by(c.next_at).limit(most))

    async def due_periods(self, most: int) -> list[Period]:
        """Periods of which more is earned by now."""
        query = select(t.period).where(t.period.c.next_at <= self.now).order_by(t.period.c.next_at).limit(most)
        return await self._many(Period, query)

    async def lock_period(self, period: Period) -> Period | None:
        """The period as it is now, its account locked."""
        await self.lock_account(period.org)
        p = t.period.c
        query = select(t.period).where(p.subscription == period.subscription, p.start == period.start)
        return await self._one(Period, query, lock=True)

    async def lock_subscription(self, org: str, id: str) -> Subscription | None:
        """One subscription, its account locked."""
        await self.lock_account(org)
        s = t.subscription.c
        return await self._one(Subscription, select(t.subscription).where(s.id == id, s.org == org), lock=True)

    async def priced_before(self, book: int, currency: str, most: int) -> list[Subscription]:
        """Live subscriptions whose prices were not compared with price book `book` yet."""
        s = t.subscription.c
        query = select(t.subscription).where(
            s.compared_book < book, s.price_book_version < book, s.currency == currency, s.state.in_(PRICED)
        )
        return await self._many(Subscription, query.order_by(s.id).limit(most))

    async def earning(self, currency: str) -> list[Subscription]:
        """Subscriptions that count as recurring revenue."""
        s = t.subscription.c
        query = select(t.subscription).where(s.state.in_(EARNING), s.currency == currency)
        return await self._many(Subscription, query)

    async def accounts_opened(self, since: Any) -> tuple[int, int]:
        """How many accounts are not closed, and how many of them were opened at or after `since`."""
        a = t.billing_account.c
        query = select(func.count(), func.count().filter(a.created_at >= since))
        row = (await self.sql.execute(query.where(a.state != AccountState.CLOSED.value))).one()
        return int(row[0]), int(row[1])

    async def had_trial(self, org: str, plan: str) -> bool:
        """Whether an Organization tried a plan before."""
        s = t.subscription.c
        found = await self.sql.execute(select(s.id).where(s.org == org, s.trial_plan == plan).limit(1))
        return found.first() is not None

    async def _method(self, org: str) -> Method | None:
        """The method that an Organization saved last, at whatever provider."""
        m = t.payment_method.c
        query = select(t.payment_method).where(m.org == org).order_by(m.updated_at.desc(), m.provider).limit(1)
        return await self._one(Method, query)

    async def _paid_by(self, order: Order) -> Period | None:
        """The period that an order paid."""
        query = select(t.period).where(t.period.c.order == order.name).order_by(t.period.c.start).limit(1)
        return await self._one(Period, query)

    async def _changed_by(self, order: Order) -> Period | None:
        """The period of which an order changed what it costs."""
        assert order.change is not None
        p = t.period.c
        query = select(t.period).where(p.subscription == order.subscription, p.start == order.change.period_start)
        return await self._one(Period, query)

    async def _period(self, s: Subscription, books: HouseBooks) -> Period:
        p = t.period.c
        query = select(t.period).where(p.subscription == s.id, p.start == s.period_start)
        found = await self._one(Period, query)
        # Of a subscription that is older than this table nothing was earned yet.
        return found or earnings.open_period(
            s.period, [(s.plan, s.price)], subscription=s.id, org=s.org, tax=s.price.zero(), books=books,
            sovereign=s.sovereign,
        )  # fmt: skip


def _charged_to(s: Subscription, saved: Method | None) -> Subscription:
    """The subscription with the method that is charged now; noted in its row with its next change."""
    if saved is None or (s.provider, s.method) == (saved.provider, saved.ref):
        return s
    return replace(
        s, provider=saved.provider, customer=saved.customer, method=saved.ref, method_label=saved.label
    )  # fmt: skip
