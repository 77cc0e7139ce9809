"""Row 19: the release before, this one, and the one before again, one replica at a time, while customers come."""

import asyncio
import itertools
import random
import signal
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import grpc
import pytest
from catalyst.billing.v1 import resources_pb2 as pb
from catalyst.billing.v1 import service_pb2 as rpc
from catalyst.billing.v1.service_pb2_grpc import (
    AccountServiceStub,
    LedgerServiceStub,
    OrderServiceStub,
    VoucherServiceStub,
)
from catalyst.mesh.v1.resources_pb2 import Money
from catalyst_mesh import connect, explain
from catalyst_testkit import eventually, releases
from catalyst_testkit.processes import Nursery, Replica, Replicas, nursery
from catalyst_testkit.servers import NatsServer
from google.protobuf.message import Message

from .callers import AGAIN, rows
from .conftest import IMPORTED, ledgers

pytestmark = [pytest.mark.chaos, pytest.mark.either_database]
ROOT = Path(__file__).parents[2]
TRIES = 4
"""As many as the retry policy has."""
PRICE = 7_000
STAFF: dict[str, Any] = {"subject": "staff", "roles": ["billing-admin"]}
CODE = "OMANI-26"
CREATED = "SELECT aggregate FROM outbox WHERE subject = 'catalyst.v1.billing.order.created'"
REVISION = "SELECT version_num FROM alembic_version"


@pytest.fixture(scope="session")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The release before, unpacked."""
    ref = releases.earlier(ROOT)
    return releases.unpack(ROOT, ref, tmp_path_factory.mktemp("before"), "lib", "services", "plugins")


@pytest.fixture
def before(tree: Path) -> Iterator[Nursery]:
    """Forks daemons of the release before."""
    with nursery(*IMPORTED, path=releases.code(tree)) as opened:
        yield opened


@pytest.fixture
async def billing(home: Path, nats: NatsServer, database: str, before: Nursery) -> AsyncIterator[Replicas]:
    """Of the release before, as long as nobody replaces them."""
    replicas = ledgers(home, nats, database, before, script="never")  # its books are one process' own
    yield replicas
    await replicas.close()


class Customers:
    """Each redeems a voucher and orders credit, once, and remembers what it was told."""

    def __init__(self, billing: Replicas, chosen: random.Random) -> None:
        self._billing = billing
        self._chosen = chosen
        self._names = (f"customer-{number}" for number in itertools.count())
        self.orders: dict[str, str] = {}
        """Names of orders, by account."""
        self.failed: list[str] = []

    @asynccontextmanager
    async def coming(self, callers: int) -> AsyncIterator[None]:
        """So many at a time, during the block."""
        stop = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            for _ in range(callers):
                group.create_task(self._come(stop))
            try:
                yield
            finally:
                stop.set()

    async def more(self, count: int = 3) -> None:
        """So many have come from now on."""
        wanted = len(self.orders) + count
        await eventually(lambda: len(self.orders) >= wanted or self.failed, within=60, what="customers come")
        assert self.failed == []

    async def _come(self, stop: asyncio.Event) -> None:
        token = ""
        channels = [connect(f"127.0.0.1:{one.port}", token=lambda: token) for one in self._billing.all]
        try:
            while not stop.is_set():
                name = next(self._names)
                token = self._billing.issuer.token(name, groups=[f"/{name}/org-admin"])
                parent, money = f"billingAccounts/{name}", Money(minor=PRICE, currency="OMR")
                gift = rpc.RedeemVoucherRequest(parent=parent, code=CODE, request_id=str(uuid4()))
                top_up = rpc.CreateTopUpRequest(parent=parent, amount=money, request_id=str(uuid4()))
                vouchers, orders = map(VoucherServiceStub, channels), map(OrderServiceStub, channels)
                await self._call(name, [each.RedeemVoucher for each in vouchers], gift)
                if order := await self._call(name, [each.CreateTopUp for each in orders], top_up):
                    self.orders[name] = order.name
                await asyncio.sleep(self._chosen.uniform(0.1, 0.3))  # the pace of a load
        finally:
            for channel in channels:
                await channel.close(None)

    async def _call(self, name: str, methods: Sequence[Callable[..., Any]], wish: Message) -> Any:
        """What it is answered by one of the replicas; None where the retry policy is at its end."""
        said, first = "", self._chosen.randrange(len(methods))
        for attempt in range(TRIES):
            try:  # at the next one each time, as where an endpoint that does not serve is taken off the list
                return await methods[(first + attempt) % len(methods)](wish, timeout=60)
            except grpc.aio.AioRpcError as error:
                said = f"{name}: {error.code().name} {explain(error).reason} {error.details()}"
                if error.code() not in AGAIN:
                    break
            await asyncio.sleep(0.25)
        self.failed.append(said)
        return None


async def replaced(billing: Replicas, replica: Replica, by: Nursery) -> None:
    """SIGTERM, and in its place one of another release, as where pods change one at a time."""
    replica.signal(signal.SIGTERM)
    assert await replica.ended(within=60) == 0, billing.logs()[-2000:]
    replica.nursery = by
    replica.start()
    await replica.serves()


async def test_row_19_there_and_back_between_two_releases_while_customers_come_fails_no_call(
    billing: Replicas, tree: Path, born: Nursery, chosen: random.Random
) -> None:
    before, url = billing.nursery, str(billing.settings["database_url"])
    await billing.start(2)
    ((first,),) = await rows(url, REVISION)
    assert first == newest(tree), "it is the release before that made the schema"
    voucher = pb.Voucher(code=CODE, amount=Money(minor=PRICE, currency="OMR"))
    issue = rpc.CreateVoucherRequest(voucher=voucher, activate=True)
    await billing.stub(VoucherServiceStub, billing.all[0], **STAFF).CreateVoucher(issue, timeout=60)
    customers = Customers(billing, chosen)
    async with customers.coming(2):
        await customers.more()
        for release in (born, before):
            for replica in billing.all:
                await replaced(billing, replica, release)
                await customers.more()
    ((last,),) = await rows(url, REVISION)
    assert last == newest(ROOT) > first, "the release before goes on with the schema of this one"
    assert customers.failed == []
    await demand_that_all_happened_once(customers, billing)


def newest(tree: Path) -> str:
    """The last revision that a tree has."""
    files = tree.glob("services/billing/catalyst_billing/migrations/versions/[0-9]*.py")
    return max(path.name for path in files).partition("_")[0]


async def demand_that_all_happened_once(customers: Customers, billing: Replicas) -> None:
    told = await rows(str(billing.settings["database_url"]), CREATED)
    assert sorted(order for (order,) in told) == sorted(customers.orders.values())
    accounts = billing.stub(AccountServiceStub, billing.all[1], **STAFF)
    for name in customers.orders:
        balance = await accounts.GetBalance(rpc.GetBalanceRequest(name=f"billingAccounts/{name}/balance"), timeout=60)
        assert balance.available.minor == PRICE, name
    proof = rpc.ProveLedgerResponse()
    ledger = billing.stub(LedgerServiceStub, billing.all[0], **STAFF)
    operation = await ledger.ProveLedger(rpc.ProveLedgerRequest(), timeout=60)
    assert operation.response.Unpack(proof)
    assert proof.proved
