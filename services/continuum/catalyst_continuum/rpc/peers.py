"""What the agents of other regions ask: `catalyst.continuum.v1.ContinuumPeerService`, for agents only."""

import asyncio
from collections.abc import Callable
from contextlib import suppress

from catalyst.continuum.v1 import service_pb2, service_pb2_grpc
from catalyst_mesh import Context
from catalyst_sdk import Code, NotSupported, Permanent, PluginFailure, Refused
from catalyst_sdk.witness import LeaseWitness

from ..clock import boottime
from ..domain.runs import EpochMoved
from ..workers.agent import Agent
from ..workers.memory import boot_id
from ..workers.peers import VERSION, heard, slot_of, token_of, told

_Reason = service_pb2.HoldOffResponse.Reason
LOOK = 0.5
"""Seconds that a database has which a peer wants to know of as it is now."""


class CellUnknown(Refused):
    code, reason, message = Code.INVALID_ARGUMENT, "CELL_UNKNOWN", "nothing is handed on to {cell}: {why}"
    field = "cell"


class CellUnreachable(Refused):
    code, reason, message = Code.UNAVAILABLE, "CELL_UNREACHABLE", "{cell} does not answer"


class SlotUnknown(Refused):
    code, reason, message = Code.NOT_FOUND, "CONTINUUM_NOT_FOUND", "there is no {name}"


class ContinuumPeerService(service_pb2_grpc.ContinuumPeerServiceServicer):
    """agent   of a slot, in this region; None: it has none here
    witness  of a slot, whose cells messages of peers are handed on to, where it can (capability `relay`)"""

    def __init__(
        self, region: str, agent: Callable[[str], Agent | None], witness: Callable[[str], LeaseWitness]
    ) -> None:  # fmt: skip
        self._region = region
        self._agent = agent
        self._witness = witness

    async def Hello(self, request: service_pb2.HelloRequest, context: Context) -> service_pb2.HelloResponse:
        answer = service_pb2.HelloResponse(
            region=self._region, version=VERSION, boot_id=boot_id()
        )  # fmt: skip
        answer.boottime.FromNanoseconds(int(boottime() * 1e9))
        return answer

    async def Report(self, request: service_pb2.ReportRequest, context: Context) -> service_pb2.ReportResponse:
        agent = self._agent(slot_of(request.name))
        if agent is None:
            return service_pb2.ReportResponse()
        if request.fresh:
            with suppress(TimeoutError):  # what was seen last is told then, with its age
                async with asyncio.timeout(LOOK):
                    await agent.look_again()
        return service_pb2.ReportResponse(database=told(agent.report(heard(request.database, request.region))))

    async def HoldOff(self, request: service_pb2.HoldOffRequest, context: Context) -> service_pb2.HoldOffResponse:
        agent = self._agent(slot_of(request.name))
        if agent is None:
            return service_pb2.HoldOffResponse(reason=_Reason.REASON_UNKNOWN)
        seconds = request.hold.ToNanoseconds() / 1e9
        if agent.hold_off(region=request.region, epoch=request.epoch, seconds=seconds):
            return service_pb2.HoldOffResponse(granted=True)
        lease = agent.sight.lease
        if lease is not None and lease.epoch != request.epoch:
            return service_pb2.HoldOffResponse(reason=_Reason.REASON_EPOCH_DIFFERS)
        return service_pb2.HoldOffResponse(
            reason=_Reason.REASON_UNKNOWN if lease is None else _Reason.REASON_CLAIM_IN_FLIGHT
        )

    async def RelaySwap(self, request: service_pb2.RelaySwapRequest, context: Context) -> service_pb2.RelaySwapResponse:
        hand_on = getattr(self._witness(slot_of(request.name)), "hand_on", None)
        if hand_on is None:
            raise CellUnknown(cell=request.cell, why="the cells here take no messages of others")
        try:
            async with asyncio.timeout(request.timeout.ToNanoseconds() / 1e9):
                answer = await hand_on(cell=request.cell, message=request.message)
        except (Permanent, NotSupported) as wrong:
            raise CellUnknown(cell=request.cell, why=str(wrong)) from wrong
        except (PluginFailure, TimeoutError) as silent:
            raise CellUnreachable(cell=request.cell) from silent
        return service_pb2.RelaySwapResponse(message=answer)

    async def DeliverToken(
        self, request: service_pb2.DeliverTokenRequest, context: Context
    ) -> service_pb2.DeliverTokenResponse:
        agent = self._agent(slot_of(request.name))
        if agent is None:
            raise SlotUnknown(name=request.name)
        lease = agent.sight.lease
        if lease is not None and lease.epoch > request.epoch:
            raise EpochMoved(epoch=lease.epoch, expected=request.epoch)
        try:
            token = token_of(request)
        except (ValueError, TypeError):
            return service_pb2.DeliverTokenResponse()
        agent.take_token(request.run.rpartition("/")[2], token)
        return service_pb2.DeliverTokenResponse(stored=True)
