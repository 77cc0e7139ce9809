"""Credit that expires while an order spends it, over gRPC: it pays that order, or it lapses, and never both."""

import asyncio
from collections import Counter
from datetime import timedelta

import grpc
import pytest
from catalyst.billing.v1 import resources_pb2 as pb
from catalyst_billing.store import tables
from catalyst_mesh import explain
from catalyst_payment_fake.scripts import Script
from catalyst_testkit import eventually
from google.protobuf.duration_pb2 import Duration
from sqlalchemy import select

from .conftest import Billing, Start, races, state_of

pytestmark = pytest.mark.either_database
TEN_MINUTES = timedelta(minutes=10)


@pytest.mark.parametrize("way", ["paid", "left"])
async def test_credit_that_expires_while_an_order_holds_it_still_pays_that_order_and_nothing_else(
    start: Start, way: str
) -> None:
    async with start("never") as billing:
        await billing.issue("ONE-DAY", minor=4000, grant_ttl=Duration(seconds=86_400))
        await billing.issue("EVER", minor=1000)
        await billing.redeem("ONE-DAY")
        await billing.redeem("EVER")
        billing.clock.advance(timedelta(days=1) - TEN_MINUTES)
        order = await billing.order()
        assert (order.credit_used.minor, order.due.minor) == (5000, 4000)
        ref = await _opened(billing, order)
        # What came after the order is free when it expires, so that a sweep looks at this wallet while all else is held.
        await billing.issue("AFTER-IT", minor=500, grant_ttl=Duration(seconds=600))
        await billing.redeem("AFTER-IT")
        billing.clock.advance(TEN_MINUTES)
        await _lapsed(billing, "acme", 500)
        assert (await billing.balance()).held.minor == 5000, "what is held does not lapse"
        assert (await billing.told()).count("credit.expired") == 1
        if way == "paid":
            billing.provider.play(ref, Script.PAY)
            await billing.hear(*await billing.provider.calls())
            paid = await billing.reached(order, "PAID")
            assert (paid.credit_used.minor, paid.paid_by_card.minor) == (5000, 4000)
            left, lapsed, income = 0, 500, {"psp_clearing": 4000, "deferred_revenue": -9000}
        else:
            billing.clock.advance(timedelta(minutes=20))
            await billing.reached(order, "EXPIRED")
            await _lapsed(billing, "acme", 4000)
            left, lapsed, income = 1000, 4500, {}
        balance = await billing.balance()
        assert (balance.available.minor, balance.held.minor) == (left, 0)
        credit = {"promo_cost": 5500, "breakage": -lapsed, **({"customer_credit": -left} if left else {})}
        assert await billing.booked() == income | credit
        assert (await billing.prove()).proved


@races
async def test_orders_at_the_moment_at_which_credit_expires_spend_it_whole_or_not_at_all(start: Start) -> None:
    async with start("never") as billing:
        orgs = [f"acme-{n}" for n in range(16)]
        await billing.issue("ONE-DAY", minor=9000, grant_ttl=Duration(seconds=86_400))
        for org in orgs:
            await billing.redeem("ONE-DAY", org)
        billing.clock.advance(timedelta(days=1) - timedelta(seconds=1))
        quotes = [await billing.quote(org) for org in orgs]

        async def submit(quote: pb.Quote) -> str:
            try:
                return state_of(await billing.submit(quote))
            except grpc.aio.AioRpcError as error:
                return explain(error).reason

        calls = [asyncio.ensure_future(submit(quote)) for quote in quotes]
        await asyncio.wait(calls, return_when=asyncio.FIRST_COMPLETED)
        billing.clock.advance(timedelta(seconds=1))
        heard = await asyncio.gather(*calls)
        told = Counter(heard)
        assert set(told) <= {"PAID", "AWAITING_PAYMENT", "CREDIT_INSUFFICIENT"}, told
        assert told["PAID"], "one at least came in time"
        for org, quote, what in zip(orgs, quotes, heard, strict=True):
            if what != "PAID":
                await _lapsed(billing, org, 9000)
            assert (quote.total.minor, (await billing.balance(org)).total.minor) == (9000, 0)
        spent = 9000 * told["PAID"]
        expected = {"promo_cost": 144_000, "breakage": spent - 144_000, "deferred_revenue": -spent}
        assert await billing.booked() == {kind: minor for kind, minor in expected.items() if minor}
        assert (await billing.prove()).proved


async def _opened(billing: Billing, order: pb.Order) -> str:
    """The provider's id of the order's page, once it stands."""

    async def check() -> str:
        query = select(tables.checkout.c.ref).where(tables.checkout.c.id == order.name.rsplit("/", 1)[1])
        async with billing.daemon.daemon.db.read() as sql:
            return str((await sql.execute(query)).scalar_one())

    return await eventually(check, within=60, what="a page")


async def _lapsed(billing: Billing, org: str, minor: int) -> None:
    """Wait until a sweep took so much of `org` that has expired."""

    async def check() -> bool:
        entries = (await billing.balance(org)).entries
        return any((entry.reason, entry.amount.minor) == ("expiry", -minor) for entry in entries)

    await eventually(check, within=60, what=f"{minor} of {org} lapse")
