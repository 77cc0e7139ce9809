"""A running billing daemon with a catalog that the test writes itself, and a clock that it moves."""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC
from functools import partial
from pathlib import Path
from typing import Any

import grpc
import pytest
from catalyst.billing.v1 import resources_pb2 as pb
from catalyst.billing.v1 import service_pb2 as rpc
from catalyst.billing.v1 import service_pb2_grpc as stubs
from catalyst.catalog.v1 import resources_pb2 as catalog_pb
from catalyst.catalog.v1 import service_pb2 as catalog_rpc
from catalyst.catalog.v1 import service_pb2_grpc as catalog_grpc
from catalyst.mesh.v1.resources_pb2 import Money
from catalyst_billing.app import compose
from catalyst_billing.domain.providers import Method
from catalyst_billing.settings import BillingSettings
from catalyst_billing.store import tables
from catalyst_mesh import ManualClock
from catalyst_payment_fake.webhooks import Call
from catalyst_testkit import eventually
from catalyst_testkit.daemons import RunningDaemon, running
from catalyst_testkit.servers import NatsServer
from google.api import httpbody_pb2
from sqlalchemy import func, select

from .makers import BOOK, NOON

WEBHOOK_SECRET = "whsec of the tests"
races = pytest.mark.parametrize(
    "database",
    ("sqlite", "postgresql") if os.environ.get("HYPOTHESIS_PROFILE") == "long" else ("postgresql",),
    indirect=True,
)
"""For tests of many at once: SQLite has one writer, so that each day these run where writers meet."""
METERED = ("egress_gb", "ram_gb_hours", "storage_gb_hours", "vcpu_hours")
"""Meters that every Sovereign has."""


class Catalog(catalog_grpc.StorefrontServiceServicer):
    """Serves the price book of the makers."""

    def __init__(self) -> None:
        self.book = catalog_pb.PriceBook(
            name="priceBooks/1",
            number=BOOK.version,
            currency=BOOK.currency,
            plans=[
                catalog_pb.PlanPrice(slug=p.slug, price=_money(p.price.minor), metered=p.is_metered)
                for p in BOOK.plans.values()
            ],
            add_ons=[
                catalog_pb.AddOnPrice(slug=a.slug, price=_money(a.price.minor), included=a.is_included)
                for a in BOOK.add_ons.values()
            ],
            bundles=[
                catalog_pb.BundleDiscount(slug=b.slug, discount_bps=b.discount_bps, apps=b.apps)
                for b in BOOK.bundles.values()
            ],
        )
        self.asked = 0
        self.too_small: set[str] = set()
        """Plans that cannot hold what is installed."""

    async def GetPriceBook(self, request: Any, context: Any) -> catalog_pb.PriceBook:
        self.asked += 1
        return self.book

    def sell_usage(self, minor: int = 10) -> None:
        """Set the rate of every meter, so that the metered plan can be sold."""
        for meter in METERED:
            self.book.rates.add(meter=f"meters/{meter}", unit_price=_money(minor))

    async def CheckCapacity(self, request: Any, context: Any) -> catalog_rpc.CheckCapacityResponse:
        verdict = catalog_pb.Capacity(
            fits=request.plan not in self.too_small, plan=request.plan, suggested_plan="plans/m"
        )
        if not verdict.fits:
            verdict.shortfall.ram_mb = 2048
        return catalog_rpc.CheckCapacityResponse(capacity=verdict)

    async def GetApp(self, request: Any, context: Any) -> catalog_pb.App:
        app = BOOK.apps.get(request.name.removeprefix("apps/"))
        if app is None:
            await context.abort(grpc.StatusCode.NOT_FOUND, "no such app")
            raise AssertionError("abort raises")
        return catalog_pb.App(name=request.name, deployable=app.is_deployable, blueprint=app.blueprint)


class Billing:
    """A running daemon, and the calls that tests make again and again."""

    def __init__(self, daemon: RunningDaemon, clock: ManualClock, catalog: Catalog) -> None:
        self.daemon = daemon
        self.clock = clock
        self.catalog = catalog
        self.staff = partial(daemon.stub, subject="staff", roles=["billing-admin"])

    def member(self, stub: Callable[[grpc.aio.Channel], Any], org: str = "acme") -> Any:
        return self.daemon.member(stub, org)

    async def issue(self, code: str = "OMANI-26", minor: int = 50_000, **terms: Any) -> pb.Voucher:
        voucher = pb.Voucher(code=code, amount=_money(minor), **terms)
        return await self.staff(stubs.VoucherServiceStub).CreateVoucher(
            rpc.CreateVoucherRequest(voucher=voucher, activate=True)
        )

    async def redeem(self, code: str = "OMANI-26", org: str = "acme") -> rpc.RedeemVoucherResponse:
        call = rpc.RedeemVoucherRequest(parent=f"billingAccounts/{org}", code=code)
        return await self.member(stubs.VoucherServiceStub, org).RedeemVoucher(call)

    async def quote(self, org: str = "acme", *, plan: str = "m", code: str = "", **selection: Any) -> pb.Quote:
        wanted = pb.QuoteSelection(plan=plan, **selection)
        call = rpc.CreateQuoteRequest(parent=f"billingAccounts/{org}", selection=wanted, voucher_code=code)
        return await self.member(stubs.QuoteServiceStub, org).CreateQuote(call)

    async def submit(self, quote: pb.Quote, **fields: Any) -> pb.Order:
        account = quote.name.rsplit("/quotes/", 1)[0]
        call = rpc.CreateOrderRequest(parent=account, quote=quote.name, quote_hash=quote.hash, **fields)
        return await self.member(stubs.OrderServiceStub, account.split("/")[1]).CreateOrder(call)

    async def order(self, org: str = "acme", **wanted: Any) -> pb.Order:
        return await self.submit(await self.quote(org, **wanted))

    async def get(self, order: pb.Order) -> pb.Order:
        stub = self.member(stubs.OrderServiceStub, order.name.split("/")[1])
        return await stub.GetOrder(rpc.GetOrderRequest(name=order.name))

    async def reached(self, order: pb.Order, state: str, within: float = 30) -> pb.Order:
        async def check() -> pb.Order | None:
            now = await self.get(order)
            return now if state_of(now) == state else None

        found: pb.Order | None = await eventually(check, within=within, what=f"{order.name} is {state}")
        assert found is not None
        return found

    async def subscription(self, org: str = "acme") -> pb.Subscription:
        stub = self.member(stubs.SubscriptionServiceStub, org)
        call = rpc.ListSubscriptionsRequest(parent=f"billingAccounts/{org}")
        (found,) = (await stub.ListSubscriptions(call)).subscriptions
        return found

    async def became(self, state: str, org: str = "acme") -> pb.Subscription:
        """The only subscription of `org`, once it is in `state`."""

        async def check() -> pb.Subscription | None:
            now = await self.subscription(org)
            return now if pb.Subscription.State.Name(now.state) == f"STATE_{state}" else None

        found: pb.Subscription | None = await eventually(check, within=60, what=f"the subscription is {state}")
        assert found is not None
        return found

    async def invoices(self, org: str = "acme") -> list[pb.Invoice]:
        """Documents, newest first."""
        stub = self.member(stubs.InvoiceServiceStub, org)
        return list((await stub.ListInvoices(rpc.ListInvoicesRequest(parent=f"billingAccounts/{org}"))).invoices)

    async def renewals(self, org: str = "acme") -> list[pb.Invoice]:
        """Those of documents that no order made, newest first."""
        return [invoice for invoice in await self.invoices(org) if not invoice.order]

    async def save_method(self, method: str = "fm_1", org: str = "acme") -> None:
        """Have a method that may be charged, as a checkout leaves it."""

        async def step(tx: Any) -> None:
            await tx.save(Method(org, "fake", method, "fcu_1", "fake 4242", tx.now, tx.now))

        await self.daemon.daemon.work.again(step)

    def to_time(self, moment: Any) -> None:
        """Move the clock to `moment`."""
        self.clock.advance(moment.ToDatetime(UTC) - self.clock.now())

    async def balance(self, org: str = "acme") -> pb.Balance:
        stub = self.member(stubs.AccountServiceStub, org)
        return await stub.GetBalance(rpc.GetBalanceRequest(name=f"billingAccounts/{org}/balance"))

    async def booked(self) -> dict[str, int]:
        """Balances of the whole book by kind of account, those of zero left out."""
        b, a = tables.ledger_balance, tables.ledger_account
        query = select(a.c.kind, func.sum(b.c.amount_minor)).select_from(b.join(a)).group_by(a.c.kind)
        async with self.daemon.daemon.db.read() as sql:
            return {kind: int(amount) for kind, amount in await sql.execute(query) if amount}

    async def hear(self, *calls: Call) -> list[bool]:
        """Receive webhooks one after the other; which of them were known."""
        stub = self.daemon.stub(stubs.ProviderServiceStub, token="")
        answers = [await stub.ReceiveWebhook(heard(call)) for call in calls]
        return [answer.duplicate for answer in answers]

    async def handled(self, events: int, within: float = 30) -> None:
        """Wait until so many events are handled."""
        e = tables.provider_event

        async def check() -> bool:
            query = select(func.count()).where(e.c.state == "handled")
            async with self.daemon.daemon.db.read() as sql:
                return (await sql.execute(query)).scalar_one() >= events

        await eventually(check, within=within, what=f"{events} events are handled")

    async def told(self) -> list[str]:
        """Short subjects of everything in the outbox, in order."""
        outbox = tables.metadata.tables["outbox"]
        async with self.daemon.daemon.db.read() as sql:
            rows = (await sql.execute(select(outbox.c.subject).order_by(outbox.c.number))).scalars()
            return [subject.removeprefix("catalyst.v1.billing.") for subject in rows]

    async def count(self, table: str) -> int:
        async with self.daemon.daemon.db.read() as sql:
            return int(
                (await sql.execute(select(func.count()).select_from(tables.metadata.tables[table]))).scalar_one()
            )

    async def findings(self) -> list[str]:
        listed = await self.staff(stubs.LedgerServiceStub).ListFindings(rpc.ListFindingsRequest())
        return [finding.reason for finding in listed.findings]

    async def prove(self) -> rpc.ProveLedgerResponse:
        operation = await self.staff(stubs.LedgerServiceStub).ProveLedger(rpc.ProveLedgerRequest())
        answer = rpc.ProveLedgerResponse()
        assert operation.done
        assert operation.response.Unpack(answer)
        return answer

    @property
    def provider(self) -> Any:
        """The fake payment provider behind the host's guard."""
        return self.daemon.daemon.plugins.get("payment_provider", "fake")


def heard(call: Call, provider: str = "fake") -> rpc.ReceiveWebhookRequest:
    """A webhook as the gateway hands it on."""
    body = httpbody_pb2.HttpBody(content_type="application/json", data=call.body)
    return rpc.ReceiveWebhookRequest(provider=provider, body=body, headers=call.headers)


def state_of(order: pb.Order) -> str:
    return pb.Order.State.Name(order.state).removeprefix("STATE_")


def _money(minor: int) -> Money:
    return Money(minor=minor, currency="OMR")


@pytest.fixture(scope="session")
def package() -> str:
    return "catalyst_billing"


@pytest.fixture
async def catalog() -> AsyncIterator[tuple[Catalog, str]]:
    server, served = grpc.aio.server(), Catalog()
    catalog_grpc.add_StorefrontServiceServicer_to_server(served, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    yield served, f"127.0.0.1:{port}"
    await server.stop(None)


Start = Callable[..., AbstractAsyncContextManager[Billing]]


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOON)


@pytest.fixture(scope="module")
def left_clean(nats: NatsServer) -> Iterator[NatsServer]:
    """The server of the test run, without our streams once a module is over: others would hear what was told here."""
    yield nats
    asyncio.run(nats.forget())


@pytest.fixture
def start(home: Path, catalog: tuple[Catalog, str], clock: ManualClock, left_clean: NatsServer, database: str) -> Start:
    """Run the daemon with settings of the test; again on the same home is a restart, on another one a replica."""

    @asynccontextmanager
    async def run(
        script: str = "pay", scripts: dict[str, str] | None = None, *, home: Path = home, **settings: Any
    ) -> AsyncIterator[Billing]:
        safe = home / "secrets"
        safe.mkdir(exist_ok=True)
        (safe / "webhooks").write_text(WEBHOOK_SECRET)
        fake = {"script": script, "scripts": scripts or {}, "webhook_secret": "webhooks"}
        values = {
            "nats_url": left_clean.url, "database_url": database, "catalog_target": catalog[1], "listen": "127.0.0.1:0",
            "worker_pause_seconds": 0.1,
            "secrets_folder": safe, "plugins": {"payment_provider:fake": fake}, **settings,
        }  # fmt: skip
        composed: Callable[[Any], Awaitable[Any]] = partial(compose, clock=clock)
        async with running(composed, BillingSettings, home, service="billing", **values) as daemon:
            yield Billing(daemon, clock, catalog[0])

    return run


@pytest.fixture
async def billing(start: Start) -> AsyncIterator[Billing]:
    async with start() as running_daemon:
        yield running_daemon
