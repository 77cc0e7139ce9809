"""From a quote to a paid order, over gRPC."""

import asyncio
from collections import Counter
from datetime import timedelta
from uuid import uuid4

import pytest
from catalyst.billing.v1 import resources_pb2 as pb
from catalyst.billing.v1 import service_pb2 as rpc
from catalyst.billing.v1 import service_pb2_grpc as stubs
from catalyst.mesh.v1.resources_pb2 import Money
from catalyst_billing.store import tables
from catalyst_testkit import eventually
from catalyst_testkit.daemons import reason_of
from sqlalchemy import select, update

from .conftest import Billing, Start, races, state_of

pytestmark = pytest.mark.either_database

HALF_HOUR = timedelta(minutes=30)
ACME = "billingAccounts/acme"


async def test_plan_m_by_card_is_booked_once_and_told_once(billing: Billing) -> None:
    order = await billing.order()
    assert (state_of(order), order.due.minor, order.provider) == ("AWAITING_PAYMENT", 9000, "providers/fake")
    paid = await billing.reached(order, "PAID")
    assert (paid.paid_by_card.minor, paid.credit_used.minor) == (9000, 0)
    assert await billing.booked() == {"psp_clearing": 9000, "deferred_revenue": -9000}
    told = await billing.told()
    assert [what for what in told if not what.startswith("invoice.")] == [
        "order.created", "payment.received", "order.paid", "subscription.activated"
    ]  # fmt: skip
    assert sorted(told)[:2] == ["invoice.finalized", "invoice.paid"]
    (bill,) = await billing.invoices()
    assert (bill.name, bill.number, bill.total.minor) == (paid.invoice, "INV-2026-000001", 9000)
    assert (await billing.prove()).proved


async def test_a_voucher_pays_a_plan_without_any_provider_call(billing: Billing) -> None:
    await billing.issue(minor=50_000)
    order = await billing.order(plan="l", code="omani-26")
    assert (state_of(order), order.due.minor, order.credit_used.minor) == ("PAID", 0, 16_000)
    assert (await billing.balance()).available.minor == 34_000
    assert await billing.booked() == {"promo_cost": 50_000, "customer_credit": -34_000, "deferred_revenue": -16_000}
    assert billing.provider.books.checkouts == {}
    assert await billing.count("checkout") == await billing.count("payment") == 0


async def test_credit_and_card_settle_together(billing: Billing) -> None:
    await billing.issue("FOUR", minor=4000)
    await billing.redeem("FOUR")
    order = await billing.order(add_ons=["priority-support"])
    assert (order.total.minor, order.credit_used.minor, order.due.minor) == (14_000, 4000, 10_000)
    assert (await billing.balance()).held.minor == 4000
    await billing.reached(order, "PAID")
    assert (await billing.balance()).held.minor == 0
    booked = await billing.booked()
    assert (booked["psp_clearing"], booked["deferred_revenue"]) == (10_000, -14_000)


async def test_a_page_that_is_left_frees_hold_and_voucher_after_half_an_hour(start: Start) -> None:
    async with start("never") as billing:
        await billing.issue("ONCE", minor=1000, max_total=1)
        await billing.issue("FOUR", minor=4000)
        await billing.redeem("FOUR")
        order = await billing.order(code="ONCE")
        assert await reason_of(billing.quote(code="ONCE")) == "VOUCHER_EXHAUSTED"
        billing.clock.advance(HALF_HOUR)
        expired = await billing.reached(order, "EXPIRED")
        assert expired.checkout_url == ""
        assert (await billing.balance()).available.minor == 4000
        again = await billing.order(code="ONCE")
        assert state_of(again) == "AWAITING_PAYMENT"
        assert [s for s in await billing.told() if s in ("order.expired", "voucher.released")] == [
            "order.expired", "voucher.released"
        ]  # fmt: skip


async def test_the_checkout_url_appears_on_the_order(start: Start) -> None:
    async with start("never") as billing:
        order = await billing.order()

        async def url() -> str:
            return (await billing.get(order)).checkout_url

        assert (await eventually(url, within=60)).startswith("https://")
        (condition,) = (await billing.get(order)).conditions
        assert (condition.type, condition.reason) == ("CheckoutReady", "Open")


async def test_a_cancelled_order_leaves_nothing_held_and_closes_its_page(start: Start) -> None:
    async with start("never") as billing:
        await billing.issue("FOUR", minor=4000)
        await billing.redeem("FOUR")
        order = await billing.order()
        stub = billing.member(stubs.OrderServiceStub)
        wrong = rpc.CancelOrderRequest(name=order.name, etag='"99"')
        assert await reason_of(stub.CancelOrder(wrong)) == "ETAG_MISMATCH"
        cancelled = await stub.CancelOrder(rpc.CancelOrderRequest(name=order.name))
        assert state_of(cancelled) == "CANCELLED"
        assert await reason_of(stub.CancelOrder(rpc.CancelOrderRequest(name=order.name))) == "ILLEGAL_TRANSITION"
        assert (await billing.balance()).available.minor == 4000

        def closed() -> bool:
            return any(row["closed_at"] for row in billing.provider.books.checkouts.values())

        await eventually(closed, within=60)


async def test_a_page_is_closed_at_once_though_the_provider_was_just_asked(start: Start) -> None:
    async with start("never") as billing:
        target, cancelled = billing.provider._target, []
        fetch, stub = target.fetch_checkout, billing.member(stubs.OrderServiceStub)

        async def meanwhile(*, ref: str) -> object:
            status = await fetch(ref=ref)
            if not cancelled:
                cancelled.append(await stub.CancelOrder(rpc.CancelOrderRequest(name=order.name)))
            return status

        target.fetch_checkout = meanwhile
        order = await billing.order()

        def closed() -> bool:
            return any(row["closed_at"] for row in billing.provider.books.checkouts.values())

        await eventually(closed, within=60)


async def test_a_decline_fails_the_order_and_frees_its_credit(start: Start) -> None:
    async with start("decline") as billing:
        await billing.issue("FOUR", minor=4000)
        await billing.redeem("FOUR")
        failed = await billing.reached(await billing.order(), "FAILED")
        assert failed.failure_reason == "PAYMENT_DECLINED"
        assert (await billing.balance()).available.minor == 4000
        assert (await billing.told())[-2:] == ["payment.failed", "order.failed"]


async def test_a_wrong_amount_settles_nothing_and_goes_back(start: Start) -> None:
    async with start("wrong_amount") as billing:
        failed = await billing.reached(await billing.order(), "FAILED")
        assert failed.failure_reason == "AMOUNT_MISMATCH"
        await _refunded(billing, 8999)
        assert await billing.booked() == {}
        assert await billing.findings() == ["AMOUNT_MISMATCH"]


async def test_a_second_capture_goes_back_and_the_first_settles(start: Start) -> None:
    async with start("twice") as billing:
        await billing.reached(await billing.order(), "PAID")
        await _refunded(billing, 9000)
        assert await billing.booked() == {"psp_clearing": 9000, "deferred_revenue": -9000}
        assert await billing.findings() == ["PAID_TWICE"]


async def test_a_payment_that_takes_time_is_waited_for(start: Start) -> None:
    async with start("async", poll_open_checkout_seconds=1) as billing:
        order = await billing.order()
        await _asked(billing, order)
        billing.clock.advance(timedelta(seconds=5))
        await billing.reached(order, "PAID")


async def test_a_late_capture_settles_if_all_can_be_had_again(start: Start) -> None:
    async with start("late") as billing:
        order = await billing.order()
        await _asked(billing, order)
        billing.clock.advance(HALF_HOUR)
        await billing.reached(order, "EXPIRED")
        billing.clock.advance(timedelta(minutes=10))
        await billing.reached(order, "PAID")
        assert await billing.booked() == {"psp_clearing": 9000, "deferred_revenue": -9000}


async def test_a_late_capture_goes_back_when_the_place_is_taken(start: Start) -> None:
    async with start("pay", {"slow": "late"}) as billing:
        order = await billing.order("slow", sovereign="sovereigns/omantel")
        await _asked(billing, order)
        billing.clock.advance(HALF_HOUR)
        await billing.reached(order, "EXPIRED")
        await billing.reached(await billing.order("quick", sovereign="sovereigns/omantel"), "PAID")
        billing.clock.advance(timedelta(minutes=10))
        await _refunded(billing, 9000)
        assert state_of(await billing.get(order)) == "EXPIRED"
        assert await billing.findings() == ["LATE_CAPTURE_RETURNED"]
        assert await billing.booked() == {"psp_clearing": 9000, "deferred_revenue": -9000}


async def test_a_sovereign_is_ordered_once_for_everybody(billing: Billing) -> None:
    await billing.issue()
    await billing.order(code="OMANI-26", sovereign="sovereigns/omantel")
    assert await reason_of(billing.order("other", sovereign="sovereigns/omantel")) == "SOVEREIGN_TAKEN"


async def test_one_order_of_each_kind_is_open_at_a_time(start: Start) -> None:
    async with start("never") as billing:
        await billing.order()
        assert await reason_of(billing.order(plan="s")) == "ORDER_OPEN"
        top_up = rpc.CreateTopUpRequest(parent="billingAccounts/acme", amount=Money(minor=5000, currency="OMR"))
        stub = billing.member(stubs.OrderServiceStub)
        assert await reason_of(stub.CreateTopUp(top_up)) == "OK"
        assert await reason_of(stub.CreateTopUp(top_up)) == "ORDER_OPEN"
        assert state_of(await billing.order("other")) == "AWAITING_PAYMENT"


async def test_a_second_plan_of_the_organization_is_no_order(billing: Billing) -> None:
    await billing.issue()
    await billing.order(code="OMANI-26")
    assert await reason_of(billing.order(plan="l")) == "SUBSCRIPTION_ACTIVE"


async def test_a_quote_is_used_once_and_as_it_was_signed(billing: Billing) -> None:
    quote = await billing.quote()
    quote.hash = "0" * 64
    assert await reason_of(billing.submit(quote)) == "QUOTE_INVALID"
    quote = await billing.quote()
    async with billing.daemon.daemon.db.begin() as sql:
        row = (
            await sql.execute(select(tables.quote.c.priced).where(tables.quote.c.id == quote.name[-34:]))
        ).scalar_one()
        cheaper = {**row, "due": {**row["due"], "minor": row["due"]["minor"] - 1}}
        await sql.execute(update(tables.quote).where(tables.quote.c.id == quote.name[-34:]).values(priced=cheaper))
    assert await reason_of(billing.submit(quote)) == "QUOTE_INVALID"


async def test_a_quote_expires(billing: Billing) -> None:
    quote = await billing.quote()
    billing.clock.advance(HALF_HOUR)
    assert await reason_of(billing.submit(quote)) == "QUOTE_EXPIRED"
    stub = billing.member(stubs.QuoteServiceStub)
    assert (await stub.GetQuote(rpc.GetQuoteRequest(name=quote.name))).state == pb.Quote.STATE_EXPIRED


async def test_a_quote_of_another_account_is_not_found(billing: Billing) -> None:
    quote = await billing.quote("other")
    quote.name = quote.name.replace("/other/", "/acme/")
    assert await reason_of(billing.submit(quote)) == "QUOTE_NOT_FOUND"


async def test_a_later_price_book_does_not_touch_a_quote(billing: Billing) -> None:
    quote = await billing.quote()
    for plan in billing.catalog.book.plans:
        plan.price.minor *= 2
    assert (await billing.submit(quote)).total.minor == 9000
    assert (await billing.quote("other")).total.minor == 18_000


async def test_what_the_catalog_does_not_sell_is_refused_by_name(billing: Billing) -> None:
    assert await reason_of(billing.quote(add_ons=["free-lunch"])) == "ADD_ON_UNKNOWN"
    assert await reason_of(billing.quote(apps=["nothing"])) == "APP_UNKNOWN"
    assert await reason_of(billing.quote(plan="flexi")) == "RATE_UNSET"
    assert await reason_of(billing.quote(bundle="soon")) == "APP_NOT_DEPLOYABLE"
    assert (await billing.quote(bundle="comms-hub", apps=["chat", "mail"])).total.minor == 7650
    billing.catalog.book.plans[0].retired = True
    assert await reason_of(billing.quote(plan="s")) == "PLAN_UNKNOWN"


async def test_a_plan_that_cannot_hold_what_is_ordered_is_not_sold(billing: Billing) -> None:
    quote = await billing.quote(plan="s", apps=["chat"])
    billing.catalog.too_small.add("plans/s")
    assert await reason_of(billing.submit(quote)) == "CAPACITY"
    await billing.reached(
        await billing.order(plan="s", sovereign="sovereigns/omantel"), "PAID"
    )  # its apps stand elsewhere
    billing.catalog.too_small.clear()
    wish = str(uuid4())
    first = await billing.submit(quote, request_id=wish)
    billing.catalog.too_small.add("plans/s")
    assert (await billing.submit(quote, request_id=wish)).name == first.name  # answered before: nothing is asked anew


async def test_without_the_catalog_nothing_is_priced(start: Start) -> None:
    async with start(catalog_target="127.0.0.1:1") as billing:
        assert await reason_of(billing.quote()) == "CATALOG_UNAVAILABLE"
        assert await billing.count("quote") == 0


async def test_an_amount_from_the_caller_is_refused(billing: Billing) -> None:
    call = rpc.CreateQuoteRequest(
        parent="billingAccounts/acme", selection=pb.QuoteSelection(plan="m"), amount=Money(minor=1, currency="OMR")
    )
    assert await reason_of(billing.member(stubs.QuoteServiceStub).CreateQuote(call)) == "REQUEST_INVALID"
    five = pb.QuoteSelection(plan="m", period_months=5)
    odd = rpc.CreateQuoteRequest(parent="billingAccounts/acme", selection=five)
    assert await reason_of(billing.member(stubs.QuoteServiceStub).CreateQuote(odd)) == "REQUEST_INVALID"


async def test_a_preview_writes_nothing(billing: Billing) -> None:
    quote = await billing.quote()
    before = await billing.count("quote"), await billing.count("billing_account")
    call = rpc.CreateQuoteRequest(
        parent="billingAccounts/new-one", selection=pb.QuoteSelection(plan="m"), validate_only=True
    )
    assert (await billing.member(stubs.QuoteServiceStub, "new-one").CreateQuote(call)).total.minor == 9000
    preview = await billing.submit(quote, validate_only=True)
    assert state_of(preview) == "PRICED"
    assert (await billing.count("quote"), await billing.count("billing_account")) == before
    assert (await billing.count("order"), await billing.told()) == (0, [])


async def test_the_same_request_twice_is_one_order(billing: Billing) -> None:
    await billing.issue()
    quote, key = await billing.quote(code="OMANI-26"), str(uuid4())
    first, second = await asyncio.gather(billing.submit(quote, request_id=key), billing.submit(quote, request_id=key))
    assert first == second == await billing.submit(quote, request_id=key)
    assert await billing.count("order") == 1
    assert (await billing.told()).count("order.paid") == 1


@races
async def test_two_orders_at_once_with_credit_for_one(billing: Billing) -> None:
    await billing.issue("TENNER", minor=10_000)
    await billing.redeem("TENNER")
    quotes = [await billing.quote(sovereign=f"sovereigns/s{n}") for n in range(2)]
    assert [quote.due.minor for quote in quotes] == [0, 0]
    reasons = await asyncio.gather(*(reason_of(billing.submit(quote)) for quote in quotes))
    assert sorted(reasons) == ["CREDIT_INSUFFICIENT", "OK"]
    assert (await billing.balance()).total.minor == 1000
    assert (await billing.prove()).proved


@races
async def test_64_orders_at_once_of_one_customer_spend_no_more_than_there_is(start: Start) -> None:
    async with start("never") as billing:
        await billing.issue(minor=27_000)
        await billing.redeem()
        quotes = [await billing.quote(sovereign=f"sovereigns/s{n}") for n in range(64)]
        stub = billing.member(stubs.OrderServiceStub)
        calls = [rpc.CreateOrderRequest(parent=ACME, quote=quote.name, quote_hash=quote.hash) for quote in quotes]
        told = Counter(await asyncio.gather(*(reason_of(stub.CreateOrder(call)) for call in calls)))
        assert told == {"OK": 3, "CREDIT_INSUFFICIENT": 61}
        left = await billing.balance()
        assert (left.available.minor, left.held.minor) == (0, 0)
        assert await billing.booked() == {"promo_cost": 27_000, "deferred_revenue": -27_000}
        numbers = sorted(invoice.number for invoice in await billing.invoices())
        assert numbers == [f"INV-2026-{n:06}" for n in (1, 2, 3)]
        assert (await billing.prove()).proved


async def test_orders_are_listed_newest_first_in_pages(billing: Billing) -> None:
    await billing.issue(max_per_org=9)
    for n in range(3):
        billing.clock.advance(timedelta(seconds=1))
        await billing.order(code="OMANI-26", sovereign=f"sovereigns/s{n}")
    stub, seen, token = billing.member(stubs.OrderServiceStub), [], ""
    while True:
        call = rpc.ListOrdersRequest(parent="billingAccounts/acme", page_size=2, page_token=token)
        answer = await stub.ListOrders(call)
        seen += [order.selection.sovereign for order in answer.orders]
        if not (token := answer.next_page_token):
            break
    assert seen == ["sovereigns/s2", "sovereigns/s1", "sovereigns/s0"]
    only = rpc.ListOrdersRequest(parent="billingAccounts/acme", sovereign="sovereigns/s1", states=[pb.Order.STATE_PAID])
    assert len((await stub.ListOrders(only)).orders) == 1
    everybody = await billing.staff(stubs.OrderServiceStub).ListOrders(
        rpc.ListOrdersRequest(parent="billingAccounts/-")
    )
    assert len(everybody.orders) == 3


async def test_a_sovereign_with_taxes_and_a_provider_with_steps_add_up(start: Start) -> None:
    async with start(tax_rules=[{"name": "VAT", "rate_bps": 500}]) as billing:
        order = await billing.reached(await billing.order(), "PAID")
        assert (order.total.minor, order.due.minor) == (9450, 9450)
        assert await billing.booked() == {"psp_clearing": 9450, "deferred_revenue": -9000, "tax_payable": -450}


@pytest.mark.parametrize("broken", [{"script": "no such script"}, {"delay_seconds": -1}])
async def test_without_a_provider_credit_still_pays(start: Start, broken: dict[str, object]) -> None:
    async with start(plugins={"payment_provider:fake": broken}) as billing:
        assert await reason_of(billing.order()) == "PAYMENT_UNAVAILABLE"
        assert (await billing.count("order"), await billing.told()) == (0, [])
        await billing.issue("FOUR", minor=4000, max_total=1)
        assert await reason_of(billing.order(code="FOUR")) == "PAYMENT_UNAVAILABLE"
        held = await billing.balance()
        assert (held.held.minor, await billing.count("credit_hold"), await billing.count("voucher_use")) == (0, 0, 0)
        await billing.redeem("FOUR")
        await billing.issue()
        assert state_of(await billing.order(code="OMANI-26")) == "PAID"


async def test_a_provider_that_is_not_there_is_named(billing: Billing) -> None:
    quote = await billing.quote()
    assert await reason_of(billing.submit(quote, provider="providers/stripe")) == "PAYMENT_UNAVAILABLE"


async def _refunded(billing: Billing, minor: int) -> None:

    def check() -> bool:
        return [row["minor"] for row in billing.provider.books.refunds.values()] == [minor]

    await eventually(check, within=60)


async def _asked(billing: Billing, order: pb.Order) -> None:
    """Wait until the provider was asked about the order's checkout, so that moving the clock comes after it."""

    async def check() -> bool:
        async with billing.daemon.daemon.db.read() as sql:
            query = select(tables.checkout.c.next_at).where(tables.checkout.c.id == order.name.rsplit("/", 1)[1])
            return (await sql.execute(query)).scalar_one() > billing.clock.now()

    await eventually(check, within=60)
