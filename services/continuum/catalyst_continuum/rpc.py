"""Continuum's contract, method by method."""

from datetime import datetime
from uuid import uuid4

from catalyst.continuum.v1 import resources_pb2, service_pb2, service_pb2_grpc
from catalyst.mesh.v1 import resources_pb2 as mesh_pb2
from catalyst_mesh import Context, OperationNotFound, Page, Work, span, stamp
from catalyst_sdk import Code, Decision, Refused
from catalyst_sdk.witness import LeaseWitness
from google.longrunning import operations_pb2

from .domain.slots import Phase, Slot
from .domain.timing import Profile
from .store import Store
from .workers.admission import Admission
from .workers.register import Register
from .workers.verify import CellReport, verify

VERIFICATIONS = "operations/continuum-verify-"

_PHASES = {
    Phase.PENDING: resources_pb2.ContinuumStatus.PHASE_PENDING,
    Phase.HEALTHY: resources_pb2.ContinuumStatus.PHASE_HEALTHY,
    Phase.DEGRADED: resources_pb2.ContinuumStatus.PHASE_DEGRADED,
    Phase.LEAVING: resources_pb2.ContinuumStatus.PHASE_PENDING,
}


class ContinuumNotFound(Refused):
    code, reason, message = Code.NOT_FOUND, "CONTINUUM_NOT_FOUND", "there is no {name}"


class CellNotFound(Refused):
    code, reason, message = Code.NOT_FOUND, "CELL_NOT_FOUND", "the witness has no cell {cells}"


class FilterInvalid(Refused):
    code, reason, message = Code.INVALID_ARGUMENT, "FILTER_INVALID", "the filter cannot be used: {detail}"
    field = "filter"


class ContinuumService(service_pb2_grpc.ContinuumServiceServicer):
    """Reads of slots, verification and admission of cells; runs, approvals and drills are not served yet.

    Answers come from the database and from the cells, so that every replica gives the same, whichever keeps the slots.
    """

    def __init__(self, work: Work[Store], register: Register, profile: Profile, witness: LeaseWitness) -> None:
        self._work = work
        self._register = register
        self._profile = profile
        self._witness_of_slots = witness
        self._admission = Admission(register, witness)

    async def GetContinuum(self, request: service_pb2.GetContinuumRequest, context: Context) -> resources_pb2.Continuum:
        _, namespace, _, name = request.name.split("/")
        async with self._work.reading() as tx:
            slot, now = await tx.get(namespace, name), tx.now
        if slot is None or slot.gone:
            raise ContinuumNotFound(name=request.name)
        if not any(view.reachable for view in self._register.views.values()):
            await self._register.look(slot.key)  # this replica has not kept a slot yet
        return self._continuum(slot, now)

    async def ListContinuums(
        self, request: service_pb2.ListContinuumsRequest, context: Context
    ) -> service_pb2.ListContinuumsResponse:
        if request.filter:
            raise FilterInvalid(detail="slots are not filtered")
        page = Page.of(request.page_size, request.page_token, "continuums", request.parent)
        namespace = request.parent.removeprefix("namespaces/")
        async with self._work.reading() as tx:
            found = await tx.live("" if namespace == "-" else namespace, tuple(page.after or ("", "")), page.size + 1)
            now = tx.now
        cut = page.cut(found, lambda slot: [slot.namespace, slot.name])
        return service_pb2.ListContinuumsResponse(
            continuums=[self._continuum(slot, now) for slot in cut.rows], next_page_token=cut.next_page_token
        )

    async def VerifyWitness(
        self, request: service_pb2.VerifyWitnessRequest, context: Context
    ) -> operations_pb2.Operation:
        # A few dozen small questions to all cells at once, done within the call: the Operation is finished when told.
        _, namespace, _, name = request.name.split("/")
        async with self._work.reading() as tx:
            slot = await tx.get(namespace, name)
        if slot is None or slot.gone:
            raise ContinuumNotFound(name=request.name)
        known = self._witness_of_slots.cells()
        if strangers := sorted(set(request.cells) - set(known)):
            raise CellNotFound(cells=", ".join(strangers))
        seen = await verify(
            self._witness_of_slots, [cell for cell in known if not request.cells or cell in request.cells]
        )
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

    async def AdmitCell(self, request: service_pb2.AdmitCellRequest, context: Context) -> resources_pb2.Continuum:
        _, namespace, _, name = request.name.split("/")
        async with self._work.reading() as tx:
            slot = await tx.get(namespace, name)
        if slot is None or slot.gone:
            raise ContinuumNotFound(name=request.name)
        if request.cell not in self._witness_of_slots.cells():
            raise CellNotFound(cells=request.cell)
        await self._admission.check(request.cell, request.new_incarnation)
        refused = await self._admission.admit(slot.key, request.cell, request.reason)

        async def step(tx: Store) -> Decision[None]:
            if refused:
                raise refused  # unless it is a repeat, whose answer is kept
            return Decision(None)

        async with self._work.reading() as tx:
            answer = self._continuum(slot, tx.now)
        return await self._work.run(step, answer=lambda _: answer)

    async def operation(self, name: str) -> operations_pb2.Operation:
        """A verification that was told. Raises OperationNotFound."""
        async with self._work.reading() as tx:
            kept = await tx.operation(name)
        if kept is None:
            raise OperationNotFound(name=name)
        return operations_pb2.Operation.FromString(kept)

    def _continuum(self, slot: Slot, now: datetime) -> resources_pb2.Continuum:
        answer = resources_pb2.Continuum(
            name=slot.resource, version=slot.version, etag=f'"{slot.version}"', create_time=stamp(slot.created_at),
            update_time=stamp(slot.since), spec=self._spec(slot), status=self._status(slot, now),
            conditions=_conditions(slot),
        )  # fmt: skip
        if slot.holder and slot.seq:
            answer.register.CopyFrom(
                resources_pb2.RegisterView(
                    state=resources_pb2.RegisterView.STATE_HELD, epoch=slot.epoch, seq=slot.seq, holder=slot.holder,
                    ttl=span(self._profile.ttl),
                )
            )  # fmt: skip
        return answer

    def _spec(self, slot: Slot) -> resources_pb2.ContinuumSpec:
        """A Sovereign's slot has no standby, so its mode is manual and the lease is all there is."""
        times = resources_pb2.LeaseConfig(
            ttl=span(self._profile.ttl), renew_interval=span(self._profile.renew),
            op_timeout=span(self._profile.op), fence_budget=span(self._profile.fence),
        )  # fmt: skip
        client = resources_pb2.LeaseClient(kind=resources_pb2.LeaseClient.KIND_DNS_QUORUM, config=times)
        mode = resources_pb2.ContinuumSpec.MODE_MANUAL
        return resources_pb2.ContinuumSpec(primary_region=slot.region, lease_client=client, mode=mode)

    def _status(self, slot: Slot, now: datetime) -> resources_pb2.ContinuumStatus:
        remaining = slot.remaining(now)
        authority = (
            resources_pb2.ContinuumStatus.AUTHORITY_HELD if remaining else resources_pb2.ContinuumStatus.AUTHORITY_NONE
        )
        return resources_pb2.ContinuumStatus(
            phase=_PHASES[slot.phase], primary_region=slot.holder, lease_holder=slot.holder, epoch=slot.epoch,
            self_region=slot.region, self_authority=authority, authority_remaining=span(remaining),
            witness=self._witness(slot), application=slot.name,
        )  # fmt: skip

    def _witness(self, slot: Slot) -> resources_pb2.WitnessStatus:
        cells = [
            resources_pb2.WitnessCellStatus(
                name=v.name, reachable=v.reachable, rtt=span(v.rtt), message=v.message, lag_ballots=v.lag,
                quarantined=v.quarantined, identity=v.identity,
            )
            for v in self._register.cells_of(slot.key)
        ]  # fmt: skip
        return resources_pb2.WitnessStatus(cells=cells, quorum=self._register.quorum, size=len(cells))


def _cell_report(report: CellReport) -> resources_pb2.WitnessCellReport:
    return resources_pb2.WitnessCellReport(
        name=report.cell, passed=not report.failures, cases=report.cases, failures=report.failures,
        software=report.software, identity=report.identity,
    )  # fmt: skip


def _conditions(slot: Slot) -> list[mesh_pb2.Condition]:
    held = slot.phase is Phase.HEALTHY
    status = mesh_pb2.Condition.STATUS_TRUE if held else mesh_pb2.Condition.STATUS_UNKNOWN
    reason = "HeldBySelf" if held else "Unknown"
    return [
        mesh_pb2.Condition(
            type="LeaseHeld", status=status, reason=reason, message=slot.message, since=stamp(slot.since)
        )
    ]
