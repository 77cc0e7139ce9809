"""What the provisioner tells moves an order exactly once."""

from functools import partial
from typing import Any
from uuid import uuid4

import nats as nats_client
import pytest
from catalyst.billing.v1 import resources_pb2 as pb
from catalyst.environment.v1 import events_pb2 as environment
from catalyst.provisioner.v1 import events_pb2 as told
from catalyst.provisioner.v1 import resources_pb2 as provisioner
from catalyst_sdk.payment import DisputeState
from catalyst_testkit import eventually
from catalyst_testkit.servers import NatsServer

from .conftest import Billing, Start, state_of

pytestmark = pytest.mark.either_database

HOME = "sovereigns/omantel"
ROOT = "catalyst.v1.provisioner"
APPLY, DESTROY = provisioner.Plan.INTENT_APPLY, provisioner.Plan.INTENT_DESTROY


class Provisioner:
    """Tells events as the real one does."""

    def __init__(self, server: NatsServer) -> None:
        self._server = server

    async def tell(self, subject: str, message: Any, event_id: str = "") -> None:
        client = await nats_client.connect(self._server.url)
        try:
            headers = {"ce-id": event_id or str(uuid4())}
            await client.jetstream().publish(f"{ROOT}.{subject}", message.SerializeToString(), headers=headers)
        finally:
            await client.close()

    async def started(self, order: str, **fields: Any) -> None:
        await self.tell("run.started", told.RunStarted(sovereign=HOME, order=order, intent=APPLY, **fields))

    async def activated(self, order: str, event_id: str = "") -> None:
        await self.tell("sovereign.activated", told.SovereignActivated(sovereign=HOME, order=order), event_id)

    async def failed(self, order: str, *, final: bool, intent: Any = APPLY) -> None:
        await self.tell("run.failed", told.RunFailed(sovereign=HOME, order=order, final=final, intent=intent))

    async def destroyed(self, order: str) -> None:
        await self.tell("sovereign.destroyed", told.SovereignDestroyed(sovereign=HOME, order=order))


@pytest.fixture
async def paid(start: Start, clean_nats: NatsServer) -> Any:
    """Billing with a Sovereign paid half by voucher, half by card, and the provisioner that tells of it."""
    async with start(nats_url=clean_nats.url) as billing:
        await billing.issue("FOUR", minor=4000)
        order = await billing.order(code="FOUR", sovereign=HOME)
        yield billing, await billing.reached(order, "PAID"), Provisioner(clean_nats)


Paid = tuple[Billing, pb.Order, Provisioner]


async def handled(billing: Billing, count: int) -> None:
    async def check() -> bool:
        return await billing.count("inbox") == count

    await eventually(check, within=60, what=f"{count} events are handled")


async def test_started_then_activated(paid: Paid) -> None:
    billing, order, provisioner = paid
    await provisioner.started(order.name)
    await billing.reached(order, "FULFILLING", within=60)
    await provisioner.activated(order.name)
    await billing.reached(order, "FULFILLED", within=60)


async def test_activated_three_times_and_started_afterwards_fulfils_once(paid: Paid) -> None:
    billing, order, provisioner = paid
    for _ in range(3):
        await provisioner.activated(order.name)
    await provisioner.started(order.name)
    await handled(billing, 4)
    now = await billing.get(order)
    assert (state_of(now), now.version) == ("FULFILLED", order.version + 1)
    assert await billing.findings() == []


async def test_the_same_event_twice_has_one_effect(paid: Paid) -> None:
    billing, order, provisioner = paid
    for _ in range(2):
        await provisioner.activated(order.name, event_id="evt-1")
    await provisioner.started(order.name)
    await handled(billing, 2)


async def test_a_failure_for_good_is_refunded_once_to_where_it_came_from(paid: Paid) -> None:
    billing, order, provisioner = paid
    await provisioner.started(order.name)
    await provisioner.failed(order.name, final=True)
    await provisioner.failed(order.name, final=True)
    await handled(billing, 3)
    now = await billing.get(order)
    assert (state_of(now), now.refunded.minor) == ("REFUNDED", 9000)
    assert [(r.to_card.minor, r.to_credit.minor) for r in now.refunds] == [(5000, 4000)]
    assert (await billing.balance()).available.minor == 4000
    assert await billing.booked() == {"promo_cost": 4000, "customer_credit": -4000}
    assert [s for s in await billing.told() if s in ("order.refunded", "subscription.cancelled")] == [
        "order.refunded", "subscription.cancelled"
    ]  # fmt: skip

    async def returned() -> bool:
        return [pb.Refund.State.Name(r.state) for r in (await billing.get(order)).refunds] == ["STATE_SUCCEEDED"]

    await eventually(returned, within=60)
    assert [row["minor"] for row in billing.provider.books.refunds.values()] == [5000]
    assert (await billing.prove()).proved


async def test_what_a_dispute_withholds_when_a_run_fails_goes_back_when_it_is_won(paid: Paid) -> None:
    billing, order, provisioner = paid
    (payment,) = [p.ref for p in billing.provider.payments()]
    billing.provider.dispute(payment, DisputeState.OPENED)
    await billing.hear(*await billing.provider.calls())

    async def disputed() -> bool:
        return "DISPUTE_OPENED" in await billing.findings()

    await eventually(disputed, within=60)
    await provisioner.failed(order.name, final=True)
    await billing.reached(order, "PARTIALLY_REFUNDED")
    assert (await billing.balance()).available.minor == 4000  # credit goes back at once: nobody disputes it
    billing.provider.dispute(payment, DisputeState.WON)
    await billing.hear(*await billing.provider.calls())
    back = await billing.reached(order, "REFUNDED")
    assert [(r.to_card.minor, r.to_credit.minor) for r in back.refunds] == [(0, 4000), (5000, 0)]
    assert (await billing.told()).count("subscription.cancelled") == 1
    assert (await billing.prove()).proved


async def test_what_a_lost_dispute_took_of_a_failed_order_is_owed_by_nobody_and_goes_to_the_card_if_it_is_won_after_all(
    paid: Paid,
) -> None:
    billing, order, provisioner = paid
    (payment,) = [p.ref for p in billing.provider.payments()]
    billing.provider.dispute(payment, DisputeState.LOST)
    await billing.hear(*await billing.provider.calls())

    async def lost() -> bool:
        return (await billing.booked()).get("receivable") == 5000

    await eventually(lost, within=60, what="the loss is owed while the order may still be fulfilled")
    await provisioner.failed(order.name, final=True)
    back = await billing.reached(order, "REFUNDED")
    parts = [(r.to_card.minor, r.to_credit.minor, r.by_bank.minor, r.reason) for r in back.refunds]
    assert parts == [(0, 0, 5000, "dispute lost"), (0, 4000, 0, "run failed")]
    assert await billing.booked() == {"promo_cost": 4000, "customer_credit": -4000}
    assert not billing.provider.books.refunds
    billing.provider.dispute(payment, DisputeState.WON)
    await billing.hear(*await billing.provider.calls())

    async def returned() -> bool:
        return [row["minor"] for row in billing.provider.books.refunds.values()] == [5000]

    await eventually(returned, within=60, what="the bank's money goes back through the provider")
    assert await billing.booked() == {"promo_cost": 4000, "customer_credit": -4000}
    assert (await billing.told()).count("subscription.cancelled") == 1
    assert (await billing.prove()).proved


async def test_a_failure_that_is_not_final_changes_nothing(paid: Paid) -> None:
    billing, order, provisioner = paid
    await provisioner.failed(order.name, final=False)
    await provisioner.failed(order.name, final=True, intent=DESTROY)
    await provisioner.tell("run.started", told.RunStarted(sovereign=HOME, order=order.name, intent=DESTROY))
    await handled(billing, 3)
    assert state_of(await billing.get(order)) == "PAID"


async def test_a_destroyed_sovereign_ends_its_subscription_and_can_be_ordered_again(paid: Paid) -> None:
    billing, order, provisioner = paid
    await provisioner.activated(order.name)
    await provisioner.destroyed(order.name)
    await provisioner.destroyed(order.name)
    await handled(billing, 3)
    assert state_of(await billing.get(order)) == "FULFILLED"
    assert (await billing.told()).count("subscription.cancelled") == 1
    await billing.issue("AGAIN")
    assert state_of(await billing.order("other", code="AGAIN", sovereign=HOME)) == "PAID"


async def test_work_on_what_is_not_paid_becomes_a_finding(paid: Paid) -> None:
    billing, order, provisioner = paid
    await provisioner.failed(order.name, final=True)
    await provisioner.activated(order.name)
    await provisioner.started("billingAccounts/acme/orders/o-none")
    await provisioner.started("")
    await handled(billing, 4)
    assert sorted(await billing.findings()) == ["ORDER_NOT_PAID", "ORDER_UNKNOWN"]
    assert state_of(await billing.get(order)) == "REFUNDED"


async def test_all_events_replayed_twice_change_nothing_the_second_time(paid: Paid) -> None:
    billing, order, provisioner = paid
    for _ in range(2):
        await provisioner.started(order.name)
        await provisioner.activated(order.name)
        await provisioner.destroyed(order.name)
    await handled(billing, 6)
    now = await billing.get(order)
    # After the destruction the first three are history: a second start is no work on an order that is not paid.
    assert (state_of(now), now.version) == ("FULFILLED", order.version + 3)
    assert await billing.findings() == []


async def tell_of_application(
    client: Any, number: int, kind: type[Any], org: str, blueprint: str, **more: str
) -> None:  # fmt: skip - one call
    message = kind(
        application=f"environments/{org}-prod/applications/{blueprint}",
        version=number,
        organization=f"organizations/{org}",
        environment=f"environments/{org}-prod",
        blueprint=f"blueprints/bp-{blueprint}",
        **more,
    )
    word = kind.__name__.removeprefix("Application").lower()
    subject = f"catalyst.v1.environment.application.{word}"
    await client.jetstream().publish(subject, message.SerializeToString(), headers={"ce-id": str(uuid4())})


async def test_apps_that_stand_fulfil_the_oldest_order_that_waits_for_them_and_one_that_fails_is_a_finding(
    start: Start, clean_nats: NatsServer
) -> None:
    async with start(nats_url=clean_nats.url) as billing:
        await billing.issue("FOUR", minor=90_000)
        order = await billing.order(code="FOUR", apps=["chat"])
        client = await nats_client.connect(clean_nats.url)
        await billing.daemon.daemon.bus.ensure_stream("environment")

        tell = partial(tell_of_application, client)

        for number, (org, blueprint) in enumerate((("rival", "chat"), ("acme", "mail"), ("acme", "chat"))):
            await tell(number, environment.ApplicationFailed, org, blueprint, error="write")
        await handled(billing, 3)
        assert await billing.findings() == ["APPLICATION_FAILED"]
        assert state_of(await billing.get(order)) == "PAID"
        for number, (org, blueprint) in enumerate((("rival", "chat"), ("acme", "mail"), ("acme", "chat"))):
            await tell(number, environment.ApplicationInstalled, org, blueprint)
        await billing.reached(order, "FULFILLED")
        await tell(9, environment.ApplicationFailed, "acme", "chat", error="write")
        await handled(billing, 7)
        assert await billing.findings() == ["APPLICATION_FAILED"]
        await client.close()


@pytest.mark.parametrize(("policy", "to_card", "credit"), [({}, [9000], 0), ("credit", [], 9000)])
async def test_an_order_whose_app_failed_for_good_goes_back_once_by_the_sovereign_s_policy(
    start: Start, clean_nats: NatsServer, policy: Any, to_card: list[int], credit: int
) -> None:
    """By default to where it came from."""
    async with start(nats_url=clean_nats.url, **({"failed_application": policy} if policy else {})) as billing:
        order = await billing.reached(await billing.order(apps=["chat"]), "PAID")
        client = await nats_client.connect(clean_nats.url)
        await billing.daemon.daemon.bus.ensure_stream("environment")
        tell = partial(tell_of_application, client, kind=environment.ApplicationFailed, org="acme", blueprint="chat")
        await tell(0, error="write")
        await tell(1, error="removed", final=True, order=f"{order.name}-of-another")
        await handled(billing, 2)
        assert state_of(await billing.get(order)) == "PAID"
        for number in (2, 3):
            await tell(number, error="removed", final=True, order=order.name)
        await client.close()
        await handled(billing, 4)
        assert sorted(await billing.findings()) == ["APPLICATION_FAILED", "ORDER_UNKNOWN"]
        assert state_of(await billing.get(order)) == "REFUNDED"
        await billing.became("CANCELLED")
        assert (await billing.balance()).available.minor == credit

        def returned() -> bool:
            return [row["minor"] for row in billing.provider.books.refunds.values()] == to_card

        await eventually(returned, within=60)
        assert (await billing.prove()).proved
