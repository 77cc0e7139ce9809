"""The daemon dies before and after every step, and is started again on what it left."""

import asyncio
from datetime import UTC, datetime

import pytest
from catalyst.pooldomain.v1.resources_pb2 import Allocation
from catalyst_dns_powerdns.zones import account
from catalyst_mesh import Database
from catalyst_pool_domain_manager.store import metadata
from catalyst_sdk.dns import KeyOp
from sqlalchemy import update

from .calls import FQDN, NAME, ZONE, commitment, get, outbox, provisioner, release, reserve, until
from .conftest import Dns, Start, on_all_servers, on_both_servers, some
from .on_powerdns import OnPowerDns

COMMIT = [f"pdm.commit.c{n}.{side}" for n in range(1, 7) for side in ("before", "after")]
RELEASE = [f"pdm.release.r{n}.{side}" for n in range(1, 6) for side in ("before", "after")]
LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)


class Killed(BaseException):
    """Nobody catches it: no lease is given back, nothing is put in order."""


class Reaper:
    """Kills at each of its points once."""

    def __init__(self, points: list[str]) -> None:
        self.left = list(points)
        self.died = asyncio.Event()

    async def __call__(self, point: str) -> None:
        if point in self.left:
            self.left.remove(point)
            self.died.set()
            raise Killed(point)


async def let_leases_end(database: str) -> None:
    """What time does after a death: the dead one's leases end."""
    db = await Database.open(database)
    async with db.begin() as sql:
        await sql.execute(update(metadata.tables["lease"]).values(until=LONG_AGO))
    await db.close()


async def live_through(start: Start, database: str, reaper: Reaper, state: "Allocation.State.ValueType") -> int:
    """Start again after each death until the name is in `state`; how often it died."""
    deaths = 0
    while reaper.left:
        reaper.died.clear()
        async with start(failpoint=reaper):
            await asyncio.wait_for(reaper.died.wait(), 60)
        await let_leases_end(database)
        deaths += 1
    async with start() as daemon:
        await until(daemon, state)
    return deaths


@on_all_servers
async def test_scenario_2_a_name_that_is_made_and_taken_away_under_many_deaths_is_made_and_taken_away_once(
    start: Start, dns: Dns, database: str
) -> None:
    async with start(failpoint=Reaper(COMMIT[:1])) as daemon:
        token = (await reserve(daemon)).reservation_token
        await provisioner(daemon).CommitAllocation(commitment(token))
    await let_leases_end(database)
    points = some(COMMIT, 3)
    assert await live_through(start, database, Reaper(points), Allocation.STATE_ACTIVE) == len(points)
    seen = await dns.resolver.resolve(f"console.{FQDN}", "A")
    assert (seen.records, seen.secure) == (("127.7.0.1",), True)

    async with start(failpoint=Reaper(RELEASE[:1])) as daemon:
        await release(daemon)
    await let_leases_end(database)
    points = some(RELEASE, 2)
    assert await live_through(start, database, Reaper(points), Allocation.STATE_QUARANTINED) == len(points)
    parent = await dns.backend.get_zone(zone="omani.works.")
    assert parent is not None
    assert [r for r in parent.record_sets if r.name.endswith(ZONE)] == []
    assert await dns.backend.get_zone(zone=ZONE) is None

    async with start() as daemon:
        told = await outbox(daemon)
    assert [(event, version) for name, event, version in told if name == NAME] == [
        ("allocation.reserved", 1), ("allocation.committed", 2), ("allocation.activated", 3), ("allocation.withdrawn", 4),
        ("allocation.quarantined", 5),
    ]  # fmt: skip
    assert [(event, version) for name, event, version in told if name == f"zones/{FQDN}"] == [
        ("zone.created", 1), ("zone.signed", 2), ("zone.deleted", 3),
    ]  # fmt: skip


@on_both_servers
async def test_a_zone_without_a_key_gets_one_before_anybody_is_sent_there(
    start: Start, dns: Dns, database: str
) -> None:
    """A server may die between a zone's records and its key."""
    reaper = Reaper(["pdm.commit.c2.after"])
    async with start(failpoint=reaper) as daemon:
        token = (await reserve(daemon)).reservation_token
        await provisioner(daemon).CommitAllocation(commitment(token))
        await asyncio.wait_for(reaper.died.wait(), 60)
        assert not (await dns.backend.dnssec(zone=ZONE, op=KeyOp.DISABLE)).signed
    await let_leases_end(database)
    async with start() as daemon:
        await until(daemon, Allocation.STATE_ACTIVE)
    seen = await dns.resolver.resolve(FQDN, "A")
    assert (seen.secure, seen.records) == (True, ("127.7.0.1",))


async def test_a_release_that_overtakes_a_half_made_name_leaves_no_zone_and_no_delegation(
    start: Start, dns: Dns, database: str
) -> None:
    for point in ("pdm.commit.c2.after", "pdm.commit.c4.after"):
        reaper = Reaper([point])
        async with start(failpoint=reaper) as daemon:
            token = (await reserve(daemon)).reservation_token
            await provisioner(daemon).CommitAllocation(commitment(token))
            await asyncio.wait_for(reaper.died.wait(), 60)
            assert await dns.backend.get_zone(zone=ZONE) is not None, "it died with the zone made"
            await release(daemon)
        await let_leases_end(database)
        async with start() as daemon:
            await _gone(daemon, delegated=point.startswith("pdm.commit.c4"))
        parent = await dns.backend.get_zone(zone="omani.works.")
        assert parent is not None
        assert [r for r in parent.record_sets if r.name.endswith(ZONE)] == []
        assert await dns.backend.get_zone(zone=ZONE) is None


async def _gone(daemon: object, *, delegated: bool) -> None:
    from catalyst_testkit import eventually
    from catalyst_testkit.daemons import reason_of

    if delegated:  # the world may have seen it, so it rests
        await until(daemon, Allocation.STATE_QUARANTINED)  # type: ignore[arg-type]
        return

    async def absent() -> bool:
        return await reason_of(get(daemon)) == "ALLOCATION_NOT_FOUND"  # type: ignore[arg-type]

    await eventually(absent, within=60)


@pytest.mark.parametrize(("dns", "database"), [("powerdns", "sqlite")], indirect=True)
async def test_a_release_clears_away_a_zone_whose_making_the_server_did_not_survive(
    start: Start, dns: OnPowerDns, database: str
) -> None:
    reaper = Reaper(["pdm.commit.c2.before"])
    async with start(failpoint=reaper) as daemon:
        token = (await reserve(daemon)).reservation_token
        await provisioner(daemon).CommitAllocation(commitment(token))
        await asyncio.wait_for(reaper.died.wait(), 60)
        mark = f"{NAME}/{(await get(daemon)).uid}"
        bare = {"name": ZONE, "kind": "Native", "account": account(mark, signed=True)}
        assert dns.powerdns.api("POST", "/zones", bare).status_code == 201
        await release(daemon)
    await let_leases_end(database)
    async with start() as daemon:
        await _gone(daemon, delegated=False)
    assert [zone["name"] for zone in dns.powerdns.api("GET", "/zones").json()] == ["omani.works."]
