"""From a commit to the frame in a browser: outbox, relay, JetStream, read model, stream; beside a message to a subscriber."""

import asyncio
import json
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
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

from .harness import Goal, batch, compare, measured, one_by_one
from .serving import serving
from .table import Table

COUNT = 30
CROWDS = (50, 500)
"""Browsers that look at once."""
RESTLESS = 100
"""Browsers that break off at random."""
TOLD = 200
"""Events that restless browsers are told."""


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


class Frames:
    """`/v1/stream` as a browser reads it, on a bare socket: five hundred clients of a library would be what is measured."""

    def __init__(self, port: int, token: str, after: str) -> None:
        self._port, self._token, self._after = port, token, after

    async def __aenter__(self) -> "Frames":
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port, limit=2**20)
        lines = (
            "GET /v1/stream HTTP/1.1",
            "Host: x",
            f"Authorization: Bearer {self._token}",
            f"Last-Event-ID: {self._after}",
        )
        self._writer.write("\r\n".join([*lines, "", ""]).encode())
        head = await self._reader.readuntil(b"\r\n\r\n")
        assert b" 200 " in head.split(b"\r\n")[0], head
        return self

    async def __aexit__(self, *_: object) -> None:
        self._writer.transport.abort()

    async def __aiter__(self) -> AsyncIterator[tuple[str, str]]:
        """Place and thing of each event, as it arrives."""
        place = ""
        while line := await self._reader.readline():
            if line.startswith(b"id: "):
                place = line[4:].decode().strip()
            elif line.startswith(b"data: "):
                yield place, json.loads(line[6:]).get("aggregate", "")


@asynccontextmanager
async def browser(port: int, token: str, seen: Seen) -> AsyncIterator[None]:
    """Follows `/v1/stream` as a browser does."""
    async with Frames(port, token, "0") as frames:

        async def follow() -> None:
            async for _, name in frames:
                seen.arrived(name)

        following = asyncio.create_task(follow())
        yield
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)


async def restless(
    port: int, token: str, after: str, names: Sequence[str], chance: random.Random, breaks: float
) -> None:
    """Be told `names`, breaking off after one in so many; fails for a gap or a double."""
    seen: list[str] = []
    while len(seen) < len(names):
        async with Frames(port, token, after) as frames:
            async for place, name in frames:
                after = place
                seen.append(name)
                if len(seen) == len(names) or chance.random() < breaks:
                    break
    assert sorted(seen) == sorted(names)  # in the order of the stream: that of things of their own is nobody's promise


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
        async with going(bench.relay(bus)), browser(port, token, seen):

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
        for size in CROWDS:
            await _crowd(table, size, port=port, token=token, bench=bench, bus=bus, numbers=numbers, nats=nats)
        await _restless(table, port=port, token=token, bench=bench, bus=bus, numbers=numbers)
    js = await bus.jetstream()
    await js.delete_stream("CATALYST_POOLDOMAIN")
    await bus.close()
    await bench.db.close()


async def _crowd(
    table: Table, size: int, *, port: int, token: str, bench: Bench, bus: Bus, numbers: "count[int]", nats: NatsServer
) -> None:
    """From a commit to the last of many who look."""
    crowd, ears = [Seen() for _ in range(size)], [Seen() for _ in range(size)]
    async with AsyncExitStack() as open_, going(bench.relay(bus)):
        for one, ear in zip(crowd, ears, strict=True):
            await open_.enter_async_context(browser(port, token, one))
            client = await nats_client.connect(nats.url)
            open_.push_async_callback(client.close)
            await client.subscribe("perf.bare", cb=_hearing(ear))

        async def to_all() -> None:
            name = f"pools/p/allocations/n{next(numbers)}"
            told = asyncio.ensure_future(bench.tell(f"{name}@1"))
            await asyncio.gather(*(one.until(name, told) for one in crowd))

        async def to_all_bare() -> None:
            name = f"n{next(numbers)}"
            told = asyncio.ensure_future(client.publish("perf.bare", name.encode()))
            await asyncio.gather(*(ear.until(name, told) for ear in ears))

        row = await compare(
            f"commit to the last of {size} browsers (SSE, aim p99 300 ms), SQLite",
            Goal("p99", 5, "publish to as many subscribers"),
            ours=lambda: one_by_one(to_all, COUNT), bare=lambda: one_by_one(to_all_bare, COUNT),
        )  # fmt: skip
    table.add(row)


async def _restless(table: Table, *, port: int, token: str, bench: Bench, bus: Bus, numbers: "count[int]") -> None:
    """Browsers that lose their connection again and again, and miss nothing by it."""
    chance = random.Random(13)

    async def round_(breaks: float) -> None:
        start = await _last(port, token)
        names = [f"pools/p/allocations/n{next(numbers)}" for _ in range(TOLD)]
        looking = [restless(port, token, start, names, random.Random(chance.random()), breaks) for _ in range(RESTLESS)]
        await asyncio.gather(_tell(bench, names), *looking)

    async with going(bench.relay(bus)):
        row = await compare(
            f"{RESTLESS} browsers told {TOLD} events, each breaking off after one in ten; no gap, no double",
            Goal("throughput", 0.1, "as many that stay"),
            ours=lambda: batch(lambda: round_(0.1), RESTLESS * TOLD),
            bare=lambda: batch(lambda: round_(0.0), RESTLESS * TOLD), rounds=3,
        )  # fmt: skip
    table.add(row)


async def _tell(bench: Bench, names: Sequence[str]) -> None:
    for name in names:
        await bench.tell(f"{name}@1")


async def _last(port: int, token: str) -> str:
    """The place of the newest event: whoever comes from a place that is unknown is told it."""
    async with Frames(port, token, "unknown") as frames:
        async for place, _ in frames:
            return place
    raise AssertionError("the stream ended")
