"""A life of a name in which the process that works on it ends by SIGKILL at every step, while the world asks from the root."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from catalyst.pooldomain.v1.resources_pb2 import Allocation, Pool, ZoneDnssec
from catalyst.pooldomain.v1.service_pb2 import (
    CreatePoolRequest,
    GetDnssecRequest,
    RollKeyRequest,
    UpdateAllocationRequest,
)
from catalyst.pooldomain.v1.service_pb2_grpc import PoolServiceStub
from catalyst_testkit import eventually
from catalyst_testkit.processes import Nursery, Replica, Replicas, nursery
from catalyst_testkit.servers import NatsServer

from .calls import ELSEWHERE, FQDN, NAME, ZONE, commitment, made_active, provisioner, release, reserve, until
from .conftest import DEMO, Dns, on_both_and_in_long_runs_on_all, some
from .deaths import Line, Process
from .test_crashes import COMMIT, RELEASE
from .test_sampled_life import ELSEWHERES, HOMES, sampled
from .zone_calls import admin

pytestmark = pytest.mark.either_database

COMMITS = [*COMMIT, "pdm.commit.end.before", "pdm.commit.end.after"]
ROLL = [
    f"pdm.roll.{step}.{side}"
    for step in ("published", "ds", "activated", "ds", "retired")  # the second `ds` is the old one's way out
    for side in ("before", "after")
]
SECURITY = f"zones/{FQDN}/dnssec"
KEEPS_ITS_OWN_KEYS = "backends/rfc2136"


@pytest.fixture(scope="module")
def born() -> Iterator[Nursery]:
    with nursery("catalyst_pool_domain_manager.app", "catalyst_dns_embedded.plugin") as it:
        yield it


@asynccontextmanager
async def replicas_of(
    count: int, born: Nursery, home: Path, dns: Dns, nats: NatsServer, database: str
) -> AsyncIterator[Replicas]:
    """So many that have served, and a pool; all of them are gone when the block begins."""
    settings = {
        "nats_url": nats.url, "database_url": database, "sweep_interval": 0.1, "least_ttl": 1, **dns.settings(),
    }  # fmt: skip
    them = Replicas(born, "catalyst_pool_domain_manager", "CATALYST_PDM_", home, settings)
    try:
        await them.start(1)
        first = Process(them.all[0], them.issuer)
        hosted = Pool()
        hosted.MergeFrom(DEMO)
        hosted.backend = dns.pool_backend
        await first.admin(PoolServiceStub).CreatePool(CreatePoolRequest(pool_id="omani.works", pool=hosted))
        await first.close()
        await them.start(count - 1)
        for replica in them.all:
            await replica.kill()
        yield them
    finally:
        await them.close()


async def make(daemon: Process) -> None:
    token = (await reserve(daemon)).reservation_token
    await provisioner(daemon).CommitAllocation(commitment(token))


async def move(daemon: Process) -> None:
    moved = UpdateAllocationRequest(allocation=Allocation(name=NAME, targets=[ELSEWHERE]))
    await provisioner(daemon).UpdateAllocation(moved)


async def roll(daemon: Process) -> None:
    await admin(daemon).RollKey(RollKeyRequest(name=SECURITY))


@dataclass(frozen=True)
class Flow:
    """What is done to a name, at which points that can be cut off, and what is told of the name by its end."""

    begin: Callable[[Process], Awaitable[object]]
    points: Sequence[str]
    ended: Callable[[Process], Awaitable[object]]
    told: Sequence[str]


MADE = ("reserved", "committed", "activated")
FLOWS = {
    "making": Flow(make, COMMITS, lambda alive: until(alive, Allocation.STATE_ACTIVE), MADE),
    "move": Flow(
        move,
        COMMITS,
        lambda alive: until(alive, Allocation.STATE_ACTIVE, generation=2),
        (*MADE, "retargeted", "activated"),
    ),
    "exchange": Flow(
        roll, ROLL, lambda alive: eventually(lambda: has_one_key(alive), within=60, what="the old key is gone"), MADE
    ),
    "release": Flow(
        release, RELEASE, lambda alive: until(alive, Allocation.STATE_QUARANTINED), (*MADE, "withdrawn", "quarantined")
    ),
}  # fmt: skip - one below the other


@on_both_and_in_long_runs_on_all
@pytest.mark.parametrize("flow", FLOWS)
async def test_processes_that_die_at_every_step_of_a_name_s_life_leave_no_lame_and_no_bogus_answer(
    home: Path, dns: Dns, clean_nats: NatsServer, database: str, born: Nursery, flow: str
) -> None:
    if flow == "exchange" and dns.pool_backend == KEEPS_ITS_OWN_KEYS:
        pytest.skip("the server exchanges its keys by its own policy")
    it = FLOWS[flow]
    async with replicas_of(2, born, home, dns, clean_nats, database) as them:
        line = Line(them, database)
        if flow != "making":
            alive = await line.next()
            await made_active(alive)
            await line.rest(alive)
        async with sampled(dns.resolver) as samples:
            alive = await line.lives_through(some(it.points, 2), it.begin)
            await it.ended(alive)
        await line.rest(alive)
        assert samples.wrong == []
        assert await line.told(NAME) == list(it.told)
        assert (await line.told(f"zones/{FQDN}")).count("key_rolled") == (flow == "exchange")
        if flow == "release":
            await demand_nothing_left(dns)
        else:
            seen = await dns.resolver.resolve(f"console.{FQDN}")
            assert (seen.records, seen.secure) == (ELSEWHERES if flow == "move" else HOMES, True)


async def demand_nothing_left(dns: Dns) -> None:
    parent = await dns.backend.get_zone(zone="omani.works.")
    assert parent is not None
    assert [r for r in parent.record_sets if r.name.endswith(ZONE)] == []
    assert await dns.backend.get_zone(zone=ZONE) is None


async def has_one_key(daemon: Process) -> bool:
    seen = await admin(daemon).GetDnssec(GetDnssecRequest(name=SECURITY))
    return seen.state == ZoneDnssec.STATE_ACTIVE and [key.active for key in seen.keys] == [True]


@pytest.mark.parametrize(("dns", "database"), [("embedded", "postgresql"), ("powerdns", "sqlite")], indirect=True)
async def test_of_three_replicas_two_die_at_once_and_the_third_goes_on_when_their_leases_end(
    home: Path, dns: Dns, clean_nats: NatsServer, database: str, born: Nursery
) -> None:
    async with replicas_of(3, born, home, dns, clean_nats, database) as them, sampled(dns.resolver) as samples:
        line = Line(them, database)

        async def lose_two(point: str, begin: Callable[[Process], Awaitable[None]]) -> Process:
            """Two of which one holds every lease, and dies at the point; the other one goes with it."""
            await line.let_leases_end()
            one, other, third = them.all
            for replica in (one, other):
                replica.start(f"{point}=kill")
                await replica.serves()
            await eventually(lambda: line.holds("reconcile"), within=60, what="one of them works")
            third.start()
            await third.serves()
            left = Process(third, them.issuer)
            await begin(left)
            await eventually(lambda: one.code or other.code, within=60, what=f"its holder dies at {point}")
            await one.kill()
            await other.kill()
            return left

        left = await lose_two("pdm.commit.c4.after", make)
        await until(left, Allocation.STATE_ACTIVE, within=60)
        await end(left, them.all[2])
        left = await lose_two("pdm.commit.c2.after", move)
        await until(left, Allocation.STATE_ACTIVE, generation=2, within=60)
        assert (await dns.resolver.resolve(f"console.{FQDN}")).records == ELSEWHERES
        await end(left, them.all[2])
        left = await lose_two("pdm.release.r2.after", release)
        await until(left, Allocation.STATE_QUARANTINED, within=60)
        await end(left, them.all[2])
        await demand_nothing_left(dns)
    assert samples.wrong == []
    assert {HOMES, ELSEWHERES, ()} <= samples.seen, "made, moved, gone"


async def end(daemon: Process, replica: Replica) -> None:
    await daemon.close()
    await replica.kill()
