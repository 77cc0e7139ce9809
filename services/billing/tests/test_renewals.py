"""From period to period, over gRPC, with workers and a clock that is moved."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from catalyst.billing.v1 import resources_pb2 as pb
from catalyst.billing.v1 import service_pb2 as rpc
from catalyst.billing.v1 import service_pb2_grpc as stubs
from catalyst_billing.store import tables
from catalyst_sdk.payment import DisputeState
from catalyst_testkit import eventually
from catalyst_testkit.daemons import reason_of
from sqlalchemy import delete, select, update
from sqlalchemy.exc import DBAPIError

from .conftest import Billing, Start, races, state_of

pytestmark = pytest.mark.either_database
DAY = timedelta(days=1)


async def changed(billing: Billing, plan: str, **fields: Any) -> pb.Order:
    stub = billing.member(stubs.SubscriptionServiceStub)
    name = (await billing.subscription()).name
    order: pb.Order = await stub.ChangeSubscription(rpc.ChangeSubscriptionRequest(name=name, plan=plan, **fields))
    return order


async def renewed(billing: Billing, start: datetime, org: str = "acme") -> pb.Subscription:
    async def check() -> pb.Subscription | None:
        now = await billing.subscription(org)
        return now if now.period_start_time.ToDatetime(UTC) == start else None

    found: pb.Subscription | None = await eventually(check, within=60, what=f"a period begins on {start}")
    assert found is not None
    return found


async def test_declined_renewals_go_down_by_days_and_paying_resumes_without_shifting_the_period(
    start: Start,
) -> None:
    async with start("pay", dunning_retry_days=[1, 3, 5]) as billing:
        await billing.reached(await billing.order(), "PAID")
        before = await billing.subscription()
        await billing.save_method("fm_declined")
        billing.provider._target._config["script"] = "decline"
        billing.to_time(before.period_end_time)
        await billing.became("PAST_DUE")
        billing.clock.advance(3 * DAY)
        await billing.became("GRACE")
        billing.clock.advance(4 * DAY)
        held = await billing.became("SUSPENDED")
        assert held.past_due_time == before.period_end_time
        (invoice,) = [i for i in await billing.invoices() if i.state == pb.Invoice.STATE_FINALIZED]
        billing.provider._target._config["script"] = "pay"
        stub = billing.member(stubs.InvoiceServiceStub)
        order = await stub.PayInvoice(rpc.PayInvoiceRequest(name=invoice.name))
        assert (order.kind, order.invoice, order.due.minor) == (pb.Order.KIND_ONE_OFF, invoice.name, 9000)
        active = await billing.became("ACTIVE")
        assert active.period_start_time == before.period_end_time
        told = [s for s in await billing.told() if s.startswith("subscription.")]
        assert told == [
            f"subscription.{w}" for w in ("activated", "lapsed", "lapsed", "suspended", "renewed", "resumed")
        ]
        booked = await billing.booked()  # how much of it is earned by now is the earnings' business
        assert (booked["psp_clearing"], booked["deferred_revenue"] + booked["revenue"]) == (18_000, -18_000)
        assert (await billing.prove()).proved


async def test_a_saved_method_is_charged_for_what_credit_does_not_pay(billing: Billing) -> None:
    await billing.reached(await billing.order(), "PAID")
    await billing.save_method()
    await billing.issue("FOUR", minor=4000)
    await billing.redeem("FOUR")
    billing.to_time((await billing.subscription()).period_end_time)
    await renewed(billing, datetime(2026, 2, 1, 12, tzinfo=UTC))
    (charge,) = billing.provider.books.charges.values()
    assert charge["minor"] == 5000
    (invoice,) = await billing.renewals()
    assert (invoice.state, invoice.total.minor, invoice.credit_applied.minor) == (pb.Invoice.STATE_PAID, 9000, 4000)
    assert (await billing.balance()).available.minor == 0
    assert (await billing.prove()).proved


async def test_a_charge_is_known_to_the_daily_comparison_and_to_a_dispute(start: Start) -> None:
    async with start(reconcile_seconds=0.05) as billing:
        await billing.reached(await billing.order(), "PAID")
        await billing.save_method()
        billing.to_time((await billing.subscription()).period_end_time)
        await renewed(billing, datetime(2026, 2, 1, 12, tzinfo=UTC))
        ((payment, charge),) = billing.provider.books.charges.items()
        name = (await billing.subscription()).name
        assert (charge["metadata"]["subscription"], charge["metadata"]["org"]) == (name, "organizations/acme")
        until, r = billing.clock.now(), tables.reconciled.c

        async def compared() -> bool:
            async with billing.daemon.daemon.db.read() as sql:
                return (await sql.execute(select(r.version).where(r.until >= until))).first() is not None

        await eventually(compared, within=60)
        assert await billing.findings() == []
        billing.provider.dispute(payment, DisputeState.LOST)
        await billing.hear(*await billing.provider.calls())

        async def lost() -> bool:
            return (await billing.booked()).get("receivable") == 9000

        await eventually(lost, within=60)
        assert await billing.findings() == ["DISPUTE_LOST"]
        assert (await billing.prove()).proved


@races
async def test_two_daemons_renew_once(start: Start) -> None:
    async with start() as one:
        await one.issue(minor=50_000)
        await one.order(code="OMANI-26")
        async with start() as two:
            one.to_time((await one.subscription()).period_end_time)
            await renewed(two, datetime(2026, 2, 1, 12, tzinfo=UTC))
            assert [i.number for i in await one.renewals()] == ["INV-2026-000002"]
            assert (await one.told()).count("subscription.renewed") == 1
            assert (await one.balance()).available.minor == 32_000


async def test_an_upgrade_after_half_a_period_and_back_at_its_end(start: Start) -> None:
    async with start() as billing:
        await billing.reached(await billing.order(plan="s"), "PAID")
        first = await billing.subscription()
        begun, end = first.period_start_time.ToDatetime(UTC), first.period_end_time.ToDatetime(UTC)
        billing.clock.advance((end - begun) / 2)
        order = await changed(billing, "m")
        assert (order.kind, order.total.minor, order.due.minor) == (pb.Order.KIND_CHANGE, 2000, 2000)
        assert (await billing.subscription()).plan == "s"  # not before it is paid
        await billing.reached(order, "PAID")
        assert (await billing.subscription()).plan == "m"
        down = await changed(billing, "s")
        assert (state_of(down), down.total.minor) == ("PAID", 0)
        noted = await billing.subscription()
        assert (noted.plan, noted.pending_plan, noted.price.minor) == ("m", "s", 9000)
        await billing.issue(minor=50_000)
        await billing.redeem()
        billing.clock.advance((end - begun) / 2)
        after = await renewed(billing, end)
        assert (after.plan, after.pending_plan, after.price.minor) == ("s", "", 5000)

        async def earned() -> bool:
            return (await billing.booked()).get("revenue") == -7000

        await eventually(earned, within=60)
        back = await billing.staff(stubs.OrderServiceStub).RefundOrder(
            rpc.RefundOrderRequest(name=order.name, reason="wished")
        )
        assert (state_of(back), (await billing.booked())["revenue"]) == ("REFUNDED", -5000)
        assert (await billing.prove()).proved


async def test_a_downgrade_at_once_gives_credit_and_a_credit_note(billing: Billing) -> None:
    await billing.reached(await billing.order(), "PAID")
    first = await billing.subscription()
    length = first.period_end_time.ToDatetime(UTC) - first.period_start_time.ToDatetime(UTC)
    billing.clock.advance(length / 2)
    down = await changed(billing, "s", immediate=True)
    assert (state_of(down), down.total.minor) == ("PAID", 0)
    assert ((await billing.subscription()).plan, (await billing.balance()).available.minor) == ("s", 2000)
    note, bill = await billing.invoices()
    assert note.corrects == bill.name
    assert (note.kind, note.number, note.total.minor) == (pb.Invoice.KIND_CREDIT_NOTE, "CN-2026-000001", -2000)
    booked = await billing.booked()
    assert (booked["customer_credit"], booked["psp_clearing"]) == (-2000, 9000)
    assert booked["deferred_revenue"] + booked.get("revenue", 0) == -7000
    assert (await billing.prove()).proved


async def test_what_cannot_be_changed_is_refused_by_name(start: Start) -> None:
    async with start() as billing:
        await billing.reached(await billing.order(), "PAID")
        billing.catalog.too_small.add("plans/s")
        assert await reason_of(changed(billing, "s")) == "CAPACITY"
        assert await reason_of(changed(billing, "nothing")) == "PLAN_UNKNOWN"
        assert await reason_of(changed(billing, "l", etag='"99"')) == "ETAG_MISMATCH"
        same = await changed(billing, "m")
        assert (same.total.minor, state_of(same)) == (0, "FULFILLED")
        key = str(uuid4())
        assert await changed(billing, "l", request_id=key) == await changed(billing, "l", request_id=key)
        stub = billing.member(stubs.SubscriptionServiceStub)
        gone = rpc.GetSubscriptionRequest(name="billingAccounts/acme/subscriptions/none")
        assert await reason_of(stub.GetSubscription(gone)) == "SUBSCRIPTION_NOT_FOUND"


async def test_a_change_that_is_paid_in_the_next_period_goes_back(start: Start) -> None:
    async with start("pay", {"acme": "late"}) as billing:
        await billing.issue(minor=9000)
        await billing.order(code="OMANI-26")
        end = (await billing.subscription()).period_end_time.ToDatetime(UTC)
        billing.clock.advance(end - billing.clock.now() - timedelta(minutes=29))
        order = await changed(billing, "l")
        assert order.due.minor > 0

        async def page() -> str:
            return (await billing.get(order)).checkout_url

        await eventually(page, within=60)
        billing.clock.advance(timedelta(minutes=30))
        await billing.reached(order, "EXPIRED")
        billing.clock.advance(timedelta(minutes=10))

        def returned() -> bool:
            return [row["minor"] for row in billing.provider.books.refunds.values()] == [order.due.minor]

        await eventually(returned, within=60)
        assert (await billing.subscription()).plan == "m"


async def test_a_trial_costs_nothing_once_and_becomes_active_or_ends(start: Start) -> None:
    async with start() as billing:
        order = await billing.order(trial=True)
        assert (state_of(order), order.total.minor) == ("PAID", 0)
        trial = await billing.subscription()
        assert trial.state == pb.Subscription.STATE_TRIALING
        await billing.issue(minor=50_000)
        await billing.redeem()
        billing.to_time(trial.trial_end_time)
        active = await billing.became("ACTIVE")
        assert (active.period_start_time, active.price.minor) == (trial.trial_end_time, 9000)
        assert (await billing.balance()).available.minor == 41_000
        await billing.order("other", trial=True)
        billing.to_time((await billing.subscription("other")).trial_end_time)
        await billing.became("CANCELLED", "other")
        assert await reason_of(billing.order("other", trial=True)) == "TRIAL_USED"


async def test_cancelling_at_the_end_or_at_once(billing: Billing) -> None:
    await billing.issue(minor=50_000)
    await billing.order(code="OMANI-26")
    stub, name = billing.member(stubs.SubscriptionServiceStub), (await billing.subscription()).name
    kept = await stub.CancelSubscription(rpc.CancelSubscriptionRequest(name=name))
    assert (kept.cancel_at_period_end, kept.state) == (True, pb.Subscription.STATE_ACTIVE)
    back = await stub.ResumeSubscription(rpc.ResumeSubscriptionRequest(name=name))
    assert not back.cancel_at_period_end
    preview = await stub.CancelSubscription(
        rpc.CancelSubscriptionRequest(name=name, immediate=True, validate_only=True)
    )
    assert preview.state == pb.Subscription.STATE_CANCELLED
    assert (await billing.subscription()).state == pb.Subscription.STATE_ACTIVE
    await stub.CancelSubscription(rpc.CancelSubscriptionRequest(name=name, immediate=True))
    assert (await billing.balance()).available.minor == 50_000  # not a moment was used
    again = rpc.CancelSubscriptionRequest(name=name)
    assert await reason_of(stub.CancelSubscription(again)) == "ILLEGAL_TRANSITION"
    assert await reason_of(stub.ResumeSubscription(rpc.ResumeSubscriptionRequest(name=name))) == "ILLEGAL_TRANSITION"


async def test_revenue_is_counted_from_what_runs_and_earned_by_the_day(billing: Billing) -> None:
    await billing.issue(minor=50_000, max_per_org=3)
    await billing.order(code="OMANI-26")
    year = await billing.order(code="OMANI-26", plan="l", sovereign="sovereigns/one", period_months=12)
    await billing.reached(year, "PAID")
    stub = billing.staff(stubs.SubscriptionServiceStub)
    told = await stub.GetRevenue(rpc.GetRevenueRequest())
    assert (told.mrr.minor, told.accounts, told.new_this_month, told.active_subscriptions) == (25_000, 1, 1, 2)
    assert [(p.plan, p.mrr.minor) for p in told.by_plan] == [("l", 16_000), ("m", 9000)]
    billing.clock.advance(timedelta(days=10))

    async def earned() -> bool:
        # Ten midnights of 31 days, the first of them after half a day; and of 365.
        month, year = 9000 * 9.5 / 31, 192_000 * 9.5 / 365
        return (await billing.booked()).get("revenue", 0) == -(round(month) + round(year))

    await eventually(earned, within=60)
    assert (await billing.prove()).proved


async def test_a_new_price_is_told_and_counts_when_its_notice_is_over(start: Start) -> None:
    async with start(price_watch_seconds=0.02) as billing:
        await billing.issue(minor=50_000)
        await billing.order(code="OMANI-26")
        for plan in billing.catalog.book.plans:
            plan.price.minor += 1000
        billing.catalog.book.number = 2

        async def told() -> bool:
            return "subscription.repriced" in await billing.told()

        await eventually(told, within=60)
        for month, price in ((2, 10_000), (3, 10_000)):
            billing.to_time((await billing.subscription()).period_end_time)
            after = await renewed(billing, datetime(2026, month, 1, 12, tzinfo=UTC))
            assert after.price.minor == price
        assert (await billing.told()).count("subscription.repriced") == 1


@races
async def test_twenty_renewals_at_once_are_numbered_without_a_gap(start: Start) -> None:
    async with start() as billing:
        await billing.issue(minor=900_000, max_per_org=30)
        await billing.redeem()
        for n in range(20):
            await billing.order(sovereign=f"sovereigns/s{n}")
        async with start():
            billing.clock.advance(31 * DAY)

            async def all_renewed() -> bool:
                return len(await billing.renewals()) == 20

            await eventually(all_renewed, within=60)
        numbers = sorted(i.number for i in await billing.invoices())
        assert numbers == [f"INV-2026-{n:06}" for n in range(1, 41)]


async def test_a_finalised_invoice_is_the_same_bytes_and_cannot_be_changed(billing: Billing) -> None:
    await billing.reached(await billing.order(), "PAID")
    billing.to_time((await billing.subscription()).period_end_time)
    await billing.became("PAST_DUE")
    (invoice,) = await billing.renewals()
    stub = billing.member(stubs.InvoiceServiceStub)
    forms = [rpc.RenderInvoiceRequest.FORMAT_PDF, rpc.RenderInvoiceRequest.FORMAT_HTML]
    before = [await stub.RenderInvoice(rpc.RenderInvoiceRequest(name=invoice.name, format=f)) for f in forms]
    assert before[0].data.startswith(b"%PDF-1.7")
    assert b"INV-2026-000002" in before[1].data
    void = rpc.VoidInvoiceRequest(name=invoice.name, reason="goodwill")
    staff = billing.staff(stubs.InvoiceServiceStub)
    assert (await staff.VoidInvoice(void)).state == pb.Invoice.STATE_VOIDED
    assert await reason_of(staff.VoidInvoice(void)) == "ILLEGAL_TRANSITION"
    forgiven = await billing.subscription()
    assert (forgiven.state, forgiven.price.minor) == (pb.Subscription.STATE_ACTIVE, 0)
    after = [await stub.RenderInvoice(rpc.RenderInvoiceRequest(name=invoice.name, format=f)) for f in forms]
    assert after == before
    for statement in (update(tables.invoice).values(total_minor=1), delete(tables.invoice)):
        with pytest.raises(DBAPIError, match="never changes"):
            async with billing.daemon.daemon.db.begin() as sql:
                await sql.execute(statement)


async def test_an_invoice_can_be_paid_once(start: Start) -> None:
    async with start() as billing:
        await billing.reached(await billing.order(), "PAID")
        billing.to_time((await billing.subscription()).period_end_time)
        await billing.became("PAST_DUE")
        (invoice,) = await billing.renewals()
        await billing.issue(minor=50_000)
        await billing.redeem()
        stub = billing.member(stubs.InvoiceServiceStub)
        call = rpc.PayInvoiceRequest(name=invoice.name)
        reasons = await asyncio.gather(reason_of(stub.PayInvoice(call)), reason_of(stub.PayInvoice(call)))
        assert sorted(reasons) == ["ILLEGAL_TRANSITION", "OK"]
        assert (await billing.balance()).available.minor == 41_000
        orders = billing.member(stubs.OrderServiceStub)
        (paid, _) = (await orders.ListOrders(rpc.ListOrdersRequest(parent="billingAccounts/acme"))).orders
        back = await billing.staff(stubs.OrderServiceStub).RefundOrder(
            rpc.RefundOrderRequest(name=paid.name, reason="wished")
        )
        assert (back.kind, state_of(back)) == (pb.Order.KIND_ONE_OFF, "REFUNDED")
        booked = await billing.booked()
        assert booked["customer_credit"] == -50_000
        assert booked.get("deferred_revenue", 0) + booked.get("revenue", 0) == -9000
        async with billing.daemon.daemon.db.read() as sql:
            query = select(tables.period.c.given_back_minor).where(tables.period.c.order == paid.name)
            assert (await sql.execute(query)).scalar_one() == 9000
        none = rpc.GetInvoiceRequest(name="billingAccounts/acme/invoices/none")
        assert await reason_of(stub.GetInvoice(none)) == "INVOICE_NOT_FOUND"


async def test_a_subscription_that_cannot_be_renewed_is_told_of_and_keeps_no_other_waiting(billing: Billing) -> None:
    for org in ("acme", "other"):
        await billing.issue(f"FOR-{org}".upper(), minor=50_000)
        await billing.order(org, code=f"FOR-{org}")
    ill = update(tables.subscription).where(tables.subscription.c.org == "acme")
    async with billing.daemon.daemon.db.begin() as sql:
        await sql.execute(ill.values(items=["no line of a quote"]))
    billing.clock.advance(31 * DAY)
    await renewed(billing, datetime(2026, 2, 1, 12, tzinfo=UTC), "other")

    async def told() -> bool:
        async with billing.daemon.daemon.work.reading() as tx:
            return await billing.findings() == ["TURN_FAILED"] and await tx.due_subscriptions(9) == []

    await eventually(told, within=60)
    async with billing.daemon.daemon.db.begin() as sql:
        await sql.execute(ill.values(items=[]))
    billing.clock.advance(timedelta(minutes=5))
    await renewed(billing, datetime(2026, 2, 1, 12, tzinfo=UTC))
