"""What billing tells of subscriptions, documents, quotas and statements."""

from catalyst.billing.v1 import events_pb2 as pb
from catalyst.billing.v1 import resources_pb2
from catalyst_mesh import Emitted, stamp

from .amounts import money
from .domain import franchise, invoices, quotas, subscriptions

_ROOT = "catalyst.v1.billing"


def subscription_renewed(fact: subscriptions.Renewed) -> pb.SubscriptionRenewed:
    s = fact.subscription
    return pb.SubscriptionRenewed(
        subscription=s.name, version=s.version, org=f"organizations/{s.org}", plan=s.plan, invoice=fact.invoice,
        amount=money(fact.amount), period_start_time=stamp(s.period_start), period_end_time=stamp(s.period_end),
    )  # fmt: skip


def subscription_changed(fact: subscriptions.Changed) -> pb.SubscriptionChanged:
    s = fact.subscription
    return pb.SubscriptionChanged(
        subscription=s.name, version=s.version, org=f"organizations/{s.org}", scope=s.scope,
        previous_plan=fact.previous_plan, plan=s.plan, add_ons=s.add_ons, order=fact.order,
    )  # fmt: skip


def subscription_repriced(fact: subscriptions.Repriced) -> pb.SubscriptionRepriced:
    s = fact.subscription
    book = s.repricing.price_book_version if s.repricing else 0
    return pb.SubscriptionRepriced(
        subscription=s.name, version=s.version, org=f"organizations/{s.org}", scope=s.scope,
        previous_price=money(s.price), price=money(fact.price), price_book_version=book,
        effective_time=stamp(fact.starts_at),
    )  # fmt: skip


def subscription_lapsed(fact: subscriptions.Lapsed) -> pb.SubscriptionLapsed:
    s = fact.subscription
    return pb.SubscriptionLapsed(
        subscription=s.name, version=s.version, org=f"organizations/{s.org}", scope=s.scope,
        state=resources_pb2.Subscription.State.Value(f"STATE_{s.state.upper()}"), amount=money(fact.amount),
        next_retry_time=stamp(s.next_try_at), suspend_time=stamp(fact.suspend_at),
    )  # fmt: skip


def subscription_suspended(fact: subscriptions.Suspended) -> pb.SubscriptionSuspended:
    s = fact.subscription
    return pb.SubscriptionSuspended(
        subscription=s.name, version=s.version, org=f"organizations/{s.org}", scope=s.scope, amount=money(fact.amount),
        cancel_time=stamp(fact.cancel_at),
    )  # fmt: skip


def subscription_resumed(fact: subscriptions.Resumed) -> pb.SubscriptionResumed:
    s = fact.subscription
    return pb.SubscriptionResumed(
        subscription=s.name, version=s.version, org=f"organizations/{s.org}", scope=s.scope, plan=s.plan
    )


def invoice_finalized(fact: invoices.Finalized) -> pb.InvoiceFinalized:
    i = fact.invoice
    return pb.InvoiceFinalized(
        invoice=i.name, version=i.version, org=f"organizations/{i.org}", number=i.number,
        kind=resources_pb2.Invoice.Kind.Value(f"KIND_{i.kind.upper()}"), total=money(i.total), amount_due=money(i.due),
        due_time=stamp(i.due_at),
    )  # fmt: skip


def invoice_paid(fact: invoices.Paid) -> pb.InvoicePaid:
    i = fact.invoice
    return pb.InvoicePaid(
        invoice=i.name, version=i.version, org=f"organizations/{i.org}", number=i.number, amount=money(i.total),
        currency=i.total.currency, paid_time=stamp(i.paid_at),
    )  # fmt: skip


def invoice_voided(fact: invoices.Voided) -> pb.InvoiceVoided:
    i = fact.invoice
    return pb.InvoiceVoided(
        invoice=i.name, version=i.version, org=f"organizations/{i.org}", number=i.number, reason=i.why
    )


def quota_reached(fact: quotas.Reached) -> pb.QuotaReached:
    e = fact.entitlement
    limit = e.spending_limit if fact.spent is not None else None
    return pb.QuotaReached(
        entitlement=e.name, version=e.version, org=f"organizations/{e.org}", percent=fact.percent,
        dimension=fact.dimension,
        spent=money(fact.spent) if fact.spent is not None else None, limit=money(limit) if limit is not None else None,
        value=fact.value, ceiling=fact.ceiling, period_start_time=stamp(fact.period_start),
    )  # fmt: skip


def statement_issued(fact: franchise.Issued) -> pb.StatementIssued:
    s = fact.statement
    return pb.StatementIssued(
        statement=s.name, version=s.version, sovereign=s.sovereign, number=s.number, gross=money(s.gross),
        publisher_share=money(s.publisher_share), franchisee_share=money(s.franchisee_share),
    )  # fmt: skip


DUES = (
    Emitted(f"{_ROOT}.subscription.renewed", subscriptions.Renewed, subscription_renewed),
    Emitted(f"{_ROOT}.subscription.changed", subscriptions.Changed, subscription_changed),
    Emitted(f"{_ROOT}.subscription.repriced", subscriptions.Repriced, subscription_repriced),
    Emitted(f"{_ROOT}.subscription.lapsed", subscriptions.Lapsed, subscription_lapsed),
    Emitted(f"{_ROOT}.subscription.suspended", subscriptions.Suspended, subscription_suspended),
    Emitted(f"{_ROOT}.subscription.resumed", subscriptions.Resumed, subscription_resumed),
    Emitted(f"{_ROOT}.invoice.finalized", invoices.Finalized, invoice_finalized),
    Emitted(f"{_ROOT}.invoice.paid", invoices.Paid, invoice_paid),
    Emitted(f"{_ROOT}.invoice.voided", invoices.Voided, invoice_voided),
    Emitted(f"{_ROOT}.quota.reached", quotas.Reached, quota_reached),
    Emitted(f"{_ROOT}.statement.issued", franchise.Issued, statement_issued),
)
