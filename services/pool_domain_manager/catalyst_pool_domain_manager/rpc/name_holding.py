"""AllocationService: whether a name can be had, holding it, and holding it for longer."""

import hashlib
import hmac
from datetime import datetime
from uuid import uuid4

from catalyst.pooldomain.v1 import resources_pb2, service_pb2
from catalyst_mesh import Caller, Context, caller
from catalyst_sdk import Decision, Refused

from catalyst_pool_domain_manager.domain import allocations, labels, refusals
from catalyst_pool_domain_manager.domain.allocations import Allocation, Reserve, State
from catalyst_pool_domain_manager.domain.policy import Policy
from catalyst_pool_domain_manager.domain.pools import Pool, PoolNotFound, ZoneMode
from catalyst_pool_domain_manager.store import Store

from .limits import once
from .messages import to_allocation
from .name_calls import NameCalls, digest, given_token, pool_of, remember
from .standing import OPERATORS, key_of, owner_of


class NameHolding(NameCalls):
    """Before the commit: the database alone decides, no server is asked."""

    async def CheckName(self, request: service_pb2.CheckNameRequest, context: Context) -> service_pb2.CheckNameResponse:
        domain, me = request.parent.removeprefix("pools/"), caller(context)
        async with self._work.reading() as tx:
            pool = await tx.pool(domain)
            if pool is None:
                unknown = PoolNotFound(pool=request.parent)
                return service_pb2.CheckNameResponse(reason=unknown.reason, detail=unknown.sentence)
            self._limits.check(me, pool)
            judged = labels.judge(request.label, pool.policy, pool.in_use, await _doubles(tx, pool))
            if judged.reason:
                return service_pb2.CheckNameResponse(reason=judged.reason, detail=judged.detail, rule=judged.rule)
            held = await tx.lock(domain, judged.label)
            taken = _obstacle(held, me, tx.now)
        answer = service_pb2.CheckNameResponse(available=taken is None, fqdn=f"{judged.label}.{domain}")
        if taken is not None:
            answer.reason, answer.detail = taken.reason, taken.sentence
            if isinstance(taken, refusals.NameQuarantined) and held and held.available_at:
                answer.available_time.FromDatetime(held.available_at)
        return answer

    async def ReserveAllocation(
        self, request: service_pb2.ReserveAllocationRequest, context: Context
    ) -> service_pb2.ReserveAllocationResponse:
        domain, me = request.parent.removeprefix("pools/"), caller(context)
        owner = owner_of(request.owner, me)
        uid = str(uuid4())
        token = self._token(uid)

        admit = once(self._limits.reserve)  # deciding anew after a lost race is no second call

        async def decide(tx: Store) -> Decision[Allocation]:
            pool = await pool_of(tx, domain, stays=True)
            admit(me, pool)
            policy = pool.policy
            judged = labels.judge(request.label, policy, pool.in_use, await _doubles(tx, pool, alone=True))
            if judged.reason:
                raise refusals.LabelRefused(
                    judged.reason, judged.label, judged.rule, judged.detail, policy_version=policy.version
                )
            held = await _standing(tx, domain, judged.label, owner, policy)
            ttl = request.ttl.ToTimedelta() if request.HasField("ttl") else pool.reservation_ttl
            cmd = Reserve(
                domain, judged.label, uid, owner, request.holder or me.subject, request.created_by or me.subject, ttl,
                digest(token), warm=request.warm, inside=pool.zone_mode is ZoneMode.IN_PARENT,
            )  # fmt: skip
            if held is not None and not request.validate_only:
                held = await _retired(tx, held)
            try:
                return allocations.reserve(held, cmd, tx.now)
            except refusals.NameTaken as taken:
                raise _obstacle(held, me, tx.now) or taken from taken

        def answer(a: Allocation) -> service_pb2.ReserveAllocationResponse:
            given = "" if request.validate_only else token
            return service_pb2.ReserveAllocationResponse(allocation=to_allocation(a), reservation_token=given)

        return await self._wish(decide, answer, validate_only=request.validate_only)

    async def RenewAllocation(
        self, request: service_pb2.RenewAllocationRequest, context: Context
    ) -> resources_pb2.Allocation:
        pool, label = key_of(request.name)
        hashed = given_token(request.reservation_token, request.name)

        async def decide(tx: Store) -> Decision[Allocation]:
            held = await tx.lock(pool, label)
            ttl = request.ttl.ToTimedelta() if request.HasField("ttl") else (await pool_of(tx, pool)).reservation_ttl
            return allocations.renew(held, request.name, hashed, ttl, tx.now)

        return await self._wish(decide, to_allocation)

    def _token(self, uid: str) -> str:
        return "rsv_" + hmac.new(self._key, uid.encode(), hashlib.sha256).hexdigest()


async def _retired(tx: Store, held: Allocation) -> Allocation:
    """What time has ended but no sweeper has seen ends now, in the transaction of whoever comes next."""
    swept = allocations.sweep(held, tx.now)
    if swept.state is None:
        return held
    await tx.save(swept.state)
    await remember(tx, swept.events)
    tx.emit(*swept.events)
    return swept.state


def _obstacle(held: Allocation | None, me: Caller, now: datetime) -> Refused | None:
    """Why the caller cannot reserve the name. Of a rest only operators hear; a member may take his own back."""
    if held is None or not held.is_live(now):
        return None
    if held.state is State.QUARANTINED and held.available_at is not None:
        if me.has_role(*OPERATORS):
            return refusals.NameQuarantined(name=held.name, available_time=f"{held.available_at:%FT%TZ}")
        if held.owner.removeprefix("organizations/") in me.organizations:
            return None
    return refusals.NameTaken(name=held.name)


async def _doubles(tx: Store, pool: Pool, *, alone: bool = False) -> frozenset[str]:
    """Labels that a new one must not pass for. With `alone`, nobody else gets one before the commit."""
    if not pool.policy.idn:
        return frozenset()
    if alone:
        await tx.alone("idn", pool.domain)
    return await tx.labels_held(pool.domain)


async def _standing(tx: Store, domain: str, label: str, owner: str, policy: Policy) -> Allocation | None:
    """The name as it stands. Raises QuotaExceeded where its new owner can have no more of them."""
    await tx.alone("quota", owner)  # or two names at once would each be the last one allowed
    most = (policy.most_reservations, policy.most_names)
    held, reserved, named = await tx.standing(domain, label, owner, most)
    if reserved >= policy.most_reservations:
        raise refusals.QuotaExceeded(owner=owner, used=reserved, what="reservations", limit=policy.most_reservations)
    if named >= policy.most_names:
        raise refusals.QuotaExceeded(owner=owner, used=named, what="names", limit=policy.most_names)
    return held
