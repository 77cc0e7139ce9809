"""A purchase: everything that one order touches, read under its account's lock, decided together, saved as one.

Invariants
  all or nothing   ledger, voucher, hold, subscription and order of a settlement are one decision and one transaction;
  equal money      an order settles only with a capture of exactly its due amount in its currency;
  nothing kept     what a provider captured and no order could settle goes back in full;
  all released     an order that ends unpaid leaves no hold, no reservation, no claim and no open checkout behind.
"""

from dataclasses import dataclass, field, replace
from datetime import datetime

from catalyst_sdk import Decision, Refused

from . import (
    changes,
    credit,
    documents,
    earnings,
    findings,
    invoices,
    orders,
    payments,
    postings,
    renewals,
    subscriptions,
    uses,
)
from .accounts import NOBODY, AccountClosed, Addressee
from .credit import HoldState, Purpose, Wallet
from .disputes import Dispute
from .documents import Paper
from .earnings import Period
from .findings import Finding
from .invoices import Invoice
from .ledger import Part, Txn
from .money import Money
from .orders import Command, Kind, Order
from .payments import Capture, Checkout, Payment, PaymentState, Refund, RefundState
from .periods import Span
from .postings import Books
from .quotes import Quote
from .renewals import Dues, Met
from .subscriptions import Subscription
from .uses import Tally, Use, Wish
from .vouchers import Voucher


@dataclass(frozen=True, slots=True)
class Rivals:
    """What else stands in the way of an order, read under the account's lock."""

    open_order: str = ""
    """Name of another open order of the account and its kind."""
    sovereign_taken: bool = False
    """Whether another order claims the Sovereign."""
    scope_taken: bool = False
    """Whether the scope has a live subscription."""
    org_is_new: bool = True
    """Whether the Organization has paid no order yet."""
    closed: str = ""
    """Name of the account, if it is closed."""

    def check(self, order: Order) -> None:
        """Raises AccountClosed, SovereignTaken, SubscriptionActive."""
        if self.closed:
            raise AccountClosed(account=self.closed)
        if self.sovereign_taken or (self.scope_taken and order.sovereign):
            raise orders.SovereignTaken(sovereign=order.sovereign)
        if self.scope_taken:
            raise orders.SubscriptionActive(scope=order.scope)


@dataclass(frozen=True, slots=True)
class Purchase:
    """An order and what it touches. What is in `postings`, `papers` and `findings` is new and not yet written."""

    order: Order
    wallet: Wallet
    quote: Quote | None = None
    voucher: Voucher | None = None
    use: Use | None = None
    tally: Tally = field(default_factory=Tally)
    rivals: Rivals = field(default_factory=Rivals)
    checkout: Checkout | None = None
    subscription: Subscription | None = None
    """What it began or changes."""
    period: Period | None = None
    """What it pays for, and how much of that is earned."""
    open_invoice: Invoice | None = None
    """The unpaid invoice of the subscription that it began."""
    is_metered: bool = False
    """Whether usage under that subscription costs something."""
    dues: Dues | None = None
    """What the invoice that it pays belongs to."""
    addressee: Addressee = NOBODY
    """Whom its documents are made out to."""
    invoice: Invoice | None = None
    """The one that it pays or made."""
    payments: tuple[Payment, ...] = ()
    disputes: tuple[Dispute, ...] = ()
    """About these payments."""
    refunds: tuple[Refund, ...] = ()
    paid_txn: Txn | None = None
    """The posting of the settlement, which a refund takes back."""
    postings: tuple[Txn, ...] = ()
    papers: tuple[Paper, ...] = ()
    findings: tuple[Finding, ...] = ()


def capture(p: Purchase, got: Capture, books: Books, now: datetime) -> Decision[Purchase]:
    """A provider has captured money for the order: settle it, or give the money back."""
    if any(payment.ref == got.ref for payment in p.payments):
        return Decision(p)
    order = p.order
    if Command.SETTLE not in orders.ALLOWED[order.state]:
        why = "PAID_TWICE" if order.state in orders.SETTLED else "PAID_TOO_LATE"
        found = _found(p, why, f"{got.amount} were captured for an order that is {order.state}", now)
        return return_money(found, got, now)
    if got.amount != order.due:
        return _mismatch(p, got, books, now)
    try:
        secured = secure(p, now)
    except Refused as refusal:
        ended = release(p, Command.EXPIRE, "late", now) if order.is_open else Decision(p)
        returned = return_money(ended.state, got, now)
        found = _found(returned.state, "LATE_CAPTURE_RETURNED", refusal.sentence, now)
        return Decision(found, (*ended.events, *returned.events))
    payment = _payment(secured.state, got, PaymentState.SETTLED)
    received = orders.changed(order, now, paid_by_card=got.amount)
    ready = replace(secured.state, order=received, payments=(*p.payments, payment))
    told = orders.Received(received, got.ref, got.received_at)
    settled = settle(ready, books, now)
    return Decision(settled.state, (*secured.events, told, *settled.events))


def secure(p: Purchase, now: datetime) -> Decision[Purchase]:
    """Make sure that hold and reservation still stand, or take them anew. Raises what stands against it."""
    order = p.order
    facts: tuple[object, ...] = ()
    _check_basis(p, now)
    purpose = Purpose(order.selection.plan, order.blueprints)
    if p.voucher and p.use:
        until = now + uses.AT_ONCE
        wish = Wish(f"{p.use.id}-r", order.org, order.id, p.use.value, purpose, p.rivals.org_is_new, until)
        renewed = uses.renew(uses.Pair(p.voucher, p.use), p.tally, wish, now)
        facts = renewed.events
        p = replace(p, voucher=renewed.state.voucher, use=renewed.state.use)
    wallet = p.wallet.lapse(now)
    hold = wallet.hold_of(order.id)
    if hold is not None and hold.state is not HoldState.ACTIVE:
        promise = uses.grant_of(p.use, now) if p.use else None
        wallet = wallet.hold(
            order.id, order.credit, promise=promise, purpose=purpose, until=now + uses.AT_ONCE, now=now
        )
    return Decision(replace(p, wallet=wallet), facts)


def _check_basis(p: Purchase, now: datetime) -> None:
    """Whether what the order is about is still as it was when it was priced. Raises what stands against it."""
    order = p.order
    if order.kind is Kind.CHANGE:
        changes.check(p.subscription, order, now)
    elif order.kind is Kind.ONE_OFF:
        assert p.dues is not None
        assert p.dues.invoice is not None
        invoices.require(p.dues.invoice, "pay")
    elif not order.is_open and order.kind is Kind.SUBSCRIPTION:
        p.rivals.check(order)


def settle(p: Purchase, books: Books, now: datetime) -> Decision[Purchase]:
    """Everything that makes an order PAID. Its hold and reservation stand."""
    if p.order.kind is Kind.TOP_UP:
        return _topped_up(p, books, now)
    confirmed = _confirm(p, books, now)
    p = confirmed.state
    order = orders.moved(
        p.order, Command.SETTLE, now, paid_at=now, subscription=p.order.subscription or f"s-{p.order.id}",
        claims_sovereign=bool(p.order.sovereign) and p.order.kind is Kind.SUBSCRIPTION,
    )  # fmt: skip
    closed = payments.closed(p.checkout, now) if p.checkout else None
    done = _AFTER[order.kind](replace(p, order=order, checkout=closed), books, now)
    return Decision(done.state, (*confirmed.events, orders.Paid(done.state.order), *done.events))


def _begun(p: Purchase, books: Books, now: datetime) -> Decision[Purchase]:
    """A subscription begins."""
    order = p.order
    terms = p.use.terms if p.use else None
    begun = subscriptions.begin(
        order.subscription, order, books, now, percent=terms.percent if terms else 0,
        periods_off=terms.periods if terms else 0,
    )  # fmt: skip
    parts = _parts(order)
    p = _invoiced(p, begun.period, books, now)
    period = earnings.open_period(
        begun.period, [] if order.selection.trial else parts, subscription=begun.id, org=order.org, tax=order.tax,
        books=books, sovereign=order.sovereign, order=order.name, invoice=p.order.invoice,
    )  # fmt: skip
    paid = _booked(p, parts, books, now)
    done = replace(paid, subscription=begun, period=period)
    return Decision(done, (subscriptions.Activated(begun),))


def _changed(p: Purchase, books: Books, now: datetime) -> Decision[Purchase]:
    """A subscription has another plan or other add-ons."""
    assert p.subscription is not None
    decided = changes.apply(p.subscription, p.period, p.order, books, now)
    assert p.order.change is not None
    span = Span(p.order.change.at, p.subscription.period_end)
    paid = _booked(_invoiced(p, span, books, now), _parts(p.order), books, now)
    return Decision(replace(paid, subscription=decided.state[0], period=decided.state[1]), decided.events)


def _invoice_paid(p: Purchase, books: Books, now: datetime) -> Decision[Purchase]:
    """The open invoice of a subscription is paid."""
    order, dues = p.order, p.dues
    assert dues is not None
    met = Met(
        order.credit, order.due, order.rounding, order.provider, order=order.name,
        vouchers=credit.vouchers_of(p.wallet, order.id),
    )  # fmt: skip
    decided = renewals.paid(dues, met, books, now)
    return Decision(replace(p, dues=decided.state), decided.events)


_AFTER = {Kind.SUBSCRIPTION: _begun, Kind.CHANGE: _changed, Kind.ONE_OFF: _invoice_paid}
"""What a settled order of each kind does."""


def _invoiced(p: Purchase, span: Span, books: Books, now: datetime) -> Purchase:
    """The invoice of the settlement."""
    paper = documents.bought(p.order, span, p.addressee, books, now)
    if paper is None:
        return p
    return replace(p, order=replace(p.order, invoice=paper.draft.id), papers=(*p.papers, paper))


def _booked(p: Purchase, parts: list[tuple[str, Money]], books: Books, now: datetime) -> Purchase:
    """The posting of the settlement."""
    order = p.order
    fact = postings.Paid(
        order=order.name, org=order.org, sovereign=order.sovereign, provider=order.provider, total=order.total,
        tax=order.tax, credit=order.credit, card=order.due, rounding=order.rounding,
        vouchers=credit.vouchers_of(p.wallet, order.id),
        items=tuple(Part(item, amount) for item, amount in parts if amount),
    )  # fmt: skip
    paid = postings.order_paid(books, fact, now)
    return replace(p, paid_txn=paid, postings=(*p.postings, *([paid] if paid else [])))


def _parts(order: Order) -> list[tuple[str, Money]]:
    """What sums to the net price of an order, by item."""
    lines = [renewals.billed_line(line, None) for line in order.lines if line.kind in renewals.BILLED]
    return invoices.parts(lines)


def _topped_up(p: Purchase, books: Books, now: datetime) -> Decision[Purchase]:
    """Money paid in ahead became credit."""
    order = orders.moved(p.order, Command.SETTLE, now, paid_at=now)
    grant = credit.Grant(
        id=f"cg-{order.id}", org=order.org, amount=order.total, remaining=order.total, held=order.total.zero(),
        source=credit.Source.TOP_UP, effective_at=now, created_at=now, updated_at=now, order=order.id,
    )  # fmt: skip
    paid = postings.topped_up(
        books, order=order.name, org=order.org, provider=order.provider, amount=order.total, at=now
    )  # fmt: skip
    done = replace(
        p, order=order, wallet=p.wallet.give(grant), paid_txn=paid, postings=(*p.postings, paid),
        checkout=payments.closed(p.checkout, now) if p.checkout else None,
    )  # fmt: skip
    return Decision(done, (orders.Paid(order), credit.Granted(grant)))


def release(p: Purchase, command: Command, why: str, now: datetime) -> Decision[Purchase]:
    """End an unpaid order by CANCEL, EXPIRE or FAIL and give up all that it holds. Raises IllegalTransition."""
    reason = why if command is Command.FAIL else ""
    order = orders.moved(p.order, command, now, claims_sovereign=False, failure_reason=reason)
    facts: list[object] = [_ended(order, command, why)]
    freed = replace(p, order=order, wallet=p.wallet.release(order.id, now))
    if p.voucher and p.use:
        word = {Command.CANCEL: "cancelled", Command.EXPIRE: "expired"}.get(command, "failed")
        released = uses.release(uses.Pair(p.voucher, p.use), word, now)
        freed = replace(freed, voucher=released.state.voucher, use=released.state.use)
        facts += released.events
    assert p.checkout is not None, "an open order has a checkout"
    return Decision(replace(freed, checkout=payments.given_up(p.checkout, now)), tuple(facts))


def decline(p: Purchase, reason: str, why: str, now: datetime) -> Decision[Purchase]:
    """The provider refused for good: the order has failed.

    reason   our word, such as PAYMENT_DECLINED
    why      the provider's word
    """
    told = orders.changed(p.order, now)
    failed = release(replace(p, order=told), Command.FAIL, reason, now)
    return Decision(failed.state, (orders.Declined(told, why), *failed.events))


def refund(p: Purchase, why: str, books: Books, now: datetime) -> Decision[Purchase]:
    """Give back all that a settled order paid, each part to where it came from, and end its subscription."""
    to_card, to_credit = p.order.paid_by_card, p.order.credit
    order = orders.moved(p.order, Command.REFUND, now, refunded=to_card + to_credit, claims_sovereign=False)
    wallet = p.wallet.give_back(order.id, now) if to_credit else p.wallet
    known = {grant.id for grant in p.wallet.grants}
    granted = [credit.Granted(grant) for grant in wallet.grants if grant.id not in known]
    settled = next((payment for payment in p.payments if payment.state is PaymentState.SETTLED), None)
    back = refund_wish(p, settled, to_card=to_card, to_credit=to_credit, why=why, now=now)
    undone = (postings.order_refunded(books, p.paid_txn, now),) if p.paid_txn else ()
    period, earned = taken_off(p, order.total - order.tax)
    notes = (documents.all_back(order, p.invoice, why, p.addressee, books, now),) if p.invoice else ()
    unearned = (postings.unearned(books, order.name, order.sovereign, earned, now),) if earned else ()
    given = replace(
        p, order=order, wallet=wallet, refunds=(*p.refunds, back), period=period,
        postings=(*p.postings, *unearned, *undone), papers=(*p.papers, *notes),
        payments=tuple(_returned(payment) if payment is settled else payment for payment in p.payments),
    )  # fmt: skip
    ended = end_subscription(given, "refunded", books, now)
    return Decision(ended.state, (orders.Refunded(order, to_card, to_credit, why), *granted, *ended.events))


def taken_off(p: Purchase, net: Money) -> tuple[Period | None, Money]:
    """The period less `net` of what the order paid, and what of that was earned."""
    return earnings.give_back(p.period, net) if p.period else (None, net.zero())


def end_subscription(p: Purchase, why: str, books: Books, now: datetime) -> Decision[Purchase]:
    """End the subscription that the order began; one that has ended stays as it is."""
    if p.subscription is None or not p.subscription.is_live or p.order.kind is not Kind.SUBSCRIPTION:
        return Decision(p)
    last = subscriptions.unbilled(p.subscription, why, now) if p.is_metered else None
    ended = subscriptions.cancel(p.subscription, now, last=last, late=books.usage_late)
    told: list[object] = [subscriptions.Cancelled(ended, why)]
    if (unpaid := p.open_invoice) is None:
        return Decision(replace(p, subscription=ended), tuple(told))
    voided = invoices.void(unpaid, why, now)
    if unpaid.number:
        told.append(invoices.Voided(voided))
        p = replace(p, postings=(*p.postings, *renewals.withdrawn(unpaid, p.subscription, books, now)))
    return Decision(replace(p, subscription=ended, open_invoice=voided), tuple(told))


def return_money(p: Purchase, got: Capture, now: datetime) -> Decision[Purchase]:
    """Send a capture back that no order could settle. Nothing of it was ever booked."""
    payment = _payment(p, got, PaymentState.RETURNED)
    back = refund_wish(p, payment, to_card=got.amount, to_credit=got.amount.zero(), why="unsettled", now=now)
    return Decision(replace(p, payments=(*p.payments, payment), refunds=(*p.refunds, back)))


def _confirm(p: Purchase, books: Books, now: datetime) -> Decision[Purchase]:
    """Confirm the voucher, make its grant, and spend what is held."""
    if not (p.voucher and p.use):
        return Decision(_spend(p, None, now))
    decided = uses.confirm(uses.Pair(p.voucher, p.use), p.tally, now)
    use, grant = decided.state.use, uses.grant_of(decided.state.use, now)
    done = replace(p, voucher=decided.state.voucher, use=use)
    if grant is None:
        return Decision(_spend(done, None, now), decided.events)
    voucher = decided.state.voucher.name
    cost = postings.voucher_confirmed(
        books, org=use.org, amount=grant.amount, use=use.id, voucher=voucher, order=p.order.name, at=now
    )
    booked = replace(done, postings=(*p.postings, cost))
    return Decision(_spend(booked, grant, now), (*decided.events, credit.Granted(grant)))


def _spend(p: Purchase, fulfilled: credit.Grant | None, now: datetime) -> Purchase:
    if p.wallet.hold_of(p.order.id):
        return replace(p, wallet=p.wallet.capture(p.order.id, now, fulfilled=fulfilled))
    return replace(p, wallet=p.wallet.give(fulfilled)) if fulfilled else p


def _mismatch(p: Purchase, got: Capture, books: Books, now: datetime) -> Decision[Purchase]:
    text = f"{got.amount} were captured where {p.order.due} were due"
    found = _found(p, "AMOUNT_MISMATCH", text, now)
    ended = release(found, Command.FAIL, "AMOUNT_MISMATCH", now) if p.order.is_open else Decision(found)
    returned = return_money(ended.state, got, now)
    return Decision(returned.state, (*ended.events, *returned.events))


def _found(p: Purchase, reason: str, message: str, now: datetime) -> Purchase:
    found = findings.alarm(reason, p.order.name, message, account=f"billingAccounts/{p.order.org}", now=now)
    return replace(p, findings=(*p.findings, found))


def _ended(order: Order, command: Command, why: str) -> object:
    if command is Command.CANCEL:
        return orders.Cancelled(order, why)
    return orders.Expired(order) if command is Command.EXPIRE else orders.Failed(order)


def _payment(p: Purchase, got: Capture, state: PaymentState) -> Payment:
    return Payment(p.order.provider, got.ref, p.order.id, p.order.org, got.amount, state, got.received_at)


def _returned(payment: Payment) -> Payment:
    return replace(payment, state=PaymentState.RETURNED, version=payment.version + 1)


def refund_wish(
    p: Purchase, payment: Payment | None, *, to_card: Money, to_credit: Money, why: str, now: datetime
) -> Refund:
    """A refund whose card part the worker has to have done."""
    state = RefundState.PENDING if to_card else RefundState.SUCCEEDED
    return Refund(
        id=f"rf-{p.order.id}-{len(p.refunds) + 1}", order=p.order.id, org=p.order.org, provider=p.order.provider,
        payment=payment.ref if payment else "", to_card=to_card, to_credit=to_credit, state=state, why=why, next_at=now,
        created_at=now, updated_at=now, from_card=to_card,
    )  # fmt: skip
