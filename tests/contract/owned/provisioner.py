"""What an Organization owns at the provisioner."""

from collections.abc import Mapping
from typing import Any

from google.longrunning import operations_pb2
from google.protobuf.message import Message
from sqlalchemy import insert

from ..mesh import Mesh, request_of
from ..wishes import provisioner as wishes
from .thing import Make, Owned, at_once

_S = "catalyst.provisioner.v1"
_O = "google.longrunning.Operations"


def _run(method: str, field: str = "", form: str = "", **more: Any) -> tuple[str, Make]:
    """A question about the run of a Sovereign; `{0}` is the Sovereign, `{1}` the run."""

    async def make(m: Mesh) -> Owned:
        run = await wishes.run(m)
        sovereign = run.name.partition("/runs/")[0]
        fields = {field: form.format(sovereign, run.name, run.plan)} if field else {}
        return Owned("acme", request_of(f"{_S}.{method}", **fields, **more), sovereign.partition("/")[2])

    return f"{_S}.{method}", make


async def _drift_report(m: Mesh) -> Owned:
    """A report as a look would leave it; the engine, which would look, stands still."""
    sovereign = (await wishes.sovereign(m)).name
    work: Any = m.daemons["provisioner"].daemon.work
    report = {"name": f"{sovereign}/drift", "drifts": []}
    await work.again(lambda tx: tx.observe(sovereign.partition("/")[2], "drift", report))
    request = request_of(f"{_S}.InfrastructureService/GetDriftReport", name=f"{sovereign}/drift")
    return Owned("acme", request, sovereign.partition("/")[2])


async def _difference(m: Mesh) -> Owned:
    plan = (await wishes.run(m)).plan
    request = request_of(f"{_S}.PlanService/DiffPlans", name=plan, other=plan)
    return Owned("acme", request, plan.split("/")[1])


async def _log_watched(m: Mesh) -> Owned:
    """With a line that can be seen at once; the engine, which would write more, stands still."""
    run = await wishes.run(m)
    work: Any = m.daemons["provisioner"].daemon.work
    line = {"run_id": run.name.rpartition("/")[2], "number": 1, "step": "validate", "attempt": 1, "level": "INFO"}

    async def write(tx: Any) -> None:
        await tx.sql.execute(insert(tables["journal_log"]).values(**line, at=tx.now, text="seen"))

    tables = m.daemons["provisioner"].daemon.metadata.tables
    await work.again(write)
    return Owned("acme", request_of(f"{_S}.RunService/WatchLogs", parent=run.name), run.name.split("/")[1])


async def _step(m: Mesh) -> Owned:
    run = await wishes.run(m)
    steps: Any = await m.call(f"{_S}.RunService/ListSteps", request_of(f"{_S}.RunService/ListSteps", parent=run.name))
    request = request_of(f"{_S}.RunService/GetStep", name=steps.steps[0].name)
    return Owned("acme", request, run.name.split("/")[1])


def _operation(kind: type[Message]) -> Make:
    async def make(m: Mesh) -> Owned:
        id = (await wishes.run(m)).name.rpartition("/")[2]
        return Owned("acme", at_once(kind(name=f"operations/provisioner-{id}")), id)

    return make


OWNED: Mapping[str, Make] = dict(
    [
        _run("SovereignService/GetSovereign", "name", "{0}"),
        _run("SovereignService/ListSovereigns"),
        _run("PlanService/GetPlan", "name", "{2}"),
        _run("PlanService/ListPlans", "parent", "{0}"),
        (f"{_S}.PlanService/DiffPlans", _difference),
        _run("RunService/GetRun", "name", "{1}"),
        _run("RunService/ListRuns", "parent", "sovereigns/-"),
        _run("RunService/ListSteps", "parent", "{1}"),
        (f"{_S}.RunService/GetStep", _step),
        _run("RunService/ApproveGate", "name", "{1}/steps/validate"),
        _run("RunService/RejectGate", "name", "{1}/steps/validate"),
        _run("RunService/ListEvents", "parent", "{0}"),
        _run("RunService/WatchEvents", "parent", "{0}"),
        _run("RunService/ListLogs", "parent", "{1}"),
        (f"{_S}.RunService/WatchLogs", _log_watched),
        _run("InfrastructureService/ListLedger", "parent", "{0}"),
        _run("InfrastructureService/ListComponents", "parent", "{0}/clusters/-"),
        _run("InfrastructureService/WatchComponents", "parent", "{0}/clusters/-"),
        _run("InfrastructureService/GetTopology", "name", "{0}/topology"),
        _run("InfrastructureService/WatchTopology", "name", "{0}/topology"),
        (f"{_S}.InfrastructureService/GetDriftReport", _drift_report),
        (f"provisioner: {_O}/GetOperation", _operation(operations_pb2.GetOperationRequest)),
        (f"provisioner: {_O}/WaitOperation", _operation(operations_pb2.WaitOperationRequest)),
    ]
)  # fmt: skip - reads as a table
"""What is asked of each method; one that several daemons serve has the daemon before it."""
