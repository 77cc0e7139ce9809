"""What agents of two regions say to each other arrives as it was said; who is not there says nothing."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any

import grpc
import pytest
from catalyst.continuum.v1 import service_pb2, service_pb2_grpc
from catalyst_continuum.domain.runs import EpochMoved
from catalyst_continuum.rpc.peers import CellUnknown, CellUnreachable, ContinuumPeerService, SlotUnknown
from catalyst_continuum.workers.peers import GrpcPeer, heard, told
from catalyst_sdk import Permanent, Temporary
from catalyst_sdk.continuum import DatabaseView, DemotionToken, Role
from hypothesis import given
from hypothesis import strategies as st

from .witnesses import MemoryWitness

EAST, WEST, SLOT = "sb-east-rtz-dev", "sb-west-rtz-dev", "demo/shop"
TOKEN = DemotionToken(EAST, 3, "0/2D", "opaque")
MINE = DatabaseView(WEST, Role.REPLICA, writable=False, ready=True, system_id="one", replayed="0/2D", epoch=3)


@dataclass
class FakeAgent:
    """What the service asks of an agent, remembered."""

    epoch: int = 3
    promises: bool = True
    seen: list[Any] = field(default_factory=list)

    @property
    def sight(self) -> Any:
        return SimpleNamespace(lease=SimpleNamespace(epoch=self.epoch))

    def report(self, view: DatabaseView) -> DatabaseView:
        self.seen.append(view)
        return MINE

    def hold_off(self, *, region: str, epoch: int, seconds: float) -> bool:
        self.seen.append((region, epoch, seconds))
        return self.promises

    def take_token(self, run: str, token: DemotionToken) -> None:
        self.seen.append((run, token))


@asynccontextmanager
async def peers(agent: FakeAgent | None) -> AsyncIterator[GrpcPeer]:
    """The east's way to the agent of the west, over a real connection."""
    server = grpc.aio.server()
    service = ContinuumPeerService(WEST, lambda slot: agent if slot == SLOT else None, lambda _: MemoryWitness())  # type: ignore[arg-type, return-value]
    service_pb2_grpc.add_ContinuumPeerServiceServicer_to_server(service, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    channel = grpc.aio.insecure_channel(f"127.0.0.1:{port}")
    try:
        yield GrpcPeer(channel, EAST, 10.0)
    finally:
        await channel.close()
        await server.stop(None)


async def test_a_peer_hears_a_report_promises_and_keeps_a_token() -> None:
    agent = FakeAgent()
    view = DatabaseView(
        EAST, Role.PRIMARY, writable=True, received="0/2D", sync=frozenset({WEST}), epoch=3, age=0.25, acts_after=7.5
    )
    async with peers(agent) as peer:
        assert await peer.report(slot=SLOT, view=view) == replace(MINE, region="")
        assert await peer.hold_off(slot=SLOT, region=EAST, epoch=3, seconds=10.0) is True
        assert await peer.deliver(slot=SLOT, run="abcdefghij", token=TOKEN) is True
    assert agent.seen == [view, (EAST, 3, 10.0), ("abcdefghij", TOKEN)]


async def test_a_peer_that_does_not_promise_says_no_and_one_that_is_away_says_nothing() -> None:
    async with peers(FakeAgent(promises=False)) as peer:
        assert await peer.hold_off(slot=SLOT, region=EAST, epoch=3, seconds=10.0) is False
    async with peers(None) as peer:
        assert await peer.hold_off(slot=SLOT, region=EAST, epoch=3, seconds=10.0) is False
        assert await peer.report(slot=SLOT, view=DatabaseView(EAST)) is None
    channel = grpc.aio.insecure_channel("127.0.0.1:1")
    gone = GrpcPeer(channel, EAST, 1.0)
    answers = await asyncio.gather(
        gone.hold_off(slot=SLOT, region=EAST, epoch=3, seconds=10.0),
        gone.report(slot=SLOT, view=DatabaseView(EAST)),
        gone.deliver(slot=SLOT, run="abcdefghij", token=TOKEN),
    )  # fmt: skip - one call
    assert answers == [None, None, False]
    await channel.close()


@pytest.mark.parametrize(("agent", "refusal"), [(None, SlotUnknown), (FakeAgent(epoch=4), EpochMoved)])
async def test_a_token_that_comes_too_late_or_to_a_stranger_is_not_kept(
    agent: FakeAgent | None, refusal: type[Exception]
) -> None:
    service = ContinuumPeerService(WEST, lambda _: agent, lambda _: MemoryWitness())  # type: ignore[arg-type, return-value]
    request = service_pb2.DeliverTokenRequest(
        name="namespaces/demo/continuums/shop",
        run="namespaces/demo/continuums/shop/runs/abcdefghij",
        epoch=3,
        token=b'["sb-east-rtz-dev", ""]',
        final_lsn="0/2D",
    )  # fmt: skip - one message
    with pytest.raises(refusal):
        await service.DeliverToken(request, None)  # type: ignore[arg-type]


class Relay(MemoryWitness):
    """A witness that hands on; `failure` in place of the cell's answer."""

    failure: Exception | None = None

    async def hand_on(self, *, cell: str, message: bytes) -> bytes:
        if self.failure is not None:
            raise self.failure
        return cell.encode() + message


@pytest.mark.parametrize(
    ("failure", "refusal"),
    [(Permanent("CELL_UNKNOWN", "none of ours"), CellUnknown), (Temporary("silent"), CellUnreachable)],
)
async def test_a_signed_message_is_handed_on_unread_to_a_configured_cell_alone(
    failure: Exception, refusal: type[Exception]
) -> None:
    witness = Relay()
    service = ContinuumPeerService(WEST, lambda _: None, lambda _: witness)
    request = service_pb2.RelaySwapRequest(name="namespaces/demo/continuums/shop", cell="a", message=b"signed message")
    request.timeout.FromSeconds(5)
    assert (await service.RelaySwap(request, None)).message == b"asigned message"  # type: ignore[arg-type]
    witness.failure = failure
    with pytest.raises(refusal):
        await service.RelaySwap(request, None)  # type: ignore[arg-type]
    with pytest.raises(CellUnknown):
        await ContinuumPeerService(WEST, lambda _: None, lambda _: MemoryWitness()).RelaySwap(request, None)  # type: ignore[arg-type]


_maybe = st.none()
VIEWS = st.builds(
    DatabaseView,
    region=st.just(""),
    role=_maybe | st.sampled_from(Role),
    writable=_maybe | st.booleans(),
    ready=_maybe | st.booleans(),
    system_id=_maybe | st.text("abc1", min_size=1),
    timeline=_maybe | st.integers(0, 99),
    received=_maybe | st.sampled_from(("0/0", "0/2D", "1/FFFFFFFF")),
    replayed=_maybe | st.sampled_from(("0/2D", "2/0")),
    committed_ms=_maybe | st.integers(0, 2**41),
    sync=_maybe | st.frozensets(st.sampled_from((EAST, WEST)), min_size=1),
    epoch=_maybe | st.integers(1, 2**40),
    age=st.sampled_from((0.0, 0.5, 60.0)),
)  # fmt: skip - one row a field


@given(VIEWS)
def test_a_view_arrives_as_it_was_told_and_what_is_not_known_stays_unknown(view: DatabaseView) -> None:
    assert heard(told(view), "") == view


def test_a_position_that_is_one_number_arrives_as_the_same_position() -> None:
    assert heard(told(DatabaseView(EAST, replayed="10000002d")), EAST).replayed == "1/2D"
