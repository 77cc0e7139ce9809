"""Row 19: the release before, this one, and the one before again, one replica at a time, while customers come."""

import asyncio
import itertools
import random
import signal
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
from catalyst_mesh import connect, explain
from catalyst_testkit import eventually, releases
from catalyst_testkit.processes import Nursery, Replica, Replicas, nursery
from catalyst_testkit.servers import NatsServer
from google.protobuf.message import Message

from .callers import AGAIN, rows
from .conftest import IMPORTED, LONG
from .trades import TRADES, Billing, Method, Trade

pytestmark = [pytest.mark.chaos, pytest.mark.either_database]
ROOT = Path(__file__).parents[2]
TRIES = 4
"""As many as the retry policy has."""
REVISION = "SELECT version_num FROM alembic_version"
TURNS = [*TRADES] if LONG else ["by turns"]
"""The daemons beside billing: a short run has one of them, by chance."""


@pytest.fixture(scope="session")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The release before, unpacked."""
    ref = releases.earlier(ROOT)
    return releases.unpack(ROOT, ref, tmp_path_factory.mktemp("before"), "lib", "services", "plugins")


@pytest.fixture(scope="session")
def before(tree: Path) -> Iterator[Nursery]:
    """Forks daemons of the release before."""
    with nursery(*IMPORTED, path=releases.code(tree)) as opened:
        yield opened


class Customers:
    """They come one after the other, and remember what they were told."""

    def __init__(self, trade: Trade, replicas: Replicas, chosen: random.Random) -> None:
        self._trade = trade
        self._replicas = replicas
        self._chosen = chosen
        self._names = (f"customer-{number}" for number in itertools.count())
        self.got: dict[str, str] = {}
        """Names of what each one got."""
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
        wanted = len(self.got) + count
        await eventually(lambda: len(self.got) >= wanted or self.failed, within=60, what="customers come")
        assert self.failed == [], self._replicas.logs()[-3000:]

    async def _come(self, stop: asyncio.Event) -> None:
        token = ""
        channels = [connect(f"127.0.0.1:{one.port}", token=lambda: token) for one in self._replicas.all]
        try:
            while not stop.is_set():
                name = next(self._names)
                token = self._trade.token(self._replicas.issuer, name)
                answer: Any = None
                for methods, wished in self._trade.steps(name, channels):
                    answer = await self._call(name, methods, wished)
                if answer:
                    self.got[name] = answer.name
                await asyncio.sleep(self._chosen.uniform(0.1, 0.3))  # the pace of a load
        finally:
            for channel in channels:
                await channel.close(None)

    async def _call(self, name: str, methods: Sequence[Method], wish: Message) -> Any:
        """What it is answered by one of the replicas; None where the retry policy is at its end."""
        said, first = "", self._chosen.randrange(len(methods))
        for attempt in range(TRIES):
            try:  # at the next one each time, as where an endpoint that does not serve is taken off the list
                return await methods[(first + attempt) % len(methods)](wish, timeout=60)
            except (grpc.aio.AioRpcError, httpx.HTTPError) as error:
                passes, said = judged(error)
                if not passes:
                    break
            await asyncio.sleep(0.25)
        self.failed.append(f"{name}: {said}")
        return None


def judged(error: grpc.aio.AioRpcError | httpx.HTTPError) -> tuple[bool, str]:
    """Whether a caller may try again, and what it was told."""
    if isinstance(error, grpc.aio.AioRpcError):
        return error.code() in AGAIN, f"{error.code().name} {explain(error).reason} {error.details()}"
    if isinstance(error, httpx.HTTPStatusError):
        return error.response.status_code in (502, 503, 504), f"{error} {error.response.text}"
    return isinstance(error, httpx.TransportError), repr(error)


async def replaced(replica: Replica, by: Nursery) -> None:
    """SIGTERM, and in its place one of another release, as where pods change one at a time."""
    replica.signal(signal.SIGTERM)
    assert await replica.ended(within=60) == 0, replica.log.read_text()[-2000:]
    replica.nursery = by
    replica.start()
    await replica.serves()


async def there_and_back(trade: Trade, database: str, tree: Path, before: Nursery, chosen: random.Random) -> None:
    """The release before, this one, and the one before again, one replica at a time, while customers come."""
    async with trade.around() as about:
        settings = {"nats_url": trade.nats.url, "database_url": database, **about}
        replicas = Replicas(before, trade.program, trade.prefix, trade.home, settings)
        try:
            await replicas.start(2)
            ((first,),) = await rows(database, REVISION)
            assert first == newest(tree, trade), "it is the release before that made the schema"
            await trade.open(replicas)
            customers = Customers(trade, replicas, chosen)
            async with customers.coming(2):
                await customers.more()
                for release in (trade.born, before):
                    for replica in replicas.all:
                        await replaced(replica, release)
                        await customers.more()
            ((last,),) = await rows(database, REVISION)
            assert last == newest(ROOT, trade) >= first, "the release before goes on with the schema of this one"
            assert customers.failed == []
            assert sorted(await trade.told(replicas)) == sorted(customers.got.values()), "each once"
            await trade.demand(replicas, customers.got)
        finally:
            await replicas.close()


def newest(tree: Path, trade: Trade) -> str:
    """The last revision that a tree has."""
    files = tree.glob(f"services/*/{trade.program}/migrations/versions/[0-9]*.py")
    return max(path.name for path in files).partition("_")[0]


async def test_row_19_there_and_back_between_two_releases_while_customers_come_fails_no_call(
    home: Path, clean_nats: NatsServer, database: str, tree: Path, before: Nursery, born: Nursery, chosen: random.Random
) -> None:
    await there_and_back(Billing(home, clean_nats, born), database, tree, before, chosen)


@pytest.mark.parametrize("turn", TURNS)
async def test_row_19_of_the_other_daemons_fails_no_call_either(
    turn: str,
    home: Path,
    clean_nats: NatsServer,
    database: str,
    tree: Path,
    before: Nursery,
    born: Nursery,
    chosen: random.Random,
) -> None:
    name = turn if turn in TRADES else chosen.choice([*TRADES])
    print(f"the turn is {name}'s")  # noqa: T201 - shown when the test fails
    await there_and_back(TRADES[name](home, clean_nats, born), database, tree, before, chosen)
