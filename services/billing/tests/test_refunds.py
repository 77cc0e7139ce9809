"""Refunds and top-ups, over gRPC: each part returns to where it came from, and never more than came."""

import asyncio
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from catalyst.billing.v1 import resources_pb2 as pb
from catalyst.billing.v1 import service_pb2 as rpc
from catalyst.billing.v1 import service_pb2_grpc as stubs
from catalyst.mesh.v1.resources_pb2 import Money
from catalyst_sdk.payment import DisputeState
from catalyst_testkit import eventually
from catalyst_testkit.daemons import reason_of

from .conftest import Billing, Start, state_of

pytestmark = pytest.mark.either_database

CREDIT = rpc.RefundOrderRequest.DESTINATION_CREDIT


async def refund(billing: Billing, order: pb.Order, minor: int = 0, **fields: Any) -> pb.Order:
    amount = Money(minor=minor, currency="OMR") if minor else None
    call = rpc.RefundOrderRequest(name=order.name, amount=amount, reason="wished", **fields)
    return await billing.staff(stubs.OrderServiceStub).RefundOrder(call)


async def half_and_half(billing: Billing) -> pb.Order:
    """Plan M, half by a voucher and half by card."""
    await billing.issue("HALF", minor=4500)
    return await billing.reached(await billing.order(code="HALF"), "PAID")


async def found(billing: Billing, reason: str) -> None:
    async def check() -> bool:
        return reason in await billing.findings()

    await eventually(check, within=60)


def refunded(billing: Billing) -> int:
    return sum(row["minor"] for row in billing.provider.books.refunds.values())


async def test_each_half_returns_to_its_origin_in_parts_and_to_the_baisa(billing: Billing) -> None:
    order = await half_and_half(billing)
    first = await refund(billing, order, 3001)
    assert (state_of(first), first.refunded.minor) == ("PARTIALLY_REFUNDED", 3001)
    (part,) = first.refunds
    assert (part.to_card.minor, part.to_credit.minor) in {(1500, 1501), (1501, 1500)}
    last = await refund(billing, order)
    assert (state_of(last), last.refunded.minor) == ("REFUNDED", 9000)
    assert sum(r.to_card.minor for r in last.refunds) == sum(r.to_credit.minor for r in last.refunds) == 4500
    assert await billing.booked() == {"promo_cost": 4500, "customer_credit": -4500}
    assert (await billing.balance()).available.minor == 4500
    assert (await billing.told()).count("order.refunded") == 2
    assert "subscription.cancelled" in await billing.told()

    async def done() -> bool:
        return refunded(billing) == 4500

    await eventually(done, within=60)
    assert (await billing.prove()).proved
    one, second, bill = sorted(await billing.invoices(), key=lambda paper: paper.number)
    assert [paper.number for paper in (bill, one, second)] == ["INV-2026-000001", "CN-2026-000001", "CN-2026-000002"]
    assert {one.corrects, second.corrects} == {bill.name} == {order.invoice}
    assert (one.total.minor, second.total.minor, bill.total.minor) == (-3001, -5999, 9000)
    assert (one.credit_applied.minor, bill.credit_applied.minor) == (-part.to_credit.minor, 4500)


async def test_of_many_who_refund_at_once_no_more_goes_back_than_was_paid(billing: Billing) -> None:
    order = await billing.reached(await billing.order(), "PAID")
    reasons = await asyncio.gather(*(reason_of(refund(billing, order, 2000)) for _ in range(6)))
    assert sorted(reasons) == ["OK"] * 4 + ["REFUND_EXCEEDS"] * 2
    assert await reason_of(refund(billing, order, 1001)) == "REFUND_EXCEEDS"
    again = str(uuid4())
    first, second = (
        await refund(billing, order, 500, request_id=again),
        await refund(billing, order, 500, request_id=again),
    )
    assert first == second
    assert (await billing.get(order)).refunded.minor == 8500
    assert await reason_of(refund(billing, order, 1, etag='"1"')) == "ETAG_MISMATCH"


async def test_what_went_back_is_not_earned_and_what_was_earned_comes_out_of_revenue(billing: Billing) -> None:
    order = await billing.reached(await billing.order(), "PAID")
    await refund(billing, order, 8000)
    assert await billing.booked() == {"psp_clearing": 1000, "deferred_revenue": -1000}
    billing.clock.advance(timedelta(days=10))

    async def earned() -> bool:
        return (await billing.booked()).get("revenue") == -1000

    await eventually(earned, within=60)
    await refund(billing, order, 400)
    assert await billing.booked() == {"psp_clearing": 600, "revenue": -600}
    await refund(billing, order)
    assert await billing.booked() == {}
    assert (await billing.prove()).proved


async def test_a_refund_to_credit_sends_nothing_to_the_card(billing: Billing) -> None:
    order = await half_and_half(billing)
    done = await refund(billing, order, destination=CREDIT)
    assert (state_of(done), [r.to_card.minor for r in done.refunds]) == ("REFUNDED", [0])
    assert (await billing.balance()).available.minor == 9000
    assert await billing.booked() == {"promo_cost": 4500, "psp_clearing": 4500, "customer_credit": -9000}
    assert refunded(billing) == 0


async def test_what_was_not_paid_is_not_refunded(start: Start) -> None:
    async with start("never") as billing:
        order = await billing.order()
        assert await reason_of(refund(billing, order)) == "ILLEGAL_TRANSITION"
        none = pb.Order(name="billingAccounts/acme/orders/o-none")
        assert await reason_of(refund(billing, none)) == "ORDER_NOT_FOUND"


async def test_what_is_disputed_is_not_refunded_and_a_loss_after_a_refund_is_no_more_than_what_was_left(
    billing: Billing,
) -> None:
    order = await billing.reached(await billing.order(), "PAID")
    (payment,) = [p.ref for p in billing.provider.payments()]
    await refund(billing, order, 4000)
    billing.provider.dispute(payment, DisputeState.OPENED)
    await billing.hear(*await billing.provider.calls())
    await found(billing, "DISPUTE_OPENED")
    assert await reason_of(refund(billing, order, 1)) == "REFUND_EXCEEDS"
    billing.provider.dispute(payment, DisputeState.LOST)
    await billing.hear(*await billing.provider.calls())
    await found(billing, "DISPUTE_LOST")
    assert (await billing.booked())["receivable"] == 5000
    assert "DISPUTE_EXCEEDS" in await billing.findings()
    assert (await billing.prove()).proved


def top_up(minor: int, currency: str = "OMR") -> rpc.CreateTopUpRequest:
    return rpc.CreateTopUpRequest(parent="billingAccounts/acme", amount=Money(minor=minor, currency=currency))


async def test_money_paid_in_ahead_becomes_credit_and_what_is_unspent_of_it_can_go_back(billing: Billing) -> None:
    member = billing.member(stubs.OrderServiceStub)
    bought = await billing.reached(await member.CreateTopUp(top_up(20_000)), "PAID")
    assert (bought.kind, bought.quote, bought.subscription) == (pb.Order.KIND_TOP_UP, "", "")
    assert (await billing.balance()).available.minor == 20_000
    spent = await billing.order()
    assert (state_of(spent), spent.credit_used.minor) == ("PAID", 9000)
    assert await reason_of(refund(billing, bought, 11_001)) == "REFUND_EXCEEDS"
    back = await refund(billing, bought)
    assert (state_of(back), back.refunded.minor) == ("PARTIALLY_REFUNDED", 11_000)
    assert await billing.booked() == {"psp_clearing": 9000, "deferred_revenue": -9000}
    assert (await billing.prove()).proved


async def test_a_top_up_that_cannot_be_is_refused(start: Start) -> None:
    async with start("never") as billing:
        assert (
            await reason_of(billing.member(stubs.OrderServiceStub).CreateTopUp(top_up(1, "EUR"))) == "CURRENCY_MISMATCH"
        )
        member = billing.member(stubs.OrderServiceStub, "other")
        first = rpc.CreateTopUpRequest(parent="billingAccounts/other", amount=Money(minor=5, currency="OMR"))
        assert await reason_of(member.CreateTopUp(first)) == "OK"
        assert await reason_of(member.CreateTopUp(first)) == "ORDER_OPEN"
        first.amount.currency = "XAU"
        assert await reason_of(member.CreateTopUp(first)) == "CURRENCY_UNSUPPORTED"
