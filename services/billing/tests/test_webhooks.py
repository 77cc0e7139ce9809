"""What providers tell, over gRPC: kept first, applied once in whatever order, put aside in the end."""

import asyncio
import random
from datetime import timedelta
from typing import Any

import pytest
from catalyst.billing.v1 import resources_pb2 as pb
from catalyst.billing.v1 import service_pb2_grpc as stubs
from catalyst_billing.store import tables as t
from catalyst_mesh import ManualClock
from catalyst_payment_fake import webhooks
from catalyst_payment_fake.scripts import Script
from catalyst_sdk import Permanent, Secret
from catalyst_sdk.payment import Amount, DisputeState
from catalyst_testkit import eventually
from catalyst_testkit.daemons import reason_of
from sqlalchemy import select, update

from .conftest import WEBHOOK_SECRET, Billing, Start, heard, races, state_of

pytestmark = pytest.mark.either_database


async def opened(billing: Billing, order: pb.Order) -> str:
    """The provider's id of an order's checkout, once it stands."""

    async def check() -> str:
        query = select(t.checkout.c.ref).where(t.checkout.c.id == order.name.rsplit("/", 1)[1])
        async with billing.daemon.daemon.db.read() as sql:
            return str((await sql.execute(query)).scalar_one())

    return await eventually(check, within=60)


def call(billing: Billing, secret: str = WEBHOOK_SECRET, **event: str) -> webhooks.Call:
    return webhooks.signed(event, Secret(secret), billing.clock.now())


@races
async def test_one_event_ten_times_in_parallel_settles_once(start: Start) -> None:
    async with start("never") as billing:
        order = await billing.order()
        billing.provider.play(await opened(billing, order), Script.PAY)
        (event,) = await billing.provider.calls()
        stub = billing.daemon.stub(stubs.ProviderServiceStub, token="")
        answers = await asyncio.gather(*(stub.ReceiveWebhook(heard(event)) for _ in range(10)))
        assert sorted(answer.duplicate for answer in answers) == [False] + [True] * 9
        paid = await billing.reached(order, "PAID")
        await billing.handled(1)
        assert paid.paid_by_card.minor == 9000
        assert await billing.booked() == {"psp_clearing": 9000, "deferred_revenue": -9000}
        assert (await billing.told()).count("order.paid") == await billing.count("provider_event") == 1


async def test_events_in_any_order_and_doubled_have_the_effect_of_the_present_state(start: Start) -> None:
    async with start("never", poll_open_checkout_seconds=3600) as billing:
        order = await billing.order()
        ref = await opened(billing, order)
        billing.provider.play(ref, Script.TWICE)
        calls = await billing.provider.calls()
        calls += [call(billing, id="e-expired", type="checkout.expired", ref=ref)]
        calls += [call(billing, id="e-failed", type="payment.failed", ref="fp_gone", checkout=ref)]
        calls += [call(billing, id="e-odd", type="coffee.brewed", ref="x")]
        shuffled = calls * 2
        random.Random(6).shuffle(shuffled)
        assert sum(await billing.hear(*shuffled)) == len(calls)
        await billing.handled(len(calls))
        assert state_of(await billing.get(order)) == "PAID"
        assert await billing.booked() == {"psp_clearing": 9000, "deferred_revenue": -9000}
        assert await billing.findings() == ["PAID_TWICE"]


async def test_an_event_before_our_own_note_of_the_checkout_settles_the_order(start: Start) -> None:
    async with start("never") as billing:
        order = await billing.order()
        ref = await opened(billing, order)
        billing.provider.play(ref, Script.PAY)
        async with billing.daemon.daemon.db.begin() as sql:
            far = billing.clock.now() + timedelta(days=1)
            await sql.execute(update(t.checkout).values(ref="", url="", state="wanted", next_at=far))
        await billing.hear(*await billing.provider.calls())
        await billing.reached(order, "PAID")
        assert len(billing.provider.books.checkouts) == 1


async def test_a_lost_webhook_is_repaired_by_the_poller_and_changes_nothing_when_it_comes(start: Start) -> None:
    async with start("never") as billing:
        order = await billing.order()
        billing.provider.play(await opened(billing, order), Script.LOST_WEBHOOK)
        assert await billing.provider.calls() == []
        billing.clock.advance(timedelta(seconds=119))
        await billing.reached(order, "PAID")
        before = await billing.told()
        billing.provider.play(await opened(billing, order), Script.PAY)
        await billing.hear(*await billing.provider.calls())
        await billing.handled(1)
        assert await billing.told() == before
        assert (await billing.prove()).proved


async def test_what_does_not_hold_is_refused_and_not_kept(billing: Billing) -> None:
    stub, now = billing.daemon.stub(stubs.ProviderServiceStub, token=""), billing.clock.now()
    body = b'{"id": "e", "type": "payment.captured", "ref": "x"}'
    secret = Secret(WEBHOOK_SECRET)

    def signed(body: bytes, secret: Secret = secret, ago: int = 0) -> webhooks.Call:
        return webhooks.Call({webhooks.HEADER: webhooks.signature(secret, body, now - timedelta(seconds=ago))}, body)

    cases = [
        (signed(body, Secret("another")), "fake", "SIGNATURE_INVALID"), (signed(body, ago=600), "fake", "SIGNATURE_TOO_OLD"),
        (webhooks.Call({}, body), "fake", "SIGNATURE_INVALID"), (signed(b"not json"), "fake", "BODY_UNREADABLE"),
        (signed(b"x" * 2**21), "fake", "BODY_TOO_LARGE"), (signed(body), "stranger", "PROVIDER_NOT_FOUND"),
    ]  # fmt: skip
    for wish, provider, reason in cases:
        assert await reason_of(stub.ReceiveWebhook(heard(wish, provider))) == reason
    assert await billing.count("provider_event") == 0


async def test_a_payment_of_nobody_and_a_foreign_currency_are_findings_and_no_postings(start: Start) -> None:
    async with start("never") as billing:
        order = await billing.order()
        ref = await opened(billing, order)
        billing.provider.play(ref, Script.PAY)
        row = billing.provider.books.checkouts[ref]
        billing.provider.books.checkouts["fc_stray"] = {
            **row,
            "metadata": {"order": "billingAccounts/acme/orders/o-none"},
        }
        row["currency"] = "XAU"
        await billing.hear(*await billing.provider.calls())
        await billing.handled(2)
        assert sorted(await billing.findings()) == ["FOREIGN_CURRENCY", "PAYMENT_UNKNOWN"]
        assert await billing.booked() == {}
        assert state_of(await billing.get(order)) == "AWAITING_PAYMENT"


async def test_an_event_that_cannot_be_worked_on_is_tried_twenty_times_and_put_aside(start: Start) -> None:
    async with start() as billing:
        await billing.hear(call(billing, id="e-1", type="dispute.opened", ref="fd_none", payment="fp_none"))

        async def dead() -> bool:
            billing.clock.advance(timedelta(hours=1))
            return "WEBHOOK_DEAD" in await billing.findings()

        await eventually(dead, within=60, every=0.02)
        e = t.provider_event.c
        async with billing.daemon.daemon.db.read() as sql:
            assert tuple((await sql.execute(select(e.state, e.tries))).one()) == ("dead", 20)


async def test_a_death_before_the_effect_leaves_the_event_to_the_next_process(start: Start, clock: ManualClock) -> None:
    async with start("never") as billing:
        order = await billing.order()
        ref = await opened(billing, order)
        billing.provider.play(ref, Script.PAY)
        target = billing.provider._target

        async def away(**call: Any) -> Any:
            raise Permanent("UNKNOWN", "away")

        target.fetch_checkout = away
        await billing.hear(*await billing.provider.calls())

        async def tried() -> int:
            async with billing.daemon.daemon.db.read() as sql:
                return int((await sql.execute(select(t.provider_event.c.tries))).scalar_one())

        await eventually(tried, within=60)
        assert await billing.booked() == {}
    clock.advance(timedelta(seconds=6))
    async with start("never") as billing:
        await billing.reached(order, "PAID")
        await billing.handled(1)
        assert await billing.booked() == {"psp_clearing": 9000, "deferred_revenue": -9000}


async def test_a_lost_dispute_is_owed_by_the_customer_once_and_taken_back_when_it_is_won(billing: Billing) -> None:
    order = await billing.order()
    await billing.reached(order, "PAID")
    (payment,) = [p.ref for p in billing.provider.payments()]
    lost = {"receivable": 9000, "deferred_revenue": -9000}
    for events, state, books in (
        (2, DisputeState.OPENED, {"psp_clearing": 9000, "deferred_revenue": -9000}), (3, DisputeState.LOST, lost),
        (4, DisputeState.WON, {"psp_clearing": 9000, "deferred_revenue": -9000}),
    ):  # fmt: skip
        billing.provider.dispute(payment, state)
        calls = await billing.provider.calls()
        await billing.hear(*calls, *calls)
        await billing.handled(events)
        assert await billing.booked() == books
    assert sorted(await billing.findings()) == ["DISPUTE_LOST", "DISPUTE_OPENED", "DISPUTE_WON"]
    assert (await billing.prove()).proved


async def test_each_day_s_payments_are_compared_repaired_and_told(start: Start, clock: ManualClock) -> None:
    async with start("never", poll_open_checkout_seconds=3600) as billing:
        order = await billing.order()
        billing.provider.play(await opened(billing, order), Script.LOST_WEBHOOK)
    async with start("never", poll_open_checkout_seconds=3600, reconcile_seconds=0.05) as billing:
        await billing.reached(order, "PAID")
        async with billing.daemon.daemon.db.begin() as sql:
            await sql.execute(update(t.payment).values(amount_minor=8999))

        async def differs() -> bool:
            return await billing.findings() == ["PAYMENT_DIFFERS"]

        await eventually(differs, within=60)
        assert await billing.booked() == {"psp_clearing": 9000, "deferred_revenue": -9000}


async def test_a_charge_that_is_not_noted_yet_holds_up_no_comparison_and_is_told_of_after_a_day(start: Start) -> None:
    async with start("never", poll_open_checkout_seconds=3600) as billing:
        order = await billing.order()
        paid = await opened(billing, order)
        amount = Amount(5000, "OMR")
        charge = await billing.provider.charge(
            key="charge:ch-1", customer="fcu_1", method="fm_1", amount=amount, metadata={"invoice": "in-1"}
        )
        billing.clock.advance(timedelta(seconds=1))  # the charge comes first in the provider's list
        billing.provider.play(paid, Script.LOST_WEBHOOK)
    async with start("never", poll_open_checkout_seconds=3600, reconcile_seconds=0.05) as billing:
        await billing.reached(order, "PAID")
        assert await billing.findings() == []
        billing.clock.advance(timedelta(days=1, seconds=1))

        async def told() -> bool:
            return await billing.findings() == ["CHARGE_NOT_NOTED"]

        await eventually(told, within=60)
        async with billing.daemon.daemon.db.read() as sql:
            assert (await sql.execute(select(t.reconciled.c.until))).scalar_one() == charge.at
