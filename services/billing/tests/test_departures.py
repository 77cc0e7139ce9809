"""An Organization that has gone: everything of it ends once, and nothing of another is touched."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from catalyst.billing.v1 import resources_pb2 as pb
from catalyst.environment.v1.events_pb2 import OrganizationDeleted
from catalyst_billing.app import house_of
from catalyst_billing.departures import on_organization_deleted
from catalyst_mesh import Told
from catalyst_testkit import eventually
from catalyst_testkit.daemons import reason_of

from .conftest import Billing, Start, state_of
from .makers import NOON

pytestmark = pytest.mark.either_database


async def deleted(billing: Billing, org: str, prefix: str = "organizations/") -> None:
    """Have billing handle the event, as its consumer does."""
    daemon: Any = billing.daemon.daemon
    message = OrganizationDeleted(organization=f"{prefix}{org}", version=1)
    told = Told("id", "catalyst.v1.environment.organization.deleted", message.organization, 1, NOON, "", 1)

    async def step(tx: Any) -> None:
        tx.emit(*await on_organization_deleted(house_of(daemon.settings), tx, message, told))

    await daemon.work.again(step)


async def test_everything_of_it_ends_once_and_nothing_of_another(start: Start) -> None:
    async with start("never") as billing:
        await billing.issue(minor=50_000, max_total=9)
        for org in ("acme", "other"):
            await billing.order(org, code="OMANI-26")
        open_one = await billing.order(plan="l", sovereign="sovereigns/omantel", period_months=12)
        assert state_of(open_one) == "AWAITING_PAYMENT"
        for _ in range(2):
            await deleted(billing, "acme")
        assert state_of(await billing.get(open_one)) == "CANCELLED"
        assert (await billing.subscription()).state == pb.Subscription.STATE_CANCELLED
        assert (await billing.told()).count("subscription.cancelled") == 1
        assert await reason_of(billing.order(plan="s")) == "ACCOUNT_CLOSED"
        assert (await billing.subscription("other")).state == pb.Subscription.STATE_ACTIVE
        assert (await billing.balance("other")).available.minor == 41_000
        await deleted(billing, "nobody")
        assert (await billing.prove()).proved


async def test_an_event_that_names_no_organization_touches_nothing(billing: Billing) -> None:
    await billing.issue()
    await billing.order(code="OMANI-26")
    with pytest.raises(ValueError, match="no name of an Organization"):  # the consumer tries again, then puts it aside
        await deleted(billing, "acme", prefix="")
    assert (await billing.subscription()).state == pb.Subscription.STATE_ACTIVE


async def test_what_is_paid_after_it_has_gone_goes_back(start: Start) -> None:
    async with start("late") as billing:
        order = await billing.order()

        async def page() -> str:
            return (await billing.get(order)).checkout_url

        await eventually(page, within=60)
        billing.clock.advance(timedelta(minutes=1))
        await deleted(billing, "acme")

        def closed() -> bool:
            return any(row["closed_at"] for row in billing.provider.books.checkouts.values())

        await eventually(closed, within=60)
        billing.clock.advance(timedelta(minutes=10))

        def returned() -> bool:
            return [row["minor"] for row in billing.provider.books.refunds.values()] == [9000]

        await eventually(returned, within=60)
        assert state_of(await billing.get(order)) == "CANCELLED"
        assert await billing.booked() == {}


async def test_a_method_that_was_saved_at_the_checkout_pays_the_next_period(start: Start) -> None:
    async with start() as billing:
        order = await billing.submit(await billing.quote(), save_method=True)
        await billing.reached(order, "PAID")
        end = (await billing.subscription()).period_end_time.ToDatetime(UTC)
        billing.clock.advance(end - billing.clock.now())

        async def renewed() -> bool:
            return (await billing.subscription()).period_start_time.ToDatetime(UTC) == datetime(
                2026, 2, 1, 12, tzinfo=UTC
            )

        await eventually(renewed, within=60)
        assert (await billing.subscription()).payment_method == "fake 4242"
        assert [charge["minor"] for charge in billing.provider.books.charges.values()] == [9000]
