"""Processes that are killed between what a provider did and our note of it: one charge, one posting, one event."""

import asyncio
import json
import os
import random
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import grpc
import pytest
from catalyst.billing.v1 import resources_pb2 as pb
from catalyst.billing.v1 import service_pb2 as rpc
from catalyst.billing.v1 import service_pb2_grpc as stubs
from catalyst_billing.store import tables as t
from catalyst_mesh import Database
from catalyst_payment_fake import scripts, webhooks
from catalyst_payment_fake.books import Books
from catalyst_sdk import Secret
from catalyst_testkit import eventually
from catalyst_testkit.processes import Nursery, Replica, Replicas, nursery
from catalyst_testkit.servers import NatsServer
from sqlalchemy import func, select, update

from .conftest import WEBHOOK_SECRET, Catalog, heard, state_of

pytestmark = [pytest.mark.either_database, pytest.mark.chaos]
LONG = os.environ.get("HYPOTHESIS_PROFILE") == "long"
POINTS = [f"work.{point}=kill@{n}" for n in range(1, 8) for point in ("before_commit", "after_commit")]
"""Before and after each commit of a life, the workers' too: what stands between two of them is a call of a provider."""


@pytest.fixture(scope="module")
def born() -> Iterator[Nursery]:
    with nursery("catalyst_billing.app", "catalyst_payment_fake.plugin") as opened:
        yield opened


class House:
    """One replica of billing that dies again and again, and its customer, who asks again each time."""

    def __init__(self, replicas: Replicas, url: str) -> None:
        self.replicas = replicas
        self.url = url
        self.deaths = 0

    @property
    def replica(self) -> Replica:
        return self.replicas.all[0]

    def stub(self, stub: Callable[[grpc.aio.Channel], Any], **who: Any) -> Any:
        return self.replicas.stub(stub, self.replica, **(who or {"subject": "ada", "groups": ["/acme/org-admin"]}))

    async def lives(self, errand: Callable[[], Awaitable[bool]], points: Sequence[str]) -> None:
        """Do an errand in lives that end at these points, and then in one that goes on."""
        for point in points:
            await self.live(point)
            doing = asyncio.create_task(self._to_its_end(errand))
            await eventually(lambda: self.replica.code is not None or doing.done(), within=60, what=point)  # noqa: B023
            is_dead = self.replica.code is not None
            await self.replica.kill()
            doing.cancel()
            with suppress(asyncio.CancelledError, grpc.aio.AioRpcError):
                await doing
            if is_dead:
                assert self.replica.code == -signal.SIGKILL
                self.deaths += 1
        await self.live("")
        await eventually(errand, within=60, what="the errand is done")

    async def live(self, point: str) -> None:
        """Start again, on what the dead one left; its leases are over."""
        db = await Database.open(self.url)
        async with db.begin() as sql:
            await sql.execute(update(t.metadata.tables["lease"]).values(until=datetime(2000, 1, 1, tzinfo=UTC)))
        await db.close()
        await self.replica.kill()
        self.replica.start(point)

    async def _to_its_end(self, errand: Callable[[], Awaitable[bool]]) -> None:
        """Ask until it is done, by a client that comes again: a daemon that starts or dies answers nobody."""
        while True:
            with suppress(grpc.aio.AioRpcError):
                if await errand():
                    return
            await asyncio.sleep(0.05)  # between two tries of a client whose daemon is away

    async def counts(self, *names: str) -> dict[str, int]:
        db = await Database.open(self.url)
        async with db.read() as sql:
            found = {
                name: (await sql.execute(select(func.count()).select_from(t.metadata.tables[name]))).scalar_one()
                for name in names
            }
        await db.close()
        return found

    async def told(self, subject: str) -> int:
        outbox = t.metadata.tables["outbox"]
        db = await Database.open(self.url)
        async with db.read() as sql:
            rows = (await sql.execute(select(outbox.c.subject))).scalars().all()
        await db.close()
        return list(rows).count(f"catalyst.v1.billing.{subject}")

    async def handled(self) -> int:
        """How many webhooks are kept and applied."""
        event = t.provider_event.c
        db = await Database.open(self.url)
        async with db.read() as sql:
            found = (await sql.execute(select(func.count()).where(event.state == "handled"))).scalar_one()
        await db.close()
        return int(found)

    @property
    def _books(self) -> Path:
        (path,) = self.replicas.home.glob("**/books.json")
        return path

    @property
    def books(self) -> dict[str, Any]:
        """What the provider has, as it stands on its disk."""
        return json.loads(self._books.read_text())  # type: ignore[no-any-return]  # a document

    async def played(self, script: scripts.Script) -> list[webhooks.Call]:
        """Kill the daemon, and let its only customer pay meanwhile: what the provider will tell of it."""
        await self.replica.kill()
        books, now = Books(self._books.parent), datetime.now(UTC)
        ((ref, row),) = books.checkouts.items()
        row["script"] = script.value
        books.write()
        told = [*webhooks.of_checkout(scripts.status(books.checkout(ref), now))]
        told += [{"id": "e-expired", "type": "checkout.expired", "ref": ref}]
        told += [{"id": "e-failed", "type": "payment.failed", "ref": "fp_gone", "checkout": ref}]
        told += [{"id": "e-odd", "type": "coffee.brewed", "ref": "x"}]
        return [webhooks.signed(event, Secret(WEBHOOK_SECRET), now) for event in told]


@pytest.fixture
async def house(
    born: Nursery, home: Path, catalog: tuple[Catalog, str], nats: NatsServer, database: str
) -> AsyncIterator[House]:
    (home / "secrets").mkdir()
    (home / "secrets" / "webhooks").write_text(WEBHOOK_SECRET)
    settings = {
        "nats_url": nats.url, "database_url": database, "catalog_target": catalog[1], "worker_pause_seconds": 0.1,
        "poll_open_checkout_seconds": 3600, "secrets_folder": home / "secrets",
        "plugins": {
            "payment_provider:fake": {
                "script": "pay", "scripts": {"slow": "never"}, "webhook_secret": "webhooks"
            },
        },
    }  # fmt: skip
    replicas = Replicas(born, "catalyst_billing", "CATALYST_BILLING_", home, settings)
    await replicas.start(1)
    try:
        yield House(replicas, database)
    finally:
        await replicas.close()


def some(many: int) -> list[str]:
    """The first point and some others, not the same in each run; all in the long profile. The seed is shown on failure."""
    seed = int(os.environ.get("CATALYST_CHAOS_SEED", random.randrange(1_000_000)))
    print(f"CATALYST_CHAOS_SEED={seed}")  # noqa: T201
    return POINTS if LONG else [POINTS[0], *random.Random(seed).sample(POINTS[1:], many - 1)]


async def test_whatever_dies_when_an_order_is_paid_and_refunded_once(house: House) -> None:
    quote_id, order_id, refund_id = (str(uuid4()) for _ in range(3))
    orders: list[pb.Order] = []

    async def paid() -> bool:
        account = "billingAccounts/acme"
        wish = rpc.CreateQuoteRequest(parent=account, selection={"plan": "m"}, request_id=quote_id)
        quote = await house.stub(stubs.QuoteServiceStub).CreateQuote(wish, wait_for_ready=True)
        call = rpc.CreateOrderRequest(parent=account, quote=quote.name, quote_hash=quote.hash, request_id=order_id)
        order = await house.stub(stubs.OrderServiceStub).CreateOrder(call, wait_for_ready=True)
        now = await house.stub(stubs.OrderServiceStub).GetOrder(rpc.GetOrderRequest(name=order.name))
        orders[:] = [now]
        return state_of(now) == "PAID"

    await house.lives(paid, some(3))
    assert await house.counts("order", "payment", "checkout", "ledger_txn", "invoice", "subscription") == {
        "order": 1, "payment": 1, "checkout": 1, "ledger_txn": 1, "invoice": 1, "subscription": 1
    }  # fmt: skip
    assert [await house.told(s) for s in ("order.paid", "payment.received", "invoice.finalized")] == [1, 1, 1]
    assert len(house.books["checkouts"]) == 1

    async def refunded() -> bool:
        staff = house.stub(stubs.OrderServiceStub, subject="staff", roles=["billing-admin"])
        wish = rpc.RefundOrderRequest(name=orders[0].name, reason="wished", request_id=refund_id)
        await staff.RefundOrder(wish, wait_for_ready=True)
        now = await house.stub(stubs.OrderServiceStub).GetOrder(rpc.GetOrderRequest(name=orders[0].name))
        return [r.state for r in now.refunds] == [pb.Refund.STATE_SUCCEEDED]

    await house.lives(refunded, some(2))
    assert await house.counts("refund", "ledger_txn", "invoice") == {"refund": 1, "ledger_txn": 2, "invoice": 2}
    assert [row["minor"] for row in house.books["refunds"].values()] == [9000]
    assert await house.told("order.refunded") == 1
    assert house.deaths, "a test in which nothing dies proves nothing"
    ledger = house.stub(stubs.LedgerServiceStub, subject="staff", roles=["billing-admin"])
    answer = rpc.ProveLedgerResponse()
    assert (await ledger.ProveLedger(rpc.ProveLedgerRequest())).response.Unpack(answer)
    assert answer.proved


async def test_webhooks_shuffled_doubled_and_cut_by_deaths_are_one_payment(house: House) -> None:
    account, who = "billingAccounts/slow", {"subject": "ada", "groups": ["/slow/org-admin"]}
    wish = rpc.CreateQuoteRequest(parent=account, selection={"plan": "m"})
    quote = await house.stub(stubs.QuoteServiceStub, **who).CreateQuote(wish)
    call = rpc.CreateOrderRequest(parent=account, quote=quote.name, quote_hash=quote.hash)
    order = await house.stub(stubs.OrderServiceStub, **who).CreateOrder(call)

    async def now() -> pb.Order:
        found: pb.Order = await house.stub(stubs.OrderServiceStub, **who).GetOrder(rpc.GetOrderRequest(name=order.name))
        return found

    async def has_page() -> bool:
        return bool((await now()).checkout_url)

    await eventually(has_page, within=60, what="the page of the checkout")
    assert state_of(await now()) == "AWAITING_PAYMENT", "nobody asks the provider for an hour"
    calls = await house.played(scripts.Script.TWICE)
    shuffled = calls * 2
    random.Random(6).shuffle(shuffled)

    async def told() -> bool:
        """As a provider does it: all of them, again and again until each was taken."""
        stub = house.stub(stubs.ProviderServiceStub)
        for one in shuffled:
            await stub.ReceiveWebhook(heard(one), wait_for_ready=True)
        return state_of(await now()) == "PAID" and await house.handled() == len(calls)

    await house.lives(told, some(4))
    assert house.deaths, "a test in which nothing dies proves nothing"
    assert await house.counts("provider_event", "payment", "ledger_txn", "invoice", "subscription") == {
        "provider_event": len(calls), "payment": 2, "ledger_txn": 1, "invoice": 1, "subscription": 1
    }  # fmt: skip
    assert [await house.told(s) for s in ("order.paid", "payment.received", "invoice.finalized")] == [1, 1, 1]
    staff = house.stub(stubs.LedgerServiceStub, subject="staff", roles=["billing-admin"])
    findings = (await staff.ListFindings(rpc.ListFindingsRequest())).findings
    assert [one.reason for one in findings] == ["PAID_TWICE"]
    answer = rpc.ProveLedgerResponse()
    assert (await staff.ProveLedger(rpc.ProveLedgerRequest())).response.Unpack(answer)
    assert answer.proved
