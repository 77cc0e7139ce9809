"""Acceptance scenarios of the specification (section 16) that need a daemon, by their numbers."""

import asyncio
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from catalyst.environment.v1.events_pb2 import OrganizationDeleted
from catalyst.mesh.v1.resources_pb2 import Condition
from catalyst.pooldomain.v1.resources_pb2 import Allocation
from catalyst.pooldomain.v1.service_pb2 import (
    CheckNameRequest,
    GetDelegationRequest,
    ListAllocationsRequest,
    RenewAllocationRequest,
    ReserveAllocationRequest,
)
from catalyst.pooldomain.v1.service_pb2_grpc import AllocationServiceStub, DelegationServiceStub
from catalyst_pool_domain_manager.domain import delegations
from catalyst_pool_domain_manager.domain.delegations import State
from catalyst_pool_domain_manager.store import Store, allocations
from catalyst_pool_domain_manager.workers.reconciler import LONG_TRIED
from catalyst_testkit import eventually
from catalyst_testkit.daemons import RunningDaemon, reason_of
from google.protobuf.duration_pb2 import Duration
from sqlalchemy import select, update

from .calls import (
    ELSEWHERE,
    NAME,
    POOL,
    commitment,
    get,
    made_active,
    outbox,
    provisioner,
    release,
    reservation,
    reserve,
    until,
)
from .conftest import Dns, Start
from .zone_calls import made_zone

pytestmark = pytest.mark.either_database

on_one_database = pytest.mark.parametrize("database", ["sqlite"], indirect=True)
on_postgresql = pytest.mark.parametrize("database", ["postgresql"], indirect=True)


@on_postgresql
async def test_scenario_1_of_200_reservations_at_three_replicas_one_wins(start: Start) -> None:
    async with start() as one, start() as two, start() as three:
        stubs = [provisioner(daemon) for daemon in (one, two, three)]
        calls = (
            stubs[n % 3].ReserveAllocation(reservation("acme", owner=f"organizations/org-{n}"), timeout=60)
            for n in range(200)
        )
        outcomes = Counter(await asyncio.gather(*(reason_of(call) for call in calls)))
        assert outcomes == {"OK": 1, "NAME_TAKEN": 199}
        told = [event for name, event, _ in await outbox(one) if name == f"{POOL}/allocations/acme"]
        assert told == ["allocation.reserved"]


@on_one_database
async def test_scenario_4_a_commit_is_answered_by_what_became_of_its_reservation(start: Start) -> None:
    async with start(sweep_interval=0.1) as daemon:
        stub = provisioner(daemon)
        token = (await reserve(daemon)).reservation_token
        first = await stub.CommitAllocation(commitment(token))
        assert (await stub.CommitAllocation(commitment(token))).uid == first.uid
        assert await reason_of(stub.CommitAllocation(commitment(token, ELSEWHERE))) == "ALREADY_COMMITTED"
        assert await reason_of(stub.CommitAllocation(commitment("rsv_other"))) == "TOKEN_MISMATCH"
        await until(daemon, Allocation.STATE_ACTIVE)
        assert (await stub.CommitAllocation(commitment(token))).state == Allocation.STATE_ACTIVE
        assert await reason_of(stub.CommitAllocation(commitment(token, ELSEWHERE))) == "ALREADY_COMMITTED"
        brief = (await reserve(daemon, "brief", ttl=Duration(nanos=1_000_000))).reservation_token
        await eventually(lambda: _is_free(daemon, "brief"), within=60)
        assert await reason_of(stub.CommitAllocation(commitment(brief, label="brief"))) == "RESERVATION_EXPIRED"


async def _is_free(daemon: RunningDaemon, label: str) -> bool:
    return (await daemon.stub(AllocationServiceStub).CheckName(CheckNameRequest(parent=POOL, label=label))).available


@on_one_database
async def test_scenario_5_heartbeats_keep_a_name_for_longer_than_its_time_and_without_them_it_is_free(
    start: Start,
) -> None:
    ttl = Duration(seconds=3)
    async with start(sweep_interval=0.1) as daemon:
        held = await reserve(daemon, ttl=ttl)
        left = await reserve(daemon, "left", ttl=ttl)
        beats = 0
        ends = held.allocation.expire_time.ToDatetime() + 2 * timedelta(seconds=3)
        while (await get(daemon)).expire_time.ToDatetime() < ends:
            wish = RenewAllocationRequest(name=NAME, reservation_token=held.reservation_token, ttl=ttl)
            await provisioner(daemon).RenewAllocation(wish)
            beats += 1
            await asyncio.sleep(0.2)
        assert beats > 1
        assert await _is_free(daemon, "left"), left
        assert (await get(daemon)).state == Allocation.STATE_RESERVED


@on_one_database
async def test_scenario_16_while_the_backend_is_down_wishes_are_taken_and_told_of_and_then_all_converge(
    start: Start, dns: Dns
) -> None:
    labels = [f"name-{n}" for n in range(3)]
    async with start() as daemon:
        await made_active(daemon)
        dns.kill()
        stub = provisioner(daemon)
        for label in labels:
            token = (await reserve(daemon, label)).reservation_token
            await stub.CommitAllocation(commitment(token, label=label))
        assert (await release(daemon)).state == Allocation.STATE_RELEASING
        await eventually(lambda: _all_tell(daemon, labels), within=60, what="conditions say what is missing")
        dns.start()
        for label in labels:
            await until(daemon, Allocation.STATE_ACTIVE, name=f"{POOL}/allocations/{label}", within=60)
        await until(daemon, Allocation.STATE_QUARANTINED, within=60)


async def test_whoever_goes_on_after_a_long_outage_takes_the_others_along(start: Start, dns: Dns) -> None:
    labels = [f"name-{n}" for n in range(3)]
    async with start() as daemon:
        dns.kill()
        stub = provisioner(daemon)
        for label in labels:
            token = (await reserve(daemon, label)).reservation_token
            await stub.CommitAllocation(commitment(token, label=label))
        await eventually(lambda: _all_tell(daemon, labels), within=60, what="conditions say what is missing")
        await eventually(lambda: _tried_for_long(daemon, labels), within=60, what="all but one wait for an hour")
        dns.start()
        for label in labels:
            await until(daemon, Allocation.STATE_ACTIVE, name=f"{POOL}/allocations/{label}", within=60)


async def _tried_for_long(daemon: RunningDaemon, labels: list[str]) -> bool:
    """Have all tried often, and all but the first wait for an hour; whether that is so: a try under way may have its own word."""
    t, others, now = allocations, labels[1:], datetime.now(UTC)
    async with daemon.daemon.db.begin() as sql:
        waiting = (await sql.execute(select(t.c.not_before).where(t.c.label.in_(others)))).scalars().all()
        if all(moment > now + timedelta(minutes=50) for moment in waiting):
            return True
        await sql.execute(update(t).where(t.c.label.in_(labels)).values(tries=LONG_TRIED))
        await sql.execute(update(t).where(t.c.label.in_(others)).values(not_before=now + timedelta(hours=1)))
    return False


async def _all_tell(daemon: RunningDaemon, labels: list[str]) -> bool:
    names = [await get(daemon, f"{POOL}/allocations/{label}") for label in labels]
    return all(
        any(c.type == "BackendReady" and c.status != Condition.STATUS_TRUE and c.message for c in a.conditions)
        for a in names
    )


async def test_scenario_18_names_of_a_deleted_organization_are_released_once_and_no_one_elses(start: Start) -> None:
    async with start(sweep_interval=3600) as daemon:
        await reserve(daemon, "held")
        token = (await reserve(daemon)).reservation_token
        await provisioner(daemon).CommitAllocation(commitment(token))
        await reserve(daemon, "theirs", owner="organizations/rival")
        gone = OrganizationDeleted(organization="organizations/omantel", version=9, actor="admin")
        event_id = str(uuid4())
        for _ in range(2):  # the same event twice, as after a lost acknowledgement
            await _tell(daemon, gone, event_id)
        await _tell(daemon, gone, str(uuid4()))  # and once more by another id
        await eventually(lambda: _handled(daemon, 2), within=60)
        rows = await outbox(daemon)
        told: dict[str, list[str]] = {}
        for name, event, _ in rows:
            if event.split(".")[1] in ("freed", "withdrawn"):
                told.setdefault(name.rpartition("/")[2], []).append(event)
        assert (sorted(told), told["held"]) == (["held", "omantel"], ["allocation.freed"])
        # Whom the world never saw needs no rest: it may be gone, and free, by now.
        assert told["omantel"] in (["allocation.withdrawn"], ["allocation.withdrawn", "allocation.freed"])
        request = ListAllocationsRequest(parent=POOL, filter="state = RESERVED")
        assert [a.fqdn for a in (await provisioner(daemon).ListAllocations(request)).allocations] == [
            "theirs.omani.works"
        ]


@on_one_database
async def test_scenario_18_a_deleted_organization_leaves_its_domains_as_they_are_and_each_cut_says_so(
    start: Start, dns: Dns
) -> None:
    async with start() as daemon:
        zones = [await made_zone(daemon, dns, domain) for domain in ("acme.example", "still.example", "rival.example")]

        async def cut(tx: Store) -> None:
            for zone, state in zip(zones, (State.DELEGATED, State.ROLLED_BACK, State.DELEGATED), strict=True):
                domain = zone.name.removeprefix("zones/")
                new = delegations.none_yet(domain, zone.uid, zone.owner, tx.now)
                await tx.save_delegation(replace(new, state=state, version=1))
            rivals = await tx.zone("rival.example", lock=True)
            assert rivals is not None
            await tx.save_zone(replace(rivals, owner="organizations/rival", version=rivals.version + 1))

        await daemon.daemon.work.again(cut)
        gone = OrganizationDeleted(organization="organizations/acme", version=9, actor="admin")
        for _ in range(2):
            await _tell(daemon, gone, str(uuid4()))
        await eventually(lambda: _handled(daemon, 2), within=60)
        service = daemon.admin(DelegationServiceStub)
        seen = {z.name: await service.GetDelegation(GetDelegationRequest(name=f"{z.name}/delegation")) for z in zones}
        shown = {name: [(c.type, c.status, c.reason) for c in d.conditions] for name, d in seen.items()}
        lost = ("OwnerPresent", Condition.STATUS_FALSE, "OrganizationDeleted")
        assert shown == {"zones/acme.example": [lost], "zones/still.example": [], "zones/rival.example": []}
        assert seen["zones/acme.example"].version == 2, "once, however often it is told"


async def _tell(daemon: RunningDaemon, message: OrganizationDeleted, event_id: str) -> None:
    bus = daemon.daemon.bus
    await bus.ensure_stream("environment")
    js = await bus.jetstream()
    headers = {
        "ce-id": event_id, "ce-type": "catalyst.v1.environment.organization.deleted", "ce-time": "2026-01-01T00:00:00Z",
        "ce-specversion": "1.0", "ce-source": "environment",
    }  # fmt: skip
    await js.publish("catalyst.v1.environment.organization.deleted", message.SerializeToString(), headers=headers)


async def _handled(daemon: RunningDaemon, most: int) -> bool:
    from sqlalchemy import text

    async with daemon.daemon.db.read() as sql:
        rows = await sql.execute(text("SELECT count(*) FROM inbox WHERE consumer = 'pooldomain-from-environment'"))
        return int(rows.scalar_one()) >= most


@on_one_database
async def test_scenario_18_two_organizations_see_nothing_of_each_other(start: Start) -> None:
    async with start() as daemon:
        mine, theirs = (daemon.member(AllocationServiceStub, org) for org in ("omantel", "rival"))
        await mine.ReserveAllocation(ReserveAllocationRequest(parent=POOL, label="omantel"))
        assert [a.fqdn for a in (await mine.ListAllocations(ListAllocationsRequest(parent=POOL))).allocations]
        assert (await theirs.ListAllocations(ListAllocationsRequest(parent=POOL))).allocations == []
        checked = await theirs.CheckName(CheckNameRequest(parent=POOL, label="omantel"))
        assert (checked.reason, "omantel" in checked.detail.replace(NAME, "")) == ("NAME_TAKEN", False)
        nobody = daemon.stub(AllocationServiceStub, "nobody")
        assert await reason_of(nobody.ListAllocations(ListAllocationsRequest(parent=POOL))) == "CALL_DENIED"
