"""A name's life over real gRPC, NATS and DNS: free, reserved, visible, gone, resting, free."""

import pytest
from catalyst.mesh.v1.resources_pb2 import Condition
from catalyst.pooldomain.v1.resources_pb2 import Allocation
from catalyst.pooldomain.v1.service_pb2 import UpdateAllocationRequest
from catalyst_sdk.dns import Change
from catalyst_testkit import eventually
from catalyst_testkit.daemons import reason_of

from .calls import (
    ELSEWHERE,
    FQDN,
    NAME,
    ZONE,
    commitment,
    get,
    made_active,
    outbox,
    provisioner,
    release,
    reserve,
    until,
)
from .conftest import Dns, Start, on_all_servers, on_both_servers

pytestmark = pytest.mark.either_database

WHOLE = {"ZoneReady", "RecordsPublished", "Signed", "ParentClean", "Delegated", "DsPublished", "Propagated"}


@on_all_servers
async def test_a_committed_name_is_seen_from_the_root_with_every_link_signed(start: Start, dns: Dns) -> None:
    async with start() as daemon:
        held = await reserve(daemon)
        assert (held.allocation.state, held.allocation.zone) == (Allocation.STATE_RESERVED, "")
        assert await dns.backend.get_zone(zone=ZONE) is None, "a reservation writes the database only"
        answered = await provisioner(daemon).CommitAllocation(commitment(held.reservation_token))
        assert answered.state == Allocation.STATE_PROVISIONING
        a = await until(daemon, Allocation.STATE_ACTIVE)
        assert (a.generation, a.observed_generation, a.zone) == (1, 1, f"zones/{FQDN}")
        assert {c.type for c in a.conditions if c.status == Condition.STATUS_TRUE} >= WHOLE
        for host in (FQDN, f"console.{FQDN}", f"api.{FQDN}", f"gitea.{FQDN}", f"harbor.{FQDN}"):
            seen = await dns.resolver.resolve(host, "A")
            assert (seen.records, seen.secure, seen.why) == (("127.7.0.1",), True, "")


@on_all_servers
async def test_a_released_name_leaves_nothing_in_the_dns_and_rests(start: Start, dns: Dns) -> None:
    async with start() as daemon:
        before = await dns.backend.get_zone(zone="omani.works.")
        await made_active(daemon)
        assert (await release(daemon)).state == Allocation.STATE_RELEASING
        a = await until(daemon, Allocation.STATE_QUARANTINED)
        assert a.available_time.seconds - a.release_time.seconds >= 30 * 86400
        assert await dns.backend.get_zone(zone=ZONE) is None
        after = await dns.backend.get_zone(zone="omani.works.")
        assert before is not None
        assert after is not None
        assert [r for r in after.record_sets if r.name.endswith(ZONE)] == []
        assert {(r.name, r.type) for r in after.record_sets} - {(r.name, r.type) for r in before.record_sets} <= {
            ("_pdm-rev.omani.works.", "TXT")
        }
        assert (await dns.resolver.resolve(FQDN, "A")).rcode == "NXDOMAIN"


async def test_its_life_is_told_once_each_without_a_gap(start: Start) -> None:
    async with start() as daemon:
        await made_active(daemon)
        await release(daemon)
        await until(daemon, Allocation.STATE_QUARANTINED)
        told = await outbox(daemon)
    assert [(event, version) for name, event, version in told if name == NAME] == [
        ("allocation.reserved", 1), ("allocation.committed", 2), ("allocation.activated", 3), ("allocation.withdrawn", 4),
        ("allocation.quarantined", 5),
    ]  # fmt: skip
    assert [(event, version) for name, event, version in told if name == f"zones/{FQDN}"] == [
        ("zone.created", 1), ("zone.signed", 2), ("zone.deleted", 3),
    ]  # fmt: skip


async def test_its_former_owner_takes_a_resting_name_back_at_once_and_it_works_again(start: Start, dns: Dns) -> None:
    async with start() as daemon:
        await made_active(daemon)
        await release(daemon)
        first = await until(daemon, Allocation.STATE_QUARANTINED)
        assert await reason_of(reserve(daemon, owner="organizations/rival")) == "NAME_TAKEN"
        await made_active(daemon)
        assert (await get(daemon)).uid != first.uid
        seen = await dns.resolver.resolve(FQDN, "A")
        assert (seen.secure, seen.records) == (True, ("127.7.0.1",))


@on_both_servers
async def test_new_addresses_touch_neither_keys_nor_delegation(start: Start, dns: Dns) -> None:
    async with start() as daemon:
        await made_active(daemon)
        zone, parent = await dns.backend.get_zone(zone=ZONE), await dns.backend.get_zone(zone="omani.works.")
        request = UpdateAllocationRequest(allocation=Allocation(name=NAME, targets=[ELSEWHERE]))
        assert (await provisioner(daemon).UpdateAllocation(request)).generation == 2
        await until(daemon, Allocation.STATE_ACTIVE, generation=2)
        assert (await dns.resolver.resolve(FQDN, "A")).records == ("127.7.0.2",)
        moved, beside = await dns.backend.get_zone(zone=ZONE), await dns.backend.get_zone(zone="omani.works.")
        assert zone is not None
        assert moved is not None
        assert (moved.keys, beside) == (zone.keys, parent)


@on_all_servers
async def test_a_dns_server_that_is_away_delays_a_name_and_fails_none(start: Start, dns: Dns) -> None:
    async with start() as daemon:
        token = (await reserve(daemon)).reservation_token
        dns.kill()
        answered = await provisioner(daemon).CommitAllocation(commitment(token))
        assert answered.state == Allocation.STATE_PROVISIONING
        await eventually(lambda: _tells_of_backend(daemon), within=60, what="the condition says what is missing")
        dns.start()
        await until(daemon, Allocation.STATE_ACTIVE, within=60)


async def _tells_of_backend(daemon: object) -> bool:
    a = await get(daemon)  # type: ignore[arg-type]
    return any(c.type == "BackendReady" and c.status != Condition.STATUS_TRUE and c.message for c in a.conditions)


async def test_scenario_6_a_record_below_the_cut_goes_with_the_delegation_and_never_comes_alive(
    start: Start, dns: Dns
) -> None:
    async with start() as daemon:
        await made_active(daemon)
        hidden = Change(f"console.{ZONE}", "A", 1, ("127.7.9.9",))
        await dns.backend.apply(zone="omani.works.", changes=(hidden,))
        await release(daemon)
        await until(daemon, Allocation.STATE_QUARANTINED)
        assert (await dns.resolver.resolve(f"console.{FQDN}", "A")).rcode == "NXDOMAIN"


@on_both_servers
async def test_a_foreign_zone_of_that_name_is_neither_adopted_nor_changed_nor_deleted(start: Start, dns: Dns) -> None:
    from catalyst_sdk.dns import ZoneSpec

    async with start() as daemon:
        theirs = await dns.backend.create_zone(spec=ZoneSpec(ZONE, ("ns1.omani.works.",), "somebody else"))
        token = (await reserve(daemon)).reservation_token
        await provisioner(daemon).CommitAllocation(commitment(token))
        failed = await until(daemon, Allocation.STATE_FAILED)
        assert any(c.reason == "FOREIGN_ZONE" and c.message for c in failed.conditions)
        await release(daemon)
        await eventually(lambda: _is_absent(daemon), within=60)
        assert await dns.backend.get_zone(zone=ZONE) == theirs


async def test_records_of_others_that_a_cut_would_hide_stop_a_name_and_survive_its_release(
    start: Start, dns: Dns
) -> None:
    async with start() as daemon:
        planted = Change(f"shop.{ZONE}", "A", 60, ("127.7.9.9",))
        token = (await reserve(daemon)).reservation_token
        await dns.backend.apply(zone="omani.works.", changes=(planted,))
        await provisioner(daemon).CommitAllocation(commitment(token))
        failed = await until(daemon, Allocation.STATE_FAILED)
        assert any(c.type == "ParentClean" and f"shop.{ZONE} A" in c.message for c in failed.conditions)
        assert await dns.backend.get_zone(zone=ZONE) is None
        await release(daemon)
        await eventually(lambda: _is_absent(daemon), within=60)
        parent = await dns.backend.get_zone(zone="omani.works.")
        assert parent is not None
        assert parent.find(planted.name, "A") is not None


async def _is_absent(daemon: object) -> bool:
    return await reason_of(get(daemon)) == "ALLOCATION_NOT_FOUND"  # type: ignore[arg-type]
