"""AllocationService: where a name is to lead to."""

from catalyst.pooldomain.v1 import resources_pb2, service_pb2
from catalyst_mesh import Context, InvalidRequest, caller
from catalyst_sdk import Decision, Violation

from catalyst_pool_domain_manager.domain import allocations, refusals, traffic
from catalyst_pool_domain_manager.domain.allocations import Allocation, Target
from catalyst_pool_domain_manager.domain.pools import Pool
from catalyst_pool_domain_manager.domain.targets import parse
from catalyst_pool_domain_manager.domain.traffic import Policy
from catalyst_pool_domain_manager.store import Store

from .messages import idn_fqdn, to_allocation
from .name_calls import fresh, given_token, pool_of
from .name_holding import NameHolding
from .standing import STEERS, governed, key_of
from .traffic_messages import from_messages, planned


class NameSteering(NameHolding):
    """Commits and changes of what was committed."""

    async def CommitAllocation(
        self, request: service_pb2.CommitAllocationRequest, context: Context
    ) -> resources_pb2.Allocation:
        domain, label = key_of(request.name)
        hashed = given_token(request.reservation_token, request.name)
        can = await self._can(domain) if request.traffic else frozenset()

        async def decide(tx: Store) -> Decision[Allocation]:
            # What became of the reservation is said before the payload is looked at.
            a = allocations.claimed(await tx.lock(domain, label), request.name, hashed, tx.now)
            wished, steered = _payload(request, a, await pool_of(tx, domain))
            planned(steered, can)
            return allocations.commit(a, request.name, hashed, wished, tx.now, steered)

        return await self._wish(decide, to_allocation, validate_only=request.validate_only)

    async def UpdateAllocation(
        self, request: service_pb2.UpdateAllocationRequest, context: Context
    ) -> resources_pb2.Allocation:
        me, name = caller(context), request.allocation.name
        unknown = [path for path in request.update_mask.paths if path not in ("targets", "traffic")]
        if unknown:
            raise InvalidRequest(
                tuple(Violation("update_mask", f"{path} cannot be changed", "mask") for path in unknown)
            )
        paths = set(request.update_mask.paths) or {
            path for path in ("targets", "traffic") if getattr(request.allocation, path)
        }
        can = await self._can(key_of(name)[0]) if request.allocation.traffic else frozenset()

        async def decide(tx: Store) -> Decision[Allocation]:
            a = await governed(tx, name, me, also=STEERS if paths == {"traffic"} else ())
            fresh(a, request.etag)
            pool = await pool_of(tx, a.pool)
            targets = _targets(request.allocation.targets) if "targets" in paths else a.targets
            policies = from_messages(request.allocation.traffic if "traffic" in paths else ())
            wished, steered = _judged(a, pool, targets, policies)
            planned(steered, can)
            return allocations.retarget(
                a, wished, me.subject, tx.now, traffic=steered if "traffic" in paths else None, epoch=request.epoch
            )

        return await self._wish(decide, to_allocation, validate_only=request.validate_only)

    async def ReconcileAllocation(
        self, request: service_pb2.ReconcileAllocationRequest, context: Context
    ) -> resources_pb2.Allocation:
        me = caller(context)

        async def decide(tx: Store) -> Decision[Allocation]:
            a = await governed(tx, request.name, me)
            fresh(a, request.etag)
            return allocations.hurry(a, me.subject, tx.now)

        return await self._wish(decide, to_allocation)


def _payload(
    request: service_pb2.CommitAllocationRequest, a: Allocation, pool: Pool
) -> tuple[tuple[Target, ...], tuple[Policy, ...]]:
    """The wished targets and policies. Refuses once, with everything that is wrong."""
    given = request.sovereign_fqdn.strip().lower().removesuffix(".")
    mismatch: tuple[Violation, ...] = ()
    if given not in ("", a.fqdn, idn_fqdn(a)):
        mismatch = (Violation("sovereign_fqdn", f"it is not {a.fqdn}", "fqdn"),)
    try:
        wished = _judged(a, pool, _targets(request.targets), from_messages(request.traffic))
    except refusals.TargetsRefused as refused:
        if not mismatch:
            raise
        raise refusals.FqdnMismatch(
            violations=(*mismatch, *refused.violations), given=given, name=a.name, expected=a.fqdn
        ) from refused
    if mismatch:
        raise refusals.FqdnMismatch(violations=mismatch, given=given, name=a.name, expected=a.fqdn)
    return wished


def _judged(
    a: Allocation, pool: Pool, targets: tuple[Target, ...], policies: tuple[Policy, ...]
) -> tuple[tuple[Target, ...], tuple[Policy, ...]]:
    """Targets and policies in canonical form. Raises TargetsRefused with everything that is wrong in either."""
    steered, faults = traffic.checked(policies, a.fqdn, allow_private=pool.allow_private_targets)
    try:
        good = parse(targets, allow_private=pool.allow_private_targets)
    except refusals.TargetsRefused as refused:
        raise refusals.TargetsRefused(refused.reason, (*refused.violations, *faults)) from refused
    if faults:
        reason = "TARGET_NOT_PUBLIC" if all(fault.rule == "public" for fault in faults) else "TARGET_INVALID"
        raise refusals.TargetsRefused(reason, tuple(faults))
    return good, steered


def _targets(wished: object) -> tuple[tuple[str, str], ...]:
    return tuple((t.slot, t.address) for t in wished)  # type: ignore[attr-defined]
