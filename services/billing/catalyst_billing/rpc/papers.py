"""Subscriptions and documents as the contract shows them."""

from catalyst.billing.v1 import resources_pb2 as pb
from catalyst_mesh import stamp

from ..amounts import money
from ..domain.invoices import Invoice, InvoiceLine
from ..domain.renewals import OF_USAGE
from ..domain.subscriptions import Subscription
from . import convert
from .names import etag_of, uid_of


def subscription(s: Subscription) -> pb.Subscription:
    """A subscription."""
    return pb.Subscription(
        name=s.name, uid=uid_of(s.id), etag=etag_of(s.version), version=s.version, create_time=stamp(s.created_at),
        update_time=stamp(s.updated_at), state=pb.Subscription.State.Value(f"STATE_{s.state.upper()}"), scope=s.scope,
        plan=s.plan, add_ons=s.add_ons, price_book_version=s.price_book_version, anchor_day=s.anchor_day,
        period_start_time=stamp(s.period_start), period_end_time=stamp(s.period_end), period_months=s.period_months,
        price=money(s.price), payment_method=s.method_label, provider=f"providers/{s.provider}" if s.provider else "",
        cancel_at_period_end=s.cancel_at_period_end, pending_plan=s.pending.plan if s.pending else "",
        trial_end_time=stamp(s.trial_end), past_due_time=stamp(s.past_due_at), next_retry_time=stamp(s.next_try_at),
        erase_not_before_time=stamp(s.erase_not_before),
    )  # fmt: skip


def invoice(i: Invoice) -> pb.Invoice:
    """A document."""
    account = f"billingAccounts/{i.org}"
    return pb.Invoice(
        name=i.name, uid=uid_of(i.id), etag=etag_of(i.version), version=i.version, create_time=stamp(i.created_at),
        update_time=stamp(i.updated_at), state=pb.Invoice.State.Value(f"STATE_{i.state.upper()}"),
        kind=pb.Invoice.Kind.Value(f"KIND_{i.kind.upper()}"), number=i.number,
        subscription=f"{account}/subscriptions/{i.subscription}" if i.subscription else "",
        order=f"{account}/orders/{i.order}" if i.order else "",
        corrects=f"{account}/invoices/{i.corrects}" if i.corrects else "", period_start_time=stamp(i.period_start),
        period_end_time=stamp(i.period_end), lines=[line(item) for item in i.lines], subtotal=money(i.subtotal),
        tax=money(i.tax), total=money(i.total), credit_applied=money(i.credit), amount_due=money(i.due),
        finalize_time=stamp(i.finalized_at), due_time=stamp(i.due_at), paid_time=stamp(i.paid_at), hash=i.hash,
        contact=convert.contact(i.addressee.contact), tax_profile=convert.tax_profile(i.addressee.tax),
    )  # fmt: skip


def line(item: InvoiceLine) -> pb.InvoiceLine:
    """One line of a document."""
    return pb.InvoiceLine(
        kind=pb.InvoiceLine.Kind.Value(f"KIND_{item.kind.upper()}"), item=item.item.removeprefix(OF_USAGE),
        description=item.title, quantity=item.quantity, amount=money(item.amount), start_time=stamp(item.start),
        end_time=stamp(item.end), adjustment=item.is_adjustment,
    )  # fmt: skip
