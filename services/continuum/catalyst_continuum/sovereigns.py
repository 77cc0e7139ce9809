"""The provisioner, asked what a Sovereign is now where events about it are missing."""

import grpc
from catalyst.provisioner.v1 import resources_pb2, service_pb2
from catalyst.provisioner.v1.service_pb2_grpc import SovereignServiceStub

DEADLINE = 2.0
"""Seconds for the answer: a transaction is held meanwhile."""


class ProvisionerAway(Exception):
    """It did not answer; what it was asked for is tried again with the event."""


class Sovereigns:
    """Reads Sovereigns by name."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub = SovereignServiceStub(channel)

    async def current(self, name: str) -> resources_pb2.Sovereign | None:
        """A Sovereign; None where there is none of that name any more. Raises ProvisionerAway."""
        try:
            return await self._stub.GetSovereign(service_pb2.GetSovereignRequest(name=name), timeout=DEADLINE)
        except grpc.aio.AioRpcError as error:
            if error.code() is grpc.StatusCode.NOT_FOUND:
                return None
            raise ProvisionerAway(f"{name}: {error.code().name}") from error
