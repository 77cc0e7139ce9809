"""AllocationService."""

import asyncio
import hashlib
import hmac
from collections.abc import Awaitable, Callable
from uuid import uuid4

from catalyst.pooldomain.v1 import resources_pb2, service_pb2, service_pb2_grpc
from catalyst_mesh import Caller, Context, InvalidRequest, Page, Work, caller, stamp
from catalyst_sdk import Decision, Violation

from catalyst_pool_domain_manager.domain import allocations, labels, refusals
from catalyst_pool_domain_manager.domain.allocations import Allocation, Fact, Reserve, State
from catalyst_pool_domain_manager.domain.pools import Pool, PoolNotFound
from catalyst_pool_domain_manager.domain.targets import parse
from catalyst_pool_domain_manager.events import NAMES
from catalyst_pool_domain_manager.store import Store

from .messages import etag, to_allocation

MOST_WAIT = 60.0
_POLL = 0.1
OPERATORS = ("sovereign-admin",)


class AllocationService(service_pb2_grpc.AllocationServiceServicer):
    """Names: every method stores a wish and answers at once; the reconciler makes the world match."""

    def __init__(self, work: Work[Store], token_key: bytes) -> None:
        self._work = work
        self._key = token_key

    async def CheckName(self, request: service_pb2.CheckNameRequest, context: Context) -> service_pb2.CheckNameResponse:
        domain = request.parent.removeprefix("pools/")
        async with self._work.reading() as tx:
            pool = await _pool(tx, domain)
            judged = labels.judge(request.label, pool.policy)
            held = await tx.lock(domain, judged.label)
            taken = held is not None and held.is_live(tx.now)
        reason = judged.reason or ("NAME_TAKEN" if taken else "")
        detail = judged.detail or (f"{judged.label}.{domain} is held" if taken else "")
        return service_pb2.CheckNameResponse(
            available=not reason, reason=reason, detail=detail, fqdn=f"{judged.label}.{domain}", rule=judged.rule
        )

    async def ReserveAllocation(
        self, request: service_pb2.ReserveAllocationRequest, context: Context
    ) -> service_pb2.ReserveAllocationResponse:
        domain, me = request.parent.removeprefix("pools/"), caller(context)
        owner = _owner(request.owner, me)
        uid = str(uuid4())
        token = self._token(uid)

        async def step(tx: Store) -> Decision[Allocation]:
            pool = await _pool(tx, domain)
            judged = labels.judge(request.label, pool.policy)
            if judged.reason:
                raise refusals.LabelRefused(judged.reason, judged.label, judged.rule, judged.detail)
            held = await tx.lock(domain, judged.label)
            await _within_quota(tx, pool, owner)
            ttl = request.ttl.ToTimedelta() if request.HasField("ttl") else pool.reservation_ttl
            cmd = Reserve(
                domain, judged.label, uid, owner, request.holder or me.subject, request.created_by or me.subject, ttl,
                _hash(token),
            )  # fmt: skip
            return await _told(tx, allocations.reserve(held, cmd, tx.now))

        def answer(a: Allocation) -> service_pb2.ReserveAllocationResponse:
            return service_pb2.ReserveAllocationResponse(allocation=to_allocation(a), reservation_token=token)

        return await self._work.run(step, answer=answer)

    async def RenewAllocation(
        self, request: service_pb2.RenewAllocationRequest, context: Context
    ) -> resources_pb2.Allocation:
        pool, label = _key(request.name)
        hashed = _given(request.reservation_token, request.name)

        async def step(tx: Store) -> Decision[Allocation]:
            held = await tx.lock(pool, label)
            ttl = request.ttl.ToTimedelta() if request.HasField("ttl") else (await _pool(tx, pool)).reservation_ttl
            return await _told(tx, allocations.renew(held, request.name, hashed, ttl, tx.now))

        return await self._work.run(step, answer=to_allocation)

    async def CommitAllocation(
        self, request: service_pb2.CommitAllocationRequest, context: Context
    ) -> resources_pb2.Allocation:
        domain, label = _key(request.name)
        hashed = _given(request.reservation_token, request.name)
        if request.sovereign_fqdn and request.sovereign_fqdn != f"{label}.{domain}":
            raise refusals.FqdnMismatch(given=request.sovereign_fqdn, name=request.name, expected=f"{label}.{domain}")

        async def step(tx: Store) -> Decision[Allocation]:
            pool = await _pool(tx, domain)
            wished = parse(_targets(request.targets), allow_private=pool.allow_private_targets)
            return await _told(
                tx, allocations.commit(await tx.lock(domain, label), request.name, hashed, wished, tx.now)
            )

        return await self._work.run(step, answer=to_allocation)

    async def UpdateAllocation(
        self, request: service_pb2.UpdateAllocationRequest, context: Context
    ) -> resources_pb2.Allocation:
        domain, _ = _key(request.allocation.name)
        unknown = [path for path in request.update_mask.paths if path != "targets"]
        if unknown:
            raise InvalidRequest(
                tuple(Violation("update_mask", f"{path} cannot be changed", "mask") for path in unknown)
            )

        async def step(tx: Store) -> Decision[Allocation]:
            a = await _own(tx, request.allocation.name, caller(context))
            _fresh(a, request.etag)
            pool = await _pool(tx, domain)
            wished = parse(_targets(request.allocation.targets), allow_private=pool.allow_private_targets)
            return await _told(tx, allocations.retarget(a, wished, caller(context).subject, tx.now))

        return await self._work.run(step, answer=to_allocation)

    async def ReleaseAllocation(
        self, request: service_pb2.ReleaseAllocationRequest, context: Context
    ) -> resources_pb2.Allocation:
        if not request.reason.strip():
            raise refusals.ReasonMissing

        async def step(tx: Store) -> Decision[Allocation]:
            held = await tx.lock(*_key(request.name))
            holds = (
                request.reservation_token and held and refusals.same(held.token_hash, _hash(request.reservation_token))
            )
            a = held if held and holds else await _own(tx, request.name, caller(context))
            if a.state is State.FREE:
                raise refusals.AllocationNotFound(name=request.name)
            _fresh(a, request.etag)
            return await _told(tx, allocations.release(a, request.reason.strip(), caller(context).subject, tx.now))

        return await self._work.run(step, answer=to_allocation)

    async def GetAllocation(
        self, request: service_pb2.GetAllocationRequest, context: Context
    ) -> resources_pb2.Allocation:
        async with self._work.reading() as tx:
            return to_allocation(await _own(tx, request.name, caller(context), live=True))

    async def ListAllocations(
        self, request: service_pb2.ListAllocationsRequest, context: Context
    ) -> service_pb2.ListAllocationsResponse:
        me, domain = caller(context), request.parent.removeprefix("pools/")
        everybody = me.service or me.has_role(*OPERATORS)
        owners = None if everybody else [f"organizations/{org}" for org in sorted(me.organizations)]
        page = Page.of(request.page_size, request.page_token, "allocations", domain, owners, most=500)
        async with self._work.reading() as tx:
            await _pool(tx, domain)
            cut = page.cut(await tx.live(domain, page.after or "", page.size + 1, owners), lambda a: a.label)
        return service_pb2.ListAllocationsResponse(
            allocations=[to_allocation(a) for a in cut.rows], next_page_token=cut.next_page_token
        )

    async def ListAllocationHistory(
        self, request: service_pb2.ListAllocationHistoryRequest, context: Context
    ) -> service_pb2.ListAllocationHistoryResponse:
        domain, label = _key(request.parent)
        page = Page.of(request.page_size, request.page_token, "history", request.parent, most=500)
        async with self._work.reading() as tx:
            await _own(tx, request.parent, caller(context))
            cut = page.cut(await tx.events_of(domain, label, page.after or 0, page.size + 1), lambda row: row["number"])
        entries = [
            resources_pb2.AllocationHistoryEntry(
                version=row["version"],
                uid=row["uid"],
                event=row["event"],
                owner=row["owner"],
                actor=row["actor"],
                reason=row["reason"],
                change_time=stamp(row["at"]),
                state=_state(row["state"]),
            )
            for row in cut.rows
        ]
        return service_pb2.ListAllocationHistoryResponse(entries=entries, next_page_token=cut.next_page_token)

    async def WaitAllocation(
        self, request: service_pb2.WaitAllocationRequest, context: Context
    ) -> resources_pb2.Allocation:
        """Answers when the state is reached, or as it stands when the time is over."""
        wanted = resources_pb2.Allocation.State.Name(request.state).removeprefix("STATE_").lower()
        patience = min(request.timeout.ToTimedelta().total_seconds() or MOST_WAIT, MOST_WAIT)

        async def look() -> Allocation:
            async with self._work.reading() as tx:
                return await _own(tx, request.name, caller(context), live=True)

        def reached(a: Allocation) -> bool:
            return a.state == wanted and a.observed_generation >= request.generation

        return to_allocation(await _until(look, reached, patience))

    def _token(self, uid: str) -> str:
        return "rsv_" + hmac.new(self._key, uid.encode(), hashlib.sha256).hexdigest()


async def _until(
    look: Callable[[], Awaitable[Allocation]], reached: Callable[[Allocation], bool], patience: float
) -> Allocation:
    loop = asyncio.get_running_loop()
    deadline = loop.time() + patience
    while True:
        a = await look()
        if reached(a) or loop.time() + _POLL > deadline:
            return a
        await asyncio.sleep(_POLL)


async def _told(tx: Store, decision: Decision[Allocation]) -> Decision[Allocation]:
    """Keep what happened in the name's history too."""
    for fact in decision.events:
        if isinstance(fact, Fact):
            await tx.remember(fact.allocation, NAMES[type(fact)], fact.actor)
    return decision


async def _pool(tx: Store, domain: str) -> Pool:
    pool = await tx.pool(domain)
    if pool is None:
        raise PoolNotFound(pool=f"pools/{domain}")
    return pool


async def _own(tx: Store, name: str, me: Caller, *, live: bool = False) -> Allocation:
    """The name, where the caller may know of it; another Organization's is as absent as one that never was."""
    a = await tx.lock(*_key(name))
    if a is None or (live and not a.is_live(tx.now)) or not _may_see(a, me):
        raise refusals.AllocationNotFound(name=name)
    return a


def _may_see(a: Allocation, me: Caller) -> bool:
    org = a.owner.removeprefix("organizations/")
    return bool(me.service) or me.has_role(*OPERATORS, "security-officer") or org in me.organizations


async def _within_quota(tx: Store, pool: Pool, owner: str) -> None:
    reserved, named = await tx.held_by(owner)
    if reserved >= pool.policy.most_reservations:
        raise refusals.QuotaExceeded(
            owner=owner, used=reserved, what="reservations", limit=pool.policy.most_reservations
        )
    if named >= pool.policy.most_names:
        raise refusals.QuotaExceeded(owner=owner, used=named, what="names", limit=pool.policy.most_names)


def _owner(given: str, me: Caller) -> str:
    """Whose name it becomes: the caller's Organization's, or another's where the caller may act for it."""
    owner = given or (f"organizations/{min(me.organizations)}" if len(me.organizations) == 1 else "")
    if not owner:
        raise InvalidRequest((Violation("owner", "say which Organization the name is for", "required"),))
    me.require(*OPERATORS, "org-admin", org=owner.removeprefix("organizations/"), resource=owner)
    return owner


def _given(token: str, name: str) -> str:
    if not token:
        raise refusals.TokenMissing(name=name)
    return _hash(token)


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def _fresh(a: Allocation, given: str) -> None:
    if given and given != etag(a.version):
        raise refusals.EtagMismatch(name=a.name)


def _key(name: str) -> tuple[str, str]:
    _, pool, _, label = name.split("/")
    return pool, label


def _targets(wished: object) -> tuple[tuple[str, str], ...]:
    return tuple((t.slot, t.address) for t in wished)  # type: ignore[attr-defined]


def _state(name: str) -> resources_pb2.Allocation.State.ValueType:
    if name == State.FREE:
        return resources_pb2.Allocation.STATE_UNSPECIFIED
    return resources_pb2.Allocation.State.Value(f"STATE_{name.upper()}")
