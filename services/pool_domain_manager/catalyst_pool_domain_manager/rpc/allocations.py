"""AllocationService."""

import asyncio
import hashlib
import hmac
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import datetime
from typing import TypeVar
from uuid import uuid4

from catalyst.pooldomain.v1 import resources_pb2, service_pb2, service_pb2_grpc
from catalyst_mesh import Caller, Context, InvalidRequest, Page, Work, caller, current
from catalyst_mesh.journal.bells import Bells, rung
from catalyst_sdk import Decision, PluginFailure, Refused, Violation
from catalyst_sdk.dns import Capability
from google.protobuf.message import Message

from catalyst_pool_domain_manager.domain import allocations, filters, labels, refusals, traffic
from catalyst_pool_domain_manager.domain.allocations import Allocation, Fact, Reserve, State, Target
from catalyst_pool_domain_manager.domain.pools import Pool, PoolNotFound, ZoneMode
from catalyst_pool_domain_manager.domain.targets import parse
from catalyst_pool_domain_manager.domain.traffic import Policy
from catalyst_pool_domain_manager.domain.transfers import accept
from catalyst_pool_domain_manager.events import SUBJECTS
from catalyst_pool_domain_manager.store import Store

from . import transfers, watching
from .limits import Limits, once
from .messages import etag, idn_fqdn, to_allocation, to_entry
from .standing import OPERATORS, STEERS, governed, key_of, may_govern, owner_of, owners_seen, seen
from .traffic_messages import from_messages, planned

DEFAULT_WAIT = 30.0
MOST_WAIT = 60.0
_POLL, _LONGEST = 0.1, 1.0
"""Seconds between two looks of somebody who waits, at first and in the end."""
Answer = TypeVar("Answer", bound=Message)
Resolves = Callable[[Pool, str], Awaitable[bool | None]]
"""`(pool, fqdn)`: whether the world has an address for a name; None: nobody answered."""
AbilitiesOf = Callable[[str], Awaitable[frozenset[Capability]]]
"""What the server behind a backend's plugin can do."""


class AllocationService(service_pb2_grpc.AllocationServiceServicer):
    """Names: every method stores a wish and answers at once; the reconciler makes the world match."""

    def __init__(
        self,
        work: Work[Store],
        token_key: bytes,
        limits: Limits,
        resolves: Resolves,
        abilities: AbilitiesOf,
        bells: Bells | None = None,
    ) -> None:
        """`bells` are rung by the reconciler for each name that comes to where it is to stay."""
        self._work = work
        self._bells = bells or Bells()
        self._key = token_key
        self._limits = limits
        self._resolves = resolves
        self._abilities = abilities

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
            pool = await _pool(tx, domain, stays=True)
            admit(me, pool)
            judged = labels.judge(request.label, pool.policy, pool.in_use, await _doubles(tx, pool, alone=True))
            if judged.reason:
                raise refusals.LabelRefused(
                    judged.reason, judged.label, judged.rule, judged.detail, policy_version=pool.policy.version
                )
            held = await tx.lock(domain, judged.label)
            await _within_quota(tx, pool, owner)
            ttl = request.ttl.ToTimedelta() if request.HasField("ttl") else pool.reservation_ttl
            cmd = Reserve(
                domain, judged.label, uid, owner, request.holder or me.subject, request.created_by or me.subject, ttl,
                _hash(token), warm=request.warm, inside=pool.zone_mode is ZoneMode.IN_PARENT,
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
        hashed = _given(request.reservation_token, request.name)

        async def decide(tx: Store) -> Decision[Allocation]:
            held = await tx.lock(pool, label)
            ttl = request.ttl.ToTimedelta() if request.HasField("ttl") else (await _pool(tx, pool)).reservation_ttl
            return allocations.renew(held, request.name, hashed, ttl, tx.now)

        return await self._wish(decide, to_allocation)

    async def CommitAllocation(
        self, request: service_pb2.CommitAllocationRequest, context: Context
    ) -> resources_pb2.Allocation:
        domain, label = key_of(request.name)
        hashed = _given(request.reservation_token, request.name)
        can = await self._can(domain) if request.traffic else frozenset()

        async def decide(tx: Store) -> Decision[Allocation]:
            # What became of the reservation is said before the payload is looked at.
            a = allocations.claimed(await tx.lock(domain, label), request.name, hashed, tx.now)
            wished, steered = _payload(request, a, await _pool(tx, domain))
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
            _fresh(a, request.etag)
            pool = await _pool(tx, a.pool)
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
            _fresh(a, request.etag)
            return allocations.hurry(a, me.subject, tx.now)

        return await self._wish(decide, to_allocation)

    async def ReleaseAllocation(
        self, request: service_pb2.ReleaseAllocationRequest, context: Context
    ) -> resources_pb2.Allocation:
        me, token = caller(context), request.reservation_token
        if not request.reason.strip():
            raise refusals.ReasonMissing

        async def decide(tx: Store) -> Decision[Allocation]:
            held = await tx.lock(*key_of(request.name))
            if held and token and held.state is not State.FREE and not may_govern(held.owner, me):
                if not refusals.same(held.token_hash, _hash(token)):
                    raise refusals.TokenMismatch(name=request.name)
                a = held
            else:
                a = await governed(tx, request.name, me)
            _fresh(a, request.etag)
            return allocations.release(a, request.reason.strip(), me.subject, tx.now)

        return await self._wish(decide, to_allocation, validate_only=request.validate_only)

    async def ForceReleaseAllocation(
        self, request: service_pb2.ForceReleaseAllocationRequest, context: Context
    ) -> resources_pb2.Allocation:
        me = caller(context)
        _confirmed(request)

        async def decide(tx: Store) -> Decision[Allocation]:
            a = await governed(tx, request.name, me)
            _fresh(a, request.etag)
            return allocations.force_release(a, request.reason.strip(), me.subject, tx.now)

        async with self._work.reading() as tx:
            a, pool = await governed(tx, request.name, me), await _pool(tx, key_of(request.name)[0])
            if a.state not in (State.RELEASING, State.QUARANTINED):  # else it is a repeat
                _fresh(a, request.etag)
                allocations.force_release(a, request.reason, me.subject, tx.now)
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
            _fresh((await seen(tx, request.name, me)), request.etag)
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
                await _within_names(tx, await _pool(tx, a.pool), decision.state.owner)
            return decision

        return await self._wish(decide, to_allocation)

    async def GetAllocation(
        self, request: service_pb2.GetAllocationRequest, context: Context
    ) -> resources_pb2.Allocation:
        async with self._work.reading() as tx:
            return to_allocation(await seen(tx, request.name, caller(context), live=True))

    async def ListAllocations(
        self, request: service_pb2.ListAllocationsRequest, context: Context
    ) -> service_pb2.ListAllocationsResponse:
        domain, owners = request.parent.removeprefix("pools/"), owners_seen(caller(context))
        wanted = filters.parse(request.filter)
        page = Page.of(request.page_size, request.page_token, "allocations", domain, owners, request.filter, most=500)
        async with self._work.reading() as tx:
            if domain != "-":
                await _pool(tx, domain)
            rows = await tx.live(None if domain == "-" else domain, page.after, page.size + 1, owners, wanted)
        cut = page.cut(rows, lambda a: [a.pool, a.label])
        return service_pb2.ListAllocationsResponse(
            allocations=[to_allocation(a) for a in cut.rows], next_page_token=cut.next_page_token
        )

    async def ListAllocationHistory(
        self, request: service_pb2.ListAllocationHistoryRequest, context: Context
    ) -> service_pb2.ListAllocationHistoryResponse:
        domain, label = key_of(request.parent)
        owners = owners_seen(caller(context))
        page = Page.of(request.page_size, request.page_token, "history", request.parent, owners, most=500)
        async with self._work.reading() as tx:
            rows = await tx.events_of(domain, label, page.after, page.size + 1, owners)
        if not rows and page.after is None:
            raise refusals.AllocationNotFound(name=request.parent)
        cut = page.cut(rows, lambda row: row["number"])
        return service_pb2.ListAllocationHistoryResponse(
            entries=[to_entry(row) for row in cut.rows], next_page_token=cut.next_page_token
        )

    async def WaitAllocation(
        self, request: service_pb2.WaitAllocationRequest, context: Context
    ) -> resources_pb2.Allocation:
        """Answers when the state is reached, or as it stands when the time is over."""
        me = caller(context)
        wanted = resources_pb2.Allocation.State.Name(request.state).removeprefix("STATE_").lower()
        patience = request.timeout.ToTimedelta().total_seconds() if request.HasField("timeout") else DEFAULT_WAIT

        async def look() -> Allocation:
            async with self._work.reading() as tx:
                return await seen(tx, request.name, me, live=True)

        def reached(a: Allocation) -> bool:
            is_there = a.state == wanted if request.state else a.state not in allocations.WORKING
            return is_there and a.observed_generation >= request.generation

        with self._bells.listening(request.name) as bell:
            return to_allocation(await _until(look, reached, min(patience, MOST_WAIT), bell))

    async def WatchAllocations(
        self, request: service_pb2.WatchAllocationsRequest, context: Context
    ) -> AsyncIterator[service_pb2.WatchAllocationsResponse]:
        domain, owners = request.parent.removeprefix("pools/"), owners_seen(caller(context))
        if domain != "-":
            async with self._work.reading() as tx:
                await _pool(tx, domain)
        pool = None if domain == "-" else domain
        now = asyncio.get_running_loop().time
        async for change in watching.changes(self._work, pool, owners, request.from_version, now=now):
            yield change

    async def _wish(
        self,
        decide: Callable[[Store], Awaitable[Decision[Allocation]]],
        answer: Callable[[Allocation], Answer],
        *,
        validate_only: bool = False,
    ) -> Answer:
        """Decide and store, with the name's history; `validate_only` decides on what is there and stores nothing."""
        if validate_only:
            return await self._work.rehearse(decide, answer=answer)

        async def step(tx: Store) -> Decision[Allocation]:
            decision = await decide(tx)
            await _remember(tx, decision.events)
            return decision

        return await self._work.run(step, answer=answer)

    async def _can(self, domain: str) -> frozenset[Capability]:
        """What the backend of a pool can do. Raises BackendUnavailable, PoolNotFound."""
        async with self._work.reading() as tx:
            pool = await _pool(tx, domain)
        try:
            return await self._abilities(pool.backend)
        except PluginFailure as failure:
            raise refusals.BackendUnavailable(backend=pool.backend, why=failure.message) from failure

    def _token(self, uid: str) -> str:
        return "rsv_" + hmac.new(self._key, uid.encode(), hashlib.sha256).hexdigest()


async def _until(
    look: Callable[[], Awaitable[Allocation]],
    reached: Callable[[Allocation], bool],
    patience: float,
    bell: asyncio.Event,
) -> Allocation:
    """Look whenever the bell rings, and by oneself ever less often: what another replica does rings no bell here."""
    loop = asyncio.get_running_loop()
    deadline, pause = loop.time() + patience, _POLL
    while True:
        bell.clear()
        a = await look()
        if reached(a) or (left := deadline - loop.time()) <= 0:
            return a
        await rung(bell, min(pause, left))
        pause = min(2 * pause, _LONGEST)


async def _remember(tx: Store, facts: tuple[object, ...]) -> None:
    """Keep what happened in the name's history too."""
    for fact in facts:
        if isinstance(fact, Fact):
            await tx.remember(fact.allocation, SUBJECTS[type(fact)], fact.actor, request_id=current().request_id)


async def _retired(tx: Store, held: Allocation) -> Allocation:
    """What time has ended but no sweeper has seen ends now, in the transaction of whoever comes next."""
    swept = allocations.sweep(held, tx.now)
    if swept.state is None:
        return held
    await tx.save(swept.state)
    await _remember(tx, swept.events)
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


async def _pool(tx: Store, domain: str, *, stays: bool = False) -> Pool:
    pool = await tx.pool(domain, stays=stays)
    if pool is None:
        raise PoolNotFound(pool=f"pools/{domain}")
    return pool


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


async def _within_names(tx: Store, pool: Pool, owner: str) -> None:
    await tx.alone("quota", owner)
    _, named = await tx.held_by(owner, (0, pool.policy.most_names))
    if named >= pool.policy.most_names:
        raise refusals.QuotaExceeded(owner=owner, used=named, what="names", limit=pool.policy.most_names)


async def _doubles(tx: Store, pool: Pool, *, alone: bool = False) -> frozenset[str]:
    """Labels that a new one must not pass for. With `alone`, nobody else gets one before the commit."""
    if not pool.policy.idn:
        return frozenset()
    if alone:
        await tx.alone("idn", pool.domain)
    return await tx.labels_held(pool.domain)


async def _within_quota(tx: Store, pool: Pool, owner: str) -> None:
    await tx.alone("quota", owner)  # or two names at once would each be the last one allowed
    most = pool.policy.most_reservations, pool.policy.most_names
    reserved, named = await tx.held_by(owner, most)
    if reserved >= pool.policy.most_reservations:
        raise refusals.QuotaExceeded(
            owner=owner, used=reserved, what="reservations", limit=pool.policy.most_reservations
        )
    if named >= pool.policy.most_names:
        raise refusals.QuotaExceeded(owner=owner, used=named, what="names", limit=pool.policy.most_names)


def _given(token: str, name: str) -> str:
    if not token:
        raise refusals.TokenMissing(name=name)
    return _hash(token)


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def _fresh(a: Allocation, given: str) -> None:
    if given and given != etag(a.version):
        raise refusals.EtagMismatch(name=a.name)


def _targets(wished: object) -> tuple[tuple[str, str], ...]:
    return tuple((t.slot, t.address) for t in wished)  # type: ignore[attr-defined]
