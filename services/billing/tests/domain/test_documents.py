"""Documents of orders: what was billed is what was paid, and what goes back is what is credited."""

from collections import Counter
from dataclasses import replace

from catalyst_billing.domain import (
    documents,
    earnings,
    franchise,
    invoices,
    payments,
    pricing,
    purchases,
    refunds,
    settlements,
)
from catalyst_billing.domain.accounts import NOBODY, Addressee, Contact, TaxProfile
from catalyst_billing.domain.franchise import Booked, LineKind, StatementLine
from catalyst_billing.domain.invoices import Invoice, Kind, Series
from catalyst_billing.domain.ledger import Txn
from catalyst_billing.domain.money import Money, total
from catalyst_billing.domain.orders import State
from catalyst_billing.domain.pricing import Line, Selection, TaxRule
from catalyst_billing.domain.pricing import LineKind as QuoteLine
from catalyst_billing.domain.purchases import Purchase
from catalyst_billing.domain.refunds import Wish
from hypothesis import given
from hypothesis import strategies as st

from ..makers import BOOKS, NOON, booked, omr, voucher
from .test_purchases import paid_by_card, submit

SERIES = Series("INV", 2026, 0)
RULES = st.lists(
    st.builds(
        TaxRule,
        st.sampled_from(["VAT", "levy"]),
        st.integers(0, 2500),
        st.booleans(),
        st.sampled_from([(), ("plan",), ("add_on",)]),
    ),
    max_size=2,
    unique_by=lambda rule: rule.name,
)


def paid(goods: list[int], off: int, rules: list[TaxRule], rounding: int = 0) -> Purchase:
    """An order for goods at these prices, the first of them a plan with a discount, paid by card; its papers written."""
    items = [Line(QuoteLine.PLAN, "m", "Plan m", Money(goods[0], "OMR"))]
    items += [Line(QuoteLine.ADD_ON, f"a{n}", f"Add-on {n}", Money(cost, "OMR")) for n, cost in enumerate(goods[1:])]
    items.append(Line(QuoteLine.DISCOUNT, "hub", "Hub", -items[0].amount.share(off)))
    bill = pricing.bill(items, rules)
    p = paid_by_card()
    rest = bill.total - Money(rounding, "OMR")
    order = replace(
        p.order, lines=bill.lines, total=bill.total, tax=bill.tax, rounding=Money(rounding, "OMR"), due=rest,
        paid_by_card=rest,
    )  # fmt: skip
    assert p.subscription is not None
    span = p.subscription.period
    period = earnings.open_period(
        span, bill.parts, subscription=p.subscription.id, org="acme", tax=order.tax, books=BOOKS, order=order.name
    )  # fmt: skip
    paper = documents.bought(order, span, NOBODY, BOOKS, NOON)
    assert paper is not None
    billed = documents.numbered(paper, SERIES, NOON)[1]
    return replace(p, order=order, period=period, invoice=billed, postings=(), papers=())


def give_back(p: Purchase, amount: Money | None) -> Purchase:
    return refunds.give_back(p, Wish(amount, False, "wished"), BOOKS, 1, NOON).state


def notes_of(p: Purchase) -> list[Invoice]:
    return [documents.numbered(paper, Series("CN", 2026, n), NOON)[1] for n, paper in enumerate(p.papers)]


def items_of(*papers: Invoice) -> dict[str, int]:
    sums: Counter[str] = Counter()
    for paper in papers:
        for line in paper.lines:
            sums[line.item] += line.amount.minor
    return {item: amount for item, amount in sums.items() if amount}


@given(st.lists(st.integers(0, 30_000), min_size=1, max_size=4), st.integers(0, 10_000), RULES)
def test_the_invoice_of_an_order_says_what_was_paid(goods: list[int], off: int, rules: list[TaxRule]) -> None:
    p = paid([goods[0] + 100, *goods[1:]], min(off, 9_000), rules)
    assert p.invoice is not None
    assert (p.invoice.total, p.invoice.tax) == (p.order.total, p.order.tax)
    assert (p.invoice.state, p.invoice.due.minor) == (invoices.State.PAID, 0)
    parts = [amount for _, amount in invoices.parts(p.invoice.lines)]
    assert total(parts, "OMR") == p.order.total - p.order.tax


@given(
    st.lists(st.integers(0, 30_000), min_size=1, max_size=3), st.integers(0, 9_000), RULES, st.integers(0, 9),
    st.lists(st.integers(1, 99), min_size=1, max_size=4),
)  # fmt: skip
def test_credit_notes_say_what_is_booked_and_together_undo_the_invoice(
    goods: list[int], off: int, rules: list[TaxRule], rounding: int, shares: list[int]
) -> None:
    p = paid([goods[0] + 100, *goods[1:]], off, rules, rounding)
    assert p.invoice is not None
    for share in shares:
        part = Money(refunds.left_of(p, NOON).total.minor * share // 100, "OMR")
        p = give_back(p, part) if part.is_positive else p
    if not p.order.refunded:
        return
    p = give_back(p, None)
    notes = notes_of(p)
    assert len(notes) == len(p.postings) == len(p.refunds)
    for note, txn in zip(notes, p.postings, strict=True):
        sums = booked((txn,))
        net, tax = sums.get("deferred_revenue", 0) + sums.get("revenue", 0), sums.get("tax_payable", 0)
        assert (note.total.minor, note.tax.minor) == (-net - tax, -tax)
        assert sum(part.amount.minor for part in txn.items) == -net
        assert (note.kind, note.corrects, note.order) == (Kind.CREDIT_NOTE, p.invoice.id, p.order.id)
    assert (p.order.state, items_of(p.invoice, *notes)) == (State.REFUNDED, {})


def test_an_order_that_goes_back_at_once_has_one_credit_note_that_mirrors_its_invoice() -> None:
    p = paid([9_000, 3_000], 1_500, [TaxRule("VAT", 500)])
    assert p.invoice is not None
    done = purchases.refund(p, "run failed", BOOKS, NOON).state
    (note,) = notes_of(done)
    assert (note.total, note.tax, note.why) == (-p.invoice.total, -p.invoice.tax, "run failed")
    assert items_of(p.invoice, note) == {}


def test_an_order_of_nothing_has_no_invoice() -> None:
    free = submit(Selection("m"), v=voucher(amount=None, percent=100), provider="").state
    assert (free.order.state, free.order.total, free.papers, free.order.invoice) == (State.PAID, omr("0"), (), "")


def test_an_order_that_vouchers_pay_for_is_billed_in_full_and_says_that_credit_paid() -> None:
    p = submit(Selection("l"), v=voucher(), provider="").state
    (paper,) = p.papers
    billed = documents.numbered(paper, SERIES, NOON)[1]
    assert (billed.id, billed.total, billed.credit) == (p.order.invoice, omr("16"), omr("16"))
    assert p.period is not None
    assert p.period.invoice == billed.id


def test_a_document_keeps_the_addressee_of_its_own_time_under_its_seal() -> None:
    to = Addressee(Contact("Acme LLC", address_lines=("Muscat",)), TaxProfile("OM1"))
    paper = replace(paid_by_card().papers[0], to=to)
    sealed = documents.numbered(paper, SERIES, NOON)[0]
    assert (sealed.addressee, sealed.hash) == (to, invoices.digest(sealed))
    assert invoices.digest(replace(sealed, addressee=NOBODY)) != sealed.hash


def test_a_part_of_an_order_paid_by_voucher_gives_the_voucher_back_in_the_statement() -> None:
    waiting = submit(Selection("l"), v=voucher(amount="10")).state
    captured = settlements.capture(waiting, payments.Capture("pay-1", omr("6"), NOON), BOOKS, NOON).state
    billed = documents.numbered(captured.papers[0], SERIES, NOON)[1]
    assert captured.paid_txn is not None
    half = give_back(replace(captured, invoice=billed, postings=(), papers=()), omr("8"))
    assert [(part.name, part.amount) for part in half.postings[0].vouchers] == [("vouchers/v-1", omr("-5"))]
    said = franchise.lines([_counted(captured.paid_txn), _counted(half.postings[0])])
    assert said == [
        StatementLine(LineKind.REVENUE, "l", 1, omr("16")),
        StatementLine(LineKind.REFUND, "l", 1, omr("-8")),
        StatementLine(LineKind.VOUCHER, "vouchers/v-1", 2, omr("5")),
    ]


def _counted(txn: Txn) -> Booked:
    sums = booked((txn,))
    net = sums.get("deferred_revenue", 0) + sums.get("revenue", 0)
    return Booked(Money(-net, "OMR"), Money(-sums.get("tax_payable", 0), "OMR"), txn.items, txn.vouchers)
