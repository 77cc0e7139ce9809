"""What billing tells: each fact of the domain as its event."""

from catalyst.billing.v1 import events_pb2 as pb
from catalyst.billing.v1 import resources_pb2
from catalyst_mesh import Emitted, stamp

from .amounts import money
from .domain import credit, findings, orders, subscriptions, uses, vouchers
from .domain.orders import Order
from .emitted_dues import DUES

_ROOT = "catalyst.v1.billing"


def _org(org: str) -> str:
    return f"organizations/{org}"


def _order(order: str, org: str) -> str:
    return f"billingAccounts/{org}/orders/{order}" if order else ""


def _provider(order: Order) -> str:
    return f"providers/{order.provider}" if order.provider else ""


def _kind(order: Order) -> resources_pb2.Order.Kind.ValueType:
    return resources_pb2.Order.Kind.Value(f"KIND_{order.kind.upper()}")


def order_created(fact: orders.Created) -> pb.OrderCreated:
    o = fact.order
    return pb.OrderCreated(
        order=o.name, version=o.version, org=_org(o.org), kind=_kind(o),
        plan=o.selection.plan, sovereign=o.sovereign, total=money(o.total), due=money(o.due),
        deadline_time=stamp(o.deadline),
    )  # fmt: skip


def order_paid(fact: orders.Paid) -> pb.OrderPaid:
    o, s = fact.order, fact.order.selection
    return pb.OrderPaid(
        order=o.name, version=o.version, org=_org(o.org), kind=_kind(o), plan=s.plan,
        apps=s.apps, add_ons=s.add_ons, bundle=s.bundle, sovereign=o.sovereign, environment=o.environment,
        total=money(o.total), paid_by_card=money(o.paid_by_card), paid_by_credit=money(o.credit), tax=money(o.tax),
        currency=o.total.currency, price_book_version=o.price_book_version,
        subscription=f"billingAccounts/{o.org}/subscriptions/{o.subscription}" if o.subscription else "",
        paid_time=stamp(o.paid_at),
    )  # fmt: skip


def order_cancelled(fact: orders.Cancelled) -> pb.OrderCancelled:
    o = fact.order
    return pb.OrderCancelled(
        order=o.name, version=o.version, org=_org(o.org), reason=fact.why, sovereign=o.sovereign
    )  # fmt: skip


def order_expired(fact: orders.Expired) -> pb.OrderExpired:
    o = fact.order
    return pb.OrderExpired(order=o.name, version=o.version, org=_org(o.org), sovereign=o.sovereign)


def order_failed(fact: orders.Failed) -> pb.OrderFailed:
    o = fact.order
    return pb.OrderFailed(
        order=o.name, version=o.version, org=_org(o.org), reason=o.failure_reason, sovereign=o.sovereign
    )  # fmt: skip


def order_refunded(fact: orders.Refunded) -> pb.OrderRefunded:
    o = fact.order
    return pb.OrderRefunded(
        order=o.name, version=o.version, org=_org(o.org), amount=money(fact.to_card + fact.to_credit),
        to_card=money(fact.to_card), to_credit=money(fact.to_credit), refunded=money(o.refunded),
        whole=o.state is orders.State.REFUNDED,
        reason=fact.why, sovereign=o.sovereign,
    )  # fmt: skip


def payment_received(fact: orders.Received) -> pb.PaymentReceived:
    o = fact.order
    return pb.PaymentReceived(
        order=o.name, version=o.version, org=_org(o.org), payment=fact.payment, provider=_provider(o),
        amount=money(o.paid_by_card), currency=o.paid_by_card.currency, received_time=stamp(fact.received_at),
    )  # fmt: skip


def payment_failed(fact: orders.Declined) -> pb.PaymentFailed:
    o = fact.order
    return pb.PaymentFailed(
        order=o.name, version=o.version, org=_org(o.org), provider=_provider(o), amount=money(o.due), reason=fact.why,
        hard=True,
    )  # fmt: skip


def voucher_issued(fact: vouchers.Issued) -> pb.VoucherIssued:
    v = fact.voucher
    amount = money(v.terms.amount) if v.terms.amount else None
    return pb.VoucherIssued(
        voucher=v.name, version=v.version, amount=amount, percent=v.terms.percent, issued_by=v.issued_by
    )  # fmt: skip


def voucher_reserved(fact: uses.Reserved) -> pb.VoucherReserved:
    v, u = fact.voucher, fact.use
    return pb.VoucherReserved(
        voucher=v.name, version=v.version, org=_org(u.org), order=_order(u.order, u.org), value=money(u.value),
        expire_time=stamp(u.expires_at),
    )  # fmt: skip


def voucher_confirmed(fact: uses.Confirmed) -> pb.VoucherConfirmed:
    v, u = fact.voucher, fact.use
    grant = f"billingAccounts/{u.org}/creditGrants/{u.grant}" if u.grant else ""
    return pb.VoucherConfirmed(
        voucher=v.name, version=v.version, org=_org(u.org), order=_order(u.order, u.org), grant=grant,
        value=money(u.value),
    )  # fmt: skip


def voucher_released(fact: uses.Released) -> pb.VoucherReleased:
    v, u = fact.voucher, fact.use
    return pb.VoucherReleased(
        voucher=v.name, version=v.version, org=_org(u.org), order=_order(u.order, u.org), reason=fact.why
    )  # fmt: skip


def voucher_revoked(fact: vouchers.Revoked) -> pb.VoucherRevoked:
    v = fact.voucher
    return pb.VoucherRevoked(voucher=v.name, version=v.version, revoked_by=fact.by, reason=fact.why)


def subscription_activated(fact: subscriptions.Activated) -> pb.SubscriptionActivated:
    s = fact.subscription
    return pb.SubscriptionActivated(
        subscription=s.name, version=s.version, org=_org(s.org), scope=s.scope, plan=s.plan, add_ons=s.add_ons,
        order=_order(s.order, s.org), period_end_time=stamp(s.period_end), trial=s.trial_end is not None,
    )  # fmt: skip


def subscription_cancelled(fact: subscriptions.Cancelled) -> pb.SubscriptionCancelled:
    s = fact.subscription
    return pb.SubscriptionCancelled(
        subscription=s.name, version=s.version, org=_org(s.org), scope=s.scope, reason=fact.why,
        erase_not_before_time=stamp(s.erase_not_before),
    )  # fmt: skip


def credit_granted(fact: credit.Granted) -> pb.CreditGranted:
    g = fact.grant
    return pb.CreditGranted(
        grant=g.name, version=g.version, org=_org(g.org), amount=money(g.amount), order=_order(g.order, g.org),
        source=resources_pb2.CreditGrant.Source.Value(f"SOURCE_{g.source.upper()}"), expire_time=stamp(g.expires_at),
    )  # fmt: skip


def credit_expired(fact: credit.Lapsed) -> pb.CreditExpired:
    g = fact.grant
    return pb.CreditExpired(grant=g.name, version=g.version, org=_org(g.org), amount=money(fact.amount))


def finding_opened(fact: findings.Opened) -> pb.FindingOpened:
    f = fact.finding
    return pb.FindingOpened(
        finding=f.name, version=f.version, severity=resources_pb2.Finding.Severity.Value(f"SEVERITY_{f.severity.upper()}"),
        reason=f.reason, message=f.message, subject=f.subject, account=f.account,
    )  # fmt: skip


EMITTED = (
    Emitted(f"{_ROOT}.order.created", orders.Created, order_created),
    Emitted(f"{_ROOT}.order.paid", orders.Paid, order_paid),
    Emitted(f"{_ROOT}.order.cancelled", orders.Cancelled, order_cancelled),
    Emitted(f"{_ROOT}.order.expired", orders.Expired, order_expired),
    Emitted(f"{_ROOT}.order.failed", orders.Failed, order_failed),
    Emitted(f"{_ROOT}.order.refunded", orders.Refunded, order_refunded),
    Emitted(f"{_ROOT}.payment.received", orders.Received, payment_received),
    Emitted(f"{_ROOT}.payment.failed", orders.Declined, payment_failed),
    Emitted(f"{_ROOT}.voucher.issued", vouchers.Issued, voucher_issued),
    Emitted(f"{_ROOT}.voucher.reserved", uses.Reserved, voucher_reserved),
    Emitted(f"{_ROOT}.voucher.confirmed", uses.Confirmed, voucher_confirmed),
    Emitted(f"{_ROOT}.voucher.released", uses.Released, voucher_released),
    Emitted(f"{_ROOT}.voucher.revoked", vouchers.Revoked, voucher_revoked),
    Emitted(f"{_ROOT}.subscription.activated", subscriptions.Activated, subscription_activated),
    Emitted(f"{_ROOT}.subscription.cancelled", subscriptions.Cancelled, subscription_cancelled),
    Emitted(f"{_ROOT}.credit.granted", credit.Granted, credit_granted),
    Emitted(f"{_ROOT}.credit.expired", credit.Lapsed, credit_expired),
    Emitted(f"{_ROOT}.finding.opened", findings.Opened, finding_opened),
    *DUES,
)
