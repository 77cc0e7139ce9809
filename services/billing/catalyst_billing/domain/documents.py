"""The invoice of what an order bought, and the credit notes for what goes back of it.

Invariants
  one invoice  what was bought for money has one invoice, made with the settlement that pays it;
  as booked    a credit note sums, without tax and with it, to what the posting of its refund takes off;
  to the unit  where all of an order goes back, its credit notes sum to its invoice, line by line.

Numbers are taken by whoever writes them, as late as can be: all orders share the lock of a series.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal

from . import invoices
from .accounts import Addressee
from .invoices import Invoice, InvoiceLine, Kind, LineKind, Series
from .money import Money, total
from .orders import Order
from .periods import Span
from .postings import Books
from .renewals import BILLED, billed_line


@dataclass(frozen=True, slots=True)
class Paper:
    """A document that only lacks its number. It is paid as soon as it has one."""

    draft: Invoice
    to: Addressee
    year: int
    """In whose series it is numbered."""
    credit: Money
    """The part of it that is credit."""


@dataclass(frozen=True, slots=True)
class Back:
    """A part that goes back of `of`, after `before` went: what the posting takes off, without tax, and the tax."""

    before: Money
    amount: Money
    of: Money
    net: Money
    tax: Money

    def share(self, whole: Money) -> Money:
        """What of `whole` goes back with this part; all parts together sum to it."""
        return share(whole, self.before + self.amount, self.of) - share(whole, self.before, self.of)


def bought(order: Order, span: Span | None, to: Addressee, books: Books, now: datetime) -> Paper | None:
    """The invoice of a settled order. None: it costs nothing."""
    if not order.total:
        return None
    lines = [billed_line(line, span) for line in order.lines if line.kind in BILLED]
    draft = invoices.draft(
        f"in-{order.id}", order.org, lines, currency=order.total.currency, now=now, subscription=order.subscription,
        order=order.id, period=span,
    )  # fmt: skip
    return Paper(draft, to, invoices.year_of(now, books), order.credit)


def all_back(order: Order, billed: Invoice, why: str, to: Addressee, books: Books, now: datetime) -> Paper:
    """The credit note for an order of which everything goes back at once."""
    lines = [replace(line, amount=-line.amount) for line in billed.lines]
    return _note(order, billed, 1, lines, order.credit, why, to, books, now)


def part_back(
    order: Order, billed: Invoice, number: int, back: Back, to_credit: Money, why: str, to: Addressee, books: Books,
    now: datetime,
) -> Paper:  # fmt: skip
    """The credit note for the refund with `number` of an order."""
    taxes = _fitted([line for line in billed.lines if line.kind is LineKind.TAX], back.share, back.tax)
    beside = total([line.amount for line in taxes if not line.is_inclusive], back.tax.currency)
    goods = [line for line in billed.lines if line.kind is not LineKind.TAX]
    lines = [*_fitted(goods, back.share, back.net + back.tax + beside), *taxes]
    return _note(order, billed, number, lines, to_credit, why, to, books, now)


def numbered(paper: Paper, series: Series, now: datetime) -> tuple[Invoice, Invoice, Series]:
    """The document sealed under the next number of `series`, and paid."""
    sealed, taken = invoices.finalise(paper.draft, series, paper.to, now)
    return sealed, invoices.pay(sealed, now, credit=paper.credit), taken


def share(whole: Money, part: Money, of: Money) -> Money:
    """The part of `whole` that `part` is of `of`, rounded."""
    return whole.times(Decimal(part.minor) / Decimal(of.minor)) if part != of else whole


def _note(
    order: Order, billed: Invoice, number: int, lines: Sequence[InvoiceLine], credit: Money, why: str, to: Addressee,
    books: Books, now: datetime,
) -> Paper:  # fmt: skip
    span = Span(billed.period_start, billed.period_end) if billed.period_start and billed.period_end else None
    draft = invoices.draft(
        f"cn-{order.id}-{number}", order.org, [line for line in lines if line.amount], currency=order.total.currency,
        now=now, kind=Kind.CREDIT_NOTE, subscription=order.subscription, order=order.id, corrects=billed.id,
        period=span, why=why,
    )  # fmt: skip
    return Paper(draft, to, invoices.year_of(now, books), -credit)


def _fitted(lines: Sequence[InvoiceLine], share: Callable[[Money], Money], whole: Money) -> list[InvoiceLine]:
    """Each line's share, below zero; the largest line takes what is missing to `whole`, so that roundings add up."""
    cut = [replace(line, amount=-share(line.amount)) for line in lines]
    if not cut:
        return cut
    missing = -whole - total([line.amount for line in cut], whole.currency)
    largest = max(range(len(lines)), key=lambda n: lines[n].amount)
    cut[largest] = replace(cut[largest], amount=cut[largest].amount + missing)
    return cut
