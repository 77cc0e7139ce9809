"""Continuum's contract, method by method."""

from datetime import datetime

from catalyst.continuum.v1 import resources_pb2, service_pb2, service_pb2_grpc
from catalyst.mesh.v1 import resources_pb2 as mesh_pb2
from catalyst_mesh import Context, Page, Work, span, stamp
from catalyst_sdk import Code, Refused

from .domain.slots import Phase, Slot
from .domain.timing import Profile
from .store import Store
from .workers.register import Register

_PHASES = {
    Phase.PENDING: resources_pb2.ContinuumStatus.PHASE_PENDING,
    Phase.HEALTHY: resources_pb2.ContinuumStatus.PHASE_HEALTHY,
    Phase.DEGRADED: resources_pb2.ContinuumStatus.PHASE_DEGRADED,
    Phase.LEAVING: resources_pb2.ContinuumStatus.PHASE_PENDING,
}


class ContinuumNotFound(Refused):
    code, reason, message = Code.NOT_FOUND, "CONTINUUM_NOT_FOUND", "there is no {name}"


class FilterInvalid(Refused):
    code, reason, message = Code.INVALID_ARGUMENT, "FILTER_INVALID", "the filter cannot be used: {detail}"
    field = "filter"


class ContinuumService(service_pb2_grpc.ContinuumServiceServicer):
    """Reads of slots; runs, approvals and drills are not served yet.

    Answers come from the database and from the cells, so that every replica gives the same, whichever keeps the slots.
    """

    def __init__(self, work: Work[Store], register: Register, profile: Profile) -> None:
        self._work = work
        self._register = register
        self._profile = profile

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
            witness=self._witness(), application=slot.name,
        )  # fmt: skip

    def _witness(self) -> resources_pb2.WitnessStatus:
        cells = [
            resources_pb2.WitnessCellStatus(name=v.name, reachable=v.reachable, rtt=span(v.rtt), message=v.message)
            for v in self._register.views.values()
        ]
        return resources_pb2.WitnessStatus(cells=cells, quorum=self._register.quorum, size=len(cells))


def _conditions(slot: Slot) -> list[mesh_pb2.Condition]:
    held = slot.phase is Phase.HEALTHY
    status = mesh_pb2.Condition.STATUS_TRUE if held else mesh_pb2.Condition.STATUS_UNKNOWN
    reason = "HeldBySelf" if held else "Unknown"
    return [
        mesh_pb2.Condition(
            type="LeaseHeld", status=status, reason=reason, message=slot.message, since=stamp(slot.since)
        )
    ]
