"""Cells: their verification, within one call."""

from uuid import uuid4

from catalyst.continuum.v1 import resources_pb2, service_pb2
from catalyst_mesh import Context, OperationNotFound
from catalyst_sdk import Code, Decision, Refused
from google.longrunning import operations_pb2

from ..store import Store
from ..workers.admission import Admission
from ..workers.verify import CellReport, verify
from .calls import Calls
from .elsewhere import known_anywhere

VERIFICATIONS = "operations/continuum-verify-"


class CellNotFound(Refused):
    code, reason, message = Code.NOT_FOUND, "CELL_NOT_FOUND", "the witness has no cell {cells}"


class WitnessCalls(Calls):
    """What is asked of cells themselves."""

    @known_anywhere
    async def VerifyWitness(
        self, request: service_pb2.VerifyWitnessRequest, context: Context
    ) -> operations_pb2.Operation:
        # A few dozen small questions to all cells at once, done within the call: the Operation is finished when told.
        async with self._work.reading() as tx:
            witness = self._registers.at(await self._seen(tx, request.name)).witness
        known = witness.cells()
        if strangers := sorted(set(request.cells) - set(known)):
            raise CellNotFound(cells=", ".join(strangers))
        seen = await verify(witness, [cell for cell in known if not request.cells or cell in request.cells])
        report = resources_pb2.WitnessReport(
            safe=seen.is_safe, cells=map(_cell_report, seen.cells), findings=seen.findings
        )
        operation = operations_pb2.Operation(name=f"{VERIFICATIONS}{uuid4().hex}", done=True)
        operation.metadata.Pack(resources_pb2.WitnessMetadata(continuum=request.name, progress_percent=100))
        operation.response.Pack(report)

        async def step(tx: Store) -> Decision[None]:
            await tx.keep_operation(operation.name, operation.SerializeToString())
            return Decision(None)

        return await self._work.run(step, answer=lambda _: operation)  # a retry gets the report that was told first

    @known_anywhere
    async def AdmitCell(self, request: service_pb2.AdmitCellRequest, context: Context) -> resources_pb2.Continuum:
        async with self._work.reading() as tx:
            slot = await self._seen(tx, request.name)
        placed = self._registers.at(slot)
        if request.cell not in placed.witness.cells():
            raise CellNotFound(cells=request.cell)
        admission = Admission(placed.register, placed.witness)
        await admission.check(request.cell, request.new_incarnation)
        refused = await admission.admit(slot.key, request.cell, request.reason)

        async def step(tx: Store) -> Decision[None]:
            if refused:
                raise refused  # unless it is a repeat, whose answer is kept
            return Decision(None)

        async with self._work.reading() as tx:
            answer = self._shown(slot, await tx.observed(slot.namespace, slot.name), tx.now)
        return await self._work.run(step, answer=lambda _: answer)

    async def operation(self, name: str) -> operations_pb2.Operation:
        """A verification that was told. Raises OperationNotFound."""
        async with self._work.reading() as tx:
            kept = await tx.operation(name)
        if kept is None:
            raise OperationNotFound(name=name)
        return operations_pb2.Operation.FromString(kept)


def _cell_report(report: CellReport) -> resources_pb2.WitnessCellReport:
    return resources_pb2.WitnessCellReport(
        name=report.cell, passed=not report.failures, cases=report.cases, failures=report.failures,
        software=report.software, identity=report.identity,
    )  # fmt: skip
