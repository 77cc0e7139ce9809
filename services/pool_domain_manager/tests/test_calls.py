"""What the calls answer and refuse, over real gRPC."""

from collections.abc import AsyncIterator
from uuid import uuid4

import grpc
import pytest
from catalyst.pooldomain.v1.resources_pb2 import (
    Allocation,
    DnssecPolicy,
    Pool,
    PoolPolicy,
    PoolTtls,
    RecordLayoutEntry,
    Target,
)
from catalyst.pooldomain.v1.resources_pb2 import TrafficPolicy as Traffic
from catalyst.pooldomain.v1.service_pb2 import (
    CheckNameRequest,
    CommitAllocationRequest,
    CreatePoolRequest,
    GetAllocationRequest,
    ListAllocationHistoryRequest,
    ListAllocationsRequest,
    ListReservedNamesRequest,
    ReleaseAllocationRequest,
    UpdateAllocationRequest,
    WaitAllocationRequest,
)
from catalyst.pooldomain.v1.service_pb2_grpc import AllocationServiceStub, PoolServiceStub
from catalyst_mesh import explain
from catalyst_testkit import eventually
from catalyst_testkit.daemons import RunningDaemon, reason_of
from google.protobuf.duration_pb2 import Duration

from .calls import ELSEWHERE, NAME, POOL, commitment, get, provisioner, release, reservation, reserve, until
from .conftest import Start

pytestmark = pytest.mark.either_database


@pytest.fixture
async def daemon(start: Start) -> AsyncIterator[RunningDaemon]:
    async with start() as running:
        yield running


async def fields_of(call: object) -> list[str]:
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await call  # type: ignore[misc]
    return [v.field for v in explain(refused.value).violations]


async def test_a_validated_reservation_holds_nothing(daemon: RunningDaemon) -> None:
    dry = await provisioner(daemon).ReserveAllocation(reservation(validate_only=True))
    assert (dry.allocation.name, dry.reservation_token) == (NAME, "")
    assert await reason_of(get(daemon)) == "ALLOCATION_NOT_FOUND"
    await reserve(daemon)
    assert await reason_of(provisioner(daemon).ReserveAllocation(reservation(validate_only=True))) == "NAME_TAKEN"


async def test_a_validated_release_commit_or_change_changes_nothing(daemon: RunningDaemon) -> None:
    token = (await reserve(daemon)).reservation_token
    dry = commitment(token)
    dry.validate_only = True
    assert (await provisioner(daemon).CommitAllocation(dry)).state == Allocation.STATE_PROVISIONING
    await release(daemon, validate_only=True)
    assert (await get(daemon)).state == Allocation.STATE_RESERVED


async def test_a_repeat_with_another_body_is_told_apart(daemon: RunningDaemon) -> None:
    wish = str(uuid4())
    await reserve(daemon, request_id=wish)
    assert await reason_of(reserve(daemon, "other", request_id=wish)) == "REQUEST_ID_REUSED"


async def test_an_expired_reservation_is_told_as_expired_when_the_next_one_comes_first(start: Start) -> None:
    async with start(sweep_interval=3600) as daemon:
        await reserve(daemon, ttl=Duration(nanos=1_000_000))
        await eventually(lambda: _reservable(daemon), within=60)
        parent = ListAllocationHistoryRequest(parent=NAME)
        entries = (await daemon.admin(AllocationServiceStub).ListAllocationHistory(parent)).entries
    events = [entry.event.rsplit(".", 1)[1] for entry in entries]
    assert (events, [entry.version for entry in entries]) == (["reserved", "expired", "reserved"], [3, 2, 1])


async def _reservable(daemon: RunningDaemon) -> bool:
    return await reason_of(provisioner(daemon).ReserveAllocation(reservation(owner="organizations/rival"))) == "OK"


async def test_a_commit_is_judged_by_its_reservation_before_its_payload(daemon: RunningDaemon) -> None:
    token = (await reserve(daemon)).reservation_token
    bad = Target(slot="default", address="nonsense")
    assert await reason_of(provisioner(daemon).CommitAllocation(commitment("rsv_x", bad))) == "TOKEN_MISMATCH"
    absent = commitment(token, bad, label="nobody")
    assert await reason_of(provisioner(daemon).CommitAllocation(absent)) == "ALLOCATION_NOT_FOUND"
    assert await reason_of(provisioner(daemon).CommitAllocation(commitment(token, bad))) == "TARGET_INVALID"


async def test_every_wrong_field_of_a_commit_is_named_at_once(daemon: RunningDaemon) -> None:
    token = (await reserve(daemon)).reservation_token
    wrong = commitment(token, Target(slot="x", address="127.7.0.1"), Target(slot="default", address="1.2.3"))
    wrong.sovereign_fqdn = "other.omani.works"
    found = await fields_of(provisioner(daemon).CommitAllocation(wrong))
    assert found == ["sovereign_fqdn", "targets[0].slot", "targets[1].address"]


async def test_the_name_in_a_commit_may_be_written_with_capitals_and_a_final_dot(daemon: RunningDaemon) -> None:
    token = (await reserve(daemon)).reservation_token
    wish = commitment(token)
    wish.sovereign_fqdn = "Omantel.omani.works."
    assert await reason_of(provisioner(daemon).CommitAllocation(wish)) == "OK"


async def test_no_token_and_a_cut_one_are_two_faults(daemon: RunningDaemon) -> None:
    token = (await reserve(daemon)).reservation_token
    assert await reason_of(provisioner(daemon).CommitAllocation(commitment(""))) == "TOKEN_MISSING"
    assert await reason_of(provisioner(daemon).CommitAllocation(commitment(token[:-1]))) == "TOKEN_MISMATCH"


async def test_traffic_that_the_server_cannot_do_is_refused_and_not_dropped(daemon: RunningDaemon) -> None:
    wish = commitment((await reserve(daemon)).reservation_token)
    policy = wish.traffic.add(hostname="console.omantel.omani.works", strategy=Traffic.STRATEGY_CLOSEST)
    for address in ("127.7.0.1", ELSEWHERE.address):
        policy.members.add(address=address)
    assert await reason_of(provisioner(daemon).CommitAllocation(wish)) == "BACKEND_CAPABILITY_MISSING"


async def test_who_only_reads_in_an_organization_cannot_change_its_names(daemon: RunningDaemon) -> None:
    token = (await reserve(daemon)).reservation_token
    await provisioner(daemon).CommitAllocation(commitment(token))
    mixed = daemon.stub(AllocationServiceStub, "mixed", groups=["/omantel/org-viewer", "/other/org-admin"])
    assert await reason_of(mixed.GetAllocation(GetAllocationRequest(name=NAME))) == "OK"
    change = UpdateAllocationRequest(allocation=Allocation(name=NAME, targets=[ELSEWHERE]))
    assert await reason_of(mixed.UpdateAllocation(change)) == "ROLE_DENIED"
    assert await reason_of(mixed.ReleaseAllocation(ReleaseAllocationRequest(name=NAME, reason="x"))) == "ROLE_DENIED"
    continuum = daemon.stub(AllocationServiceStub, "continuum", service="continuum")
    assert await reason_of(continuum.UpdateAllocation(change)) == "ROLE_DENIED", "it steers traffic, and no addresses"


async def test_a_stranger_without_the_token_cannot_release(daemon: RunningDaemon) -> None:
    token = (await reserve(daemon)).reservation_token
    stranger = daemon.member(AllocationServiceStub, "rival")
    plain = ReleaseAllocationRequest(name=NAME, reason="x")
    guessed = ReleaseAllocationRequest(name=NAME, reason="x", reservation_token="rsv_guess")
    held = ReleaseAllocationRequest(name=NAME, reason="x", reservation_token=token)
    assert await reason_of(stranger.ReleaseAllocation(plain)) == "ALLOCATION_NOT_FOUND"
    assert await reason_of(stranger.ReleaseAllocation(guessed)) == "TOKEN_MISMATCH"
    assert await reason_of(stranger.ReleaseAllocation(held)) == "OK"


async def test_a_stale_etag_changes_nothing(daemon: RunningDaemon) -> None:
    etag = (await reserve(daemon)).allocation.etag
    assert await reason_of(release(daemon, etag='"99"')) == "ETAG_MISMATCH"
    assert await reason_of(release(daemon, etag=etag)) == "OK"


async def test_checking_is_an_answer_for_every_well_formed_question(daemon: RunningDaemon) -> None:
    somebody = daemon.stub(AllocationServiceStub, "somebody")

    async def check(label: str, pool: str = POOL) -> tuple[bool, str, str]:
        answer = await somebody.CheckName(CheckNameRequest(parent=pool, label=label))
        return answer.available, answer.reason, answer.fqdn

    assert await check("acme", "pools/no.example") == (False, "POOL_NOT_FOUND", "")
    assert await check("a_b") == (False, "LABEL_INVALID", "")
    assert await check(" Acme ") == (True, "", "acme.omani.works")


async def test_of_a_resting_name_its_owner_and_operators_are_told_more_than_strangers(daemon: RunningDaemon) -> None:
    token = (await reserve(daemon)).reservation_token
    await provisioner(daemon).CommitAllocation(commitment(token))
    await until(daemon, Allocation.STATE_ACTIVE)
    await release(daemon)
    resting = await until(daemon, Allocation.STATE_QUARANTINED)
    question = CheckNameRequest(parent=POOL, label="omantel")
    owner = await daemon.member(AllocationServiceStub, "omantel").CheckName(question)
    operator = await daemon.admin(AllocationServiceStub).CheckName(question)
    stranger = await daemon.member(AllocationServiceStub, "rival").CheckName(question)
    assert (owner.available, owner.reason) == (True, "")
    assert (operator.reason, operator.available_time) == ("NAME_QUARANTINED", resting.available_time)
    assert (stranger.reason, stranger.HasField("available_time")) == ("NAME_TAKEN", False)
    wish = reservation(owner="organizations/rival")
    assert await reason_of(daemon.admin(AllocationServiceStub).ReserveAllocation(wish)) == "NAME_QUARANTINED"
    assert await reason_of(daemon.member(AllocationServiceStub, "rival").ReserveAllocation(wish)) == "NAME_TAKEN"


async def test_names_are_listed_over_all_pools_filtered_and_by_owner(daemon: RunningDaemon) -> None:
    for n in range(3):
        await reserve(daemon, f"omantel-{n}")
    await reserve(daemon, "rival", owner="organizations/rival")
    token = (await reserve(daemon)).reservation_token
    await provisioner(daemon).CommitAllocation(commitment(token))

    async def listed(stub: AllocationServiceStub, **rest: object) -> list[str]:
        labels, page = [], ""
        while True:
            request = ListAllocationsRequest(parent="pools/-", page_size=2, page_token=page, **rest)
            answer = await stub.ListAllocations(request)
            labels += [a.name.rsplit("/", 1)[1] for a in answer.allocations]
            page = answer.next_page_token
            if not page:
                return labels

    everybody, rival = daemon.admin(AllocationServiceStub), daemon.member(AllocationServiceStub, "rival")
    assert await listed(everybody) == ["omantel", "omantel-0", "omantel-1", "omantel-2", "rival"]
    assert await listed(rival) == ["rival"]
    assert await listed(everybody, filter="state = RESERVED AND owner = organizations/omantel") == [
        "omantel-0", "omantel-1", "omantel-2",
    ]  # fmt: skip
    assert await listed(everybody, filter='fqdn = "rival.omani.works"') == ["rival"]
    assert await fields_of(everybody.ListAllocations(ListAllocationsRequest(parent="pools/-", filter="x > 1"))) == [
        "filter"
    ]


async def test_the_next_owner_of_a_name_does_not_read_of_the_one_before(daemon: RunningDaemon) -> None:
    await reserve(daemon)
    await release(daemon)
    await reserve(daemon, owner="organizations/rival")
    request = ListAllocationHistoryRequest(parent=NAME)

    async def owners(stub: AllocationServiceStub) -> list[str]:
        return [entry.owner for entry in (await stub.ListAllocationHistory(request)).entries]

    former, present = (daemon.member(AllocationServiceStub, org) for org in ("omantel", "rival"))
    assert await owners(present) == ["organizations/rival"]
    assert await owners(former) == ["organizations/omantel"] * 2
    assert len(await owners(daemon.admin(AllocationServiceStub))) == 3
    stranger = daemon.member(AllocationServiceStub, "other")
    assert await reason_of(stranger.ListAllocationHistory(request)) == "ALLOCATION_NOT_FOUND"


async def test_waiting_ends_by_itself_in_any_state_that_lasts(daemon: RunningDaemon) -> None:
    token = (await reserve(daemon)).reservation_token
    at_once = await provisioner(daemon).WaitAllocation(WaitAllocationRequest(name=NAME))
    assert at_once.state == Allocation.STATE_RESERVED
    await provisioner(daemon).CommitAllocation(commitment(token))
    assert (await provisioner(daemon).WaitAllocation(WaitAllocationRequest(name=NAME))).state == Allocation.STATE_ACTIVE
    patient = WaitAllocationRequest(name=NAME, state=Allocation.STATE_FAILED, timeout=Duration(nanos=1))
    assert (await provisioner(daemon).WaitAllocation(patient)).state == Allocation.STATE_ACTIVE


async def test_an_owner_has_five_reservations_at_most(daemon: RunningDaemon) -> None:
    for n in range(5):
        await reserve(daemon, f"name-{n}")
    assert await reason_of(reserve(daemon, "one-more")) == "QUOTA_EXCEEDED"
    assert await reason_of(reserve(daemon, "theirs", owner="organizations/other")) == "OK"


async def test_reserved_names_are_listed_in_order(daemon: RunningDaemon) -> None:
    request = ListReservedNamesRequest(parent=POOL, page_size=500)
    names = (await daemon.stub(PoolServiceStub).ListReservedNames(request)).reserved_names
    labels = [name.label for name in names if name.label]
    assert {"www", "console", "vault"} <= set(labels)
    assert [n.label or f"~{n.pattern}" for n in names] == sorted(labels) + sorted(
        f"~{n.pattern}" for n in names if n.pattern
    )
    assert {n.rule for n in names} <= {"reserved", "pattern", "in_use"}


@pytest.mark.parametrize(
    ("pool", "field"),
    [
        (Pool(), "pool.kinds"),
        (Pool(kinds=[1], ttls=PoolTtls(ns=Duration(seconds=0))), "pool.ttls.ns"),
        (Pool(kinds=[1], dnssec=DnssecPolicy(publish_cds=True)), "pool.dnssec.enabled"),
        (Pool(kinds=[1], dnssec=DnssecPolicy(enabled=True)), "pool.dnssec.publish_cds"),
        (Pool(kinds=[1], dnssec=DnssecPolicy(enabled=True, publish_cds=True, algorithm=8)), "pool.dnssec.algorithm"),
        (Pool(kinds=[1], ttls=PoolTtls(record=Duration(seconds=-1))), "pool.ttls.record"),
        (Pool(kinds=[1], ttls=PoolTtls(negative=Duration(seconds=2**31))), "pool.ttls.negative"),
        (Pool(kinds=[1], policy=PoolPolicy(reserved_patterns=["("])), "pool.policy.reserved_patterns[0]"),
        (Pool(kinds=[1], policy=PoolPolicy(min_label_length=5, max_label_length=4)), "pool.policy.min_label_length"),
        (
            Pool(kinds=[1], record_layout=[RecordLayoutEntry(name="a", slot="default")] * 2),
            "pool.record_layout",
        ),
    ],
)
async def test_a_pool_that_cannot_work_is_not_made(daemon: RunningDaemon, pool: Pool, field: str) -> None:
    request = CreatePoolRequest(pool_id="other.works", pool=pool)
    assert field in await fields_of(daemon.admin(PoolServiceStub).CreatePool(request))


async def test_a_pool_is_not_made_by_a_member(daemon: RunningDaemon) -> None:
    request = CreatePoolRequest(pool_id="other.works", pool=Pool(kinds=[1]))
    assert await reason_of(daemon.member(PoolServiceStub, "omantel").CreatePool(request)) == "CALL_DENIED"


async def test_a_commit_message_holds_no_token_and_no_answer_but_the_first_has_one(daemon: RunningDaemon) -> None:
    token = (await reserve(daemon)).reservation_token
    committed = await provisioner(daemon).CommitAllocation(commitment(token))
    assert isinstance(committed, Allocation)
    assert token not in str(committed) + str(await get(daemon))
    assert CommitAllocationRequest.DESCRIPTOR.fields_by_name["reservation_token"].GetOptions().debug_redact
