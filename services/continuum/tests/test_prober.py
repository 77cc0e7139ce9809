"""A name that really moves, over a real name server and real HTTP, and what a client of it saw."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field, replace

import pytest
from catalyst_continuum.clock import boottime
from catalyst_continuum.domain.steering import Place
from catalyst_continuum.workers.by_name import ByName
from catalyst_continuum.workers.naming import Names, Unresolved
from catalyst_continuum.workers.prober import Prober
from catalyst_continuum.workers.traffic.dns_update import DnsUpdate
from catalyst_continuum.workers.traffic.vantage import Resolvers
from catalyst_sdk.continuum import Effect, Verdict
from catalyst_testkit import eventually
from catalyst_testkit.continuum.traffic_suite import EAST, WEST, Server, TrafficBench, moved
from catalyst_testkit.servers import free_port

from . import traffic_benches as benches

AT = {EAST: "127.0.0.2", WEST: "127.0.0.3"}
PAGE = 4
"""Rows that a front tells at once."""


@dataclass
class Front:
    """A region's gateway: takes rows while it is open."""

    region: str
    epoch: int
    rows: list[int] = field(default_factory=list)
    open: bool = True

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                lines = head.decode().lower().split("\r\n")
                length = next((int(line.split(":")[1]) for line in lines if line.startswith("content-length")), 0)
                body = await reader.readexactly(length)
                status, answer = self._answer(head.split()[0], head.split()[1], body)
                text = json.dumps(answer).encode()
                writer.write(f"HTTP/1.1 {status} x\r\nContent-Length: {len(text)}\r\n\r\n".encode() + text)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    def _answer(self, method: bytes, target: bytes, body: bytes) -> tuple[int, object]:
        if not self.open:
            return 503, {}
        if method == b"GET":
            after = int(target.partition(b"?after=")[2] or 0)
            page = self.rows[after : after + PAGE]
            return 200, {"canaries": [{"n": n} for n in page], "next": after + len(page)}
        self.rows.append(json.loads(body)["n"])
        return 200, {"n": self.rows[-1], "epoch": self.epoch, "region": self.region}


@asynccontextmanager
async def fronts(*some: Front) -> AsyncIterator[int]:
    """Serves them, each at its region's address, all on one port."""
    port = free_port()
    async with AsyncExitStack() as stack:
        for front in some:
            server = await asyncio.start_server(front.serve, AT[front.region], port)
            stack.callback(server.close)
        yield port


@pytest.fixture(scope="module")
def bench() -> Iterator[TrafficBench]:
    with benches.bench(benches.on_embedded) as bench:
        yield bench


def place(server: Server) -> tuple[str, int]:
    host, _, port = server.address.rpartition(":")
    return host, int(port)


@pytest.fixture
def servers(bench: TrafficBench) -> list[tuple[str, int]]:
    return [place(server) for server in bench.servers.values()]


@pytest.fixture
def traffic(bench: TrafficBench) -> DnsUpdate:
    places = {region: Place((address,)) for region, address in AT.items()}
    wish = replace(benches.steering(bench.fresh()), places=places, ttl=1)
    return DnsUpdate(
        wish, [benches.authority(which, server.address) for which, server in bench.servers.items()], boottime
    )


async def test_a_prober_follows_the_name_and_measures_what_its_clients_lost(
    traffic: DnsUpdate, servers: list[tuple[str, int]]
) -> None:
    (name,), (east, west) = traffic.steering.names, (Front(EAST, 1), Front(WEST, 2))
    http = ByName(Names(servers, boottime, patience=5.0), timeout=5.0)
    async with fronts(east, west) as port:
        prober = Prober(f"http://{name}:{port}/canaries", http, clock=boottime, first=1_000, period=0.02)
        assert await moved(traffic, EAST, 1) is Effect.DONE
        stop = asyncio.Event()
        running = asyncio.create_task(prober.run(stop))
        await eventually(lambda: len(east.rows) > 5, within=60, what="rows in the first region")
        east.open = False
        await eventually(lambda: any(one.acked is None for one in prober.canaries), within=60, what="a row is refused")
        west.rows = [one.n for one in prober.canaries if one.acked is not None][:-2]  # two did not come over
        assert await moved(traffic, WEST, 2) is Effect.DONE
        await eventually(
            lambda: any(one.region == WEST for one in prober.canaries), within=60, what="the name is followed"
        )
        stop.set()
        await running
        found = await prober.measure(2)
    await http.close()
    acked = [one.n for one in prober.canaries if one.acked is not None and one.epoch == 1]
    assert set(acked) <= set(east.rows)
    assert found.rows == len(set(acked) - set(west.rows)) >= 2
    assert found.disruption is None
    assert found.rto is not None
    assert found.rpo is not None
    assert len({one.n for one in prober.canaries}) == len(prober.canaries)


async def test_who_does_not_say_what_it_has_is_not_taken_for_one_that_lost_nothing(
    traffic: DnsUpdate, servers: list[tuple[str, int]]
) -> None:
    (name,), east = traffic.steering.names, Front(EAST, 1, open=False)
    http = ByName(Names(servers, boottime, patience=5.0), timeout=5.0)
    async with fronts(east) as port:
        prober = Prober(f"http://{name}:{port}/canaries", http, clock=boottime, first=1)
        assert await prober.present() is None  # no such name
        assert await moved(traffic, EAST, 1) is Effect.DONE
        assert await prober.present() is None
        east.open = True
        assert await prober.present() == frozenset()
    await http.close()


async def test_an_answer_is_kept_for_its_lifetime_and_another_server_asked_where_one_is_silent(
    traffic: DnsUpdate, servers: list[tuple[str, int]]
) -> None:
    (name,), now = traffic.steering.names, [100.0]
    names = Names(servers, lambda: now[0], patience=5.0)
    with pytest.raises(Unresolved):
        await names.addresses(name)
    assert await moved(traffic, EAST, 1) is Effect.DONE
    assert await names.addresses(name) == (AT[EAST],)
    assert await moved(traffic, WEST, 2) is Effect.DONE
    assert await names.addresses(name) == (AT[EAST],)
    now[0] += 1
    assert await names.addresses(name) == (AT[WEST],)
    halved = Names([("127.0.0.1", free_port()), *servers], lambda: now[0], patience=0.3)

    async def is_found() -> bool:
        with suppress(Unresolved):
            return await halved.addresses(name) == (AT[WEST],)
        return False

    await eventually(is_found, within=60, what="the server that answers is asked")


async def test_the_name_is_verified_from_elsewhere_by_resolvers_and_by_a_request(
    traffic: DnsUpdate, servers: list[tuple[str, int]]
) -> None:
    (name,), east = traffic.steering.names, Front(EAST, 1)
    dead = ("127.0.0.1", free_port())
    http = ByName(Names(servers, boottime, patience=5.0), timeout=5.0)
    async with fronts(east) as port:
        vantage = Resolvers([*servers, *servers, dead], http, [f"http://{name}:{port}/canaries"], patience=0.5)
        looking = replace(traffic, vantage=vantage)
        plan = looking.plan(holder=EAST)

        async def both_block() -> bool:  # resolvers that answer later than the patience leave it unknown
            told = {check.name: check.verdict for check in await looking.verify(plan, epoch=1)}
            return {told[f"vantage-{name}"], told[f"request-{name}"]} == {Verdict.BLOCK}

        await eventually(both_block, within=60, what="the name is seen nowhere")
        assert await moved(looking, EAST, 1) is Effect.DONE

        async def all_pass() -> bool:
            return {check.verdict for check in await looking.verify(plan, epoch=1)} == {Verdict.PASS}

        await eventually(all_pass, within=60, what="the name is seen from everywhere")
        blind = replace(looking, vantage=replace(vantage, resolvers=[dead, dead, dead], urls=()))
        assert [check.verdict for check in await blind.verify(plan, epoch=1)] == [Verdict.PASS, Verdict.UNKNOWN]
        east.open = False
        refused = {check.name: check.verdict for check in await looking.verify(plan, epoch=1)}
        assert refused[f"request-{name}"] is Verdict.BLOCK
    await http.close()
