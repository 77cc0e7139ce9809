"""From a commit to the frame in a browser: outbox, relay, JetStream, read model, stream; beside a message to a subscriber."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import count
from pathlib import Path

import httpx
import nats as nats_client
from catalyst_mesh import Bus
from catalyst_testkit import eventually
from catalyst_testkit.servers import NatsServer, free_port
from nats.aio.msg import Msg

from lib.mesh.tests.bench import Bench, going

from .harness import Goal, compare, measured, one_by_one
from .serving import serving
from .table import Table

COUNT = 30
CROWD = 50
"""Browsers that look at once."""


class Seen:
    """What has arrived, by name; who waits for a name hears of it at once."""

    def __init__(self) -> None:
        self._waited: dict[str, asyncio.Future[None]] = {}

    def arrived(self, name: str) -> None:
        if name in self._waited and not self._waited[name].done():
            self._waited[name].set_result(None)

    async def until(self, name: str, deed: "asyncio.Future[object]") -> None:
        """Do the deed, and wait until `name` has arrived."""
        arrived = self._waited[name] = asyncio.get_running_loop().create_future()
        await deed
        await asyncio.wait_for(arrived, 60)
        del self._waited[name]


@asynccontextmanager
async def browser(url: str, token: str, seen: Seen) -> AsyncIterator[None]:
    """Follows `/v1/stream` as a browser does."""
    open_ = asyncio.Event()

    async def follow() -> None:
        headers = {"authorization": f"Bearer {token}"}
        async with (
            httpx.AsyncClient(base_url=url, headers=headers, timeout=60) as http,
            http.stream("GET", "/v1/stream", headers={"last-event-id": "0"}) as answer,
        ):
            assert answer.status_code == 200
            open_.set()
            async for line in answer.aiter_lines():
                if line.startswith("data: "):
                    seen.arrived(json.loads(line.removeprefix("data: ")).get("aggregate", ""))

    following = asyncio.create_task(follow())
    await eventually(lambda: open_.is_set() or (following.done() and following.result()), within=30, what="it is open")
    yield
    following.cancel()
    await asyncio.gather(following, return_exceptions=True)


async def listens(url: str) -> bool:
    """Whether the gateway can be asked."""
    try:
        async with httpx.AsyncClient(base_url=url) as http:
            return (await http.get("/v1/openapi.json")).status_code == 200
    except httpx.TransportError:
        return False


def _hearing(ear: Seen) -> Callable[[Msg], Awaitable[None]]:
    async def hear(message: Msg) -> None:
        ear.arrived(message.data.decode())

    return hear


@measured
async def test_commit_to_browser(table: Table, home: Path, nats: NatsServer) -> None:
    numbers, port = count(), free_port()
    bench, bus = await Bench.open(f"sqlite+aiosqlite:///{home}/test.db"), Bus(nats.url, "perf")
    (home / "gateway").mkdir()
    (home / "gateway" / "issuer").symlink_to(home / "pdm" / "issuer")
    (home / "pdm").mkdir()
    with (
        serving("pdm", home=str(home / "pdm"), nats_url=nats.url, rows=0) as pdm,
        serving("gateway", home=str(home / "gateway"), nats_url=nats.url, pdm=pdm["target"], port=port),
    ):
        token, seen, heard = pdm["token"], Seen(), Seen()
        client = await nats_client.connect(nats.url)

        async def hear(message: Msg) -> None:
            heard.arrived(message.data.decode())

        await client.subscribe("perf.bare", cb=hear)
        url = f"http://127.0.0.1:{port}"
        await eventually(lambda: listens(url), within=60, what="the gateway listens")
        async with going(bench.relay(bus)), browser(url, token, seen):

            async def ours() -> None:
                name = f"pools/p/allocations/n{next(numbers)}"
                await seen.until(name, asyncio.ensure_future(bench.tell(f"{name}@1")))

            async def bare() -> None:
                name = f"n{next(numbers)}"
                await heard.until(name, asyncio.ensure_future(client.publish("perf.bare", name.encode())))

            goal = Goal("p99", 5, "publish to subscriber, no database")
            row = await compare(
                "commit to browser (SSE), SQLite", goal,
                ours=lambda: one_by_one(ours, COUNT), bare=lambda: one_by_one(bare, COUNT),
            )  # fmt: skip
            table.add(row)
        await client.close()
        crowd = [Seen() for _ in range(CROWD)]
        hearing = [await nats_client.connect(nats.url) for _ in range(CROWD)]
        ears = [Seen() for _ in hearing]
        for other, ear in zip(hearing, ears, strict=True):
            await other.subscribe("perf.bare", cb=_hearing(ear))
        async with AsyncExitStack() as open_, going(bench.relay(bus)):
            for one in crowd:
                await open_.enter_async_context(browser(url, token, one))

            async def to_all() -> None:
                name = f"pools/p/allocations/n{next(numbers)}"
                told = asyncio.ensure_future(bench.tell(f"{name}@1"))
                await asyncio.gather(*(one.until(name, told) for one in crowd))

            async def to_all_bare() -> None:
                name = f"n{next(numbers)}"
                told = asyncio.ensure_future(hearing[0].publish("perf.bare", name.encode()))
                await asyncio.gather(*(ear.until(name, told) for ear in ears))

            row = await compare(
                f"commit to the last of {CROWD} browsers (SSE), SQLite", Goal("p99", 5, "publish to as many subscribers"),
                ours=lambda: one_by_one(to_all, COUNT), bare=lambda: one_by_one(to_all_bare, COUNT),
            )  # fmt: skip
            table.add(row)
        for other in hearing:
            await other.close()
    js = await bus.jetstream()
    await js.delete_stream("CATALYST_POOLDOMAIN")
    await bus.close()
    await bench.db.close()
