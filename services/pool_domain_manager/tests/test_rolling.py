"""Keys exchanged and taken away over real gRPC, while somebody validates from the root all the time."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from catalyst.pooldomain.v1.resources_pb2 import Allocation, Zone, ZoneDnssec
from catalyst.pooldomain.v1.service_pb2 import (
    DisableDnssecRequest,
    GetDnssecRequest,
    GetZoneRequest,
    RollKeyRequest,
)
from catalyst.pooldomain.v1.service_pb2_grpc import ZoneServiceStub
from catalyst_sdk.resolver import Security
from catalyst_testkit import eventually
from catalyst_testkit.daemons import RunningDaemon, reason_of
from dns import asyncquery, message
from dns.rdatatype import RdataType
from google.longrunning.operations_pb2 import CancelOperationRequest, GetOperationRequest, Operation
from google.longrunning.operations_pb2_grpc import OperationsStub

from .calls import FQDN, ZONE, made_active, outbox, release, until
from .conftest import LONG, Dns, Start
from .zone_calls import admin, made_zone

pytestmark = pytest.mark.either_database

NAME = f"zones/{FQDN}"
SECURITY = f"{NAME}/dnssec"
STEPS = ["published", "ds-added", "activated", "ds-removed", "retired"]


async def dnssec(daemon: RunningDaemon, name: str = SECURITY) -> ZoneDnssec:
    return await admin(daemon).GetDnssec(GetDnssecRequest(name=name))


async def ended(daemon: RunningDaemon, operation: str) -> Operation:
    found = Operation()

    async def is_done() -> bool:
        found.CopyFrom(await daemon.admin(OperationsStub).GetOperation(GetOperationRequest(name=operation)))
        return found.done

    await eventually(is_done, within=90, what=f"{operation} has ended, last {found}")
    return found


@asynccontextmanager
async def sampled(dns: Dns, name: str) -> AsyncIterator[list[Security]]:
    """What whoever validates from the root is told all the while."""
    seen: list[Security] = []
    over = asyncio.Event()

    async def sample() -> None:
        while not over.is_set():
            seen.append((await dns.resolver.resolve(name)).security)
            await asyncio.sleep(0.05)

    task = asyncio.create_task(sample())
    try:
        yield seen
    finally:
        over.set()
        await task


@pytest.mark.parametrize(("dns", "database"), [("embedded", "postgresql"), ("powerdns", "sqlite")], indirect=True)
async def test_a_key_is_exchanged_without_one_bogus_answer_and_told_once(start: Start, dns: Dns) -> None:
    async with start(dns_trust_anchor=dns.anchor) as daemon:
        await made_active(daemon)
        before = await dnssec(daemon)
        assert (before.state, before.roll_step) == (ZoneDnssec.STATE_ACTIVE, "")
        assert before.earliest_expire_time.seconds > 0
        steps: list[str] = []
        async with sampled(dns, f"console.{FQDN}") as seen:
            begun = await admin(daemon).RollKey(RollKeyRequest(name=SECURITY))
            assert await reason_of(admin(daemon).RollKey(RollKeyRequest(name=SECURITY))) == "ROLL_IN_PROGRESS"

            async def is_done() -> bool:
                now = await dnssec(daemon)
                if now.roll_step and now.roll_step not in steps:
                    steps.append(now.roll_step)
                return now.state == ZoneDnssec.STATE_ACTIVE

            await eventually(is_done, within=90, what="the roll has ended")
            done = await ended(daemon, begun.name)
        assert done.WhichOneof("result") == "response", done
        assert [step for step in STEPS if step in steps] == steps
        assert len(seen) > 20
        assert set(seen) == {Security.SECURE}
        after = await dnssec(daemon)
        assert [key.active for key in after.keys] == [True]
        assert after.keys[0].key_tag != before.keys[0].key_tag
        assert after.ds == after.ds_observed
        assert [ds.key_tag for ds in after.ds] == [after.keys[0].key_tag]
        assert [event for name, event, _ in await outbox(daemon) if name == NAME].count("zone.key_rolled") == 1


async def test_an_exchange_is_taken_back_until_the_new_key_signs_and_not_later(start: Start, dns: Dns) -> None:
    async with start() as daemon:
        await made_active(daemon)
        before, operations = await dnssec(daemon), daemon.admin(OperationsStub)
        begun = await admin(daemon).RollKey(RollKeyRequest(name=SECURITY))
        async with sampled(dns, f"console.{FQDN}") as seen:

            async def both() -> bool:
                return len((await dnssec(daemon)).ds_observed) == 2

            await eventually(both, within=60, what="both DS are shown")
            cancelled = await reason_of(operations.CancelOperation(CancelOperationRequest(name=begun.name)))
            if cancelled == "OK":
                assert (await ended(daemon, begun.name)).error.code == 1
                after = await dnssec(daemon)
                assert (after.keys, after.ds_observed) == (before.keys, before.ds_observed)
            else:  # a busy machine: the new key was faster
                assert cancelled == "OPERATION_NOT_CANCELLABLE"
        assert set(seen) == {Security.SECURE}


@pytest.mark.parametrize("point", ["activated.after", *(["ds.after"] if LONG else [])])
async def test_an_exchange_goes_on_where_its_replica_died(start: Start, dns: Dns, point: str) -> None:
    died = asyncio.Event()

    async def die(name: str) -> None:
        if name == f"pdm.roll.{point}":
            died.set()
            await asyncio.Event().wait()

    async with start(failpoint=die) as daemon:
        await made_active(daemon)
        begun = await admin(daemon).RollKey(RollKeyRequest(name=SECURITY))
        await asyncio.wait_for(died.wait(), 60)
    async with start() as daemon:
        assert (await ended(daemon, begun.name)).WhichOneof("result") == "response"
        after = await dnssec(daemon)
        assert ([key.active for key in after.keys], after.ds == after.ds_observed) == ([True], True)
    assert (await dns.resolver.resolve(f"console.{FQDN}")).secure


async def test_a_name_that_is_released_while_its_key_is_exchanged_leaves_no_ds(start: Start, dns: Dns) -> None:
    async with start() as daemon:
        await made_active(daemon)
        await admin(daemon).RollKey(RollKeyRequest(name=SECURITY))
        await release(daemon)
        await until(daemon, Allocation.STATE_QUARANTINED, within=60)
        parent = await dns.backend.get_zone(zone="omani.works.")
        assert parent is not None
        assert [r for r in parent.record_sets if r.name == ZONE] == []


async def test_signatures_go_when_nobody_vouches_for_them_any_more(start: Start, dns: Dns) -> None:
    asked: list[str] = []

    async def look(point: str) -> None:
        if point == "pdm.roll.unsigned.before":
            query = message.make_query("omani.example.", "CDS")
            answer = await asyncquery.udp(query, dns.served_at[0], port=dns.served_at[1], timeout=30)
            asked.extend(str(rdata) for rrset in answer.answer for rdata in rrset if rrset.rdtype == RdataType.CDS)

    async with start(failpoint=look) as daemon:
        made = await made_zone(daemon, dns, "omani.example", dnssec=None)
        name = f"{made.name}/dnssec"
        assert await reason_of(admin(daemon).DisableDnssec(DisableDnssecRequest(name=name))) == "REASON_MISSING"
        begun = await admin(daemon).DisableDnssec(DisableDnssecRequest(name=name, reason="moving away"))
        assert (await ended(daemon, begun.name)).WhichOneof("result") == "response"
        found = await dnssec(daemon, name)
        assert (found.state, list(found.keys), list(found.ds)) == (ZoneDnssec.STATE_UNSIGNED, [], [])
        zone = await admin(daemon).GetZone(GetZoneRequest(name=made.name))
        assert (zone.state, zone.dnssec.enabled) == (Zone.STATE_ACTIVE, False)
    assert asked == ["0 0 0 00"], "whoever keeps the parent was asked to forget the keys before they went"


async def test_keys_are_changed_by_those_who_may_and_only_where_there_are_any(start: Start, dns: Dns) -> None:
    async with start() as daemon:
        await made_active(daemon)
        roll, off = RollKeyRequest(name=SECURITY), DisableDnssecRequest(name=SECURITY, reason="why not")
        assert await reason_of(daemon.member(ZoneServiceStub, "omantel").RollKey(roll)) == "CALL_DENIED"
        assert await reason_of(admin(daemon).RollKey(RollKeyRequest(name=SECURITY, etag='"0"'))) == "ETAG_MISMATCH"
        assert await reason_of(admin(daemon).DisableDnssec(off)) == "PROTECTED_RECORD"
        assert await reason_of(admin(daemon).RollKey(RollKeyRequest(name=SECURITY, algorithm=8))) == "REQUEST_INVALID"
        nothing = RollKeyRequest(name="zones/no.example/dnssec")
        assert await reason_of(admin(daemon).RollKey(nothing)) == "ZONE_NOT_FOUND"
        assert (await admin(daemon).RollKey(RollKeyRequest(name=SECURITY, validate_only=True))) == Operation()
        assert (await dnssec(daemon)).roll_step == ""
