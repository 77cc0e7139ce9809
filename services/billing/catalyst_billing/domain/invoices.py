"""Invoices and credit notes: what was billed, under numbers without a gap.

Invariants
  no gap       a number is taken in the transaction that finalises, under the lock of its series: whatever fails takes none;
  sealed       a finalised document never changes; only whether it is paid, and how, is noted beside it. `hash` covers it;
  corrected    what was billed wrongly is corrected by a credit note of its own series, never by an edit;
  void unpaid  only what nobody has paid is withdrawn, and its number stays taken.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import datetime, timedelta
from enum import StrEnum
from hashlib import sha256
from typing import Any

from catalyst_sdk import Code, Refused

from .accounts import NOBODY, Addressee
from .money import Money, total
from .moves import IllegalTransition
from .periods import Span
from .postings import Books


class InvoiceNotFound(Refused):
    code, reason, message = Code.NOT_FOUND, "INVOICE_NOT_FOUND", "there is no invoice {invoice}"


class InvoiceDraft(Refused):
    reason, message = "INVOICE_DRAFT", "{invoice} is a draft; there is no document of it yet"


class InvoiceCharging(Refused):
    reason, message = "INVOICE_CHARGING", "{invoice} is being charged to the saved method just now; look again"


class State(StrEnum):
    """Where a document stands."""

    DRAFT = "draft"
    FINALIZED = "finalized"
    PAID = "paid"
    UNCOLLECTIBLE = "uncollectible"
    VOIDED = "voided"


class Kind(StrEnum):
    """What a document is."""

    INVOICE = "invoice"
    CREDIT_NOTE = "credit_note"


class LineKind(StrEnum):
    """What a line is."""

    PLAN = "plan"
    ADD_ON = "add_on"
    USAGE = "usage"
    DISCOUNT = "discount"
    CREDIT = "credit"
    TAX = "tax"


SERIES: Mapping[Kind, str] = {Kind.INVOICE: "INV", Kind.CREDIT_NOTE: "CN"}
"""Name of the series of each kind."""

_COMMANDS = {
    "pay": (State.FINALIZED, State.UNCOLLECTIBLE),
    "void": (State.DRAFT, State.FINALIZED, State.UNCOLLECTIBLE),
    "finalise": (State.DRAFT,),
    "give up": (State.FINALIZED,),
}


@dataclass(frozen=True, slots=True)
class InvoiceLine:
    """One line, in printing order. Taxes that `amount` of other lines holds already are inclusive."""

    kind: LineKind
    item: str
    title: str
    amount: Money
    quantity: str = "1"
    start: datetime | None = None
    end: datetime | None = None
    is_adjustment: bool = False
    """Whether it is late usage of an earlier period."""
    is_inclusive: bool = False


@dataclass(frozen=True, slots=True)
class Invoice:
    """A bill, or a correction of one."""

    id: str
    org: str
    kind: Kind
    state: State
    lines: tuple[InvoiceLine, ...]
    subtotal: Money
    tax: Money
    total: Money
    credit: Money
    """What credit has paid of it."""
    due: Money
    """What is still to be paid."""
    created_at: datetime
    updated_at: datetime
    number: str = ""
    subscription: str = ""
    order: str = ""
    """Id of the order that pays or made it."""
    corrects: str = ""
    """Id of the invoice that a credit note corrects."""
    period_start: datetime | None = None
    period_end: datetime | None = None
    finalized_at: datetime | None = None
    due_at: datetime | None = None
    paid_at: datetime | None = None
    why: str = ""
    """Why it was withdrawn or made."""
    hash: str = ""
    addressee: Addressee = NOBODY
    version: int = 1

    @property
    def name(self) -> str:
        return f"billingAccounts/{self.org}/invoices/{self.id}"

    @property
    def is_open(self) -> bool:
        return self.state in (State.FINALIZED, State.UNCOLLECTIBLE)

    @property
    def usage(self) -> Money:
        """What of it is for time that has passed, without tax."""
        return total([line.amount for line in self.lines if line.kind is LineKind.USAGE], self.total.currency)

    def voided_at(self, moment: datetime) -> bool:
        """Whether it was withdrawn at this moment."""
        return self.state is State.VOIDED and self.updated_at == moment

    def sealed(self) -> dict[str, Any]:
        """All that never changes once it has a number. Documents older than addressees were sealed without."""
        said = {f.name: getattr(self, f.name) for f in fields(self) if f.name not in _BESIDE}
        return {name: value for name, value in said.items() if name != "addressee" or value != NOBODY}


_BESIDE = {"state", "credit", "due", "updated_at", "paid_at", "why", "hash", "version"}
"""What is noted beside the document: how it stands, not what it says."""


@dataclass(frozen=True, slots=True)
class Series:
    """The numbers of one kind of document in one year."""

    series: str
    year: int
    last: int
    version: int = 0

    @property
    def name(self) -> str:
        return f"invoiceSeries/{self.series}-{self.year}"


@dataclass(frozen=True, slots=True)
class Finalized:
    invoice: Invoice


@dataclass(frozen=True, slots=True)
class Paid:
    invoice: Invoice


@dataclass(frozen=True, slots=True)
class Voided:
    invoice: Invoice


def draft(
    id: str, org: str, lines: Iterable[InvoiceLine], *, currency: str, now: datetime, kind: Kind = Kind.INVOICE,
    subscription: str = "", order: str = "", corrects: str = "", period: Span | None = None, why: str = "",
) -> Invoice:  # fmt: skip
    """A document without a number."""
    empty = Money(0, currency)
    made = Invoice(
        id=id, org=org, kind=kind, state=State.DRAFT, lines=(), subtotal=empty, tax=empty, total=empty, credit=empty,
        due=empty, created_at=now, updated_at=now, subscription=subscription, order=order, corrects=corrects,
        period_start=period.start if period else None, period_end=period.end if period else None, why=why, version=0,
    )  # fmt: skip
    return rewritten(made, lines, now)


def rewritten(invoice: Invoice, lines: Iterable[InvoiceLine], now: datetime) -> Invoice:
    """A draft with other lines. Raises IllegalTransition for what is no draft any more."""
    require(invoice, "finalise")
    kept = tuple(lines)
    currency = invoice.total.currency
    tax = total([line.amount for line in kept if line.kind is LineKind.TAX], currency)
    subtotal = total([line.amount for line in kept if line.kind is not LineKind.TAX], currency)
    whole = subtotal + total([ln.amount for ln in kept if ln.kind is LineKind.TAX and not ln.is_inclusive], currency)
    return _changed(invoice, now, lines=kept, subtotal=subtotal, tax=tax, total=whole, due=whole)


def finalise(
    invoice: Invoice, series: Series, to: Addressee, now: datetime, *, due_in: timedelta = timedelta(0)
) -> tuple[Invoice, Series]:
    """The document with the next number of `series`, made out to `to` and sealed."""
    require(invoice, "finalise")
    taken = replace(series, last=series.last + 1, version=series.version + 1)
    numbered = _changed(
        invoice, now, state=State.FINALIZED, number=f"{series.series}-{series.year}-{taken.last:06}", finalized_at=now,
        due_at=now + due_in, addressee=to,
    )  # fmt: skip
    return replace(numbered, hash=digest(numbered)), taken


def year_of(now: datetime, books: Books) -> int:
    """The year in whose series a document of `now` is numbered."""
    return now.astimezone(books.zone).year


def digest(invoice: Invoice) -> str:
    """SHA-256 of the sealed part, hexadecimal."""
    text = json.dumps(invoice.sealed(), sort_keys=True, separators=(",", ":"), default=_plain)
    return sha256(text.encode()).hexdigest()


def pay(invoice: Invoice, now: datetime, *, credit: Money, order: str = "") -> Invoice:
    """The document, paid in full, `credit` of it with credit."""
    require(invoice, "pay")
    return _changed(invoice, now, state=State.PAID, credit=credit, due=credit.zero(), paid_at=now)


def void(invoice: Invoice, why: str, now: datetime) -> Invoice:
    """Withdraw what nobody has paid; a withdrawn one stays as it is."""
    if invoice.state is State.VOIDED:
        return invoice
    require(invoice, "void")
    return _changed(invoice, now, state=State.VOIDED, due=invoice.due.zero(), why=why)


def give_up(invoice: Invoice, now: datetime) -> Invoice:
    """Nobody expects its money any more; it can still be paid."""
    require(invoice, "give up")
    return _changed(invoice, now, state=State.UNCOLLECTIBLE)


def require(invoice: Invoice, command: str) -> None:
    """Raises IllegalTransition."""
    if invoice.state not in _COMMANDS[command]:
        allowed = [word for word, states in _COMMANDS.items() if invoice.state in states]
        raise IllegalTransition(invoice.name, invoice.state, command, allowed)


def parts(lines: Sequence[InvoiceLine]) -> list[tuple[str, Money]]:
    """What sums to the net amount of `lines`, by item."""
    of_goods = [(line.item or line.title, line.amount) for line in lines if line.kind is not LineKind.TAX]
    return [*of_goods, *((ln.item, -ln.amount) for ln in lines if ln.kind is LineKind.TAX and ln.is_inclusive)]


def _changed(invoice: Invoice, now: datetime, **changes: Any) -> Invoice:
    return replace(invoice, updated_at=now, version=invoice.version + 1, **changes)


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    return {f.name: getattr(value, f.name) for f in fields(value)}
