"""The domain's values as the contract shows them."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from catalyst.billing.v1 import resources_pb2 as pb
from catalyst.mesh.v1 import resources_pb2 as mesh
from catalyst_mesh import stamp

from ..amounts import money
from ..domain.accounts import BillingAccount, Contact, TaxProfile
from ..domain.credit import Grant, Wallet
from ..domain.findings import Finding
from ..domain.goodwill import Goodwill
from ..domain.orders import Order
from ..domain.payments import Checkout, CheckoutState, Refund
from ..domain.pricing import Line, Selection
from ..domain.quotes import Quote
from .names import etag_of, uid_of


def account(a: BillingAccount) -> pb.BillingAccount:
    """A billing account."""
    return pb.BillingAccount(
        name=a.name, uid=a.uid, etag=etag_of(a.version), version=a.version, create_time=stamp(a.created_at),
        update_time=stamp(a.updated_at), org=f"organizations/{a.org}", currency=a.currency,
        state=pb.BillingAccount.State.Value(f"STATE_{a.state.upper()}"), provider_customers=a.customers,
        contact=contact(a.contact), tax=tax_profile(a.tax),
    )  # fmt: skip


def contact(c: Contact) -> pb.Contact:
    """An addressee."""
    return pb.Contact(
        display_name=c.display_name, email=c.email, address_lines=c.address_lines, region_code=c.region_code
    )


def tax_profile(t: TaxProfile) -> pb.TaxProfile:
    """Tax data of a customer."""
    return pb.TaxProfile(tax_id=t.tax_id, exempt=t.exempt)


def goodwill(g: Goodwill, now: datetime) -> pb.Goodwill:
    """A wish to give credit."""
    grant = f"billingAccounts/{g.org}/creditGrants/{g.grant}" if g.grant else ""
    return pb.Goodwill(
        name=g.name, uid=uid_of(g.id), etag=etag_of(g.version), version=g.version, create_time=stamp(g.created_at),
        update_time=stamp(g.updated_at), state=pb.Goodwill.State.Value(f"STATE_{g.standing(now).upper()}"),
        amount=money(g.amount), reason=g.why, requested_by=g.requested_by, approved_by=g.approved_by, grant=grant,
    )  # fmt: skip


def ledger_account(row: Mapping[str, Any]) -> pb.LedgerAccount:
    """An account of the book."""
    return pb.LedgerAccount(
        name=f"ledgerAccounts/{row['id']}", owner=row["owner"], version=row["version"],
        owner_kind=pb.LedgerAccount.OwnerKind.Value(f"OWNER_KIND_{row['owner_kind'].upper()}"),
        kind=pb.LedgerAccount.Kind.Value(f"KIND_{row['kind'].upper()}"),
        balance=mesh.Money(minor=row["amount_minor"], currency=row["currency"]),
    )  # fmt: skip


def ledger_transaction(row: Mapping[str, Any], lines: Sequence[Mapping[str, Any]]) -> pb.LedgerTransaction:
    """A transaction with its lines."""
    voucher = row["voucher"]
    return pb.LedgerTransaction(
        name=f"ledgerTransactions/{row['id']}", kind=row["kind"], booked_time=stamp(row["booked_at"]),
        create_time=stamp(row["created_at"]), actor=row["actor"], reason=row["reason"], order=row["order"],
        voucher=voucher, reverses=f"ledgerTransactions/{row['reverses']}" if row["reverses"] else "",
        postings=[
            pb.Posting(
                account=f"ledgerAccounts/{line['account_id']}",
                amount=mesh.Money(minor=line["amount_minor"], currency=line["currency"]),
            )
            for line in lines
        ],
        sovereign=row["sovereign"],
    )  # fmt: skip


def balance(
    wallet: Wallet, now: datetime, *, version: int = 0, entries: Sequence[pb.LedgerEntry] = (),
    next_page_token: str = "",
) -> pb.Balance:  # fmt: skip
    """Credit of one account."""
    return pb.Balance(
        name=f"billingAccounts/{wallet.org}/balance", total=money(wallet.total), available=money(wallet.available(now)),
        held=money(wallet.held), expiring=money(wallet.expiring(now)), entries=entries,
        next_page_token=next_page_token, version=version,
    )  # fmt: skip


def entry(row: Mapping[str, Any], currency: str) -> pb.LedgerEntry:
    """One line of a customer's history; credit is booked below zero and shown above."""
    return pb.LedgerEntry(
        id=f"{row['id']}.{row['n']}", amount=mesh.Money(minor=-row["amount_minor"], currency=currency),
        reason=row["reason"], order=row["order"], create_time=stamp(row["booked_at"]),
    )  # fmt: skip


def grant(g: Grant) -> pb.CreditGrant:
    """Credit given once."""
    return pb.CreditGrant(
        name=g.name, uid=uid_of(g.id), etag=etag_of(g.version), version=g.version, create_time=stamp(g.created_at),
        update_time=stamp(g.updated_at), source=pb.CreditGrant.Source.Value(f"SOURCE_{g.source.upper()}"),
        amount=money(g.amount), remaining=money(g.remaining), priority=g.priority,
        effective_time=stamp(g.effective_at), expire_time=stamp(g.expires_at), plans=g.plans, blueprints=g.blueprints,
        voucher=f"vouchers/{g.voucher}" if g.voucher else "",
    )  # fmt: skip


def selection(s: Selection) -> pb.QuoteSelection:
    """What was asked for."""
    return pb.QuoteSelection(
        plan=s.plan, add_ons=s.add_ons, bundle=s.bundle, apps=s.apps, sovereign=s.sovereign,
        period_months=s.period_months, trial=s.trial,
    )  # fmt: skip


def line(item: Line) -> pb.QuoteLine:
    """One line of a quote."""
    return pb.QuoteLine(
        kind=pb.QuoteLine.Kind.Value(f"KIND_{item.kind.upper()}"), item=item.item, description=item.title,
        amount=money(item.amount), rate_bps=item.rate_bps, inclusive=item.is_inclusive,
    )  # fmt: skip


def quote(q: Quote, now: datetime) -> pb.Quote:
    """A quote as it stands at `now`."""
    state = "USED" if q.used_by else "EXPIRED" if q.expires_at <= now else "ACTIVE"
    p = q.priced
    return pb.Quote(
        name=q.name, uid=uid_of(q.id), etag=etag_of(q.version), version=q.version, create_time=stamp(q.created_at),
        update_time=stamp(q.created_at), state=pb.Quote.State.Value(f"STATE_{state}"),
        selection=selection(q.selection), voucher=f"vouchers/{q.voucher}" if q.voucher else "",
        price_book_version=q.price_book_version, lines=[line(item) for item in p.lines], subtotal=money(p.subtotal),
        tax=money(p.tax), total=money(p.total), credit=money(p.credit), rounding=money(p.rounding), due=money(p.due),
        hash=q.hash, signature=q.signature, expire_time=stamp(q.expires_at),
    )  # fmt: skip


def order(o: Order, checkout: Checkout | None = None, refunds: Sequence[Refund] = ()) -> pb.Order:
    """An order, with the page where it is paid while that is open."""
    account_name = f"billingAccounts/{o.org}"
    return pb.Order(
        name=o.name, uid=uid_of(o.id), etag=etag_of(o.version), version=o.version, create_time=stamp(o.created_at),
        update_time=stamp(o.updated_at), state=pb.Order.State.Value(f"STATE_{o.state.upper()}"),
        kind=pb.Order.Kind.Value(f"KIND_{o.kind.upper()}"), org=f"organizations/{o.org}",
        quote=f"{account_name}/quotes/{o.quote}" if o.quote else "",
        invoice=f"{account_name}/invoices/{o.invoice}" if o.invoice else "",
        selection=selection(o.selection), environment=o.environment,
        voucher=f"vouchers/{o.voucher}" if o.voucher else "",
        subscription=f"{account_name}/subscriptions/{o.subscription}" if o.subscription else "",
        lines=[line(item) for item in o.lines], price_book_version=o.price_book_version, total=money(o.total),
        due=money(o.due), credit_used=money(o.credit), paid_by_card=money(o.paid_by_card), refunded=money(o.refunded),
        provider=f"providers/{o.provider}" if o.provider else "",
        checkout_url=checkout.url if checkout and checkout.state is CheckoutState.OPEN else "",
        deadline_time=stamp(o.deadline), paid_time=stamp(o.paid_at), failure_reason=o.failure_reason,
        refunds=[refund(r) for r in refunds], conditions=_conditions(checkout),
    )  # fmt: skip


def refund(r: Refund) -> pb.Refund:
    """One refund of an order."""
    return pb.Refund(
        id=r.id, state=pb.Refund.State.Value(f"STATE_{r.state.upper()}"),
        amount=money(r.to_card + r.to_credit + r.by_bank), to_card=money(r.to_card), to_credit=money(r.to_credit),
        by_bank=money(r.by_bank), reason=r.why, create_time=stamp(r.created_at),
    )  # fmt: skip


def finding(f: Finding) -> pb.Finding:
    """Something that a person must look at."""
    return pb.Finding(
        name=f.name, etag=etag_of(f.version), version=f.version, create_time=stamp(f.created_at),
        update_time=stamp(f.last_seen_at), severity=pb.Finding.Severity.Value(f"SEVERITY_{f.severity.upper()}"),
        reason=f.reason, message=f.message, subject=f.subject, account=f.account,
        last_seen_time=stamp(f.last_seen_at),
    )  # fmt: skip


def _conditions(checkout: Checkout | None) -> list[mesh.Condition]:
    if checkout is None or checkout.state is CheckoutState.CLOSED:
        return []
    ready = checkout.state is CheckoutState.OPEN
    status = mesh.Condition.STATUS_TRUE if ready else mesh.Condition.STATUS_FALSE
    reason = (
        "ProviderTrouble" if checkout.trouble else {"wanted": "Wanted", "open": "Open"}.get(checkout.state, "Closing")
    )
    return [
        mesh.Condition(
            type="CheckoutReady", status=status, reason=reason, message=checkout.trouble,
            since=stamp(checkout.updated_at),
        )
    ]  # fmt: skip
