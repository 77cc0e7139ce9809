"""Refunds of a part or of all, as a billing-admin wants them.

Invariants
  no excess    what goes back of an order never passes what was paid; to its card never what the card paid, less what is
               disputed; of credit that was bought never what is spent; of time never what came back as unused;
  by the bank  what a lost dispute gave back of an order whose work failed is a refund of it, and is owed by nobody;
  origin       each part returns to where it came from unless credit was asked for, in the ratio in which they are left;
  to the unit  the parts of all refunds sum to what was booked: net, tax and rounding, whatever the steps.
"""

from dataclasses import dataclass, replace
from datetime import datetime

from catalyst_sdk import Decision, Refused

from . import credit, documents, invoices, orders, payments, postings, purchases
from .credit import Grant, Source, Wallet
from .disputes import Dispute
from .disputes import State as DisputeState
from .documents import Back, Paper, share
from .ledger import Part
from .money import Money
from .orders import Command, Kind, Order
from .payments import PaymentState
from .postings import Books, RefundedPart
from .purchases import Purchase

_REVERSED = (Kind.SUBSCRIPTION, Kind.CHANGE)
"""Kinds of which the posting can be reversed. Credit that was bought goes back unspent only; and of an invoice that was
paid nothing is owed again, also not for usage."""


class RefundExceeds(Refused):
    reason, message = "REFUND_EXCEEDS", "{asked} cannot go back: {left} of {order} can"


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to go back; `amount` None: everything that is left."""

    amount: Money | None
    to_credit: bool
    why: str


@dataclass(frozen=True, slots=True)
class Left:
    """What can still go back of an order, by where it came from."""

    card: Money
    credit: Money

    @property
    def total(self) -> Money:
        return self.card + self.credit


def left_of(p: Purchase, now: datetime) -> Left:
    """What can still go back."""
    order, gone = p.order, [r for r in p.refunds if r.why != "unsettled"]
    withheld = sum((_withheld(p, d) for d in p.disputes), order.due.zero())
    by_card = sum((r.from_card for r in gone), order.due.zero())
    by_credit = sum((r.to_card + r.to_credit + r.by_bank - r.from_card for r in gone), order.due.zero())
    card = max(order.paid_by_card - by_card - withheld, order.due.zero())
    if order.kind is Kind.TOP_UP:
        return Left(min(card, _unspent(p)), order.due.zero())
    return _worth(p, Left(card, order.credit - by_credit))


def _withheld(p: Purchase, d: Dispute) -> Money:
    """What a dispute keeps from being refunded: not again what has gone back by its loss."""
    return max(
        d.withholds - sum((r.by_bank for r in p.refunds if r.dispute == d.ref), d.amount.zero()), d.amount.zero()
    )


def _worth(p: Purchase, left: Left) -> Left:
    """What is left, but no more than the period is worth: what came back as unused time does not go back twice."""
    if p.period is None or p.order.kind not in _REVERSED or not left.total:
        return left
    order, worth, tax = p.order, p.period.worth, p.period.tax
    net = order.total - order.tax - (order.refunded - share(order.tax, order.refunded, order.paid))
    if net <= worth:
        return left
    # Of the tax as much as the period still has, rounded down: else it would pass what was paid.
    taxed = tax.minor * worth.minor // p.period.charged.minor if worth else 0
    total = Money(min(left.total.minor * worth.minor // net.minor, worth.minor + taxed), net.currency)
    card = _of_card(total, left)
    return Left(card, total - card)


def give_back(p: Purchase, wish: Wish, books: Books, step: int, now: datetime) -> Decision[Purchase]:
    """Give back a part or all. Raises IllegalTransition, RefundExceeds.

    step   of the provider in minor units: a part of the card's below it goes to credit
    """
    order = p.order
    orders.passed(order, Command.REFUND_PART)
    left = left_of(p, now)
    amount = wish.amount or left.total
    if order.kind is Kind.TOP_UP:
        amount = amount.floor_to(step)  # it goes to the card or not at all
    to_credit = wish.to_credit and order.kind is not Kind.TOP_UP
    if not amount.is_positive or amount.currency != left.total.currency or amount > left.total:
        raise RefundExceeds(asked=str(amount), left=str(left.total), order=order.name)
    is_whole = amount == order.paid and not order.refunded and order.kind in _REVERSED
    if is_whole and not to_credit:
        return purchases.refund(p, wish.why, books, now)
    from_card = _of_card(amount, left)
    to_card = amount.zero() if to_credit else from_card.floor_to(step)
    return _part(p, _Way(amount, from_card, to_card), wish.why, books, now)


def by_loss(p: Purchase, d: Dispute, books: Books, now: datetime) -> Decision[Purchase]:
    """What a lost dispute gave back of an order that nobody fulfils is a refund of it; at most what is left of it."""
    if d.state is not DisputeState.LOST or any(r.dispute == d.ref for r in p.refunds):
        return Decision(p)
    others = tuple(other for other in p.disputes if other.ref != d.ref)
    amount = min(d.booked, left_of(replace(p, disputes=others), now).card)
    if not amount.is_positive:
        return Decision(p)
    return _part(p, _Way(amount, amount, amount.zero(), d.ref), "dispute lost", books, now)


def after_win(p: Purchase, d: Dispute, books: Books, now: datetime) -> Purchase:
    """What went back by a loss that is none any more goes through the provider, whatever its steps: it captured it so."""
    undone = [r for r in p.refunds if r.dispute == d.ref and r.by_bank]
    if d.state is not DisputeState.WON or not undone:
        return p
    sent = tuple(payments.sent_after_all(r, now) if r in undone else r for r in p.refunds)
    txns = tuple(
        postings.loss_paid_back(
            books, org=r.org, provider=r.provider, refund=r.name, order=p.order.name, amount=r.by_bank, at=now
        )
        for r in undone
    )
    return replace(p, refunds=sent, postings=(*p.postings, *txns))


@dataclass(frozen=True, slots=True)
class _Way:
    """How `amount` goes back: `from_card` of it the card had paid, of which `to_card` goes there and the rest becomes
    credit, or went back by the loss of `dispute`."""

    amount: Money
    from_card: Money
    to_card: Money
    dispute: str = ""

    @property
    def by_bank(self) -> Money:
        return self.from_card - self.to_card if self.dispute else self.amount.zero()


def _part(p: Purchase, way: _Way, why: str, books: Books, now: datetime) -> Decision[Purchase]:
    amount, to_card, to_credit = way.amount, way.to_card, way.amount - way.to_card - way.by_bank
    number = len(p.refunds) + 1
    wallet = _wallet(p, way, number, now)
    known = {grant.id for grant in p.wallet.grants}
    granted = [credit.Granted(grant) for grant in wallet.grants if grant.id not in known]
    settled = next((payment for payment in p.payments if payment.state is PaymentState.SETTLED), None)
    back = purchases.refund_wish(
        p, settled if to_card or way.dispute else None, to_card=to_card, to_credit=to_credit, why=why, now=now
    )
    back = replace(back, from_card=way.from_card, dispute=way.dispute)
    fact = _fact(p, way, number)
    note = _note(p, fact, why, books, now)
    period, earned = purchases.taken_off(p, fact.net)
    fact = replace(fact, earned=earned, items=_items(note), vouchers=_vouchers(p, wallet))
    txn = postings.order_partly_refunded(books, fact, now)
    refunded = p.order.refunded + amount
    command = Command.REFUND if refunded == p.order.paid else Command.REFUND_PART
    claims = p.order.claims_sovereign and command is Command.REFUND_PART
    order = orders.moved(p.order, command, now, refunded=refunded, claims_sovereign=claims)
    given = replace(
        p, order=order, wallet=wallet, period=period, refunds=(*p.refunds, back), postings=(*p.postings, txn),
        papers=(*p.papers, *([note] if note else [])),
    )  # fmt: skip
    told = (orders.Refunded(order, to_card, to_credit, why), *granted)
    if command is Command.REFUND_PART:
        return Decision(given, told)
    ended = purchases.end_subscription(given, "refunded", books, now)
    return Decision(ended.state, (*told, *ended.events))


def _of_card(amount: Money, left: Left) -> Money:
    """What of a refund the card has paid: in the ratio of what is left of both, all of it where nothing else is."""
    if not left.card or not left.credit:
        return amount if left.card else amount.zero()
    return amount.split([left.card.minor, left.credit.minor])[0]


def _wallet(p: Purchase, way: _Way, number: int, now: datetime) -> Wallet:
    order, wallet = p.order, p.wallet
    if order.kind is Kind.TOP_UP:
        return wallet.take(_grant_of(order), way.amount, now)
    if from_credit := way.amount - way.from_card:
        wallet = wallet.give_back_part(order.id, from_credit, number, now)
    if more := way.from_card - way.to_card - way.by_bank:
        wallet = wallet.give(
            Grant(
                id=f"cr-{order.id}-{number}", org=order.org, amount=more, remaining=more, held=more.zero(),
                source=Source.REFUND, effective_at=now, created_at=now, updated_at=now, order=order.id,
            )
        )  # fmt: skip
    return wallet


def _fact(p: Purchase, way: _Way, number: int) -> RefundedPart:
    """What the refund takes off net, tax and rounding: the part of all so far, less that of those before."""
    order, before, amount = p.order, p.order.refunded, way.amount
    whole = _tax(p)
    tax = share(whole, before + amount, order.paid) - share(whole, before, order.paid)
    rounding = order.rounding if before + amount == order.paid else amount.zero()
    net = amount + rounding - tax
    return RefundedPart(
        order=order.name, number=number, org=order.org, sovereign=order.sovereign, provider=order.provider, net=net,
        earned=amount.zero(), tax=tax, rounding=rounding, to_card=way.to_card,
        to_credit=amount - way.to_card - way.by_bank, by_bank=way.by_bank, top_up=order.kind is Kind.TOP_UP,
    )  # fmt: skip


def _tax(p: Purchase) -> Money:
    """The tax on what was bought; an order that pays an invoice names none, its invoice does."""
    return p.dues.invoice.tax if p.dues and p.dues.invoice else p.order.tax


def _note(p: Purchase, fact: RefundedPart, why: str, books: Books, now: datetime) -> Paper | None:
    """The credit note. None: what goes back was never billed, as credit that was bought."""
    if p.invoice is None:
        return None
    back = Back(p.order.refunded, fact.to_card + fact.to_credit + fact.by_bank, p.order.paid, fact.net, fact.tax)
    return documents.part_back(p.order, p.invoice, fact.number, back, fact.to_credit, why, p.addressee, books, now)


def _items(note: Paper | None) -> tuple[Part, ...]:
    """What goes back, without tax, by what it was for."""
    return tuple(Part(*part) for part in invoices.parts(note.draft.lines)) if note else ()


def _vouchers(p: Purchase, after: Wallet) -> tuple[Part, ...]:
    """What of the vouchers that the order burnt is not burnt any more, below zero."""
    kept = {part.name: part.amount for part in credit.vouchers_of(after, p.order.id)}
    burnt = credit.vouchers_of(p.wallet, p.order.id)
    gone = [Part(part.name, kept.get(part.name, part.amount.zero()) - part.amount) for part in burnt]
    return tuple(part for part in gone if part.amount)


def _grant_of(order: Order) -> str:
    return f"cg-{order.id}"


def _unspent(p: Purchase) -> Money:
    """What is free of the credit that a top-up bought."""
    found = next((grant for grant in p.wallet.grants if grant.id == _grant_of(p.order)), None)
    return found.free if found else p.order.due.zero()
