"""Accounts, and who may look into them."""

import asyncio
from typing import Any

import pytest
from catalyst.billing.v1 import resources_pb2 as pb
from catalyst.billing.v1 import service_pb2 as rpc
from catalyst.billing.v1 import service_pb2_grpc as stubs
from catalyst.environment.v1.events_pb2 import OrganizationCreated
from catalyst.mesh.v1.resources_pb2 import Money
from catalyst_billing.access import ACCESS
from catalyst_billing.opening import on_organization_created
from catalyst_mesh import Told
from catalyst_testkit.daemons import reason_of

from .conftest import Billing
from .makers import NOON

pytestmark = pytest.mark.either_database

ACCOUNT = "billingAccounts/acme"


async def test_however_many_ensure_an_account_one_is_made(billing: Billing) -> None:
    stub = billing.daemon.stub(stubs.AccountServiceStub, "pdm", service="pdm")
    call = rpc.EnsureAccountRequest(org="organizations/acme")
    answers = await asyncio.gather(*(stub.EnsureAccount(call) for _ in range(20)))
    assert {answer.uid for answer in answers} == {answers[0].uid}
    assert (answers[0].name, answers[0].currency, answers[0].state) == (ACCOUNT, "OMR", pb.BillingAccount.STATE_OPEN)
    euro = rpc.EnsureAccountRequest(org="organizations/acme", currency="EUR")
    assert await reason_of(stub.EnsureAccount(euro)) == "CURRENCY_MISMATCH"
    gold = rpc.EnsureAccountRequest(org="organizations/other", currency="XAU")
    assert await reason_of(stub.EnsureAccount(gold)) == "CURRENCY_UNSUPPORTED"


async def test_a_fresh_account_has_zeros(billing: Billing) -> None:
    balance = await billing.balance()
    assert (balance.total.minor, balance.available.currency, len(balance.entries)) == (0, "OMR", 0)
    stub = billing.member(stubs.AccountServiceStub)
    assert (await stub.GetAccount(rpc.GetAccountRequest(name=ACCOUNT))).version == 1


async def test_entries_and_grants_come_in_pages(billing: Billing) -> None:
    for n in range(3):
        await billing.issue(f"CODE-{n}", minor=1000 + n)
        await billing.redeem(f"CODE-{n}")
    stub, seen, token = billing.member(stubs.AccountServiceStub), [], ""
    while True:
        call = rpc.GetBalanceRequest(name=f"{ACCOUNT}/balance", page_size=2, page_token=token)
        page = await stub.GetBalance(call)
        seen += [entry.amount.minor for entry in page.entries]
        if not (token := page.next_page_token):
            break
    assert seen == [1002, 1001, 1000]
    first = await stub.ListCreditGrants(rpc.ListCreditGrantsRequest(parent=ACCOUNT, page_size=2))
    rest = rpc.ListCreditGrantsRequest(parent=ACCOUNT, page_size=2, page_token=first.next_page_token)
    amounts = [g.amount.minor for g in (*first.credit_grants, *(await stub.ListCreditGrants(rest)).credit_grants)]
    assert sorted(amounts) == [1000, 1001, 1002]


async def test_spent_grants_are_shown_only_when_asked_for(billing: Billing) -> None:
    await billing.issue("NINE", minor=9000)
    await billing.order(code="NINE")
    stub = billing.member(stubs.AccountServiceStub)
    assert len((await stub.ListCreditGrants(rpc.ListCreditGrantsRequest(parent=ACCOUNT))).credit_grants) == 0
    (spent,) = (await stub.ListCreditGrants(rpc.ListCreditGrantsRequest(parent=ACCOUNT, show_spent=True))).credit_grants
    assert (spent.remaining.minor, spent.voucher.split("/")[0]) == (0, "vouchers")


async def test_two_organizations_of_one_person_never_mix(billing: Billing) -> None:
    await billing.issue()
    person = {"subject": "anna", "groups": ["/acme/org-admin", "/zeta/org-admin"]}
    vouchers = billing.daemon.stub(stubs.VoucherServiceStub, **person)
    await vouchers.RedeemVoucher(rpc.RedeemVoucherRequest(parent=ACCOUNT, code="OMANI-26"))
    assert [(await billing.balance(org)).total.minor for org in ("acme", "zeta")] == [50_000, 0]


async def test_a_subscription_can_be_read_by_its_own_organization(billing: Billing) -> None:
    await billing.issue()
    order = await billing.order(code="OMANI-26")
    stub = billing.member(stubs.SubscriptionServiceStub)
    (listed,) = (await stub.ListSubscriptions(rpc.ListSubscriptionsRequest(parent=ACCOUNT))).subscriptions
    assert listed == await stub.GetSubscription(rpc.GetSubscriptionRequest(name=order.subscription))
    assert (listed.scope, listed.plan, listed.price.minor, listed.anchor_day) == ("organizations/acme", "m", 9000, 1)
    active = rpc.ListSubscriptionsRequest(parent="billingAccounts/-", states=[pb.Subscription.STATE_ACTIVE])
    assert len((await billing.staff(stubs.SubscriptionServiceStub).ListSubscriptions(active)).subscriptions) == 1
    missing = rpc.GetSubscriptionRequest(name=f"{ACCOUNT}/subscriptions/none")
    assert await reason_of(stub.GetSubscription(missing)) == "SUBSCRIPTION_NOT_FOUND"


def test_every_method_of_what_is_served_has_its_row() -> None:
    from catalyst.billing.v1 import service_pb2

    services = service_pb2.DESCRIPTOR.services_by_name
    methods = {f"{services[name].full_name}/{method.name}" for name in services for method in services[name].methods}
    operations = {f"google.longrunning.Operations/{method}" for method in ("GetOperation", "WaitOperation")}
    assert methods | operations == set(ACCESS)


READS = {
    "AccountService/GetAccount": rpc.GetAccountRequest(name=ACCOUNT),
    "AccountService/GetBalance": rpc.GetBalanceRequest(name=f"{ACCOUNT}/balance"),
    "AccountService/ListCreditGrants": rpc.ListCreditGrantsRequest(parent=ACCOUNT),
    "QuoteService/CreateQuote": rpc.CreateQuoteRequest(parent=ACCOUNT, selection=pb.QuoteSelection(plan="m")),
    "QuoteService/GetQuote": rpc.GetQuoteRequest(name=f"{ACCOUNT}/quotes/q-none"),
    "OrderService/CreateOrder": rpc.CreateOrderRequest(
        parent=ACCOUNT, quote=f"{ACCOUNT}/quotes/q-none", quote_hash="0" * 64
    ),
    "OrderService/GetOrder": rpc.GetOrderRequest(name=f"{ACCOUNT}/orders/o-none"),
    "OrderService/ListOrders": rpc.ListOrdersRequest(parent=ACCOUNT),
    "OrderService/CancelOrder": rpc.CancelOrderRequest(name=f"{ACCOUNT}/orders/o-none"),
    "VoucherService/RedeemVoucher": rpc.RedeemVoucherRequest(parent=ACCOUNT, code="OMANI-26"),
    "SubscriptionService/GetSubscription": rpc.GetSubscriptionRequest(name=f"{ACCOUNT}/subscriptions/s-none"),
    "SubscriptionService/ListSubscriptions": rpc.ListSubscriptionsRequest(parent=ACCOUNT),
}
OUTSIDERS = {
    "foreign org-admin": {"groups": ["/other/org-admin"]},
    "org-viewer": {"groups": ["/acme/org-viewer"]},
    "org-developer": {"groups": ["/acme/org-developer"]},
    "sovereign-admin": {"roles": ["sovereign-admin"]},
    "nobody": {},
}
DENIED = {"ROLE_DENIED", "CALL_DENIED"}


@pytest.mark.parametrize("outsider", OUTSIDERS)
async def test_an_outsider_is_denied_whether_the_thing_exists_or_not(billing: Billing, outsider: str) -> None:
    for method, request in READS.items():
        service, name = method.split("/")
        stub = billing.daemon.stub(getattr(stubs, f"{service}Stub"), outsider, **OUTSIDERS[outsider])
        assert await reason_of(getattr(stub, name)(request)) in DENIED, method
    assert await billing.count("billing_account") == 0


async def test_without_a_valid_token_only_a_preview_is_answered(billing: Billing) -> None:
    for token in ("", "forged.token.here"):
        for method, request in READS.items():
            service, name = method.split("/")
            stub = billing.daemon.stub(getattr(stubs, f"{service}Stub"), token=token)
            assert await reason_of(getattr(stub, name)(request)) == "TOKEN_REJECTED", method


async def test_roles_reach_as_far_as_their_row(billing: Billing) -> None:
    order = rpc.GetOrderRequest(name=f"{ACCOUNT}/orders/o-none")
    daemons = {
        name: await reason_of(billing.daemon.stub(stubs.OrderServiceStub, name, service=name).GetOrder(order))
        for name in ("provisioner", "environment", "catalog")
    }
    assert daemons == {"provisioner": "ORDER_NOT_FOUND", "environment": "ORDER_NOT_FOUND", "catalog": "CALL_DENIED"}
    everybody = rpc.ListOrdersRequest(parent="billingAccounts/-")
    assert await reason_of(billing.member(stubs.OrderServiceStub).ListOrders(everybody)) == "ROLE_DENIED"
    listing = rpc.ListVouchersRequest()
    assert await reason_of(billing.member(stubs.VoucherServiceStub).ListVouchers(listing)) == "CALL_DENIED"
    assert await reason_of(billing.daemon.admin(stubs.VoucherServiceStub).ListVouchers(listing)) == "OK"
    assert await reason_of(billing.daemon.admin(stubs.LedgerServiceStub).ProveLedger(rpc.ProveLedgerRequest())) == "OK"
    ensure = rpc.EnsureAccountRequest(org="organizations/acme")
    assert await reason_of(billing.member(stubs.AccountServiceStub).EnsureAccount(ensure)) == "CALL_DENIED"
    later = rpc.RefundOrderRequest(
        name=f"{ACCOUNT}/orders/o-none", amount=Money(minor=1, currency="OMR"), reason="asked for"
    )
    assert await reason_of(billing.staff(stubs.OrderServiceStub).RefundOrder(later)) == "ORDER_NOT_FOUND"
    assert await reason_of(billing.member(stubs.OrderServiceStub).RefundOrder(later)) == "CALL_DENIED"


async def test_a_new_organization_has_its_account_ahead_of_its_first_use_and_once(billing: Billing) -> None:
    made = OrganizationCreated(organization="organizations/fresh", version=1)
    told = Told("id", "catalyst.v1.environment.organization.created", made.organization, 1, NOON, "", 1)

    async def step(tx: Any) -> None:
        tx.emit(*await on_organization_created("OMR", tx, made, told))

    for _ in range(2):
        await billing.daemon.daemon.work.again(step)
    assert await billing.count("billing_account") == 1
    with pytest.raises(ValueError, match="no name of an Organization"):
        made.organization = "fresh"
        await billing.daemon.daemon.work.again(step)
