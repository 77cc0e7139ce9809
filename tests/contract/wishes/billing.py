"""What billing is asked to write."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from catalyst.billing.v1 import service_pb2 as billing
from catalyst_billing.app import house_of
from catalyst_billing.domain import postings, renewals
from catalyst_billing.domain.ledger import Entry, Kind, Txn
from catalyst_billing.domain.money import Money
from google.protobuf import field_mask_pb2
from google.protobuf.message import Message

from ..mesh import Mesh
from .wish import Wish

_BILLING = "catalyst.billing.v1"


async def account(m: Mesh) -> str:
    """A fresh account with credit enough for everything."""
    org, code = m.fresh(), (await voucher(m, active=True)).code
    wish = billing.RedeemVoucherRequest(parent=f"billingAccounts/{org}", code=code)
    await m.call(f"{_BILLING}.VoucherService/RedeemVoucher", wish)
    return f"billingAccounts/{org}"


async def voucher(m: Mesh, *, active: bool) -> Any:
    wish = billing.CreateVoucherRequest(activate=active)
    wish.voucher.code = f"CODE-{m.fresh()}".upper()
    wish.voucher.amount.minor, wish.voucher.amount.currency = 500_000, "OMR"
    wish.voucher.max_per_org = 10
    return await m.call(f"{_BILLING}.VoucherService/CreateVoucher", wish)


async def a_voucher(m: Mesh) -> Any:
    wish = billing.CreateVoucherRequest(activate=True)
    wish.voucher.code = f"CODE-{m.fresh()}".upper()
    wish.voucher.amount.minor, wish.voucher.amount.currency = 1_000, "OMR"
    return wish


async def redeem(m: Mesh) -> Any:
    code = (await voucher(m, active=True)).code
    return billing.RedeemVoucherRequest(parent=f"billingAccounts/{m.fresh()}", code=code)


def quote(parent: str) -> Any:
    wish = billing.CreateQuoteRequest(parent=parent)
    wish.selection.plan = "m"
    return wish


async def a_quote(m: Mesh) -> Any:
    return quote(await account(m))


async def an_order(m: Mesh, parent: str = "") -> Any:
    parent = parent or await account(m)
    made: Any = await m.call(f"{_BILLING}.QuoteService/CreateQuote", quote(parent))
    return billing.CreateOrderRequest(parent=parent, quote=made.name, quote_hash=made.hash)


async def order(m: Mesh, parent: str = "") -> Any:
    return await m.call(f"{_BILLING}.OrderService/CreateOrder", await an_order(m, parent))


async def a_card_order(m: Mesh) -> Any:
    """An order of an account without credit, which waits for its card."""
    return await order(m, f"billingAccounts/{m.fresh()}")


async def ensured(m: Mesh) -> Any:
    return billing.EnsureAccountRequest(org=f"organizations/{m.fresh()}")


async def proof(_: Mesh) -> Any:
    return billing.ProveLedgerRequest()


def _moved(kind: type[Message], *, active: bool, **fields: Any) -> Wish:
    async def wish(m: Mesh) -> Any:
        held = await voucher(m, active=active)
        return kind(name=held.name, etag=held.etag, **fields)

    return wish


async def cancelled_order(m: Mesh) -> Any:
    held = await a_card_order(m)
    return billing.CancelOrderRequest(name=held.name, etag=held.etag)


async def a_top_up(m: Mesh) -> Any:
    wish = billing.CreateTopUpRequest(parent=f"billingAccounts/{m.fresh()}")
    wish.amount.minor, wish.amount.currency = 5_000, "OMR"
    return wish


async def refunded_order(m: Mesh) -> Any:
    held = await order(m, await account(m))
    wish = billing.RefundOrderRequest(name=held.name, reason="wished")
    wish.amount.minor, wish.amount.currency = 100, "OMR"
    return wish


async def opened(m: Mesh) -> Any:
    """An account in the operator's hands."""
    wish = billing.GetAccountRequest(name=f"billingAccounts/{m.fresh()}")
    return await m.call(f"{_BILLING}.AccountService/GetAccount", wish)


async def moved_contact(m: Mesh) -> Any:
    held = await opened(m)
    wish = billing.UpdateAccountRequest(etag=held.etag)
    wish.account.name, wish.account.contact.email = held.name, "a@acme.example"
    return wish


async def frozen(m: Mesh) -> Any:
    return billing.FreezeAccountRequest(name=(await opened(m)).name, reason="chargebacks")


async def unfrozen(m: Mesh) -> Any:
    wish = await frozen(m)
    await m.call(f"{_BILLING}.AccountService/FreezeAccount", wish)
    return billing.UnfreezeAccountRequest(name=wish.name, reason="paid")


async def a_goodwill(m: Mesh) -> Any:
    wish = billing.GrantGoodwillRequest(name=(await opened(m)).name, reason="outage")
    wish.amount.minor, wish.amount.currency = 1_000, "OMR"
    return wish


async def goodwills(m: Mesh) -> str:
    """An account with several of them."""
    wish = await a_goodwill(m)
    for _ in range(4):
        await m.call(f"{_BILLING}.AccountService/GrantGoodwill", wish)
    return str(wish.name)


async def an_export(m: Mesh) -> Any:
    return billing.ExportAccountRequest(name=(await opened(m)).name, target_sovereign="sovereigns/second")


async def subscription(m: Mesh, parent: str = "") -> Any:
    """A subscription that credit has paid."""
    parent = (await order(m, parent)).name.partition("/orders/")[0]
    wish = billing.ListSubscriptionsRequest(parent=parent)
    listed: Any = await m.call(f"{_BILLING}.SubscriptionService/ListSubscriptions", wish)
    return listed.subscriptions[0]


async def invoice(m: Mesh, parent: str = "") -> str:
    """Name of the open invoice of a subscription that could not be renewed; who renews stands still here."""
    held = await subscription(m, parent)
    _, org, _, id = held.name.split("/")
    daemon: Any = m.daemons["billing"].daemon
    house = house_of(daemon.settings)

    async def step(tx: Any) -> str:
        dues = await tx.lock_dues(org, id, house.books)
        late = replace(
            dues, is_frozen=True, subscription=replace(dues.subscription, wake_at=dues.subscription.period_end)
        )
        unpaid = renewals.advance(late, house, renewals.Means(lambda s, a: False), dues.subscription.period_end)
        await tx.save(unpaid.state)
        return unpaid.state.invoice.name

    return str(await daemon.work.again(step))


async def a_change(m: Mesh) -> Any:
    held = await subscription(m)
    return billing.ChangeSubscriptionRequest(name=held.name, plan="l", etag=held.etag)


async def cancelled_subscription(m: Mesh) -> Any:
    held = await subscription(m)
    return billing.CancelSubscriptionRequest(name=held.name, etag=held.etag)


async def resumed_subscription(m: Mesh) -> Any:
    wish = await cancelled_subscription(m)
    gone: Any = await m.call(f"{_BILLING}.SubscriptionService/CancelSubscription", wish)
    return billing.ResumeSubscriptionRequest(name=gone.name, etag=gone.etag)


async def payment(m: Mesh) -> Any:
    return billing.PayInvoiceRequest(name=await invoice(m))


async def withdrawal(m: Mesh) -> Any:
    return billing.VoidInvoiceRequest(name=await invoice(m), reason="billed twice")


async def usage(m: Mesh, account: str = "") -> Any:
    org = account.partition("/")[2] or m.fresh()
    wish = billing.RecordUsageRequest()
    wish.events.add(id=m.fresh(), source="//test", org=f"organizations/{org}", meter="meters/vcpu_hours", value="1")
    wish.events[0].time.GetCurrentTime()
    return wish


async def a_meter(m: Mesh) -> Any:
    wish = billing.CreateMeterRequest(meter_id=f"meter_{m.fresh()}")
    wish.meter.unit, wish.meter.aggregation = "u", 1
    return wish


async def titled_meter(m: Mesh) -> Any:
    made: Any = await m.call(f"{_BILLING}.MeteringService/CreateMeter", await a_meter(m))
    wish = billing.UpdateMeterRequest(etag=made.etag)
    wish.meter.name, wish.meter.display_name = made.name, "Titled"
    return wish


async def entitlement(m: Mesh, parent: str = "") -> Any:
    wish = billing.UpdateEntitlementRequest(etag='"0"')
    wish.entitlement.name, wish.entitlement.mode = f"{parent or await account(m)}/entitlement", 2
    return wish


async def an_agreement(m: Mesh, sovereign: str = "") -> Any:
    wish = billing.CreateAgreementRequest()
    made = wish.agreement
    made.sovereign, made.share_bps, made.basis, made.currency = sovereign or f"sovereigns/{m.fresh()}", 3000, 1, "OMR"
    made.valid_from_time.FromJsonString("1700-01-01T00:00:00Z")
    return wish


async def agreement(m: Mesh) -> Any:
    return await m.call(f"{_BILLING}.FranchiseService/CreateAgreement", await an_agreement(m))


async def changed_agreement(m: Mesh) -> Any:
    made = await agreement(m)
    wish = billing.UpdateAgreementRequest(etag=made.etag)
    wish.agreement.name, wish.agreement.share_bps = made.name, 2000
    return wish


async def a_statement(m: Mesh) -> Any:
    """A month after all that were stated, and long ago."""
    home = billing.ListAgreementsRequest(sovereign="sovereigns/home")
    found: Any = await m.call(f"{_BILLING}.FranchiseService/ListAgreements", home)
    if not found.agreements:
        await m.call(f"{_BILLING}.FranchiseService/CreateAgreement", await an_agreement(m, "sovereigns/home"))
    year, month = divmod(int(m.fresh().removeprefix("t")), 12)
    return billing.IssueStatementRequest(month=f"{1700 + year}-{month + 1:02}")


async def a_payout(m: Mesh) -> Any:
    """Of what a card has paid, as the book has it."""
    work: Any = m.daemons["billing"].daemon.work
    paid, key = Money(900, "OMR"), m.fresh()

    async def step(tx: Any) -> None:
        revenue = postings.Books("sovereigns/home", "a test").house(Kind.REVENUE, paid.currency)
        entries = Entry(postings.clearing_of("fake", paid.currency), paid), Entry(revenue, -paid)
        await tx.post(Txn(f"wish:{key}", "order_paid", tx.now, "a test", "order", entries))

    await work.again(step)
    wish = billing.RecordPayoutRequest(parent="providers/fake", reference=key)
    wish.amount.minor, wish.amount.currency = paid.minor, paid.currency
    return wish


async def used_voucher(m: Mesh) -> str:
    """A voucher with several uses and revisions."""
    held = await voucher(m, active=True)
    for n in range(3):
        use = billing.RedeemVoucherRequest(parent=f"billingAccounts/{m.fresh()}", code=held.code)
        await m.call(f"{_BILLING}.VoucherService/RedeemVoucher", use)
        now = await m.call(f"{_BILLING}.VoucherService/GetVoucher", billing.GetVoucherRequest(name=held.name))
        wish = billing.UpdateVoucherRequest(etag=now.etag)
        wish.voucher.name, wish.voucher.description = held.name, f"Edit {n}"
        await m.call(f"{_BILLING}.VoucherService/UpdateVoucher", wish)
    return str(held.name)


async def edited_voucher(m: Mesh) -> Any:
    held = await voucher(m, active=True)
    wish = billing.UpdateVoucherRequest(etag=held.etag, update_mask=field_mask_pb2.FieldMask(paths=["description"]))
    wish.voucher.name, wish.voucher.description = held.name, "Welcome"
    return wish


async def a_campaign(_: Mesh) -> Any:
    wish = billing.CreateCampaignRequest()
    wish.campaign.display_name = "Spring"
    return wish


async def campaign(m: Mesh) -> Any:
    return await m.call(f"{_BILLING}.VoucherService/CreateCampaign", await a_campaign(m))


async def moved_campaign(m: Mesh) -> Any:
    held = await campaign(m)
    wish = billing.UpdateCampaignRequest(etag=held.etag)
    wish.campaign.name, wish.campaign.display_name = held.name, "May"
    return wish


async def moved_provider(m: Mesh) -> Any:
    held = await m.call(f"{_BILLING}.ProviderService/GetProvider", billing.GetProviderRequest(name="providers/fake"))
    wish = billing.UpdateProviderRequest(etag=held.etag, update_mask=field_mask_pb2.FieldMask(paths=["enabled"]))
    wish.provider.name, wish.provider.enabled = held.name, True
    return wish


WRITES: Mapping[str, Wish] = {
    f"{_BILLING}.FranchiseService/CreateAgreement": an_agreement,
    f"{_BILLING}.FranchiseService/UpdateAgreement": changed_agreement,
    f"{_BILLING}.FranchiseService/IssueStatement": a_statement,
    f"{_BILLING}.LedgerService/RecordPayout": a_payout,
    f"{_BILLING}.MeteringService/RecordUsage": usage,
    f"{_BILLING}.MeteringService/CreateMeter": a_meter,
    f"{_BILLING}.MeteringService/UpdateMeter": titled_meter,
    f"{_BILLING}.MeteringService/UpdateEntitlement": entitlement,
    f"{_BILLING}.SubscriptionService/ChangeSubscription": a_change,
    f"{_BILLING}.SubscriptionService/CancelSubscription": cancelled_subscription,
    f"{_BILLING}.SubscriptionService/ResumeSubscription": resumed_subscription,
    f"{_BILLING}.InvoiceService/PayInvoice": payment,
    f"{_BILLING}.InvoiceService/VoidInvoice": withdrawal,
    f"{_BILLING}.AccountService/EnsureAccount": ensured,
    f"{_BILLING}.AccountService/UpdateAccount": moved_contact,
    f"{_BILLING}.AccountService/FreezeAccount": frozen,
    f"{_BILLING}.AccountService/UnfreezeAccount": unfrozen,
    f"{_BILLING}.AccountService/GrantGoodwill": a_goodwill,
    f"{_BILLING}.AccountService/ExportAccount": an_export,
    f"{_BILLING}.QuoteService/CreateQuote": a_quote,
    f"{_BILLING}.OrderService/CreateOrder": an_order,
    f"{_BILLING}.OrderService/CancelOrder": cancelled_order,
    f"{_BILLING}.OrderService/CreateTopUp": a_top_up,
    f"{_BILLING}.OrderService/RefundOrder": refunded_order,
    f"{_BILLING}.VoucherService/RedeemVoucher": redeem,
    f"{_BILLING}.VoucherService/CreateVoucher": a_voucher,
    f"{_BILLING}.VoucherService/ActivateVoucher": _moved(billing.ActivateVoucherRequest, active=False),
    f"{_BILLING}.VoucherService/PauseVoucher": _moved(billing.PauseVoucherRequest, active=True),
    f"{_BILLING}.VoucherService/RevokeVoucher": _moved(billing.RevokeVoucherRequest, active=True, reason="leaked"),
    f"{_BILLING}.VoucherService/UpdateVoucher": edited_voucher,
    f"{_BILLING}.VoucherService/CreateCampaign": a_campaign,
    f"{_BILLING}.VoucherService/UpdateCampaign": moved_campaign,
    f"{_BILLING}.LedgerService/ProveLedger": proof,
    f"{_BILLING}.ProviderService/UpdateProvider": moved_provider,
}
"""Good requests by method."""

STEPS_OF_RUNS = {
    f"{_BILLING}.AccountService/ApproveGoodwill": "needs a second person, and the operator is one",
    f"{_BILLING}.AccountService/ImportAccount": "needs a bundle of a Sovereign that is trusted",
    f"{_BILLING}.AccountService/OpenPortal": "needs a payment provider that has a portal",
}
"""Writers without a request here, with the reason; the daemon's own tests ask them."""

ASKED_BY = {f"{_BILLING}.AccountService/EnsureAccount": {"service": "provisioner"}}
"""Claims of the caller where it is not the operator."""
