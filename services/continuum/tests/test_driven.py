"""Names that a plugin leads, as the daemon asks it; and the daemon's own way, which passes what is asked of plugins."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import pytest
from catalyst_continuum.domain.steering import Place, Steering
from catalyst_continuum.metrics import ContinuumMetrics, OfSlot
from catalyst_continuum.workers.traffic.dns_update import DnsUpdate
from catalyst_continuum.workers.traffic.driven import DrivenTraffic
from catalyst_sdk import Temporary
from catalyst_sdk.continuum import AuthorityView, DrainResult, Effect, TrafficPlan, TrafficView, Verdict
from catalyst_testkit.continuum.driver_suite import EAST, FRONTS, WEST, DriverBench, TrafficDriverSuite
from catalyst_testkit.continuum.traffic_suite import TrafficBench
from prometheus_client import CollectorRegistry

from . import traffic_benches as benches

NAME = "shop.acme.test"


@dataclass
class Remembering:
    """A driver in memory, for one name."""

    entry: AuthorityView = field(default_factory=lambda: AuthorityView("acme", NAME, None))
    is_away: bool = False

    async def observe(self, *, names: Sequence[str]) -> TrafficView:
        if self.is_away:
            raise Temporary("away")
        return TrafficView((self.entry,))

    async def apply(self, plan: TrafficPlan, *, epoch: int, run: str) -> Effect:
        if self.is_away:
            raise Temporary("away")
        if (self.entry.epoch or 0) > epoch:
            return Effect.STALE_EPOCH
        self.entry = AuthorityView("acme", NAME, epoch, plan.addresses[NAME], plan.ttl)
        return Effect.DONE


@pytest.fixture
def driver() -> Remembering:
    return Remembering()


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
def traffic(driver: Remembering, registry: CollectorRegistry) -> DrivenTraffic:
    places = {region: Place(addresses) for region, addresses in FRONTS.items()}
    noted = OfSlot(ContinuumMetrics(registry), "demo/shop")
    return DrivenTraffic(Steering("acme.test", (NAME,), places), EAST, "acme", driver, lambda: 7.0, noted=noted)


async def verdicts(traffic: DrivenTraffic, holder: str, epoch: int) -> Mapping[str, Verdict]:
    return {one.name: one.verdict for one in await traffic.verify(traffic.plan(holder=holder), epoch=epoch)}


async def test_names_are_led_as_the_plan_says_and_looked_at(
    traffic: DrivenTraffic, registry: CollectorRegistry
) -> None:
    assert await traffic.apply(traffic.plan(holder=EAST), epoch=3, run="r") is Effect.DONE
    assert (await traffic.observe()).is_at(3)
    assert await verdicts(traffic, EAST, 3) == {"authority-acme": Verdict.PASS}
    assert await verdicts(traffic, WEST, 3) == {"authority-acme": Verdict.BLOCK}
    assert await verdicts(traffic, EAST, 4) == {"authority-acme": Verdict.BLOCK}
    labels = {"slot": "demo/shop", "authority": "acme"}
    assert registry.get_sample_value("catalyst_continuum_traffic_epoch", labels) == 3


async def test_a_plugin_that_cannot_say_is_no_answer_and_no_done(traffic: DrivenTraffic, driver: Remembering) -> None:
    driver.is_away = True
    assert await traffic.apply(traffic.plan(holder=EAST), epoch=3, run="r") is Effect.UNKNOWN
    assert (await traffic.observe()).authorities == (AuthorityView("acme", NAME, None, answers=False),)
    assert await verdicts(traffic, EAST, 3) == {"authority-acme": Verdict.UNKNOWN}


async def test_an_older_epoch_is_counted_as_refused(traffic: DrivenTraffic, registry: CollectorRegistry) -> None:
    assert await traffic.apply(traffic.plan(holder=EAST), epoch=3, run="r") is Effect.DONE
    assert await traffic.apply(traffic.plan(holder=WEST), epoch=2, run="r") is Effect.STALE_EPOCH
    labels = {"effector": "names"}
    assert registry.get_sample_value("catalyst_continuum_stale_effect_rejected_total", labels) == 1


async def test_a_lifetime_is_shortened_with_the_holder_s_addresses(traffic: DrivenTraffic, driver: Remembering) -> None:
    assert await traffic.set_ttl(ttl=5, epoch=3, run="r") is Effect.DONE
    assert (driver.entry.ttl, driver.entry.addresses) == (5, FRONTS[EAST])


class Gateways:
    """Says that two requests are left inside."""

    async def drain(self, *, region: str, epoch: int, budget: float) -> DrainResult:
        return DrainResult(2, budget)

    async def undrain(self, *, region: str, epoch: int) -> Effect:
        return Effect.UNKNOWN


async def test_the_slot_s_gateway_drains_and_without_one_nobody_knows(traffic: DrivenTraffic) -> None:
    assert await traffic.drain(region=EAST, epoch=3, budget=1) == DrainResult(None, 0.0)
    assert await traffic.undrain(region=EAST, epoch=3) is Effect.DONE
    gated = replace(traffic, gate=Gateways())
    assert await gated.drain(region=EAST, epoch=3, budget=1) == DrainResult(2, 1)
    assert await gated.undrain(region=EAST, epoch=3) is Effect.UNKNOWN


@dataclass
class AtServers:
    """The daemon's own way, asked as a plugin is."""

    servers: TrafficBench

    async def observe(self, *, names: Sequence[str]) -> TrafficView:
        return TrafficView(tuple([one for name in names for one in (await self._of(name).observe()).authorities]))

    async def apply(self, plan: TrafficPlan, *, epoch: int, run: str) -> Effect:
        return await self._of(*plan.addresses).apply(plan, epoch=epoch, run=run)

    def _of(self, *names: str) -> DnsUpdate:
        addresses = {which: server.address for which, server in self.servers.servers.items()}
        return replace(benches.make("", addresses, patience=2.0), steering=Steering(benches.ZONE, names, {}))


@pytest.fixture(scope="module")
def servers() -> Iterator[TrafficBench]:
    with benches.bench(benches.on_embedded, benches.on_embedded) as two:
        yield two


class TestNameServers(TrafficDriverSuite):
    @pytest.fixture
    def bench(self, servers: TrafficBench) -> DriverBench:
        async def answers(name: str) -> Mapping[str, tuple[str, ...]]:
            return {which: tuple(await servers.ask(which, name, "A")) for which in servers.servers}

        async def meddle(name: str, addresses: tuple[str, ...]) -> None:
            await servers.plant("ns1", name, "A", addresses[0])

        async def kill() -> None:
            for server in servers.servers.values():
                server.kill()

        async def restart() -> None:
            for server in servers.servers.values():
                server.kill()
                server.start()

        return DriverBench(lambda: AtServers(servers), servers.zone, answers, meddle, restart, kill)
