"""From one period to the next: the invoice, its payment, and what happens where it is not paid.

Invariants
  one invoice    the next period has one invoice, whoever asks and how often: its id is made of subscription and start;
  credit first   an invoice is met with credit in burn order, and only the rest is charged;
  one at a time  while a provider is asked for a charge nothing else happens to the subscription;
  not shifted    a period that is paid late begins where it would have begun;
  once each      a subscription is told to be past due, in grace, suspended and cancelled once for each debt.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from hashlib import sha256

from catalyst_sdk import Decision

from . import charges, credit, earnings, invoices, ledger, periods, postings, subscriptions
from .accounts import NOBODY, Addressee
from .charges import Charge
from .credit import Purpose, Wallet
from .earnings import Period
from .invoices import Invoice, InvoiceLine, Series
from .ledger import Part, Txn
from .money import Money, total
from .payments import Payment, PaymentState, Refund, RefundState
from .periods import Span
from .postings import Books
from .pricing import Bill, Line, TaxRule
from .pricing import LineKind as QuoteLine
from .subscriptions import UNPAID, Dunning, State, Subscription

HELD_FOR = timedelta(days=60)
"""Longer than any provider takes to say what became of a charge."""


@dataclass(frozen=True, slots=True)
class House:
    """The rules of the Sovereign under which subscriptions run."""

    books: Books
    taxes: tuple[TaxRule, ...]
    dunning: Dunning
    due_in: timedelta = timedelta(0)
    """How long an invoice may be open where no method can be charged."""
    gives_credit: bool = True
    """Whether unused time comes back as credit when a subscription is ended at once."""


@dataclass(frozen=True, slots=True)
class Dues:
    """A subscription and what its renewal touches, read under its account's lock. `postings` are not yet written."""

    subscription: Subscription
    wallet: Wallet
    series: Series
    notes: Series
    """The series of credit notes."""
    is_frozen: bool = False
    """Whether the account may spend nothing."""
    addressee: Addressee = NOBODY
    """Whom documents are made out to."""
    invoice: Invoice | None = None
    """Of the next period: a draft, or open."""
    charge: Charge | None = None
    period: Period | None = None
    """The current one."""
    usage: tuple[InvoiceLine, ...] = ()
    """What was used in the current period, and late usage of earlier ones."""
    last_bills: int = 0
    """Of an ended one: how many bills of what was used until its end were made."""
    is_metered: bool = False
    """Whether usage of the current period, or of a part of it, costs something."""
    documents: tuple[Invoice, ...] = ()
    """Other documents that were made."""
    new_period: Period | None = None
    payments: tuple[Payment, ...] = ()
    refunds: tuple[Refund, ...] = ()
    postings: tuple[Txn, ...] = ()

    def taxes(self, house: House) -> tuple[TaxRule, ...]:
        """The rules that count for this customer."""
        return () if self.addressee.tax.exempt else house.taxes

    def used(self, lines: tuple[InvoiceLine, ...], *, is_metered: bool = False) -> "Dues":
        """The same, with what was used."""
        return replace(self, usage=lines, is_metered=is_metered)


CanCharge = Callable[[Subscription, Money], bool]
"""Whether the provider of a subscription's method can be asked for an amount."""


@dataclass(frozen=True, slots=True)
class Means:
    """What a charge could be made of."""

    can_charge: CanCharge
    step: int = 1
    """Smallest step of a charge in minor units."""


@dataclass(frozen=True, slots=True)
class Met:
    """How an invoice was paid."""

    credit: Money
    card: Money
    rounding: Money
    provider: str = ""
    order: str = ""
    """Name of the order that paid it; empty: none did."""
    vouchers: tuple[Part, ...] = ()


def invoice_id(subscription: str, start: datetime) -> str:
    """The one id that an invoice of the period from `start` can have."""
    return f"in-{sha256(f'{subscription} {start.isoformat()}'.encode()).hexdigest()[:24]}"


def advance(d: Dues, house: House, means: Means, now: datetime) -> Decision[Dues]:
    """The next thing that is due at `now`; nothing where none is."""
    s = d.subscription
    wake_at = s.wake_at or (subscriptions.wake(s, house.books.lead) if s.anchor_at is None else None)
    if wake_at is None or wake_at > now:
        return Decision(d)
    if s.state in UNPAID:
        return _dun(d, house, means, now)
    if now < s.period_end:
        return Decision(_drafted(d, house, now))
    if s.cancel_at_period_end:
        return end(d, "requested", house, now)
    return _renew(d, house, means, now)


def _drafted(d: Dues, house: House, now: datetime) -> Dues:
    made = _draft(d, house, now)
    return _woken(replace(d, invoice=made), house, now, invoice=made.id)


def _draft(d: Dues, house: House, now: datetime) -> Invoice:
    """The invoice of the next period as it would be now; the draft that there is, written anew."""
    s = d.subscription
    span = next_period(s, house.books)
    taxes = d.taxes(house)
    lines = [*_billed(subscriptions.next_bill(s, taxes), span), *used(d.usage, taxes)]
    if d.invoice is not None:
        return invoices.rewritten(d.invoice, lines, now)
    return invoices.draft(
        invoice_id(s.id, span.start), s.org, lines, currency=s.price.currency, now=now, subscription=s.id, period=span
    )  # fmt: skip


def usage_so_far(d: Dues, house: House) -> Money:
    """What usage that was not billed yet comes to, with tax."""
    return total([line.amount for line in used(d.usage, d.taxes(house))], d.subscription.price.currency)


def next_period(s: Subscription, books: Books) -> Span:
    """The period after the one that is paid."""
    return periods.following(s.anchor, s.period_end, s.period_months, books.zone, day=s.anchor_day)


def _renew(d: Dues, house: House, means: Means, now: datetime) -> Decision[Dues]:
    s = d.subscription
    due_in = timedelta(0) if s.method else house.due_in
    sealed, taken = invoices.finalise(_draft(d, house, now), d.series, d.addressee, now, due_in=due_in)
    owed = usage_posting(sealed, s, house.books, now)
    opened = replace(
        _woken(d, house, now, invoice=sealed.id), invoice=sealed, series=taken, postings=(*d.postings, *owed)
    )  # fmt: skip
    tried = attempt(opened, house, means, now)
    return Decision(tried.state, (invoices.Finalized(sealed), *tried.events))


def attempt(d: Dues, house: House, means: Means, now: datetime) -> Decision[Dues]:
    """Pay the open invoice: credit first, the rest by a charge that the worker asks for."""
    s, invoice = d.subscription, d.invoice
    assert invoice is not None
    if d.is_frozen:
        return failed(d, "ACCOUNT_FROZEN", house, now)
    # What was set aside for this usage hour by hour pays for it now.
    wallet, purpose = d.wallet.lapse(now).release(subscriptions.prepaid_hold(s), now), Purpose(s.plan)
    used = min(wallet.available(now, purpose), invoice.due)
    rest = (invoice.due - used).floor_to(means.step)
    rounding = invoice.due - used - rest
    if rest and not (s.method and means.can_charge(s, rest)):
        return failed(d, "NO_METHOD", house, now)
    id = f"ch-{invoice.id}-{s.tries + 1}-{s.version}"
    if used:
        wallet = wallet.hold(id, used, promise=None, purpose=purpose, until=now + HELD_FOR, now=now)
    if rest:
        charge = Charge(
            id=id, org=s.org, subscription=s.id, invoice=invoice.id, provider=s.provider, customer=s.customer,
            method=s.method, amount=rest, rounding=rounding, credit=used, state=charges.State.WANTED, next_at=now,
            created_at=now, updated_at=now,
        )  # fmt: skip
        return Decision(replace(_woken(d, house, now, charge=id), wallet=wallet, charge=charge))
    wallet, vouchers = _spent(wallet, id, now)
    met = Met(credit=used, card=rest, rounding=rounding, vouchers=vouchers)
    return paid(replace(d, wallet=wallet), met, house.books, now)


def captured(d: Dues, payment: str, house: House, now: datetime, *, at: datetime) -> Decision[Dues]:
    """The provider took the charge: the invoice is paid; where nothing is left to pay, the money goes back.

    at   when it was taken, as the provider says: its list of payments is compared with ours by that
    """
    s, charge, invoice = d.subscription, d.charge, d.invoice
    assert charge is not None
    done = charges.ended(charge, charges.State.CAPTURED, now, payment=payment)
    is_owed = s.charge == charge.id and invoice is not None and invoice.is_open
    state = PaymentState.SETTLED if is_owed else PaymentState.RETURNED
    taken = Payment(charge.provider, payment, "", s.org, charge.amount, state, at)
    d = replace(d, charge=done, payments=(*d.payments, taken))
    if not is_owed:
        back = Refund(
            id=f"rf-{charge.id}", order="", org=s.org, provider=charge.provider, payment=payment, to_card=charge.amount,
            to_credit=charge.amount.zero(), state=RefundState.PENDING, why="unsettled", next_at=now, created_at=now,
            updated_at=now, from_card=charge.amount,
        )  # fmt: skip
        return Decision(replace(d, wallet=d.wallet.release(charge.id, now), refunds=(*d.refunds, back)))
    wallet, vouchers = _spent(d.wallet, charge.id, now)
    met = Met(charge.credit, charge.amount, charge.rounding, charge.provider, vouchers=vouchers)
    return paid(replace(d, wallet=wallet), met, house.books, now)


def declined(d: Dues, why: str, house: House, now: datetime, *, is_final: bool) -> Decision[Dues]:
    """The provider refused the charge."""
    charge = d.charge
    assert charge is not None
    done = charges.ended(charge, charges.State.FAILED, now, why=why)
    freed = replace(d, charge=done, wallet=d.wallet.release(charge.id, now))
    if d.subscription.charge != charge.id:
        return Decision(freed)
    return failed(freed, why, house, now, is_final=is_final)


def paid(d: Dues, met: Met, books: Books, now: datetime) -> Decision[Dues]:
    """The open invoice is paid: the next period begins where the last one ended.

    One that is paid after its subscription ended pays for what was given until then, and begins nothing.
    """
    s, invoice = d.subscription, d.invoice
    assert invoice is not None
    done, goods, currency = invoices.pay(invoice, now, credit=met.credit), _goods(invoice), invoice.total.currency
    assert invoice.period_start is not None
    assert invoice.period_end is not None
    span = Span(invoice.period_start, invoice.period_end)
    net = total([amount for _, amount in invoices.parts(goods)], currency)
    tax = total([line.amount for line in goods if line.kind is invoices.LineKind.TAX], currency)
    # A last bill is of usage alone, and begins no period.
    new = earnings.open_period(
        span, invoices.parts(goods), subscription=s.id, org=s.org, tax=tax, books=books, sovereign=s.sovereign,
        order=met.order, invoice=invoice.id,
    ) if goods else None  # fmt: skip
    booked = postings.invoice_paid(books, _fact(d, invoice, met, net, tax), now)
    moved, facts = _moved(s, span, net, invoice, books, now) if s.is_live else (_settled(d, invoice, now), ())
    kept = replace(
        d, subscription=moved, invoice=done, new_period=new, postings=(*d.postings, *([booked] if booked else []))
    )
    return Decision(kept, (invoices.Paid(done), *facts))


def _settled(d: Dues, invoice: Invoice, now: datetime) -> Subscription:
    """An ended subscription whose last bill is paid or withdrawn; one that another document is about stays as it is.

    What came too late for that bill goes on one more, at once.
    """
    s = d.subscription
    if s.invoice != invoice.id:
        return s
    return subscriptions.changed(
        s, now, invoice="", charge="", wake_at=now if d.usage else None, next_try_at=None
    )  # fmt: skip - one call


def _moved(
    s: Subscription, span: Span, net: Money, invoice: Invoice, books: Books, now: datetime
) -> tuple[Subscription, tuple[object, ...]]:
    """The subscription in the period that was just paid."""
    told = s.repricing
    moved = subscriptions.with_offer(
        s, subscriptions.next_offer(s), now, state=State.ACTIVE, price=net, period_start=span.start,
        period_end=span.end, pending=None,
        repricing=None if told and told.since and told.since <= s.period_end else told,
        percent_periods=max(0, s.percent_periods - (s.state is not State.TRIALING)), invoice="", charge="",
        past_due_at=None, next_try_at=None, tries=0,
    )  # fmt: skip
    makes: list[Callable[[Subscription], object]] = [lambda m: subscriptions.Renewed(m, invoice.name, invoice.total)]
    if (moved.plan, moved.add_ons) != (s.plan, s.add_ons):
        makes.append(lambda m: subscriptions.Changed(m, s.plan, ""))
    if s.state in UNPAID:
        makes.append(subscriptions.Resumed)
    return subscriptions.told(replace(moved, wake_at=subscriptions.wake(moved, books.lead)), makes)


def failed(d: Dues, why: str, house: House, now: datetime, *, is_final: bool = False) -> Decision[Dues]:
    """The open invoice was not paid. A trial ends with it; else it is tried again, unless that would not help."""
    s, invoice = d.subscription, d.invoice
    assert invoice is not None
    if s.state is State.TRIALING:
        return end(d, "trial_ended", house, now)
    if not s.is_live:
        return Decision(_put_off(d, house, now, is_final=is_final))
    since = s.past_due_at or now
    retry = None if is_final else house.dunning.retry_after(since, now)
    is_first = s.state is State.ACTIVE
    state = State.PAST_DUE if is_first else s.state
    lapsed = subscriptions.changed(
        s, now, state=state, past_due_at=since, next_try_at=retry, tries=s.tries + 1, charge=""
    )
    lapsed = replace(lapsed, wake_at=subscriptions.wake(lapsed, house.books.lead, house.dunning))
    suspend_at = since + house.dunning.suspend_day * periods.DAY
    told = (subscriptions.Lapsed(lapsed, invoice.due, suspend_at),) if is_first else ()
    return Decision(replace(d, subscription=lapsed), told)


def _put_off(d: Dues, house: House, now: datetime, *, is_final: bool) -> Dues:
    """A last bill that was not paid: tried again as a renewal is, but nothing is left that could be suspended."""
    s, invoice = d.subscription, d.invoice
    assert invoice is not None
    assert invoice.finalized_at is not None
    retry = None if is_final else house.dunning.retry_after(invoice.finalized_at, now)
    return replace(d, subscription=subscriptions.changed(s, now, charge="", wake_at=retry, tries=s.tries + 1))


def end(d: Dues, why: str, house: House, now: datetime) -> Decision[Dues]:
    """The subscription is over for good; what was not paid is withdrawn, or given up where the service was had.

    What was used is not withdrawn: the last bill has it, also what stood on an invoice that goes.
    """
    last = subscriptions.unbilled(d.subscription, why, now, house.dunning) if d.is_metered else None
    if last is None:
        d = replace(d, wallet=d.wallet.release(subscriptions.prepaid_hold(d.subscription), now))
    ended = subscriptions.cancel(d.subscription, now, house.dunning, last=last, late=house.books.usage_late)
    facts: list[object] = [subscriptions.Cancelled(ended, why)]
    invoice, owed = d.invoice, d.postings
    if invoice is not None and why == "unpaid":
        invoice = invoices.give_up(invoice, now)
    elif invoice is not None:
        was_sealed = invoice.state is invoices.State.FINALIZED
        owed = (*owed, *withdrawn(invoice, d.subscription, house.books, now)) if was_sealed else owed
        invoice = invoices.void(invoice, why, now)
        facts += [invoices.Voided(invoice)] if was_sealed else []
    return Decision(replace(d, subscription=ended, invoice=invoice, postings=owed), tuple(facts))


def forgiven(d: Dues, why: str, books: Books, now: datetime) -> Decision[Dues]:
    """The open invoice is withdrawn: the period that it billed begins and costs nothing."""
    s, invoice = d.subscription, d.invoice
    assert invoice is not None
    if invoice.is_open:
        d = replace(d, postings=(*d.postings, *withdrawn(invoice, s, books, now)))
    gone = invoices.void(invoice, why, now)
    told: tuple[object, ...] = (invoices.Voided(gone),)
    if not s.is_live or s.invoice != invoice.id:
        return Decision(replace(d, invoice=gone, subscription=s if s.is_live else _settled(d, invoice, now)), told)
    span = next_period(s, books)
    free = earnings.open_period(
        span, (), subscription=s.id, org=s.org, tax=s.price.zero(), books=books, sovereign=s.sovereign, invoice=gone.id
    )
    moved, facts = _moved(s, span, s.price.zero(), gone, books, now)
    return Decision(replace(d, subscription=moved, invoice=gone, new_period=free), (*told, *facts))


def retry_now(s: Subscription, house: House, now: datetime) -> Subscription:
    """Have the open debt tried again at once."""
    if s.charge:
        return s
    due = subscriptions.changed(s, now, next_try_at=now)
    return replace(due, wake_at=subscriptions.wake(due, house.books.lead, house.dunning))


def _dun(d: Dues, house: House, means: Means, now: datetime) -> Decision[Dues]:
    s, invoice, days = d.subscription, d.invoice, house.dunning
    assert s.past_due_at is not None
    assert invoice is not None
    if s.next_try_at is not None and s.next_try_at <= now:
        return attempt(d, house, means, now)
    since = s.past_due_at
    if s.state is State.SUSPENDED:
        return end(d, "unpaid", house, now)
    if s.state is State.GRACE:
        halted = _woken(d, house, now, state=State.SUSPENDED)
        cancel_at = since + days.cancel_day * periods.DAY
        return Decision(halted, (subscriptions.Suspended(halted.subscription, invoice.due, cancel_at),))
    graced = _woken(d, house, now, state=State.GRACE)
    suspend_at = since + days.suspend_day * periods.DAY
    return Decision(graced, (subscriptions.Lapsed(graced.subscription, invoice.due, suspend_at),))


def _woken(d: Dues, house: House, now: datetime, **changes: object) -> Dues:
    s = subscriptions.changed(d.subscription, now, **changes)
    return replace(d, subscription=replace(s, wake_at=subscriptions.wake(s, house.books.lead, house.dunning)))


def _spent(wallet: Wallet, hold: str, now: datetime) -> tuple[Wallet, tuple[Part, ...]]:
    if wallet.hold_of(hold) is None:
        return wallet, ()
    return wallet.capture(hold, now), credit.vouchers_of(wallet, hold)


def _fact(d: Dues, invoice: Invoice, met: Met, net: Money, tax: Money) -> postings.PaidInvoice:
    s = d.subscription
    return postings.PaidInvoice(
        invoice=invoice.id, order=met.order, org=s.org, sovereign=s.sovereign, provider=met.provider, deferred=net,
        tax=tax, receivable=invoice.total - net - tax, credit=met.credit, card=met.card, rounding=met.rounding,
        vouchers=met.vouchers, items=tuple(Part(*part) for part in _summed(invoices.parts(_goods(invoice)))),
    )  # fmt: skip


def _goods(invoice: Invoice) -> list[InvoiceLine]:
    return [line for line in invoice.lines if not _is_usage(line)]


def usage_posting(invoice: Invoice, s: Subscription, books: Books, now: datetime) -> list[Txn]:
    """What is owed for the usage on a document from the moment it has a number."""
    lines = [line for line in invoice.lines if _is_usage(line)]
    tax = total([line.amount for line in lines if line.kind is invoices.LineKind.TAX], invoice.total.currency)
    net = total([amount for _, amount in invoices.parts(lines)], invoice.total.currency)
    txn = postings.usage_invoiced(
        books, invoice=invoice.id, org=s.org, sovereign=s.sovereign, net=net, tax=tax,
        items=tuple(Part(*part) for part in _summed(invoices.parts(lines))), at=now,
    )  # fmt: skip
    return [txn] if txn else []


def withdrawn(invoice: Invoice, s: Subscription, books: Books, now: datetime) -> list[Txn]:
    """What was booked as owed for usage is taken back with its invoice; its posting follows from the document alone."""
    return [
        ledger.reverse(
            owed, idem_key=f"usage_withdrawn:{invoice.id}", kind="usage_withdrawn", booked_at=now, actor=books.actor,
            reason="void",
        )
        for owed in usage_posting(invoice, s, books, now)
    ]  # fmt: skip


def _is_usage(line: InvoiceLine) -> bool:
    return line.kind is invoices.LineKind.USAGE or line.item.startswith(OF_USAGE)


OF_USAGE = "usage:"
"""Before the name of a tax on usage."""


def _billed(b: Bill, span: Span) -> list[InvoiceLine]:
    return [billed_line(line, span) for line in b.lines]


def billed_line(line: Line, span: Span | None) -> InvoiceLine:
    """A line of a quote or bill as an invoice has it."""
    return InvoiceLine(
        kind=_KINDS[line.kind], item=line.item, title=line.title, amount=line.amount, start=span.start if span else None,
        end=span.end if span else None, is_inclusive=line.is_inclusive,
    )  # fmt: skip


def used(usage: Sequence[InvoiceLine], taxes: Sequence[TaxRule]) -> list[InvoiceLine]:
    """Lines of usage with their taxes: a rule that names no kind of line, or `usage`, counts for them."""
    if not usage:
        return []
    currency = usage[0].amount.currency
    net = total([line.amount for line in usage], currency)
    rules = [rule for rule in taxes if not rule.applies_to or "usage" in rule.applies_to]
    taxed = [
        InvoiceLine(
            invoices.LineKind.TAX, f"{OF_USAGE}{rule.name}", rule.name, rule.on(net), is_inclusive=rule.is_inclusive
        )
        for rule in rules
    ]
    return [*usage, *taxed]


_KINDS = {
    QuoteLine.PLAN: invoices.LineKind.PLAN,
    QuoteLine.ADD_ON: invoices.LineKind.ADD_ON,
    QuoteLine.DISCOUNT: invoices.LineKind.DISCOUNT,
    QuoteLine.VOUCHER: invoices.LineKind.DISCOUNT,
    QuoteLine.TAX: invoices.LineKind.TAX,
}


BILLED = frozenset(_KINDS)
"""Kinds of lines of a quote that say what is bought, not how it is paid."""


def _summed(parts: Sequence[tuple[str, Money]]) -> list[tuple[str, Money]]:
    sums: dict[str, Money] = {}
    for item, amount in parts:
        sums[item] = sums[item] + amount if item in sums else amount
    return [(item, amount) for item, amount in sums.items() if amount]
