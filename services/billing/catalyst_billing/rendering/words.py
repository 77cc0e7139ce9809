"""What stands on a document, before any layout. How it is paid stands nowhere: that may change, the document may not."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from ..domain.invoices import Invoice, InvoiceLine, Kind, LineKind
from ..domain.money import Money

TITLES = {Kind.INVOICE: "Invoice", Kind.CREDIT_NOTE: "Credit note"}


@dataclass(frozen=True, slots=True)
class Issuer:
    """Who makes the document out."""

    name: str
    zone: ZoneInfo


@dataclass(frozen=True, slots=True)
class Row:
    """One line in words."""

    text: str
    detail: str
    quantity: str
    amount: str


@dataclass(frozen=True, slots=True)
class Words:
    """A whole document in words."""

    title: str
    facts: tuple[tuple[str, str], ...]
    rows: tuple[Row, ...]
    sums: tuple[tuple[str, str], ...]
    footer: str


def words(invoice: Invoice, issuer: Issuer) -> Words:
    """The document of a finalised invoice."""
    return Words(
        title=f"{TITLES[invoice.kind]} {invoice.number}",
        facts=tuple(_facts(invoice, issuer)),
        rows=tuple(_row(line, issuer.zone) for line in invoice.lines if line.kind is not LineKind.TAX),
        sums=tuple(_sums(invoice)),
        footer=f"SHA-256 {invoice.hash}",
    )


def _facts(i: Invoice, issuer: Issuer) -> Iterator[tuple[str, str]]:
    yield "From", issuer.name
    yield from _addressee(i)
    yield "Date", day(i.finalized_at, issuer.zone)
    if i.period_start and i.period_end:
        yield "Period", f"{day(i.period_start, issuer.zone)} to {day(i.period_end, issuer.zone)} (not included)"
    if i.kind is Kind.INVOICE:
        yield "Due", day(i.due_at, issuer.zone)
    if i.corrects:
        yield "Corrects", i.corrects
    if i.order:
        yield "Order", i.order


def _addressee(i: Invoice) -> Iterator[tuple[str, str]]:
    """The addressee of the document's own time, each line of it under the one before."""
    to, tax = i.addressee.contact, i.addressee.tax
    lines = [*filter(None, (to.display_name,)), *to.address_lines, *filter(None, (to.region_code,))]
    yield "To", lines[0] if lines else f"organizations/{i.org}"
    for line in lines[1:]:
        yield "", line
    if lines:
        yield "Customer", f"organizations/{i.org}"
    if tax.tax_id:
        yield "Tax id", tax.tax_id
    if tax.exempt:
        yield "Tax", "exempt"


def _row(line: InvoiceLine, zone: ZoneInfo) -> Row:
    span = f"{day(line.start, zone)} to {day(line.end, zone)}" if line.start and line.end else ""
    late = "late usage" if line.is_adjustment else ""
    return Row(line.title or line.item, ", ".join(filter(None, (span, late))), line.quantity, amount(line.amount))


def _sums(i: Invoice) -> Iterator[tuple[str, str]]:
    yield "Subtotal", amount(i.subtotal)
    for line in i.lines:
        if line.kind is LineKind.TAX:
            yield f"{line.title}{' (included)' if line.is_inclusive else ''}", amount(line.amount)
    yield "Total", amount(i.total)


def day(moment: datetime | None, zone: ZoneInfo) -> str:
    """A date in the billing time zone."""
    return f"{moment.astimezone(zone):%Y-%m-%d}" if moment else ""


def amount(money: Money) -> str:
    """An amount with its currency."""
    return str(money)
