"""Names of a pool zone that follow a slot: continuum's driver over this daemon, by gRPC, with a real name server behind."""

from dataclasses import replace

import pytest
from catalyst.pooldomain.v1.resources_pb2 import Allocation, TrafficMember, TrafficPolicy
from catalyst.pooldomain.v1.service_pb2 import UpdateAllocationRequest
from catalyst.pooldomain.v1.service_pb2_grpc import AllocationServiceStub
from catalyst_continuum.clock import boottime
from catalyst_continuum.domain.spec import Selector
from catalyst_continuum.domain.steering import Place, Probe, Steering
from catalyst_continuum.workers.traffic.pdm import PdmTraffic
from catalyst_mesh import connect
from catalyst_sdk.continuum import Effect, Verdict
from catalyst_testkit.daemons import RunningDaemon
from catalyst_testkit.servers import free_port

from .calls import FQDN, NAME, get, made_active, provisioner
from .conftest import Dns, Start

EAST, WEST = "sb-east-rtz-dev", "sb-west-rtz-dev"
SHOP = f"shop.{FQDN}"
ELSE = TrafficPolicy(
    hostname=f"mail.{FQDN}",
    strategy=TrafficPolicy.STRATEGY_SINGLE,
    members=[TrafficMember(address="127.7.9.9", weight=1)],
    epoch=40,
)


def driver(daemon: RunningDaemon) -> PdmTraffic:
    places = {EAST: Place(("127.7.1.1",)), WEST: Place(("127.7.1.3", "127.7.1.2"))}
    stub = daemon.stub(AllocationServiceStub, "continuum", service="continuum")
    return PdmTraffic(Steering(FQDN, (SHOP,), places, ttl=7), NAME, stub, boottime, patience=30.0)


async def applied(traffic: PdmTraffic, holder: str, epoch: int) -> Effect:
    return await traffic.apply(traffic.plan(holder=holder), epoch=epoch, run="r")


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
async def test_the_names_of_a_slot_follow_its_holder_and_no_older_epoch_and_leave_other_names_alone(
    start: Start, dns: Dns
) -> None:
    async with start() as daemon:
        await made_active(daemon)
        others = UpdateAllocationRequest(allocation=Allocation(name=NAME, traffic=[ELSE]))
        await provisioner(daemon).UpdateAllocation(others)
        traffic = driver(daemon)
        assert [one.epoch for one in (await traffic.observe()).authorities] == [None]
        assert await traffic.set_ttl(ttl=5, epoch=1, run="r") is Effect.UNKNOWN
        assert await applied(traffic, EAST, 1) is Effect.DONE
        assert await applied(traffic, WEST, 2) is Effect.DONE
        assert set((await dns.resolver.resolve(SHOP, "A")).records) == {"127.7.1.2", "127.7.1.3"}
        assert (await traffic.observe()).is_at(2)
        assert {check.verdict for check in await traffic.verify(traffic.plan(holder=WEST), epoch=2)} == {Verdict.PASS}
        before = await get(daemon)
        assert await applied(traffic, WEST, 2) is Effect.DONE
        for holder, epoch in ((EAST, 1), (EAST, 2)):
            assert await applied(traffic, holder, epoch) is Effect.STALE_EPOCH
        assert await traffic.set_ttl(ttl=5, epoch=1, run="r") is Effect.STALE_EPOCH
        assert (await get(daemon)).generation == before.generation
        assert await traffic.set_ttl(ttl=5, epoch=2, run="r") is Effect.DONE
        assert (await traffic.observe()).authorities[0].ttl == 5
        blocked = await traffic.verify(traffic.plan(holder=EAST), epoch=3)
        assert [check.verdict for check in blocked] == [Verdict.BLOCK]
        assert ELSE in (await get(daemon)).traffic
        for selector in (Selector.IFURLUP, Selector.IFPORTUP):
            probe = Probe(f"http://{SHOP}:8080/up", interval=60)
            ruled = replace(traffic, steering=replace(traffic.steering, selector=selector, probe=probe))
            assert await applied(ruled, EAST, 3) is Effect.DONE
            before = await get(daemon)
            assert await applied(ruled, EAST, 3) is Effect.DONE
            assert (await get(daemon)).generation == before.generation


async def test_a_daemon_that_is_away_says_nothing_and_never_no() -> None:
    nobody = connect(f"127.0.0.1:{free_port()}", deadline=5)
    away = PdmTraffic(
        Steering(FQDN, (SHOP,), {EAST: Place(("127.7.1.1",))}), NAME, AllocationServiceStub(nobody), boottime
    )
    assert await applied(away, EAST, 3) is Effect.UNKNOWN
    assert await away.set_ttl(ttl=5, epoch=3, run="r") is Effect.UNKNOWN
    assert [one.answers for one in (await away.observe()).authorities] == [False]
    assert [check.verdict for check in await away.verify(away.plan(holder=EAST), epoch=3)] == [Verdict.UNKNOWN]
    await nobody.close()
