"""google.longrunning.Operations for any daemon that answers one: read, and waited for, the same way everywhere.

An operation is named `operations/<daemon>-<what>`; by the first word the gateway knows whom to ask. Whoever may not see
what an operation is about is told that there is none.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from catalyst_sdk import Code, Refused
from google.longrunning import operations_pb2, operations_pb2_grpc

LONGEST_WAIT = 60.0
"""Seconds after which a wait is answered with the operation as it stands."""
LOOK = 0.2
"""Seconds between two looks of a wait."""
MARGIN = 0.5
"""Seconds before the end of the caller's patience at which it is answered."""


class OperationNotFound(Refused):
    code, reason, message = Code.NOT_FOUND, "OPERATION_NOT_FOUND", "there is no operation {name}"


Find = Callable[[str], Awaitable[operations_pb2.Operation]]
"""The operation of that name as it stands now, for the current caller. Raises OperationNotFound."""


class OperationService(operations_pb2_grpc.OperationsServicer):  # type: ignore[misc]  # generated without types
    """Operations of one daemon."""

    def __init__(self, find: Find) -> None:
        self._find = find

    async def GetOperation(self, request: operations_pb2.GetOperationRequest, context: Any) -> operations_pb2.Operation:
        return await self._find(request.name)

    async def WaitOperation(
        self, request: operations_pb2.WaitOperationRequest, context: Any
    ) -> operations_pb2.Operation:
        """Answers when it is done, or as it stands when the time is over."""
        patience = request.timeout.ToTimedelta().total_seconds() if request.HasField("timeout") else LONGEST_WAIT
        remaining = context.time_remaining()
        limit = min(patience, LONGEST_WAIT, remaining - MARGIN if remaining else LONGEST_WAIT)
        answer = await self._find(request.name)
        try:
            async with asyncio.timeout(limit):
                while not answer.done:
                    await asyncio.sleep(LOOK)
                    answer = await self._find(request.name)
        except TimeoutError:
            return answer
        return answer
