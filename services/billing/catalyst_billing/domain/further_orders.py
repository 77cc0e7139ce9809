"""Orders that no quote makes: a change of a subscription, and the payment of an open invoice.

Both are settled as every other order is: credit first, held at submission; the rest by the provider's page.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from catalyst_sdk import Decision

from . import changes, credit, invoices, orders, payments, postings, settlements
from .accounts import BillingAccount
from .changes import Prorated
from .credit import Grant, Purpose, Source, Wallet
from .invoices import Invoice, InvoiceLine, Kind, Series
from .ledger import Part, Txn
from .money import Money
from .orders import Change, Command, Order
from .periods import Span
from .postings import Books
from .pricing import Line, LineKind, Offer, Selection
from .purchases import Purchase
from .renewals import Dues, House


@dataclass(frozen=True, slots=True)
class Counter:
    """What such an order is decided on, read under the account's lock."""

    account: BillingAccount
    dues: Dues
    open_order: str
    """Name of an open order of the account and the kind; empty: there is none."""
    step: int
    """The provider's step in minor units."""


@dataclass(frozen=True, slots=True)
class Wish:
    """Who wants to pay how."""

    id: str
    """Id for the order."""
    provider: str
    """Name of the provider that takes the rest; empty: none can."""
    return_url: str = ""
    ttl: timedelta = timedelta(minutes=30)


@dataclass(frozen=True, slots=True)
class Given:
    """What a change gives back: the grant, and the credit note that says so."""

    grant: Grant
    note: Invoice
    series: Series


@dataclass(frozen=True, slots=True)
class Ordered:
    """An order, and what it gave back."""

    purchase: Purchase
    given: Given | None = None


def change(
    c: Counter, offer: Offer, selection: Selection, wish: Wish, house: House, now: datetime, *, immediate: bool
) -> Decision[Ordered]:
    """Move the subscription to `offer`: at once where it costs more or `immediate` says so, else from the next period on.

    Raises IllegalTransition, PeriodOver, OrderOpen, PaymentUnavailable, and what the account has against it.
    """
    s, period = c.dues.subscription, c.dues.period
    c.account.require_open()
    assert period is not None
    is_later = changes.is_downgrade(s, offer, c.dues.taxes(house)) and not immediate
    price = changes.prorate(s, period, offer, c.dues.taxes(house), now)
    noted = Change(
        offer=offer, at=now, period_start=s.period_start, previous=s.offer, parts=price.parts,
        tax=price.net.zero() if is_later else price.tax, is_later=is_later,
    )  # fmt: skip
    until = f"{(s.period_end if is_later else now).astimezone(house.books.zone):%Y-%m-%d}"
    title = f"From {s.plan} to {offer.plan} on {until}"
    owed = max(price.net.zero(), price.net.zero() if is_later else price.total)
    net = owed - (price.tax if owed else owed)
    lines = [Line(LineKind.PLAN, offer.plan, title, net)]
    if owed and price.tax:
        lines.append(Line(LineKind.TAX, "", "Tax", price.tax))
    order = _order(
        c, wish, orders.Kind.CHANGE, selection, lines, owed, price.tax if owed else owed, now, subscription=s.id,
        change=noted, price_book_version=offer.price_book_version,
    )  # fmt: skip
    changes.check(s, order, now)
    if (offer.plan, sorted(offer.add_ons)) == (s.plan, sorted(s.add_ons)) and s.pending is None:
        return Decision(Ordered(_untouched(c, order, now)))
    submitted = _submit(c, order, wish, house.books, now)
    if is_later or not price.total < price.total.zero():
        return Decision(Ordered(submitted.state), submitted.events)
    return _given_back(c, submitted, price, house.books, now)


def pay(c: Counter, wish: Wish, books: Books, now: datetime) -> Decision[Ordered]:
    """Pay the open invoice. Raises IllegalTransition, OrderOpen, PaymentUnavailable, and what the account has against it."""
    s, invoice = c.dues.subscription, c.dues.invoice
    assert invoice is not None
    c.account.require_open()
    invoices.require(invoice, "pay")
    if s.charge:
        # A provider is asked for the same money just now.
        raise invoices.InvoiceCharging(invoice=invoice.name)
    selection = Selection(s.plan, s.add_ons, sovereign=s.sovereign, period_months=s.period_months)
    lines = [Line(LineKind.PLAN, invoice.number, f"Invoice {invoice.number}", invoice.due)]
    order = _order(
        c, wish, orders.Kind.ONE_OFF, selection, lines, invoice.due, invoice.due.zero(), now, subscription=s.id,
        invoice=invoice.id, price_book_version=s.price_book_version,
    )  # fmt: skip
    submitted = _submit(c, order, wish, books, now)
    return Decision(Ordered(submitted.state), submitted.events)


def unused_time(dues: Dues, price: Prorated, key: str, title: str, books: Books, now: datetime) -> tuple[Given, Txn]:
    """Credit for time that was paid and will not be used, with its credit note and its posting."""
    s, amount = dues.subscription, -price.total
    grant = Grant(
        id=f"cg-{key}", org=s.org, amount=amount, remaining=amount, held=amount.zero(), source=Source.REFUND,
        effective_at=now, created_at=now, updated_at=now, order=s.order,
    )  # fmt: skip
    span = Span(now, s.period_end)
    lines = [InvoiceLine(invoices.LineKind.PLAN, s.plan, title, price.net, start=span.start, end=span.end)]
    if price.tax:
        lines.append(InvoiceLine(invoices.LineKind.TAX, "", "Tax", price.tax))
    note = invoices.draft(
        f"cn-{key}", s.org, lines, currency=amount.currency, now=now, kind=Kind.CREDIT_NOTE, subscription=s.id,
        corrects=dues.period.invoice if dues.period else "", period=span, why="unused time",
    )  # fmt: skip
    sealed, series = invoices.finalise(note, dues.notes, dues.addressee, now)
    booked = postings.unused_time(
        books, key=key, org=s.org, sovereign=s.sovereign, net=-price.net, tax=-price.tax,
        items=(Part(s.plan, price.net),), at=now,
    )  # fmt: skip
    return Given(grant, invoices.pay(sealed, now, credit=sealed.total), series), booked


def _given_back(
    c: Counter, submitted: Decision[Purchase], price: Prorated, books: Books, now: datetime
) -> Decision[Ordered]:
    p = submitted.state
    given, booked = unused_time(c.dues, price, p.order.id, p.order.lines[0].title, books, now)
    p = replace(p, wallet=p.wallet.give(given.grant), postings=(*p.postings, booked))
    told = (*submitted.events, credit.Granted(given.grant), *_sealed(given.note))
    return Decision(Ordered(p, given), told)


def _sealed(note: Invoice) -> tuple[object, ...]:
    return (invoices.Finalized(replace(note, version=note.version - 1)), invoices.Paid(note))


def _order(
    c: Counter, wish: Wish, kind: orders.Kind, selection: Selection, lines: list[Line], total: Money, tax: Money,
    now: datetime, *, subscription: str, price_book_version: int, invoice: str = "", change: Change | None = None,
) -> Order:  # fmt: skip
    """An order over `total`, met with what credit there is, RESERVED."""
    used = min(total, c.dues.wallet.lapse(now).available(now, Purpose(selection.plan)))
    due = (total - used).floor_to(c.step)
    rounding = total - used - due
    ends = [Line(LineKind.CREDIT, "", "Credit", -used), Line(LineKind.ROUNDING, "", "Rounding", -rounding)]
    return Order(
        id=wish.id, org=c.account.org, state=orders.State.RESERVED, quote="", selection=selection, blueprints=(),
        lines=(*lines, *(line for line in ends if line.amount), Line(LineKind.DUE, "", "Due", due)),
        price_book_version=price_book_version, total=total, tax=tax, credit=used, rounding=rounding, due=due,
        paid_by_card=due.zero(), refunded=due.zero(), deadline=now + wish.ttl, created_at=now, updated_at=now,
        subscription=subscription, provider=wish.provider if due else "", return_url=wish.return_url, kind=kind,
        invoice=invoice, change=change,
    )  # fmt: skip


def _submit(c: Counter, order: Order, wish: Wish, books: Books, now: datetime) -> Decision[Purchase]:
    if c.open_order:
        raise orders.OrderOpen(order=c.open_order)
    if order.due and not wish.provider:
        raise orders.PaymentUnavailable(due=order.due, why="no payment provider is ready for it")
    wallet = c.dues.wallet.lapse(now)
    if order.credit:
        wallet = wallet.hold(
            order.id, order.credit, promise=None, purpose=Purpose(order.selection.plan), until=order.deadline, now=now
        )  # fmt: skip
    p = _purchase(c, order, wallet)
    if not order.due:
        settled = settlements.settle(p, books, now)
        return Decision(settled.state, (orders.Created(order), *settled.events))
    awaiting = orders.passed(order, Command.AWAIT_PAYMENT)
    page = payments.wanted(order.id, order.org, order.provider, order.due, expires_at=order.deadline, now=now)
    return Decision(replace(p, order=awaiting, checkout=page), (orders.Created(awaiting),))


def _untouched(c: Counter, order: Order, now: datetime) -> Purchase:
    """What a wish for what is there already answers: an order of nothing that nobody is told of."""
    kept = replace(order, state=orders.State.FULFILLED, paid_at=now)
    return replace(_purchase(c, kept, c.dues.wallet), subscription=None, period=None)


def _purchase(c: Counter, order: Order, wallet: Wallet) -> Purchase:
    return Purchase(
        order=order, wallet=wallet, subscription=c.dues.subscription if order.change else None,
        period=c.dues.period if order.change else None, dues=None if order.change else c.dues,
        addressee=c.account.addressee,
    )  # fmt: skip
