"""AllocationService: giving a name back, taking it away, and handing it to another Organization."""

from catalyst.pooldomain.v1 import resources_pb2, service_pb2
from catalyst_mesh import Context, caller
from catalyst_sdk import Decision, Violation

from catalyst_pool_domain_manager.domain import allocations, refusals
from catalyst_pool_domain_manager.domain.allocations import Allocation, State
from catalyst_pool_domain_manager.domain.pools import Pool
from catalyst_pool_domain_manager.domain.transfers import accept
from catalyst_pool_domain_manager.store import Store

from . import transfers
from .messages import to_allocation
from .name_calls import digest, fresh, pool_of, within_names
from .name_steering import NameSteering
from .standing import governed, key_of, may_govern, seen


class NameLeaving(NameSteering):
    """The end of an owner's time with a name."""

    async def ReleaseAllocation(
        self, request: service_pb2.ReleaseAllocationRequest, context: Context
    ) -> resources_pb2.Allocation:
        me, token = caller(context), request.reservation_token
        if not request.reason.strip():
            raise refusals.ReasonMissing

        async def decide(tx: Store) -> Decision[Allocation]:
            held = await tx.lock(*key_of(request.name))
            if held and token and held.state is not State.FREE and not may_govern(held.owner, me):
                if not refusals.same(held.token_hash, digest(token)):
                    raise refusals.TokenMismatch(name=request.name)
                a = held
            else:
                a = await governed(tx, request.name, me)
            fresh(a, request.etag)
            return allocations.release(a, request.reason.strip(), me.subject, tx.now)

        return await self._wish(decide, to_allocation, validate_only=request.validate_only)

    async def ForceReleaseAllocation(
        self, request: service_pb2.ForceReleaseAllocationRequest, context: Context
    ) -> resources_pb2.Allocation:
        me = caller(context)
        _confirmed(request)

        async def decide(tx: Store) -> Decision[Allocation]:
            a = await governed(tx, request.name, me)
            fresh(a, request.etag)
            return allocations.force_release(a, request.reason.strip(), me.subject, tx.now, grace=self._grace)

        async with self._work.reading() as tx:
            a, pool = await governed(tx, request.name, me), await pool_of(tx, key_of(request.name)[0])
            if a.state not in (State.RELEASING, State.QUARANTINED):  # else it is a repeat
                fresh(a, request.etag)
                allocations.force_release(a, request.reason, me.subject, tx.now, grace=self._grace)
        if a.state in allocations.COMMITTED:
            await self._unheard(pool, a)
        return await self._wish(decide, to_allocation, validate_only=request.validate_only)

    async def _unheard(self, pool: Pool, a: Allocation) -> None:
        """Raises NameStillResolves, or BackendUnavailable where nobody says that it does not."""
        resolves = await self._resolves(pool, a.fqdn)
        if resolves is None:
            raise refusals.BackendUnavailable(backend=pool.zone, why="no server says whether the name still resolves")
        if resolves:
            raise refusals.NameStillResolves(fqdn=a.fqdn)

    async def TransferAllocation(
        self, request: service_pb2.TransferAllocationRequest, context: Context
    ) -> service_pb2.TransferAllocationResponse:
        me = caller(context)
        if not request.reason.strip():
            raise refusals.ReasonMissing
        code, kept = transfers.new_code()

        async def decide(tx: Store) -> Decision[Allocation]:
            decision = await transfers.offered(tx, request, me, kept)
            fresh((await seen(tx, request.name, me)), request.etag)
            return decision

        answer = transfers.to_response(code, shown=not request.validate_only)
        return await self._wish(decide, answer, validate_only=request.validate_only)

    async def AcceptAllocationTransfer(
        self, request: service_pb2.AcceptAllocationTransferRequest, context: Context
    ) -> resources_pb2.Allocation:
        me = caller(context)

        async def decide(tx: Store) -> Decision[Allocation]:
            a = await transfers.named(tx, request.name, me)
            decision = accept(a, transfers.digest(request.code), me.subject, tx.now)
            if decision.state.owner != a.owner:
                await within_names(tx, await pool_of(tx, a.pool), decision.state.owner)
            return decision

        return await self._wish(decide, to_allocation)


def _confirmed(request: service_pb2.ForceReleaseAllocationRequest) -> None:
    """Raises what is not said as it must be."""
    if not request.reason.strip():
        raise refusals.ReasonMissing
    if not (request.grace_confirmed and request.confirm_fqdn.strip()):
        raise refusals.ConfirmationMissing(name=request.name)
    pool, label = key_of(request.name)
    given = request.confirm_fqdn.strip().lower().removesuffix(".")
    if given != f"{label}.{pool}":
        wrong = (Violation("confirm_fqdn", f"it is not {label}.{pool}", "fqdn"),)
        raise refusals.FqdnMismatch(violations=wrong, given=given, name=request.name, expected=f"{label}.{pool}")
