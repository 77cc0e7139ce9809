"""A year of month ends over gRPC, in currencies of three, two and no digits, with a plan that changes in the middle of one."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from catalyst.billing.v1 import resources_pb2 as pb
from catalyst.billing.v1 import service_pb2 as rpc
from catalyst.billing.v1 import service_pb2_grpc as stubs
from catalyst.mesh.v1.resources_pb2 import Money
from catalyst_testkit import eventually

from .conftest import Billing, Start

pytestmark = pytest.mark.either_database
MUSCAT = ZoneInfo("Asia/Muscat")
BEGUN = datetime(2026, 1, 31, 23, 30, tzinfo=MUSCAT)
ENDS = [(2, 28), (3, 31), (4, 30), (5, 31), (6, 30), (7, 31), (8, 31), (9, 30), (10, 31), (11, 30), (12, 31), (1, 31)]
M, L = 9_001, 16_007
"""Prices of no round half and no round tax."""
WITH_TAX = {M: 9_451, L: 16_807}
"""5 % of 9,001 are 450.05, and of 16,007 they are 800.35: half to even."""


def sell(billing: Billing, currency: str) -> None:
    """The price book in another currency."""
    book = billing.catalog.book
    book.currency = currency
    for plan in book.plans:
        plan.price.CopyFrom(Money(minor={"m": M, "l": L}.get(plan.slug, 0), currency=currency))
    for add_on in book.add_ons:
        add_on.price.currency = currency


async def begins(billing: Billing, moment: datetime) -> pb.Subscription:
    async def check() -> pb.Subscription | None:
        now = await billing.subscription()
        return now if now.period_start_time.ToDatetime(UTC) == moment else None

    found: pb.Subscription | None = await eventually(check, within=60, what=f"a period begins on {moment}")
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("currency", "first", "last"),
    [("OMR", "9.451", "16.807"), ("USD", "94.51", "168.07"), ("JPY", "9451", "16807")],
)
async def test_a_year_of_month_ends_is_billed_to_the_last_digit(
    start: Start, currency: str, first: str, last: str
) -> None:
    tax = [{"name": "VAT", "rate_bps": 500}]
    async with start(currency=currency, billing_time_zone="Asia/Muscat", tax_rules=tax) as billing:
        sell(billing, currency)
        billing.clock.advance(BEGUN - billing.clock.now())
        order = await billing.order()
        assert (order.total.minor, order.total.currency) == (WITH_TAX[M], currency)
        await billing.reached(order, "PAID")
        await billing.save_method()
        days, spent, untaxed = [], WITH_TAX[M], M
        for month in range(12):
            now = await billing.subscription()
            begun, end = now.period_start_time.ToDatetime(UTC), now.period_end_time.ToDatetime(UTC)
            if month == 6:
                billing.clock.advance((end - begun) / 2)
                change = await billing.member(stubs.SubscriptionServiceStub).ChangeSubscription(
                    rpc.ChangeSubscriptionRequest(name=now.name, plan="l")
                )
                assert change.total.minor == 3_503 + 175, "half of the difference, and 5 % of it"
                await billing.reached(change, "PAID")
                spent, untaxed = spent + 3_678, untaxed + 3_503
            price = M if month < 6 else L
            billing.to_time(now.period_end_time)
            after = await begins(billing, end)
            assert after.price.minor == price
            local = end.astimezone(MUSCAT)
            assert (local.hour, local.minute) == (23, 30)
            days.append((local.month, local.day))
            spent, untaxed = spent + WITH_TAX[price], untaxed + price
        assert days == ENDS
        billing.clock.advance(timedelta(hours=1))
        invoices = await billing.invoices()
        assert {i.state for i in invoices} == {pb.Invoice.STATE_PAID}
        assert [i.number for i in reversed(invoices)] == [
            *(f"INV-2026-{n:06}" for n in range(1, 14)), "INV-2027-000001"
        ]  # fmt: skip
        assert sum(i.total.minor for i in invoices) == spent
        taken = [*billing.provider.books.charges.values()]
        assert {row["currency"] for row in taken} == {currency}
        assert sum(row["minor"] for row in taken) == spent - WITH_TAX[M] - 3_678, "what no page was for"
        booked = await billing.booked()
        assert booked["psp_clearing"] == spent
        assert booked["deferred_revenue"] + booked["revenue"] == -untaxed
        stub = billing.member(stubs.InvoiceServiceStub)
        for invoice, text in ((invoices[-1], first), (invoices[0], last)):
            page = await stub.RenderInvoice(
                rpc.RenderInvoiceRequest(name=invoice.name, format=rpc.RenderInvoiceRequest.FORMAT_HTML)
            )
            assert text in page.data.decode()
        assert (await billing.prove()).proved
