"""One suite for names that follow the holder, over BIND, Knot, PowerDNS and the server that `catalyst dev` brings along."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace

import dns.name
import pytest
from catalyst_continuum.domain.spec import Selector
from catalyst_continuum.domain.steering import Place, Probe
from catalyst_continuum.metrics import ContinuumMetrics, OfSlot
from catalyst_continuum.workers.traffic.dns_update import DnsUpdate
from catalyst_sdk.continuum import Effect, Verdict
from catalyst_testkit import eventually
from catalyst_testkit.continuum.traffic_suite import (
    EAST,
    IMPATIENCE,
    STRANGERS,
    WEST,
    TrafficBench,
    TrafficSuite,
    moved,
)
from catalyst_testkit.nameservers import UPDATE_SECRET
from catalyst_testkit.servers import free_port
from prometheus_client import CollectorRegistry

from . import traffic_benches as benches


class AuthoritySuite(TrafficSuite):
    async def test_a_server_says_whether_it_takes_updates_and_what_its_clock_shows_and_nothing_changes(
        self, bench: TrafficBench
    ) -> None:
        for which, server in bench.servers.items():
            ours, strangers = (
                benches.authority(which, server.address, secret) for secret in (UPDATE_SECRET, STRANGERS)
            )
            serial = await ours.serial()
            ready = await ours.readiness()
            assert ready.takes
            assert ready.offset is not None
            assert abs(ready.offset) < 60
            assert not (await strangers.readiness()).takes
            assert not (await replace(ours, zone=dns.name.from_text("elsewhere.test")).readiness()).takes
            assert await ours.serial() == serial
        nobody = benches.authority("nobody", f"127.0.0.1:{free_port()}")
        assert (await nobody.readiness()).takes is None

    async def test_the_epoch_of_names_and_refused_effects_are_measured(self, bench: TrafficBench, name: str) -> None:
        registry = CollectorRegistry()
        traffic = replace(benches.over(bench, name), noted=OfSlot(ContinuumMetrics(registry), "demo/shop"))

        def shown(which: str) -> float | None:
            return registry.get_sample_value(
                "catalyst_continuum_traffic_epoch", {"slot": "demo/shop", "authority": which}
            )

        assert await moved(traffic, EAST, 4) is Effect.DONE
        assert {shown(which) for which in bench.servers} == {4}
        assert await moved(traffic, EAST, 3) is Effect.STALE_EPOCH
        refused = registry.get_sample_value("catalyst_continuum_stale_effect_rejected_total", {"effector": "names"})
        assert refused == 1
        await benches.over(bench, name).apply(traffic.plan(holder=WEST), epoch=5, run="r")
        await traffic.observe()
        assert {shown(which) for which in bench.servers} == {5}


class TestBindAndKnot(AuthoritySuite):
    @pytest.fixture(scope="class")
    @classmethod
    def bench(cls) -> Iterator[TrafficBench]:
        with benches.bench(benches.on_bind, benches.on_knot) as bench:
            yield bench


class TestPowerDnsAndEmbedded(AuthoritySuite):
    @pytest.fixture(scope="class")
    @classmethod
    def bench(cls) -> Iterator[TrafficBench]:
        with benches.bench(benches.on_powerdns, benches.on_embedded) as bench:
            yield bench

    @pytest.mark.parametrize("selector", [Selector.IFPORTUP, Selector.IFURLUP, Selector.PICKWHASHED])
    async def test_powerdns_takes_a_rule_that_it_evaluates_and_gives_it_up_again_in_a_newer_epoch(
        self, bench: TrafficBench, name: str, selector: Selector
    ) -> None:
        server = await asyncio.start_server(_yes, "127.0.0.2", free_port())
        port = server.sockets[0].getsockname()[1]
        wish = replace(
            benches.steering(name), selector=selector, probe=Probe(f"http://{name}:{port}/up", failures=1),
            places={EAST: Place(("127.0.0.2",)), WEST: Place(("127.0.0.3",), weight=0)},
        )  # fmt: skip
        powerdns = benches.make(name, {"ns1": bench.servers["ns1"].address})
        ruled = DnsUpdate(wish, powerdns.authorities, powerdns.clock)
        async with server:
            assert await moved(ruled, WEST, 1) is Effect.DONE
            assert (await ruled.observe()).is_at(1)

            async def only_who_is_up() -> bool:
                return await bench.ask("ns1", name, "A") == ["127.0.0.2"]

            await eventually(only_who_is_up, within=60, what="the region that answers is told")
            assert await moved(ruled, WEST, 1) is Effect.DONE
            assert [check.verdict for check in await ruled.verify(ruled.plan(holder=WEST), epoch=1)] == [Verdict.PASS]
        assert await moved(ruled, EAST, 2) is Effect.DONE
        static = DnsUpdate(replace(wish, selector=Selector.STATIC), powerdns.authorities, powerdns.clock)
        assert await moved(static, WEST, 3) is Effect.DONE
        assert await bench.ask("ns1", name, "A") == ["127.0.0.3"]

    async def test_a_server_without_rules_takes_none(self, bench: TrafficBench, name: str) -> None:
        embedded = benches.make(name, {"ns2": bench.servers["ns2"].address})
        wish = replace(embedded.steering, selector=Selector.PICKWHASHED)
        ruled = DnsUpdate(wish, embedded.authorities, embedded.clock)
        assert await moved(ruled, EAST, 1) is not Effect.STALE_EPOCH
        assert {check.verdict for check in await ruled.verify(ruled.plan(holder=EAST), epoch=1)} == {Verdict.BLOCK}


async def test_a_server_that_was_away_answers_no_name_before_it_has_what_is_so_now() -> None:
    with benches.bench(benches.on_withholding, benches.on_withholding) as bench:
        name = bench.fresh()
        traffic, hasty = benches.over(bench, name), bench.driver(name, IMPATIENCE)
        assert await moved(traffic, EAST, 1) is Effect.DONE
        assert await bench.ask("ns1", name, "A")
        bench.servers["ns1"].kill()
        while not (await bench.mark("ns2", name)).startswith("e=2 "):
            assert await moved(hasty, WEST, 2) is Effect.UNKNOWN
        bench.servers["ns1"].start()
        assert await bench.ask("ns1", name, "A") == await bench.ask("ns1", name, "AAAA") == []
        assert (await bench.mark("ns1", name)).startswith("e=1 ")
        view = {one.authority: (one.epoch, one.answers) for one in (await traffic.observe()).authorities}
        assert view == {"ns1": (1, False), "ns2": (2, True)}
        assert await moved(traffic, EAST, 1) is Effect.STALE_EPOCH
        assert await bench.ask("ns1", name, "A") == []
        assert await moved(traffic, WEST, 2) is Effect.DONE
        assert await bench.ask("ns1", name, "A") == ["198.51.100.2"]
        bench.servers["ns2"].kill()
        bench.servers["ns2"].start()
        assert await bench.ask("ns2", name, "A") == [], "though nothing has moved: it cannot know"
        assert await moved(traffic, WEST, 2) is Effect.DONE
        assert (await traffic.observe()).is_at(2)


async def _yes(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 yes\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
    writer.close()
