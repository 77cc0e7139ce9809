"""64 writers on one resource: the etag lets one through per version."""

import asyncio
from collections import Counter

import grpc
import pytest
from catalyst.billing.v1 import resources_pb2 as pb
from catalyst.billing.v1 import service_pb2 as rpc
from catalyst.billing.v1.service_pb2_grpc import VoucherServiceStub
from catalyst.mesh.v1.resources_pb2 import Money
from catalyst_testkit.processes import Replicas

pytestmark = pytest.mark.chaos


async def test_row_7_of_the_writers_of_one_version_one_wins_and_no_update_is_lost(billing: Replicas) -> None:
    await billing.start(2)
    stubs = [billing.stub(VoucherServiceStub, r, "staff", roles=["billing-admin"]) for r in billing.all]
    wish = pb.Voucher(code="OMANI-26", amount=Money(minor=50_000, currency="OMR"))
    made = await stubs[0].CreateVoucher(rpc.CreateVoucherRequest(voucher=wish, activate=True))
    writers, rounds, won, lost = 64, 6, Counter[int](), Counter[str]()

    async def write(stub: VoucherServiceStub) -> None:
        read = await stub.GetVoucher(rpc.GetVoucherRequest(name=made.name), timeout=60)
        moves = {
            pb.Voucher.STATE_ACTIVE: (stub.PauseVoucher, rpc.PauseVoucherRequest),
            pb.Voucher.STATE_PAUSED: (stub.ActivateVoucher, rpc.ActivateVoucherRequest),
        }
        method, request = moves[read.state]
        try:
            after = await method(request(name=made.name, etag=read.etag), timeout=60)
        except grpc.aio.AioRpcError as error:
            lost[error.code().name] += 1
            return
        assert after.version == read.version + 1
        won[after.version] += 1

    for _ in range(rounds):
        await asyncio.gather(*(write(stubs[n % 2]) for n in range(writers)))
    assert set(won.values()) == {1}, "one winner a version"
    assert set(lost) == {"ABORTED"}, lost
    end = await stubs[1].GetVoucher(rpc.GetVoucherRequest(name=made.name), timeout=60)
    assert end.version == made.version + len(won), "no update is lost"
    assert sum(won.values()) + sum(lost.values()) == writers * rounds
