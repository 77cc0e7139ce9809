"""Runs as operations: read by everybody who may see what they are about, and tried again by its admins."""

from collections.abc import Sequence
from typing import Any

from catalyst.environment.v1 import resources_pb2 as pb
from catalyst.environment.v1 import service_pb2 as rpc
from catalyst.environment.v1 import service_pb2_grpc
from catalyst_mesh import Context, OperationNotFound, Work, caller, stamp
from catalyst_mesh.journal import CancelMode, Engine, RunNotFound, RunView, StepState, StepView
from catalyst_sdk import Code, Decision, Refused
from google.longrunning import operations_pb2
from google.protobuf.message import Message
from google.rpc import code_pb2, status_pb2

from ..domain import applications, organizations, promotions
from ..domain.applications import Application
from ..domain.organizations import Organization
from ..operations import name_of, run_of
from ..steps import CHANGE, CREATE, DELETE, INSTALL, PROMOTE
from ..store import Store
from . import convert
from .names import ADMINS, READERS, organization

_Step = pb.OperationMetadata.Step
_STATES = {
    StepState.PENDING: _Step.STATE_PENDING,
    StepState.READY: _Step.STATE_PENDING,
    StepState.RUNNING: _Step.STATE_RUNNING,
    StepState.IN_DOUBT: _Step.STATE_RUNNING,
    StepState.UNDOING: _Step.STATE_RUNNING,
    StepState.WAITING: _Step.STATE_WAITING,
    StepState.SUCCEEDED: _Step.STATE_SUCCEEDED,
    StepState.FAILED: _Step.STATE_FAILED,
    StepState.UNDO_FAILED: _Step.STATE_FAILED,
    StepState.SKIPPED: _Step.STATE_SKIPPED,
    StepState.UNDONE: _Step.STATE_UNDONE,
}


class OperationStateWrong(Refused):
    code, reason = Code.FAILED_PRECONDITION, "OPERATION_STATE"
    message = "{operation} is {state}: {why}"


class OperationsOfRuns:
    """Finds operations for whoever may see what they are about."""

    def __init__(self, work: Work[Store], engine: Engine) -> None:
        self._work = work
        self._engine = engine

    async def find(self, name: str) -> operations_pb2.Operation:
        """The operation as it stands. Raises OperationNotFound."""
        run = await self.run(name, *READERS)
        operation = operations_pb2.Operation(name=name, done=run.state.ended)
        operation.metadata.Pack(_metadata(run, await self._engine.steps(run.id)))
        if run.state == "succeeded":
            operation.response.Pack(await self._response(run))
        elif run.state.ended:
            operation.error.CopyFrom(_status(run))
        return operation

    async def run(self, name: str, *roles: str) -> RunView:
        """Its run, if the caller holds one of `roles` where it belongs. Raises OperationNotFound."""
        try:
            run = await self._engine.status(run_of(name))
        except RunNotFound as error:
            raise OperationNotFound(name=name) from error
        who = caller()
        # What is done with an Organization itself is the Sovereign's business too; what is inside it is not.
        allowed = (*roles, "sovereign-admin") if run.kind in (CREATE, DELETE) else roles
        if name != name_of(run.id) or not (who.everywhere or who.has_role(*allowed, org=run.input["organization"])):
            raise OperationNotFound(name=name)
        return run

    async def _response(self, run: RunView) -> Message:
        async with self._work.reading() as tx:
            if run.kind not in (CREATE, DELETE):
                held = await tx.find(Application, run.input["environment"], run.subject.rpartition("/")[2])
                assert held is not None, "a run is made with its Applications"
                return convert.application(held, await tx.applications(held.environment))
            return convert.organization(await organization(tx, run.input["organization"]))


class Operations(service_pb2_grpc.OperationServiceServicer):
    """What may be done to an operation."""

    def __init__(self, work: Work[Store], engine: Engine, runs: OperationsOfRuns) -> None:
        self._work = work
        self._engine = engine
        self._runs = runs

    async def RetryOperation(self, request: rpc.RetryOperationRequest, context: Context) -> operations_pb2.Operation:
        run, by = await self._runs.run(request.name, *ADMINS), caller().subject

        async def step(tx: Store) -> Decision[Any]:
            held = await organization(tx, run.input["organization"], lock=True)
            works = [one for one in await _worked_on(tx, run) if one.run == run.id]
            failed = [s.name for s in await self._engine.steps(run.id, sql=tx.sql) if s.state is StepState.FAILED]
            if not failed or not works:
                why = "nothing of it failed that could be tried again"
                raise OperationStateWrong(operation=request.name, state=run.state, why=why)
            if run.kind not in (CREATE, DELETE):
                organizations.demand_changeable(held)
            for name in failed:
                await self._engine.retry(run.id, name, by=by, sql=tx.sql)
            again = [
                organizations.retry(one, tx.now) if isinstance(one, Organization) else applications.retry(one, tx.now)
                for one in works
            ]  # fmt: skip - one list
            states: list[Any] = [one.state for one in again]
            if run.kind == PROMOTE:
                promotion = await tx.promotion(run.input["environment"], run.input["promotion"])
                assert promotion is not None, "a merge is begun with its promotion"
                states.append(promotions.end(promotion, promotions.State.MERGING, tx.now).state)
            return Decision(tuple(states), tuple(fact for one in again for fact in one.events))

        answer = await self._work.run(step, answer=lambda _: operations_pb2.Operation(name=request.name))
        self._engine.wake()
        return answer

    async def CancelOperation(self, request: rpc.CancelOperationRequest, context: Context) -> operations_pb2.Operation:
        run, by = await self._runs.run(request.name, *ADMINS), caller().subject

        async def step(tx: Store) -> Decision[None]:
            await organization(tx, run.input["organization"], lock=True)
            now = await self._engine.status(run.id, sql=tx.sql)
            if run.kind not in (INSTALL, CHANGE) or now.state == "succeeded" or now.state.startswith("cancelled"):
                why = "work on an Application that has not ended well is cancelled, and nothing else"
                raise OperationStateWrong(operation=request.name, state=now.state, why=why)
            await self._engine.cancel(run.id, CancelMode.COMPENSATE, by=by, sql=tx.sql)
            return Decision(None)

        answer = await self._work.run(step, answer=lambda _: operations_pb2.Operation(name=request.name))
        self._engine.wake()
        return answer


async def _worked_on(tx: Store, run: RunView) -> Sequence[Organization | Application]:
    """What a run is about, locked."""
    if run.kind in (CREATE, DELETE):
        found: Sequence[Any] = [await tx.find(Organization, run.input["organization"], lock=True)]
    else:
        env = run.input["environment"]
        found = [await tx.find(Application, env, id, lock=True) for id in run.input["applications"]]
    return [one for one in found if one is not None]


def _metadata(run: RunView, steps: Sequence[StepView]) -> pb.OperationMetadata:
    return pb.OperationMetadata(
        kind=run.kind,
        subject=run.subject,
        steps=[
            _Step(name=s.name, state=_STATES[s.state], message=_why(s), end_time=stamp(s.finished_at)) for s in steps
        ],
        done_count=run.progress.finished,
        create_time=stamp(run.created_at),
        actor=run.started_by,
    )


def _why(step: StepView) -> str:
    return str((step.failure or {}).get("message", ""))


def _status(run: RunView) -> status_pb2.Status:
    code = code_pb2.CANCELLED if run.state.startswith("cancelled") else code_pb2.FAILED_PRECONDITION
    return status_pb2.Status(code=code, message=str((run.failure or {}).get("message", run.state)))


__all__ = ["Operations", "OperationsOfRuns"]
