"""Long-running operations of all daemons: an id says whose one is, `<service>-<id>`; who may see its subject may ask for it.

One that is a run of the provisioner is cancelled and gone on with as that run; of any other its daemon is asked.
"""

from collections.abc import Mapping
from typing import Any

import grpc
from catalyst.provisioner.v1 import resources_pb2, service_pb2, service_pb2_grpc
from catalyst_sdk import Code, Refused
from google.longrunning import operations_pb2, operations_pb2_grpc

Metadata = tuple[tuple[str, str], ...]
VERBS = ("cancel", "retry")


class OperationNotFound(Refused):
    code, reason, message = Code.NOT_FOUND, "OPERATION_NOT_FOUND", "there is no {name}"


class OperationNotRetryable(Refused):
    code, reason = Code.FAILED_PRECONDITION, "OPERATION_NOT_RETRYABLE"
    message = "{name} has no failed step that could be tried again"


class Operations:
    """Asks the daemons behind `channels`."""

    def __init__(self, channels: Mapping[str, grpc.aio.Channel], seconds: float) -> None:
        self._channels = channels
        self._seconds = seconds

    async def get(self, operation: str, metadata: Metadata) -> operations_pb2.Operation:
        """The operation as it stands. Raises OperationNotFound or AioRpcError."""
        wish = operations_pb2.GetOperationRequest(name=f"operations/{operation}")
        return await self._stub(operation).GetOperation(wish, timeout=self._seconds, metadata=metadata)

    async def cancel(self, operation: str, metadata: Metadata) -> operations_pb2.Operation:
        """Have it end early; the operation after that. Raises as `get`."""
        found = await self.get(operation, metadata)
        if run := _run(found):
            await self._runs().CancelRun(
                service_pb2.CancelRunRequest(name=run), timeout=self._seconds, metadata=metadata
            )
        else:
            wish = operations_pb2.CancelOperationRequest(name=found.name)
            await self._stub(operation).CancelOperation(wish, timeout=self._seconds, metadata=metadata)
        return await self.get(operation, metadata)

    async def retry(self, operation: str, metadata: Metadata) -> operations_pb2.Operation:
        """Have each step that failed tried again; the operation after that. Raises OperationNotRetryable, or as `get`."""
        found = await self.get(operation, metadata)
        run = _run(found)
        failed = await self._failed(run, metadata) if run else []
        if not failed:
            raise OperationNotRetryable(name=found.name)
        for step in failed:
            wish = service_pb2.RetryStepRequest(name=step)
            await self._runs().RetryStep(wish, timeout=self._seconds, metadata=metadata)
        return await self.get(operation, metadata)

    async def _failed(self, run: str, metadata: Metadata) -> list[str]:
        wish = service_pb2.ListStepsRequest(parent=run, page_size=1000)
        answer = await self._runs().ListSteps(wish, timeout=self._seconds, metadata=metadata)
        return [step.name for step in answer.steps if step.state == resources_pb2.Step.STATE_FAILED]

    def _stub(self, operation: str) -> Any:
        channel = self._channels.get(operation.partition("-")[0])
        if channel is None:
            raise OperationNotFound(name=f"operations/{operation}")
        return operations_pb2_grpc.OperationsStub(channel)

    def _runs(self) -> Any:
        return service_pb2_grpc.RunServiceStub(self._channels["provisioner"])


def _run(operation: operations_pb2.Operation) -> str:
    """The provisioner's run that an operation is; empty where it is none."""
    told = resources_pb2.RunMetadata()
    return told.run if operation.metadata.Unpack(told) else ""
