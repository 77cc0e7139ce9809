"""What a provider captured, or credit covers, makes an order paid.

Invariants
  all or nothing   ledger, voucher, hold, subscription and order of a settlement are one decision and one transaction;
  equal money      an order settles only with a capture of exactly its due amount in its currency;
  nothing kept     what a provider captured and no order could settle goes back in full.
"""

from dataclasses import replace
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
    purchases,
    renewals,
    subscriptions,
    uses,
)
from .credit import HoldState, Purpose
from .ledger import Part
from .money import Money
from .orders import Command, Kind, Order
from .payments import Capture, Payment, PaymentState
from .periods import Span
from .postings import Books
from .purchases import Purchase
from .renewals import Met
from .uses import Wish


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
        ended = purchases.release(p, Command.EXPIRE, "late", now) if order.is_open else Decision(p)
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


def return_money(p: Purchase, got: Capture, now: datetime) -> Decision[Purchase]:
    """Send a capture back that no order could settle. Nothing of it was ever booked."""
    payment = _payment(p, got, PaymentState.RETURNED)
    back = purchases.refund_wish(p, payment, to_card=got.amount, to_credit=got.amount.zero(), why="unsettled", now=now)
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
    ended = purchases.release(found, Command.FAIL, "AMOUNT_MISMATCH", now) if p.order.is_open else Decision(found)
    returned = return_money(ended.state, got, now)
    return Decision(returned.state, (*ended.events, *returned.events))


def _found(p: Purchase, reason: str, message: str, now: datetime) -> Purchase:
    found = findings.alarm(reason, p.order.name, message, account=f"billingAccounts/{p.order.org}", now=now)
    return replace(p, findings=(*p.findings, found))


def _payment(p: Purchase, got: Capture, state: PaymentState) -> Payment:
    return Payment(p.order.provider, got.ref, p.order.id, p.order.org, got.amount, state, got.received_at)
