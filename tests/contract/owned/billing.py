"""What an Organization owns at billing."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from catalyst.billing.v1 import service_pb2 as billing
from google.protobuf.message import Message

from ..mesh import Mesh, request_of
from ..wishes import billing as wishes
from .thing import Make, Owned

_B = "catalyst.billing.v1"


def _account(request: Callable[[Mesh, str], Awaitable[Message]]) -> Make:
    async def make(m: Mesh) -> Owned:
        account = await wishes.account(m)
        org, asked = account.partition("/")[2], await request(m, account)
        return Owned(org, asked, org, is_gone=getattr(asked, "name", "").endswith("/none"))

    return make


def _of_account(method: str, field: str, suffix: str = "") -> tuple[str, Make]:
    async def request(_: Mesh, account: str) -> Message:
        return request_of(f"{_B}.{method}", **{field: f"{account}{suffix}"})

    return f"{_B}.{method}", _account(request)


async def _quoted(m: Mesh, account: str) -> Message:
    made: Any = await m.call(f"{_B}.QuoteService/CreateQuote", wishes.quote(account))
    return billing.GetQuoteRequest(name=made.name)


async def _new_quote(_: Mesh, account: str) -> Message:
    quote: Message = wishes.quote(account)
    return quote


async def _redeemed(m: Mesh, account: str) -> Message:
    return billing.RedeemVoucherRequest(parent=account, code=(await wishes.voucher(m, active=True)).code)


async def _ordered(m: Mesh, account: str) -> Message:
    return billing.GetOrderRequest(name=(await wishes.order(m, account)).name)


async def _order_watched(m: Mesh, account: str) -> Message:
    return billing.WatchOrderRequest(name=(await wishes.order(m, account)).name)


async def _topped_up(_: Mesh, account: str) -> Message:
    wish = billing.CreateTopUpRequest(parent=account)
    wish.amount.minor, wish.amount.currency = 5_000, "OMR"
    return wish


async def _updated(_: Mesh, account: str) -> Message:
    wish = billing.UpdateAccountRequest(etag='"1"')
    wish.account.name, wish.account.contact.email = account, "a@acme.example"
    return wish


async def _portal(_: Mesh, account: str) -> Message:
    return billing.OpenPortalRequest(name=account, return_url="https://shop.example/")


async def _cancelled(m: Mesh) -> Owned:
    request = await wishes.cancelled_order(m)
    org = request.name.split("/")[1]
    return Owned(org, request, org)


async def _subscribed(m: Mesh, account: str) -> Message:
    return billing.GetSubscriptionRequest(name=(await wishes.subscription(m, account)).name)


def _billed(kind: Callable[..., Message]) -> Callable[[Mesh, str], Awaitable[Message]]:
    async def request(m: Mesh, account: str) -> Message:
        return kind(name=await wishes.invoice(m, account))

    return request


def _subscription(made: Callable[[Mesh], Awaitable[Any]]) -> Make:
    async def make(m: Mesh) -> Owned:
        request = await made(m)
        org = request.name.split("/")[1]
        return Owned(org, request, org)

    return make


OWNED: Mapping[str, Make] = dict(
    [
        _of_account("AccountService/GetAccount", "name"),
        _of_account("AccountService/GetBalance", "name", "/balance"),
        _of_account("AccountService/ListCreditGrants", "parent"),
        _of_account("OrderService/ListOrders", "parent"),
        _of_account("SubscriptionService/ListSubscriptions", "parent"),
        (f"{_B}.QuoteService/CreateQuote", _account(_new_quote)),
        (f"{_B}.QuoteService/GetQuote", _account(_quoted)),
        (f"{_B}.OrderService/CreateOrder", _account(wishes.an_order)),
        (f"{_B}.OrderService/GetOrder", _account(_ordered)),
        (f"{_B}.OrderService/CancelOrder", _cancelled),
        (f"{_B}.OrderService/WatchOrder", _account(_order_watched)),
        (f"{_B}.OrderService/CreateTopUp", _account(_topped_up)),
        (f"{_B}.AccountService/UpdateAccount", _account(_updated)),
        (f"{_B}.AccountService/OpenPortal", _account(_portal)),
        (f"{_B}.SubscriptionService/GetSubscription", _account(_subscribed)),
        (f"{_B}.SubscriptionService/ChangeSubscription", _subscription(wishes.a_change)),
        (f"{_B}.SubscriptionService/CancelSubscription", _subscription(wishes.cancelled_subscription)),
        (f"{_B}.SubscriptionService/ResumeSubscription", _subscription(wishes.resumed_subscription)),
        _of_account("InvoiceService/ListInvoices", "parent"),
        (f"{_B}.InvoiceService/GetInvoice", _account(_billed(billing.GetInvoiceRequest))),
        (f"{_B}.InvoiceService/RenderInvoice", _account(_billed(billing.RenderInvoiceRequest))),
        (f"{_B}.InvoiceService/PayInvoice", _account(_billed(billing.PayInvoiceRequest))),
        _of_account("MeteringService/QueryUsage", "parent"),
        _of_account("MeteringService/GetEntitlement", "name", "/entitlement"),
        (f"{_B}.MeteringService/UpdateEntitlement", _account(wishes.entitlement)),
        (f"{_B}.VoucherService/RedeemVoucher", _account(_redeemed)),
    ]
)  # fmt: skip - reads as a table
"""What is asked of each method."""
