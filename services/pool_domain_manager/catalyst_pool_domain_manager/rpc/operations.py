"""google.longrunning.Operations: one per run of the journal, under the run's id."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime

from catalyst.pooldomain.v1 import resources_pb2
from catalyst_mesh import Context, Work, caller, stamp
from catalyst_mesh.journal import CancelMode, Engine, RunState, RunView
from catalyst_mesh.journal import RunNotFound as NoSuchRun
from catalyst_sdk import Code, Refused
from google.longrunning import operations_pb2, operations_pb2_grpc
from google.protobuf import any_pb2, empty_pb2
from google.protobuf.message import Message
from google.rpc import code_pb2, error_details_pb2, status_pb2

from catalyst_pool_domain_manager.domain import dnssec, refusals
from catalyst_pool_domain_manager.store import Store

from .zone_views import viewed

PREFIX = "operations/pooldomain-"
LONGEST_WAIT = 60.0
LOOK = 0.2
Result = Callable[[Store, RunView], Awaitable[Message]]
"""What a run that succeeded has come to."""


class OperationNotFound(Refused):
    code, reason, message = Code.NOT_FOUND, "OPERATION_NOT_FOUND", "there is no operation {name}"


def operation(run: RunView, target: str) -> operations_pb2.Operation:
    """A run as an operation; `target` is the resource that is worked on."""
    made = operations_pb2.Operation(name=f"{PREFIX}{run.id}", done=run.state.ended)
    share = 100 * run.progress.finished // max(run.progress.total, 1)
    made.metadata.Pack(
        resources_pb2.OperationMetadata(
            target=target, progress_percent=share, create_time=stamp(run.created_at), next_try_time=stamp(run.wake_at)
        )
    )
    return made


def started(run: str, target: str, at: datetime | None) -> operations_pb2.Operation:
    """The operation of a run that has just begun."""
    made = operations_pb2.Operation(name=f"{PREFIX}{run}", done=False)
    made.metadata.Pack(resources_pb2.OperationMetadata(target=target, create_time=stamp(at)))
    return made


class OperationService(operations_pb2_grpc.OperationsServicer):  # type: ignore[misc]  # generated without types
    """Operations, read from the journal. Whoever may see the zone may see what is done to it."""

    def __init__(self, work: Work[Store], engine: Engine, results: Mapping[str, Result]) -> None:
        self._work = work
        self._engine = engine
        self._results = results

    async def GetOperation(
        self, request: operations_pb2.GetOperationRequest, context: Context
    ) -> operations_pb2.Operation:
        return await self._operation(request.name)

    async def WaitOperation(
        self, request: operations_pb2.WaitOperationRequest, context: Context
    ) -> operations_pb2.Operation:
        patience = request.timeout.ToTimedelta().total_seconds() if request.HasField("timeout") else LONGEST_WAIT
        remaining = context.time_remaining()
        limit = min(patience, LONGEST_WAIT, remaining - 0.5 if remaining else LONGEST_WAIT)
        answer = await self._operation(request.name)
        try:
            async with asyncio.timeout(limit):
                while not answer.done:
                    await asyncio.sleep(LOOK)
                    answer = await self._operation(request.name)
        except TimeoutError:
            return answer
        return answer

    async def CancelOperation(
        self, request: operations_pb2.CancelOperationRequest, context: Context
    ) -> empty_pb2.Empty:
        """Take back an exchange of keys, as long as the new one does not sign. Asking again changes nothing."""
        name = request.name
        await self._operation(name)
        run = await self._engine.status(name.removeprefix(PREFIX))
        if run.state.ended or run.state is RunState.CANCELLING:
            return empty_pb2.Empty()
        if run.kind != dnssec.ROLL:
            raise dnssec.NotCancellable(name=name, why="what it does is not taken back")
        steps = {step.name: step for step in await self._engine.steps(run.id)}
        if steps[dnssec.POINT_OF_NO_RETURN].started_at is not None:
            raise dnssec.NotCancellable(name=name, why="the new key signs already")
        await self._engine.cancel(run.id, CancelMode.COMPENSATE, by=caller(context).subject)
        return empty_pb2.Empty()

    async def _operation(self, name: str) -> operations_pb2.Operation:
        try:
            run = await self._engine.status(name.removeprefix(PREFIX))
            target = f"zones/{run.input['zone']}"
            async with self._work.reading() as tx:
                await viewed(tx, target, caller())
                made = operation(run, target)
                if run.state is RunState.SUCCEEDED:
                    made.response.Pack(await self._results[run.kind](tx, run))
        except (NoSuchRun, refusals.ZoneNotFound) as error:  # a stranger's is as absent as one that never was
            raise OperationNotFound(name=name) from error
        if run.state.ended and run.state is not RunState.SUCCEEDED:
            made.error.CopyFrom(_status(run))
        elif not run.state.ended:
            await self._say_step(made, run)
        return made

    async def _say_step(self, made: operations_pb2.Operation, run: RunView) -> None:
        metadata = resources_pb2.OperationMetadata()
        made.metadata.Unpack(metadata)
        steps = await self._engine.steps(run.id)
        metadata.step = next((step.name for step in steps if not step.finished_at), "")
        made.metadata.Pack(metadata)


def _status(run: RunView) -> status_pb2.Status:
    """Why a run came to nothing, with the reason of the step that failed."""
    failure = run.failure or {}
    cancelled = str(run.state).startswith("cancelled")
    answer = status_pb2.Status(
        code=code_pb2.CANCELLED if cancelled else code_pb2.FAILED_PRECONDITION,
        message=str(failure.get("message", run.state)),
    )
    metadata = {key: str(value) for key, value in failure.get("metadata", {}).items()}
    info = error_details_pb2.ErrorInfo(
        reason=str(failure.get("reason", "RUN_FAILED")), domain="catalyst", metadata=metadata
    )
    detail = any_pb2.Any()
    detail.Pack(info)
    answer.details.append(detail)
    return answer
