"""Suspension, and what people say about moves that were: written down here, done in the register by a worker."""

from catalyst.continuum.v1 import resources_pb2, service_pb2
from catalyst_mesh import Context, caller
from catalyst_sdk import Decision

from ..domain import slots
from ..domain.slots import Slot
from ..store import Store
from . import specs
from .calls import Calls
from .elsewhere import anywhere


class SuspensionCalls(Calls):
    """Suspend, Resume, AcknowledgeFailover."""

    @anywhere
    async def Suspend(self, request: service_pb2.SuspendRequest, context: Context) -> resources_pb2.Continuum:
        return await self._wished(request, suspended=True)

    @anywhere
    async def Resume(self, request: service_pb2.ResumeRequest, context: Context) -> resources_pb2.Continuum:
        return await self._wished(request, suspended=False)

    @anywhere
    async def AcknowledgeFailover(
        self, request: service_pb2.AcknowledgeFailoverRequest, context: Context
    ) -> resources_pb2.Continuum:
        who = caller(context)

        async def step(tx: Store) -> Decision[Slot]:
            slot = await self._locked(tx, request.name, request.etag, "org-admin")
            return slots.acknowledge(
                slot, expected=request.expected_epoch, by=who.subject, comment=request.comment, now=tx.now
            )

        return await self._written(step)

    async def _wished(
        self, request: service_pb2.SuspendRequest | service_pb2.ResumeRequest, *, suspended: bool
    ) -> resources_pb2.Continuum:
        who = caller()

        async def step(tx: Store) -> Decision[Slot]:
            slot = await self._locked(tx, request.name, request.etag, "org-admin")
            if suspended:
                await self._must_rest(tx, slot)
            wish = specs.wish_of(slot) | {"suspend": suspended}
            return slots.suspend(
                slot, wished=suspended, document=specs.text(wish) if slot.document else "", by=who.subject,
                reason=request.reason, now=tx.now,
            )  # fmt: skip

        return await self._written(step)
