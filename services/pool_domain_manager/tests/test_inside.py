"""Names whose records lie in their pool's zone, on servers that make zones and on one that makes none."""

import pytest
from catalyst.pooldomain.v1.resources_pb2 import Allocation, Pool, RecordLayoutEntry
from catalyst.pooldomain.v1.service_pb2 import (
    CreatePoolRequest,
    PresentChallengeRequest,
    ReconcileAllocationRequest,
    UpdateAllocationRequest,
)
from catalyst.pooldomain.v1.service_pb2_grpc import PoolServiceStub, ZoneServiceStub
from catalyst_sdk.dns import Change
from catalyst_testkit import eventually
from catalyst_testkit.daemons import RunningDaemon, reason_of

from .calls import ELSEWHERE, FQDN, NAME, ZONE, commitment, get, made_active, provisioner, release, reserve, until
from .conftest import DEMO, Dns, Start
from .on_updates import OnUpdates
from .test_crashes import Reaper, let_leases_end

SHARED = Pool()
SHARED.CopyFrom(DEMO)
SHARED.zone_mode = Pool.ZONE_MODE_IN_PARENT
PARENT = "omani.works."
each_kind = pytest.mark.parametrize(
    ("dns", "database"), [("embedded", "postgresql"), ("powerdns", "sqlite"), ("bind", "sqlite")], indirect=True
)
on_embedded = pytest.mark.parametrize("database", ["sqlite"], indirect=True)


async def below(dns: Dns) -> set[tuple[str, str]]:
    """What the pool's zone holds at and below the name."""
    state = await dns.backend.get_zone(zone=PARENT)
    assert state is not None
    return {(r.name, r.type) for r in state.record_sets if r.name == ZONE or r.name.endswith(f".{ZONE}")}


@each_kind
async def test_a_name_comes_moves_is_looked_after_and_goes_inside_of_its_pools_zone(start: Start, dns: Dns) -> None:
    if isinstance(dns, OnUpdates):
        dns.is_controlling = False  # the mode is for a server that makes no zones
    async with start(pool=SHARED, drift_interval=1) as daemon:
        await made_active(daemon)
        a = await get(daemon)
        assert a.zone == "zones/omani.works"
        assert not {"Delegated", "DsPublished"} & {c.type for c in a.conditions}
        assert await dns.backend.get_zone(zone=ZONE) is None, "it has no zone of its own"
        for host in (FQDN, f"console.{FQDN}"):
            seen = await dns.resolver.resolve(host, "A")
            assert (seen.records, seen.secure, seen.why) == (("127.7.0.1",), True, "")
        move = UpdateAllocationRequest(allocation=Allocation(name=NAME, targets=[ELSEWHERE]))
        await provisioner(daemon).UpdateAllocation(move)
        await until(daemon, Allocation.STATE_ACTIVE, generation=2)
        assert (await dns.resolver.resolve(FQDN, "A")).records == ("127.7.0.2",)
        await dns.backend.apply(zone=PARENT, changes=(Change(f"api.{ZONE}", "A"),))
        await until(daemon, Allocation.STATE_DEGRADED)
        await provisioner(daemon).ReconcileAllocation(ReconcileAllocationRequest(name=NAME))
        await until(daemon, Allocation.STATE_ACTIVE)
        assert (await dns.resolver.resolve(f"api.{FQDN}", "A")).records == ("127.7.0.2",)
        await release(daemon)
        await until(daemon, Allocation.STATE_QUARANTINED)
        assert await below(dns) == set()
        assert (await dns.resolver.resolve(FQDN, "A")).rcode == "NXDOMAIN"


@on_embedded
async def test_records_of_others_at_the_name_stop_it_and_stay(start: Start, dns: Dns) -> None:
    async with start(pool=SHARED) as daemon:
        token = (await reserve(daemon)).reservation_token
        await dns.backend.apply(zone=PARENT, changes=(Change(f"shop.{ZONE}", "A", 60, ("127.7.9.9",)),))
        await provisioner(daemon).CommitAllocation(commitment(token))
        failed = await until(daemon, Allocation.STATE_FAILED)
        assert any(c.type == "ParentClean" and f"shop.{ZONE} A" in c.message for c in failed.conditions)
        await release(daemon)
        await eventually(lambda: _is_free(daemon), within=60, what="the name is free at once")
        assert await below(dns) == {(f"shop.{ZONE}", "A")}


@on_embedded
async def test_a_name_inside_is_taken_away_whole_where_its_daemon_died_between_the_record_and_the_word_of_it(
    start: Start, dns: Dns, database: str
) -> None:
    reaper = Reaper(["pdm.commit.c4.after"])
    async with start(failpoint=reaper, pool=SHARED) as daemon:
        token = (await reserve(daemon)).reservation_token
        await provisioner(daemon).CommitAllocation(commitment(token))
        await eventually(lambda: _died(reaper), within=60, what="the daemon died")
        await release(daemon)
    assert await below(dns) != set()
    await let_leases_end(database)
    reaper = Reaper(["pdm.release.r2.after"])
    async with start(failpoint=reaper, pool=SHARED):
        await eventually(lambda: _died(reaper), within=60, what="the daemon died again")
    await let_leases_end(database)
    async with start(pool=SHARED) as daemon:
        await until(daemon, Allocation.STATE_QUARANTINED)
    assert await below(dns) == set()


@on_embedded
async def test_an_owner_proves_a_name_inside_only_of_a_zone_that_is_kept_here(start: Start) -> None:
    async with start(pool=SHARED) as daemon:
        await made_active(daemon)
        asked = PresentChallengeRequest(fqdn=f"_acme-challenge.{FQDN}", value="x")
        owner, stranger = (daemon.member(ZoneServiceStub, org) for org in ("omantel", "rival"))
        assert await reason_of(owner.PresentChallenge(asked)) == "PROTECTED_RECORD"
        assert await reason_of(stranger.PresentChallenge(asked)) == "ZONE_NOT_FOUND"


@on_embedded
async def test_what_such_a_pool_cannot_have_is_refused_at_once(start: Start) -> None:
    async with start() as daemon:
        wish = Pool(
            kinds=[Pool.KIND_SOVEREIGN], zone_mode=Pool.ZONE_MODE_IN_PARENT, name_server_set="nameServerSets/main",
            record_layout=[RecordLayoutEntry(name="@"), RecordLayoutEntry(name="*")],
        )  # fmt: skip
        made = daemon.admin(PoolServiceStub).CreatePool(CreatePoolRequest(pool_id="omani.trade", pool=wish))
        assert await reason_of(made) == "REQUEST_INVALID"


async def _died(reaper: Reaper) -> bool:
    return reaper.died.is_set()


async def _is_free(daemon: RunningDaemon) -> bool:
    return await reason_of(get(daemon)) == "ALLOCATION_NOT_FOUND"
