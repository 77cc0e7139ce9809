"""Usage from a meter to an invoice, over gRPC."""

import asyncio
import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import nats as nats_client
import pytest
from catalyst.billing.v1 import events_pb2
from catalyst.billing.v1 import resources_pb2 as pb
from catalyst.billing.v1 import service_pb2 as rpc
from catalyst.billing.v1 import service_pb2_grpc as stubs
from catalyst.mesh.v1.resources_pb2 import Money
from catalyst_billing.domain import usage
from catalyst_billing.domain.accounts import State
from catalyst_billing.domain.periods import Span
from catalyst_billing.domain.usage import MeterUnknown
from catalyst_billing.recording import Recording
from catalyst_billing.store import tables
from catalyst_mesh import Told
from catalyst_testkit import eventually
from catalyst_testkit.daemons import reason_of
from catalyst_testkit.servers import NatsServer
from sqlalchemy import select

from .conftest import Billing, Start
from .makers import NOON

pytestmark = pytest.mark.either_database
HOUR = timedelta(hours=1)


def measured(
    id: str, value: str = "1", *, at: datetime = NOON, meter: str = "vcpu_hours", **rest: Any
) -> pb.UsageEvent:
    made = pb.UsageEvent(
        id=id, source="//meter", org="organizations/acme", meter=f"meters/{meter}", value=value, **rest
    )
    made.time.FromDatetime(at)
    return made


async def record(billing: Billing, *events: pb.UsageEvent) -> rpc.RecordUsageResponse:
    stub = billing.daemon.stub(stubs.MeteringServiceStub, subject="meter", service="environment")
    answer: rpc.RecordUsageResponse = await stub.RecordUsage(rpc.RecordUsageRequest(events=events))
    return answer


async def queried(billing: Billing, **fields: Any) -> list[tuple[str, str, int]]:
    stub = billing.member(stubs.MeteringServiceStub)
    wish = rpc.QueryUsageRequest(parent="billingAccounts/acme", page_size=1000, **fields)
    points = (await stub.QueryUsage(wish)).points
    return [(p.meter.removeprefix("meters/"), p.value, p.rated.minor) for p in points]


async def test_a_batch_is_judged_event_by_event(billing: Billing) -> None:
    good = measured("a")
    answer = await record(
        billing, good, good, measured("a", "2"), measured("b", "-1"), measured("c", "1e400"),
        measured("d", meter="no"), measured("e", at=NOON - timedelta(days=40)), measured("f", at=NOON + 7 * 24 * HOUR),
        measured("g", at=NOON - timedelta(days=3)), pb.UsageEvent(id="h"), measured("i", dimensions={"gpu": "a"}),
    )  # fmt: skip
    assert (answer.accepted_count, answer.duplicate_count) == (2, 1)
    assert [(r.index, r.reason) for r in answer.refused] == [
        (2, "USAGE_ID_REUSED"), (3, "VALUE_INVALID"), (4, "VALUE_INVALID"), (5, "METER_UNKNOWN"), (6, "TOO_LATE"),
        (7, "IN_FUTURE"), (9, "VALUE_INVALID"), (10, "VALUE_INVALID"),
    ]  # fmt: skip
    again = await record(billing, good)
    assert (again.accepted_count, again.duplicate_count) == (0, 1)
    assert await queried(billing) == [("vcpu_hours", "1", 0)]  # what is three days late waits for an invoice


async def test_a_month_of_shuffled_and_repeated_events_is_exact_and_can_be_rebuilt(start: Start) -> None:
    async with start() as billing:
        end = NOON + 30 * 24 * HOUR
        billing.clock.advance(end - NOON)
        hours = random.Random(7).sample([end - n * HOUR for n in range(1, 25)] * 1, 24)
        events = [
            measured(f"{h}-{n}", "0.05", at=hour + n * timedelta(minutes=1), application=f"app-{n % 2}")
            for h, hour in enumerate(hours) for n in range(40)
        ]  # fmt: skip
        events += random.Random(8).sample(events, len(events) // 20)
        random.Random(9).shuffle(events)
        batches = [events[n : n + 100] for n in range(0, len(events), 100)]
        answers = await asyncio.gather(*(record(billing, *batch) for batch in batches))
        assert sum(a.accepted_count for a in answers) == 24 * 40
        assert sum(a.duplicate_count for a in answers) == 48
        month = await queried(billing, step=rpc.QueryUsageRequest.STEP_MONTH)
        assert month == [("vcpu_hours", "48", 0)]  # 24 h of 2 vCPU
        assert len(await queried(billing, step=rpc.QueryUsageRequest.STEP_HOUR, by_application=True)) == 48
        async with billing.daemon.daemon.work.reading() as tx:
            kept = {h.key: h for h in await tx.hours("acme", Span(NOON, end))}
            assert usage.rolled_up(await tx.events_of("acme"), await tx.meters()) == kept


async def test_usage_is_on_the_invoice_and_late_usage_on_the_next_one(start: Start) -> None:
    async with start() as billing:
        billing.catalog.sell_usage()
        await billing.order(plan="rated")
        await record(billing, measured("a", "100", at=NOON), measured("b", "5", meter="egress_gb"))
        assert await queried(billing) == [("egress_gb", "5", 50), ("vcpu_hours", "100", 1000)]
        end = (await billing.subscription()).period_end_time.ToDatetime(UTC)
        billing.clock.advance(end - NOON)
        await billing.became("PAST_DUE")
        (invoice,) = await billing.invoices()
        lines = [(line.item, line.quantity, line.amount.minor) for line in invoice.lines]
        assert lines == [("rated", "1", 0), ("egress_gb", "5", 50), ("vcpu_hours", "100", 1000)]
        assert await billing.booked() == {"receivable": 1050, "revenue": -1050}
        late = await record(billing, measured("late", "7", at=end - HOUR))
        assert late.accepted_count == 1
        await billing.issue(minor=50_000)
        await billing.redeem()
        stub = billing.member(stubs.InvoiceServiceStub)
        await stub.PayInvoice(rpc.PayInvoiceRequest(name=invoice.name))
        assert (await billing.booked())["customer_credit"] == -48_950
        billing.to_time((await billing.became("ACTIVE")).period_end_time)

        async def second() -> pb.Invoice | None:
            found = [i for i in await billing.invoices() if i.number == "INV-2026-000002"]
            return found[0] if found else None

        following = await eventually(second, within=60)
        assert [(n.item, n.quantity, n.adjustment) for n in following.lines] == [
            ("rated", "1", False),
            ("vcpu_hours", "7", True),
        ]
        assert (await billing.prove()).proved


async def test_what_was_used_until_the_end_is_billed_a_day_later_what_came_late_too_and_a_sovereign_s_usage_by_its_own_plan(
    start: Start,
) -> None:
    async with start() as billing:
        billing.catalog.sell_usage()
        await billing.issue(minor=3000)
        await billing.redeem()
        await billing.order(plan="rated")
        await billing.order(plan="rated", sovereign="sovereigns/one")
        stub = billing.member(stubs.SubscriptionServiceStub)
        held = rpc.ListSubscriptionsRequest(parent="billingAccounts/acme")
        own, sovereign_s = (await stub.ListSubscriptions(held)).subscriptions
        await record(billing, measured("a", "100"), measured("b", "40", environment="sovereigns/one"))
        assert await queried(billing) == [("vcpu_hours", "100", 1000), ("vcpu_hours", "40", 400)]
        billing.clock.advance(3 * HOUR)
        await record(billing, measured("c", "5", at=NOON + HOUR))
        await stub.CancelSubscription(rpc.CancelSubscriptionRequest(name=own.name, immediate=True))
        await record(billing, measured("late", "20", at=NOON + 2 * HOUR), measured("after", "7", at=NOON + 3 * HOUR))
        assert [i for i in await billing.invoices() if i.number] == []
        billing.clock.advance(24 * HOUR)

        async def billed(count: int) -> list[pb.Invoice]:
            found = [i for i in await billing.invoices() if i.state == pb.Invoice.STATE_PAID]
            return found if len(found) == count else []

        (last,) = await eventually(lambda: billed(1), within=60, what="the last bill is paid")
        assert (last.subscription, [(n.quantity, n.amount.minor) for n in last.lines]) == (own.name, [("125", 1250)])
        assert (await billing.balance()).available.minor == 1750
        await record(billing, measured("too late", "3", at=NOON + 2 * HOUR))  # of an hour that is billed
        await record(billing, measured("too late as well", "2", at=NOON + 2 * HOUR))
        billing.clock.advance(24 * HOUR)
        one_more, _ = await eventually(lambda: billed(2), within=60, what="what came after the last bill is paid")
        assert (one_more.subscription, [(n.quantity, n.amount.minor) for n in one_more.lines]) == (
            own.name,
            [("5", 50)],
        )
        await record(billing, measured("after it", "9", at=NOON + 4 * HOUR))
        billing.to_time(sovereign_s.period_end_time)
        renewed, *_ = await eventually(lambda: billed(3), within=60, what="the Sovereign's renewal is paid")
        assert (renewed.subscription, renewed.total.minor) == (sovereign_s.name, 400)
        assert await billing.booked() == {"promo_cost": 3000, "customer_credit": -1300, "revenue": -1700}
        assert (await billing.prove()).proved


async def test_thresholds_are_told_once_and_usage_of_a_suspended_customer_costs_nothing(start: Start) -> None:
    async with start() as billing:
        billing.catalog.sell_usage()
        await billing.order(plan="rated")
        stub = billing.member(stubs.MeteringServiceStub)
        wish = pb.Entitlement(
            name="billingAccounts/acme/entitlement", mode=pb.Entitlement.MODE_GROW,
            monthly_spending_limit=Money(minor=1000, currency="OMR"),
        )  # fmt: skip
        fresh = await stub.GetEntitlement(rpc.GetEntitlementRequest(name=wish.name))
        assert (fresh.mode, fresh.spent.minor, fresh.etag) == (pb.Entitlement.MODE_CAPPED, 0, '"0"')
        wrong = rpc.UpdateEntitlementRequest(entitlement=wish, etag='"9"')
        assert await reason_of(stub.UpdateEntitlement(wrong)) == "ETAG_MISMATCH"
        await stub.UpdateEntitlement(rpc.UpdateEntitlementRequest(entitlement=wish, etag=fresh.etag))
        await record(billing, measured("a", "60"))
        await record(billing, measured("b", "10"), measured("c", "15"))
        await record(billing, measured("d", "40"))
        now = await stub.GetEntitlement(rpc.GetEntitlementRequest(name=wish.name))
        assert (now.spent.minor, now.reached_percent) == (1250, 100)
        outbox = tables.metadata.tables["outbox"]
        async with billing.daemon.daemon.db.read() as sql:
            query = select(outbox.c.body).where(outbox.c.subject.like("%quota.reached")).order_by(outbox.c.number)
            told = [events_pb2.QuotaReached.FromString(body) for body in (await sql.execute(query)).scalars()]
        assert [(t.percent, t.dimension, t.limit.minor) for t in told] == [
            (50, "spending", 1000), (80, "spending", 1000), (100, "spending", 1000),
        ]  # fmt: skip
        billing.to_time((await billing.subscription()).period_end_time)
        await billing.became("PAST_DUE")
        billing.clock.advance(timedelta(days=3))
        await billing.became("GRACE")
        billing.clock.advance(timedelta(days=4))
        await billing.became("SUSPENDED")
        free = NOON + timedelta(days=38)
        await record(billing, measured("free", "9", at=free))
        span = {"step": rpc.QueryUsageRequest.STEP_HOUR}
        assert ("vcpu_hours", "9", 0) in await queried(billing, **span)


async def test_meters_are_data(billing: Billing) -> None:
    admin = billing.daemon.stub(stubs.MeteringServiceStub, subject="root", roles=["sovereign-admin"])
    known = [m.name for m in (await admin.ListMeters(rpc.ListMetersRequest())).meters]
    assert known == ["meters/egress_gb", "meters/ram_gb_hours", "meters/storage_gb_hours", "meters/vcpu_hours"]
    gpu = pb.Meter(unit="GPU·h", aggregation=pb.Meter.AGGREGATION_MAX, dimensions=["model"])
    made = await admin.CreateMeter(rpc.CreateMeterRequest(meter_id="gpu_hours", meter=gpu))
    assert await reason_of(admin.CreateMeter(rpc.CreateMeterRequest(meter_id="gpu_hours", meter=gpu))) == "METER_EXISTS"
    await record(
        billing, measured("a", "2", meter="gpu_hours", dimensions={"model": "x"}), measured("b", "1", meter="gpu_hours")
    )
    assert await queried(billing) == [("gpu_hours", "2", 0)]
    bare = pb.Meter(name=made.name, display_name="GPU")
    without = rpc.UpdateMeterRequest(meter=bare, etag=made.etag, update_mask={"paths": ["dimensions"]})
    assert await reason_of(admin.UpdateMeter(without)) == "DIMENSION_IN_USE"
    titled = await admin.UpdateMeter(rpc.UpdateMeterRequest(meter=bare, etag=made.etag))
    assert (titled.display_name, list(titled.dimensions)) == ("GPU", ["model"])
    assert await reason_of(admin.GetMeter(rpc.GetMeterRequest(name="meters/nothing"))) == "METER_NOT_FOUND"
    assert await reason_of(queried(billing, meters=["meters/nothing"])) == "METER_UNKNOWN"


class Meters:
    """Tell what was used as any meter does: on the stream that billing makes for them."""

    def __init__(self, server: NatsServer) -> None:
        self._server = server

    async def tell(self, *measurements: events_pb2.UsageRecorded, event_id: str = "1") -> None:
        client = await nats_client.connect(self._server.url)
        try:
            for measurement in measurements:
                body = measurement.SerializeToString()
                subject = "catalyst.v1.metering.usage.recorded"
                await client.jetstream().publish(subject, body, headers={"ce-id": event_id, "ce-source": "//meter"})
        finally:
            await client.close()


def told_usage(id: str, value: str = "1", *, org: str = "acme", at: datetime = NOON, **rest: Any) -> Any:
    fields = {"source": "//meter", "meter": "meters/vcpu_hours", **rest}
    made = events_pb2.UsageRecorded(id=id, org=f"organizations/{org}", value=value, **fields)
    made.time.FromDatetime(at)
    return made


async def test_what_meters_put_on_their_stream_counts_once_and_what_cannot_count_is_a_finding(
    start: Start, clean_nats: NatsServer
) -> None:
    async with start(nats_url=clean_nats.url) as billing:
        await billing.daemon.daemon.bus.ensure_stream("metering")
        meters = Meters(clean_nats)
        a, b = told_usage("a"), told_usage("b", "0.5", dimensions={"application": "x"})
        # Each meter numbers its events from 1: the number alone makes no two of them the same.
        await meters.tell(a, b, a, told_usage("a", "2", org="rival"), told_usage("late", at=NOON - timedelta(days=3)))
        await meters.tell(
            told_usage("a", "7"), told_usage("old", at=NOON - timedelta(days=40)), told_usage("bad", "-1")
        )

        async def all_seen() -> bool:
            return await billing.count("usage_event") == 4 and len(await billing.findings()) == 3

        await eventually(all_seen, within=60, what="four measurements and three findings")
        assert await queried(billing) == [("vcpu_hours", "1.5", 0)]
        assert sorted(await billing.findings()) == ["USAGE_ID_REUSED", "USAGE_TOO_LATE", "USAGE_VALUE_INVALID"]
        await billing.daemon.daemon.work.again(lambda tx: nothing_new(billing, tx, a))


async def nothing_new(billing: Billing, tx: Any, again: Any) -> None:
    """A meter that tells the same again, long after the stream and its inbox have forgotten it."""
    settings: Any = billing.daemon.daemon.settings
    recording = Recording(books=settings.books("billing"), windows=settings.windows, currency="OMR")
    told = Told("1", "catalyst.v1.metering.usage.recorded", again.org, 0, NOON, "", 1)
    assert await recording.on_usage_recorded(tx, again, told) == ()
    assert len(await tx.events_of("acme")) == 3
    with pytest.raises(
        MeterUnknown
    ):  # it may be made yet: tried again, then put aside as a letter that can be replayed
        await recording.on_usage_recorded(tx, told_usage("m", meter="meters/no"), told)


async def test_usage_of_a_closed_account_is_refused_and_no_other_of_its_batch(billing: Billing) -> None:
    await record(billing, measured("a"))
    shut = await billing.daemon.daemon.work.again(lambda tx: tx.lock_account("acme"))

    async def close(tx: Any) -> None:
        account = await tx.lock_account("acme")
        await tx.save(replace(account, state=State.CLOSED, version=shut.version + 1))

    await billing.daemon.daemon.work.again(close)
    rival = measured("b")
    rival.org = "organizations/rival"
    answer = await record(billing, measured("c"), rival)
    assert (answer.accepted_count, [(r.index, r.reason) for r in answer.refused]) == (1, [(0, "ACCOUNT_CLOSED")])


async def test_prepaid_usage_is_set_aside_each_hour_and_pays_its_invoice(start: Start) -> None:
    async with start() as billing:
        billing.catalog.sell_usage()
        await billing.issue(minor=3000)
        await billing.redeem()
        await billing.order(plan="rated")
        await record(billing, measured("a", "100", at=NOON))
        stub = billing.member(stubs.MeteringServiceStub)
        wish = pb.Entitlement(name="billingAccounts/acme/entitlement", prepaid=True)
        assert (await stub.UpdateEntitlement(rpc.UpdateEntitlementRequest(entitlement=wish, etag='"0"'))).prepaid

        async def held(minor: int) -> None:
            async def check() -> bool:
                return (await billing.balance()).held.minor == minor

            await eventually(check, within=60, what=f"{minor} are set aside")

        await held(1000)
        await record(billing, measured("b", "50", at=NOON))
        billing.clock.advance(HOUR)
        await held(1500)
        assert (await billing.balance()).available.minor == 1500
        await record(billing, measured("c", "200", at=NOON + HOUR))
        billing.clock.advance(HOUR)
        await held(3000)  # it costs 3,500 by now
        assert (await billing.told()).count("quota.reached") == 1
        await billing.issue("MORE", minor=1000)
        await billing.redeem("MORE")
        billing.to_time((await billing.subscription()).period_end_time)

        async def renewed() -> bool:
            return (await billing.balance()).total.minor == 500

        await eventually(renewed, within=60, what="the invoice is met with what was set aside")
        assert [i.amount_due.minor for i in await billing.renewals()] == [0]
        assert (await billing.balance()).held.minor == 0
        assert (await billing.prove()).proved
