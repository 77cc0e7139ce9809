"""A name changes its owner over real gRPC, and whoever watches hears of it."""

import asyncio

import pytest
from catalyst.pooldomain.v1.service_pb2 import (
    AcceptAllocationTransferRequest,
    GetAllocationRequest,
    TransferAllocationRequest,
    WatchAllocationsRequest,
    WatchAllocationsResponse,
)
from catalyst.pooldomain.v1.service_pb2_grpc import AllocationServiceStub
from catalyst_testkit.daemons import reason_of

from .calls import NAME, commitment, provisioner, release, reserve
from .conftest import Start

on_one_database = pytest.mark.parametrize("database", ["sqlite"], indirect=True)
TAKER = "organizations/taker"


@on_one_database
async def test_a_name_is_offered_by_its_owner_and_taken_by_whom_it_was_offered_to(start: Start) -> None:
    async with start() as daemon:
        token = (await reserve(daemon)).reservation_token
        owner, taker, stranger = (daemon.member(AllocationServiceStub, org) for org in ("omantel", "taker", "other"))
        offer = TransferAllocationRequest(name=NAME, new_owner=TAKER, reason="sold")
        assert await reason_of(owner.TransferAllocation(offer)) == "ALLOCATION_NOT_COMMITTED"
        await provisioner(daemon).CommitAllocation(commitment(token))
        assert await reason_of(taker.TransferAllocation(offer)) == "ALLOCATION_NOT_FOUND"
        nobody = TransferAllocationRequest(name=NAME, new_owner=TAKER, reason=" ")
        assert await reason_of(owner.TransferAllocation(nobody)) == "REASON_MISSING"
        offered = await owner.TransferAllocation(offer)
        assert offered.allocation.owner == "organizations/omantel"
        wrong = AcceptAllocationTransferRequest(name=NAME, code="tra_wrong")
        right = AcceptAllocationTransferRequest(name=NAME, code=offered.code)
        assert await reason_of(stranger.AcceptAllocationTransfer(right)) == "ALLOCATION_NOT_FOUND"
        assert await reason_of(owner.AcceptAllocationTransfer(right)) == "ROLE_DENIED"
        assert await reason_of(taker.AcceptAllocationTransfer(wrong)) == "TOKEN_MISMATCH"
        assert (await taker.AcceptAllocationTransfer(right)).owner == TAKER
        assert (await taker.AcceptAllocationTransfer(right)).owner == TAKER, "a repeat is no error"
        assert await reason_of(owner.GetAllocation(GetAllocationRequest(name=NAME))) == "ALLOCATION_NOT_FOUND"
        assert await reason_of(provisioner(daemon).CommitAllocation(commitment(token))) == "TOKEN_MISMATCH"


async def heard(stub: AllocationServiceStub, most: int, start: int) -> list[WatchAllocationsResponse]:
    call = stub.WatchAllocations(WatchAllocationsRequest(parent="pools/-", from_version=start), timeout=60)
    found: list[WatchAllocationsResponse] = []
    async for change in call:
        if change.event or change.reset:
            found.append(change)
        if len(found) >= most:
            break
    call.cancel()
    return found


def events(changes: list[WatchAllocationsResponse]) -> list[tuple[str, str]]:
    return [(c.event.rpartition(".")[2], c.allocation.name.rpartition("/")[2]) for c in changes]


async def test_changes_are_streamed_in_order_from_a_place_on_and_only_of_ones_own(start: Start) -> None:
    async with start(sweep_interval=3600) as daemon:
        rival = daemon.member(AllocationServiceStub, "rival")
        admin = daemon.admin(AllocationServiceStub)
        await reserve(daemon)
        await reserve(daemon, "theirs", owner="organizations/rival")
        await release(daemon)
        everything = await heard(admin, 2, start=1)
        assert events(everything) == [("reserved", "theirs"), ("freed", "omantel")]
        assert [c.version for c in everything] == sorted({c.version for c in everything})
        await reserve(daemon, "other", owner="organizations/rival")
        again = await heard(admin, 2, start=everything[0].version)
        assert events(again) == [("freed", "omantel"), ("reserved", "other")]
        theirs = await heard(rival, 2, start=1)
        assert {c.allocation.owner for c in theirs} == {"organizations/rival"}
        lost = await heard(admin, 1, start=10**9)
        assert (lost[0].reset, lost[0].version) == (True, again[-1].version)


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
async def test_nobody_misses_a_change_of_many_who_write_at_once(start: Start) -> None:
    async with start(sweep_interval=3600) as daemon:
        await reserve(daemon)
        before = (await heard(daemon.admin(AllocationServiceStub), 1, start=10**9))[0].version
        listening = asyncio.create_task(heard(daemon.admin(AllocationServiceStub), 40, start=before))
        owners = [f"organizations/org-{n}" for n in range(40)]
        await asyncio.gather(*(reserve(daemon, f"name-{n}", owner=owner) for n, owner in enumerate(owners)))
        changes = await asyncio.wait_for(listening, 60)
        assert {c.allocation.owner for c in changes} == set(owners)
