"""A purchase: everything that one order touches, read under its account's lock, decided together, saved as one.

Invariants
  all released     an order that ends unpaid leaves no hold, no reservation, no claim and no open checkout behind.
"""

from dataclasses import dataclass, field, replace
from datetime import datetime

from catalyst_sdk import Decision

from . import (
    credit,
    documents,
    earnings,
    invoices,
    orders,
    payments,
    postings,
    renewals,
    subscriptions,
    uses,
)
from .accounts import NOBODY, AccountClosed, Addressee
from .credit import Wallet
from .disputes import Dispute
from .documents import Paper
from .earnings import Period
from .findings import Finding
from .invoices import Invoice
from .ledger import Txn
from .money import Money
from .orders import Command, Kind, Order
from .payments import Checkout, Payment, PaymentState, Refund, RefundState
from .postings import Books
from .quotes import Quote
from .renewals import Dues
from .subscriptions import Subscription
from .uses import Tally, Use
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


def _ended(order: Order, command: Command, why: str) -> object:
    if command is Command.CANCEL:
        return orders.Cancelled(order, why)
    return orders.Expired(order) if command is Command.EXPIRE else orders.Failed(order)


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
