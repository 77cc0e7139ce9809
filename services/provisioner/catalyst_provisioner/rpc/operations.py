"""google.longrunning.Operations: one per run, under the run's id."""

from datetime import datetime

from catalyst.provisioner.v1 import resources_pb2
from catalyst_mesh import OperationNotFound, Work, stamp
from catalyst_mesh.journal import Engine, RunView
from catalyst_mesh.journal import RunNotFound as NoSuchRun
from google.longrunning import operations_pb2
from google.rpc import code_pb2, status_pb2

from ..domain.sovereigns import SovereignNotFound
from ..store import Store
from .names import visible
from .run_views import RunViews, run_state, sovereign_of

PREFIX = "operations/provisioner-"


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
            async with self._work.reading() as tx:
                await visible(tx, sovereign_of(run), name)
        except (NoSuchRun, SovereignNotFound) as error:  # a stranger's is as absent as one that never was
            raise OperationNotFound(name=name) from error
        shown = await self._views.run(run)
        made = operations_pb2.Operation(name=name, done=run.state.ended)
        made.metadata.Pack(await self._views.metadata(run))
        if run.state.ended and run.state == "succeeded":
            made.response.Pack(shown)
        elif run.state.ended:
            made.error.CopyFrom(_status(run))
        return made


def _status(run: RunView) -> status_pb2.Status:
    cancelled = run.state.startswith("cancelled")
    failure = run.failure or {}
    code = code_pb2.CANCELLED if cancelled else code_pb2.FAILED_PRECONDITION
    return status_pb2.Status(code=code, message=str(failure.get("message", run.state)))
