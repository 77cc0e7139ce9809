"""The daemon dies in the middle of a zone's change, and another one goes on."""

import asyncio

import pytest
from catalyst.pooldomain.v1.resources_pb2 import Plan, Zone
from catalyst.pooldomain.v1.service_pb2 import ApplyPlanRequest, DeleteZoneRequest, GetPlanRequest, GetZoneRequest
from catalyst_testkit import eventually
from catalyst_testkit.daemons import reason_of

from .calls import outbox
from .conftest import Dns, Start, some
from .test_crashes import Reaper, let_leases_end
from .zone_calls import DOMAIN, ZONE, admin, listed, made_servers, made_zone, owner, planned, until_zone, upsert, zone

WRITES = ["pdm.zone.write.before", "pdm.zone.write.after", "pdm.zone.served.before"]
DELETES = ["pdm.zone.delete.before", "pdm.zone.delete.after"]


async def _dies(start: Start, database: str, reaper: Reaper) -> None:
    """Start again after each death until no point is left."""
    while reaper.left:
        reaper.died.clear()
        async with start(failpoint=reaper):
            await asyncio.wait_for(reaper.died.wait(), 60)
        await let_leases_end(database)


@pytest.mark.parametrize(("dns", "database"), [("powerdns", "postgresql")], indirect=True)
async def test_a_zone_is_made_changed_and_deleted_once_under_many_deaths(start: Start, dns: Dns, database: str) -> None:
    async with start(failpoint=Reaper(WRITES[:1])) as daemon:
        await made_servers(daemon, dns)
        await admin(daemon).CreateZone(zone(dns))
    await let_leases_end(database)
    await _dies(start, database, Reaper(some(WRITES[1:], 1)))
    async with start() as daemon:
        await until_zone(daemon)
        plan = await planned(daemon, upsert("www", "A", "192.0.2.1"))
    async with start(failpoint=Reaper(WRITES[:1])) as daemon:
        await owner(daemon).ApplyPlan(ApplyPlanRequest(name=plan.name, hash=plan.hash))
    await let_leases_end(database)
    await _dies(start, database, Reaper(some(WRITES, 1)))
    async with start() as daemon:

        async def applied() -> bool:
            seen = await owner(daemon).GetPlan(GetPlanRequest(name=plan.name))
            return bool(seen.state == Plan.STATE_APPLIED and seen.reverse_plan)

        await eventually(applied, within=60, what="the plan is applied by whoever took its run over")
        assert (await listed(daemon, 2))[f"www.{DOMAIN}.", "A"] == ["192.0.2.1"]
        seen = await admin(daemon).GetZone(GetZoneRequest(name=ZONE))
    async with start(failpoint=Reaper(DELETES[:1])) as daemon:
        await owner(daemon).DeleteZone(DeleteZoneRequest(name=ZONE, etag=seen.etag))
    await let_leases_end(database)
    await _dies(start, database, Reaper(some(DELETES, 1)))
    async with start() as daemon:

        async def gone() -> bool:
            return await reason_of(admin(daemon).GetZone(GetZoneRequest(name=ZONE))) == "ZONE_NOT_FOUND"

        await eventually(gone, within=60, what="the zone is gone")
        assert await dns.backend.get_zone(zone=f"{DOMAIN}.") is None
        told = [event for name, event, _ in await outbox(daemon) if name == ZONE]
        assert told == ["zone.created", "zone.signed", "zone.changed", "zone.deleted"]


async def test_a_backend_that_is_away_delays_a_zone_and_fails_none(start: Start, dns: Dns) -> None:
    async with start() as daemon:
        await made_zone(daemon, dns)
        plan = await planned(daemon, upsert("www", "A", "192.0.2.1"))
        dns.kill()
        asked = ApplyPlanRequest(name=plan.name, hash=plan.hash)
        assert await reason_of(owner(daemon).ApplyPlan(asked)) == "BACKEND_UNAVAILABLE", "its base cannot be read again"
        await owner(daemon).CreateZone(zone(dns, "later.example"))
        dns.start()
        await until_zone(daemon, "zones/later.example")
        await owner(daemon).ApplyPlan(asked)
        seen = await until_zone(daemon, state=Zone.STATE_ACTIVE)
        assert seen.name == ZONE
