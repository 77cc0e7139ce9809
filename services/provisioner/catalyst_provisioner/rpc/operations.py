"""google.longrunning.Operations: one per run, under the run's id."""

from datetime import datetime

from catalyst.provisioner.v1 import resources_pb2, service_pb2
from catalyst_mesh import OperationNotFound, Work, caller, stamp
from catalyst_mesh.journal import Engine, RunView
from catalyst_mesh.journal import RunNotFound as NoSuchRun
from google.longrunning import operations_pb2
from google.protobuf.json_format import ParseDict
from google.protobuf.message import Message
from google.rpc import code_pb2, status_pb2

from ..domain import graphs
from ..domain.sovereigns import SovereignNotFound
from ..store import Store
from .names import visible
from .run_views import RunViews, run_state

PREFIX = "operations/provisioner-"
CREDENTIALS = ("sovereign-admin", "security-officer")


def operation(run: RunView, plan: str, now: datetime) -> operations_pb2.Operation:
    """The operation of a run that has just begun."""
    made = operations_pb2.Operation(name=f"{PREFIX}{run.id}", done=False)
    steps = resources_pb2.StepCounts(total=run.progress.total, pending=run.progress.total)
    made.metadata.Pack(
        resources_pb2.RunMetadata(
            run=f"{run.subject}/runs/{run.id}", plan=plan, state=run_state(run), steps=steps, update_time=stamp(now)
        )
    )
    return made


def begun(run: RunView, metadata: Message) -> operations_pb2.Operation:
    """The operation of a run that only looks."""
    made = operations_pb2.Operation(name=f"{PREFIX}{run.id}", done=False)
    made.metadata.Pack(metadata)
    return made


class Operations:
    """Operations, read from the journal."""

    def __init__(self, work: Work[Store], engine: Engine, views: RunViews) -> None:
        self._work = work
        self._engine = engine
        self._views = views

    async def find(self, name: str) -> operations_pb2.Operation:
        """The operation of a run as it stands. Raises OperationNotFound."""
        try:
            run = await self._engine.status(name.removeprefix(PREFIX))
            if run.kind == graphs.CHECK:
                return await self._checked(run, name)
            async with self._work.reading() as tx:
                await visible(tx, run.input["sovereign"], name)
        except (NoSuchRun, SovereignNotFound) as error:  # a stranger's is as absent as one that never was
            raise OperationNotFound(name=name) from error
        if run.kind == graphs.DRIFT:
            return await self._looked(run, name)
        shown = await self._views.run(run)
        made = operations_pb2.Operation(name=name, done=run.state.ended)
        made.metadata.Pack(await self._views.metadata(run))
        if run.state.ended and run.state == "succeeded":
            made.response.Pack(shown)
        elif run.state.ended:
            made.error.CopyFrom(_status(run))
        return made

    async def _looked(self, run: RunView, name: str) -> operations_pb2.Operation:
        metadata = resources_pb2.DriftMetadata(
            sovereign=f"sovereigns/{run.input['sovereign']}", start_time=stamp(run.created_at),
            finished=int(run.state.ended), total=1,
        )  # fmt: skip
        made = operations_pb2.Operation(name=name, done=run.state.ended)
        made.metadata.Pack(metadata)
        if run.state == "succeeded":
            report = (await self._engine.steps(run.id))[0].output
            made.response.Pack(ParseDict(report, resources_pb2.DriftReport()))
        elif run.state.ended:
            made.error.CopyFrom(_status(run))
        return made

    async def _checked(self, run: RunView, name: str) -> operations_pb2.Operation:
        caller().require(*CREDENTIALS, resource=name)
        credential = f"credentials/{run.input['credential']}"
        made = operations_pb2.Operation(name=name, done=run.state.ended)
        metadata = service_pb2.CredentialMetadata(
            credential=credential, credential_version=run.input["version"], start_time=stamp(run.created_at)
        )
        made.metadata.Pack(metadata)
        if run.state == "succeeded":
            async with self._work.reading() as tx:
                held = await tx.credential_record(run.input["credential"])
            shown = resources_pb2.Credential(name=credential)
            if held is not None and held.last_check:
                ParseDict(dict(held.last_check), shown.last_check)
            made.response.Pack(shown)
        elif run.state.ended:
            made.error.CopyFrom(_status(run))
        return made


def _status(run: RunView) -> status_pb2.Status:
    cancelled = run.state.startswith("cancelled")
    failure = run.failure or {}
    code = code_pb2.CANCELLED if cancelled else code_pb2.FAILED_PRECONDITION
    return status_pb2.Status(code=code, message=str(failure.get("message", run.state)))
