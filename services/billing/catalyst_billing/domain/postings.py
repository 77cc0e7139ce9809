"""Which fact is booked how. Nothing else builds transactions.

An amount of zero is left out, and a fact of which nothing is left books nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from . import ledger
from .ledger import Account, Entry, Kind, OwnerKind, Part, Txn
from .money import Money

UTC = ZoneInfo("UTC")


@dataclass(frozen=True, slots=True)
class Books:
    """Who keeps the book: the Sovereign on which this daemon runs, how it counts time, and the actor of the posting."""

    sovereign: str
    actor: str
    zone: ZoneInfo = UTC
    """In which its days and months are counted."""
    trial: timedelta = timedelta(days=14)
    """How long a plan can be tried."""
    lead: timedelta = timedelta(days=1)
    """How long before a period its invoice is drafted."""
    usage_late: timedelta = timedelta(hours=24)
    """How long after the end of a subscription its last usage may still arrive before it is billed."""

    def house(self, kind: Kind, currency: str) -> Account:
        """An account of the Sovereign's own."""
        return Account(OwnerKind.SOVEREIGN, self.sovereign, kind, currency)


def credit_of(org: str, currency: str) -> Account:
    """The account of a customer's credit."""
    return Account(OwnerKind.ORG, f"organizations/{org}", Kind.CUSTOMER_CREDIT, currency)


def clearing_of(provider: str, currency: str) -> Account:
    """What a payment provider holds for us."""
    return Account(OwnerKind.PROVIDER, f"providers/{provider}", Kind.PSP_CLEARING, currency)


def receivable_of(org: str, currency: str) -> Account:
    """What a customer owes."""
    return Account(OwnerKind.ORG, f"organizations/{org}", Kind.RECEIVABLE, currency)


def voucher_confirmed(
    books: Books, *, org: str, amount: Money, use: str, voucher: str, order: str, at: datetime
) -> Txn:
    """A voucher became credit: the Sovereign bears its cost."""
    return Txn(
        idem_key=f"voucher_use:{use}",
        kind="voucher_confirmed",
        booked_at=at,
        actor=books.actor,
        reason="voucher",
        entries=(
            Entry(books.house(Kind.PROMO_COST, amount.currency), amount),
            Entry(credit_of(org, amount.currency), -amount),
        ),
        order=order,
        voucher=voucher,
    )


@dataclass(frozen=True, slots=True)
class Paid:
    """How an order was met: `total` = `credit` + `card` + `rounding`; `tax` is a part of `total`."""

    order: str
    org: str
    sovereign: str
    provider: str
    total: Money
    tax: Money
    credit: Money
    card: Money
    rounding: Money
    vouchers: tuple[Part, ...] = ()
    """The part of `credit` that came from vouchers."""
    items: tuple[Part, ...] = ()
    """What was bought, without tax."""


def order_paid(books: Books, fact: Paid, at: datetime) -> Txn | None:
    """An order was settled, by whatever mix. None: it costs nothing."""
    currency = fact.total.currency
    lines = [
        (credit_of(fact.org, currency), fact.credit),
        (clearing_of(fact.provider, currency), fact.card),
        (books.house(Kind.ROUNDING, currency), fact.rounding),
        (books.house(Kind.DEFERRED_REVENUE, currency), fact.tax - fact.total),
        (books.house(Kind.TAX_PAYABLE, currency), -fact.tax),
    ]
    entries = _without_zeros(lines)
    if not entries:
        return None
    return Txn(
        idem_key=f"order_paid:{fact.order}",
        kind="order_paid",
        booked_at=at,
        actor=books.actor,
        reason="order",
        entries=entries,
        order=fact.order,
        sovereign=fact.sovereign or books.sovereign,
        vouchers=fact.vouchers,
        items=fact.items,
    )


@dataclass(frozen=True, slots=True)
class PaidInvoice:
    """How an invoice was met: `total` = `credit` + `card` + `rounding`.

    deferred     what is earned in the period that follows, without tax
    tax          the tax on it
    receivable   usage with its tax, earned and booked before
    """

    invoice: str
    order: str
    org: str
    sovereign: str
    provider: str
    deferred: Money
    tax: Money
    receivable: Money
    credit: Money
    card: Money
    rounding: Money
    vouchers: tuple[Part, ...] = ()
    items: tuple[Part, ...] = ()


def invoice_paid(books: Books, fact: PaidInvoice, at: datetime) -> Txn | None:
    """An invoice was paid, by whatever mix. None: it costs nothing."""
    currency = fact.deferred.currency
    entries = _without_zeros([
        (credit_of(fact.org, currency), fact.credit),
        (clearing_of(fact.provider, currency), fact.card),
        (books.house(Kind.ROUNDING, currency), fact.rounding),
        (books.house(Kind.DEFERRED_REVENUE, currency), -fact.deferred),
        (books.house(Kind.TAX_PAYABLE, currency), -fact.tax),
        (receivable_of(fact.org, currency), -fact.receivable),
    ])  # fmt: skip
    if not entries:
        return None
    return Txn(
        idem_key=f"order_paid:{fact.order}" if fact.order else f"invoice_paid:{fact.invoice}",
        kind="invoice_paid",
        booked_at=at,
        actor=books.actor,
        reason="invoice",
        entries=entries,
        order=fact.order,
        sovereign=fact.sovereign or books.sovereign,
        vouchers=fact.vouchers,
        items=fact.items,
    )


def usage_invoiced(
    books: Books,
    *,
    invoice: str,
    org: str,
    sovereign: str,
    net: Money,
    tax: Money,
    items: tuple[Part, ...],
    at: datetime,
) -> Txn | None:
    """Usage of a period that is over was put on an invoice: it is earned, and owed."""
    currency = net.currency
    entries = _without_zeros([
        (receivable_of(org, currency), net + tax),
        (books.house(Kind.REVENUE, currency), -net),
        (books.house(Kind.TAX_PAYABLE, currency), -tax),
    ])  # fmt: skip
    if not entries:
        return None
    return Txn(
        idem_key=f"usage_invoiced:{invoice}",
        kind="usage_invoiced",
        booked_at=at,
        actor=books.actor,
        reason="usage",
        entries=entries,
        sovereign=sovereign or books.sovereign,
        items=items,
    )


def unused_time(
    books: Books, *, key: str, org: str, sovereign: str, net: Money, tax: Money, items: tuple[Part, ...], at: datetime
) -> Txn:
    """Time that was paid and will not be used became the customer's credit."""
    currency = net.currency
    return Txn(
        idem_key=f"unused_time:{key}",
        kind="unused_time",
        booked_at=at,
        actor=books.actor,
        reason="unused time",
        entries=_without_zeros([
            (credit_of(org, currency), -(net + tax)),
            (books.house(Kind.DEFERRED_REVENUE, currency), net),
            (books.house(Kind.TAX_PAYABLE, currency), tax),
        ]),
        sovereign=sovereign or books.sovereign,
        items=items,
    )  # fmt: skip


def revenue_earned(
    books: Books, *, period: str, until: datetime, sovereign: str, order: str, amount: Money, at: datetime
) -> Txn:
    """Time passed: what was paid for it is earned. Below zero: more was taken as earned than is left after a change."""
    return Txn(
        idem_key=f"revenue_earned:{period}:{until:%FT%TZ}",
        kind="revenue_earned",
        booked_at=at,
        actor=books.actor,
        reason="time",
        entries=(
            Entry(books.house(Kind.DEFERRED_REVENUE, amount.currency), amount),
            Entry(books.house(Kind.REVENUE, amount.currency), -amount),
        ),
        order=order,
        sovereign=sovereign or books.sovereign,
    )


def unearned(books: Books, order: str, sovereign: str, amount: Money, at: datetime) -> Txn:
    """What was earned of an order that goes back in full is to be earned again, so that all of it goes back from there."""
    return Txn(
        idem_key=f"unearned:{order}",
        kind="revenue_earned",
        booked_at=at,
        actor=books.actor,
        reason="refund",
        entries=(
            Entry(books.house(Kind.DEFERRED_REVENUE, amount.currency), -amount),
            Entry(books.house(Kind.REVENUE, amount.currency), amount),
        ),
        order=order,
        sovereign=sovereign or books.sovereign,
    )


def share_owed(books: Books, *, month: str, sovereign: str, amount: Money, at: datetime) -> Txn | None:
    """The publisher's share of a month. None: there is none."""
    entries = _without_zeros([
        (books.house(Kind.SHARE_COST, amount.currency), amount),
        (Account(OwnerKind.PUBLISHER, "publisher", Kind.PUBLISHER_PAYABLE, amount.currency), -amount),
    ])  # fmt: skip
    if not entries:
        return None
    return Txn(
        idem_key=f"share:{sovereign}:{month}",
        kind="share_owed",
        booked_at=at,
        actor=books.actor,
        reason="statement",
        entries=entries,
        sovereign=sovereign,
    )


def share_paid(books: Books, *, month: str, sovereign: str, amount: Money, reference: str, at: datetime) -> Txn:
    """The publisher's share of a month went over; below zero: it came back."""
    return Txn(
        idem_key=f"share_paid:{sovereign}:{month}",
        kind="share_paid",
        booked_at=at,
        actor=books.actor,
        reason=reference,
        entries=(
            Entry(Account(OwnerKind.PUBLISHER, "publisher", Kind.PUBLISHER_PAYABLE, amount.currency), amount),
            Entry(books.house(Kind.CASH, amount.currency), -amount),
        ),
        sovereign=sovereign,
    )


def paid_out(books: Books, *, provider: str, amount: Money, fee: Money, reference: str, at: datetime) -> Txn:
    """A payment provider sent what it held for us, less its fee."""
    return Txn(
        idem_key=f"payout:{provider}:{reference}",
        kind="paid_out",
        booked_at=at,
        actor=books.actor,
        reason=reference,
        entries=_without_zeros([
            (books.house(Kind.CASH, amount.currency), amount),
            (books.house(Kind.PSP_FEE, amount.currency), fee),
            (clearing_of(provider, amount.currency), -(amount + fee)),
        ]),
    )  # fmt: skip


def topped_up(books: Books, *, order: str, org: str, provider: str, amount: Money, at: datetime) -> Txn:
    """Money was paid in ahead: it is the customer's credit."""
    return Txn(
        idem_key=f"order_paid:{order}",
        kind="topped_up",
        booked_at=at,
        actor=books.actor,
        reason="top up",
        entries=(
            Entry(clearing_of(provider, amount.currency), amount),
            Entry(credit_of(org, amount.currency), -amount),
        ),
        order=order,
    )


@dataclass(frozen=True, slots=True)
class RefundedPart:
    """A part of an order that goes back: `net` + `tax` = `to_card` + `to_credit` + `by_bank` + `rounding`; of `net`, `earned` was
    earned.

    number     of the refund within the order
    by_bank    what a lost dispute has given back already: the customer owes it no more
    top_up     whether it is credit that goes back, instead of what was bought
    items      what goes back by what it was for, without tax, below zero
    vouchers   the part of it that goes back to the credit of vouchers, below zero
    """

    order: str
    number: int
    org: str
    sovereign: str
    provider: str
    net: Money
    earned: Money
    tax: Money
    rounding: Money
    to_card: Money
    to_credit: Money
    by_bank: Money
    top_up: bool = False
    items: tuple[Part, ...] = ()
    vouchers: tuple[Part, ...] = ()


def order_partly_refunded(books: Books, fact: RefundedPart, at: datetime) -> Txn:
    """A part goes back to where it came from, off what is still to be earned and off what was earned."""
    currency = fact.net.currency
    bought = [
        (books.house(Kind.DEFERRED_REVENUE, currency), fact.net - fact.earned),
        (books.house(Kind.REVENUE, currency), fact.earned),
        (books.house(Kind.TAX_PAYABLE, currency), fact.tax),
        (credit_of(fact.org, currency), -fact.to_credit),
        (receivable_of(fact.org, currency), -fact.by_bank),
        (books.house(Kind.ROUNDING, currency), -fact.rounding),
    ]
    credit = [(credit_of(fact.org, currency), fact.net)]
    lines = credit if fact.top_up else bought
    return Txn(
        idem_key=f"order_refunded:{fact.order}:{fact.number}",
        kind="order_refunded",
        booked_at=at,
        actor=books.actor,
        reason="refund",
        entries=_without_zeros([*lines, (clearing_of(fact.provider, currency), -fact.to_card)]),
        order=fact.order,
        sovereign="" if fact.top_up else fact.sovereign or books.sovereign,
        items=fact.items,
        vouchers=fact.vouchers,
    )


def order_refunded(books: Books, paid: Txn, at: datetime) -> Txn:
    """All of what an order paid goes back to where it came from; nothing of it was earned yet."""
    return ledger.reverse(
        paid,
        idem_key=f"order_refunded:{paid.order}",
        kind="order_refunded",
        booked_at=at,
        actor=books.actor,
        reason="refund",
    )


def goodwill_granted(books: Books, *, org: str, amount: Money, goodwill: str, at: datetime) -> Txn:
    """Credit was given: the Sovereign bears its cost."""
    return Txn(
        idem_key=f"goodwill:{goodwill}",
        kind="goodwill_granted",
        booked_at=at,
        actor=books.actor,
        reason="goodwill",
        entries=(
            Entry(books.house(Kind.PROMO_COST, amount.currency), amount),
            Entry(credit_of(org, amount.currency), -amount),
        ),
    )


def credit_taken_over(
    books: Books, *, key: str, org: str, source: str, amount: Money, reason: str, order: str, at: datetime
) -> Txn:
    """A line of the history that another Sovereign exported: what it owes us for the customer's credit here.

    amount   above zero adds to the customer's credit
    """
    owed = Account(OwnerKind.SOVEREIGN, source, Kind.RECEIVABLE, amount.currency)
    return Txn(
        idem_key=key,
        kind="credit_taken_over",
        booked_at=at,
        actor=books.actor,
        reason=reason,
        entries=(Entry(owed, amount), Entry(credit_of(org, amount.currency), -amount)),
        order=order,
    )


def dispute_lost(books: Books, *, org: str, provider: str, key: str, order: str, amount: Money, at: datetime) -> Txn:
    """A payer got the money back through the bank: the customer owes it again."""
    return Txn(
        idem_key=key,
        kind="dispute_lost",
        booked_at=at,
        actor=books.actor,
        reason="dispute",
        entries=(
            Entry(receivable_of(org, amount.currency), amount),
            Entry(clearing_of(provider, amount.currency), -amount),
        ),
        order=order,
    )


def dispute_won(books: Books, lost: Txn, *, at: datetime) -> Txn:
    """A loss is taken back."""
    return ledger.reverse(
        lost,
        idem_key=f"dispute_won:{lost.idem_key}",
        kind="dispute_won",
        booked_at=at,
        actor=books.actor,
        reason="dispute",
    )


def loss_paid_back(
    books: Books, *, org: str, provider: str, refund: str, order: str, amount: Money, at: datetime
) -> Txn:
    """A dispute that had given an order's money back was won after all: it goes back through the provider instead."""
    return Txn(
        idem_key=f"loss_paid_back:{refund}",
        kind="loss_paid_back",
        booked_at=at,
        actor=books.actor,
        reason="dispute",
        entries=(
            Entry(receivable_of(org, amount.currency), amount),
            Entry(clearing_of(provider, amount.currency), -amount),
        ),
        order=order,
    )


def grant_expired(books: Books, *, org: str, grant: str, version: int, amount: Money, at: datetime) -> Txn:
    """Credit that nobody used in time.

    version   of the grant: what a hold kept beyond the expiry lapses later, as a second transaction
    """
    return Txn(
        idem_key=f"grant_expired:{grant}:{version}",
        kind="grant_expired",
        booked_at=at,
        actor=books.actor,
        reason="expiry",
        entries=(
            Entry(credit_of(org, amount.currency), amount),
            Entry(books.house(Kind.BREAKAGE, amount.currency), -amount),
        ),
    )


def _without_zeros(lines: Sequence[tuple[Account, Money]]) -> tuple[Entry, ...]:
    return tuple(Entry(account, amount) for account, amount in lines if amount)
