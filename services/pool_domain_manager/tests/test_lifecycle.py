"""A name from reservation to quarantine, seen by the world: real gRPC, real DNS."""

import asyncio
from collections import Counter
from uuid import uuid4

import pytest
from catalyst.pooldomain.v1.service_pb2 import CheckNameRequest, GetAllocationRequest, GetPoolRequest
from catalyst_testkit import eventually
from catalyst_testkit.daemons import reason_of

from .conftest import OWNER, POOL, Dns, Pdm

pytestmark = pytest.mark.either_database

NAME = f"{POOL}/allocations/omantel"


async def test_a_committed_name_is_seen_and_validates_from_the_root(pdm: Pdm, dns: Dns) -> None:
    reserved = await pdm.reserve()
    assert (await dns.resolver.resolve("console.omantel.omani.works")).rcode == "NXDOMAIN"
    committed = await pdm.commit(reserved)
    assert committed.state == 2  # PROVISIONING: the wish is stored, nothing waited for
    await pdm.becomes(NAME, "ACTIVE")
    answer = await dns.resolver.resolve("console.omantel.omani.works")
    assert (answer.records, answer.secure, answer.why) == (("127.7.0.1",), True, "")
    seen = await pdm.names.GetAllocation(GetAllocationRequest(name=NAME))
    assert {c.type for c in seen.conditions if c.status == 1} >= {
        "ParentClean", "ZoneReady", "RecordsPublished", "Signed", "Delegated", "DsPublished", "Propagated",
    }  # fmt: skip
    assert seen.observed_generation == seen.generation == 1


async def test_of_200_reservations_of_one_name_one_wins(pdm: Pdm) -> None:
    calls = (pdm.reserve("acme", owner=f"organizations/org-{n}") for n in range(200))
    reasons = await asyncio.gather(*(reason_of(call) for call in calls))
    assert Counter(reasons) == {"NAME_TAKEN": 199, "OK": 1}


async def test_a_repeated_reservation_gets_the_same_token(pdm: Pdm) -> None:
    key = str(uuid4())
    first, second = await pdm.reserve(request_id=key), await pdm.reserve(request_id=key)
    assert first.reservation_token == second.reservation_token
    assert first.allocation == second.allocation


async def test_the_same_commit_again_is_no_error_and_another_one_is(pdm: Pdm) -> None:
    reserved = await pdm.reserve()
    await pdm.commit(reserved)
    await pdm.commit(reserved)
    assert await reason_of(pdm.commit(reserved, "127.7.0.2")) == "ALREADY_COMMITTED"
    reserved.reservation_token = "rsv_" + "0" * 64
    assert await reason_of(pdm.commit(reserved)) == "TOKEN_MISMATCH"


async def test_a_reservation_that_nobody_renews_is_free_again(pdm: Pdm) -> None:
    from google.protobuf.duration_pb2 import Duration

    reserved = await pdm.reserve("short", ttl=Duration(seconds=1))

    async def is_free() -> bool:
        return await reason_of(pdm.reserve("short", owner="organizations/rival")) == "OK"

    await eventually(is_free, within=60)
    assert await reason_of(pdm.commit(reserved)) in ("RESERVATION_EXPIRED", "TOKEN_MISMATCH")


async def test_a_backend_that_is_away_delays_and_loses_nothing(pdm: Pdm, dns: Dns) -> None:
    reserved = await pdm.reserve()
    dns.kill()
    await pdm.commit(reserved)

    async def says_why() -> bool:
        seen = await pdm.names.GetAllocation(GetAllocationRequest(name=NAME))
        return any(c.type == "BackendReady" and c.status == 3 for c in seen.conditions)

    await eventually(says_why, within=60)
    dns.start()
    await pdm.becomes(NAME, "ACTIVE")


async def test_foreign_records_below_the_name_fail_it_alone(pdm: Pdm, dns: Dns) -> None:
    from catalyst_sdk.dns import Change

    planted = (Change("console.bad.omani.works.", "A", 1, ("127.0.0.1",)),)
    reserved = [await pdm.reserve(label) for label in ("bad", "good", "fine")]
    await dns.backend.apply(zone="omani.works.", changes=planted)
    await asyncio.gather(*(pdm.commit(r) for r in reserved))
    await pdm.becomes(f"{POOL}/allocations/bad", "FAILED")
    await pdm.becomes(f"{POOL}/allocations/good", "ACTIVE")
    await pdm.becomes(f"{POOL}/allocations/fine", "ACTIVE")


async def test_checks_tell_why_a_name_cannot_be_had(pdm: Pdm) -> None:
    async def check(label: str) -> tuple[bool, str]:
        answer = await pdm.names.CheckName(CheckNameRequest(parent=POOL, label=label))
        return answer.available, answer.reason

    await pdm.reserve("held")
    assert await check(" Acme ") == (True, "")
    assert await check("held") == (False, "NAME_TAKEN")
    assert await check("WWW") == (False, "LABEL_RESERVED")
    assert await check("ns7") == (False, "LABEL_RESERVED")
    for bad in ("", "-a", "a-", "1a", "xn--abc", "ab--cd", "a b", "a.b", "ä", "a" * 64):
        assert await check(bad) == (False, "LABEL_INVALID"), bad


async def test_another_organization_sees_nothing(pdm: Pdm) -> None:
    from catalyst.pooldomain.v1.service_pb2_grpc import AllocationServiceStub

    await pdm.reserve()
    stranger = pdm.daemon.member(AllocationServiceStub, "rival")
    owner = pdm.daemon.member(AllocationServiceStub, "omantel")
    assert await reason_of(stranger.GetAllocation(GetAllocationRequest(name=NAME))) == "ALLOCATION_NOT_FOUND"
    assert await reason_of(owner.GetAllocation(GetAllocationRequest(name=NAME))) == "OK"
    from catalyst.pooldomain.v1.service_pb2 import ReserveAllocationRequest

    wish = ReserveAllocationRequest(parent=POOL, label="mine", owner=OWNER)
    assert await reason_of(stranger.ReserveAllocation(wish)) == "ROLE_DENIED"


async def test_a_pool_is_active_once_its_zone_was_seen(pdm: Pdm) -> None:
    async def active() -> bool:
        return (await pdm.pools.GetPool(GetPoolRequest(name=POOL))).state == 2

    await eventually(active, within=60)
    assert await reason_of(pdm.make_pool()) == "POOL_EXISTS"
