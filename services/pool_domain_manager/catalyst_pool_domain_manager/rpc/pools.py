"""PoolService."""

import asyncio
import re
from collections.abc import Iterator

from catalyst.pooldomain.v1 import resources_pb2, service_pb2, service_pb2_grpc
from catalyst_mesh import Context, InvalidRequest, Page, Work, caller
from catalyst_sdk import Decision, Violation

from catalyst_pool_domain_manager.domain import labels, pools, refusals
from catalyst_pool_domain_manager.domain.pools import Pool, PoolNotFound
from catalyst_pool_domain_manager.store import Store

from .messages import BACKENDS, from_pool, to_pool


class PoolService(service_pb2_grpc.PoolServiceServicer):
    """Pools: made by an operator over a zone that is there; whether it is, a worker looks."""

    def __init__(self, work: Work[Store], defaults: tuple[float, float], made: asyncio.Event) -> None:
        self._work = work
        self._defaults = defaults
        self._made = made

    async def CreatePool(self, request: service_pb2.CreatePoolRequest, context: Context) -> resources_pb2.Pool:
        plugin = _check(request)
        actor = caller(context).subject

        async def step(tx: Store) -> Decision[Pool]:
            wish = from_pool(request.pool_id, request.pool, plugin, tx.now, self._defaults)
            return pools.create(await tx.pool(request.pool_id), wish, actor)

        if request.validate_only:
            return await self._work.rehearse(step, answer=to_pool)
        answer = await self._work.run(step, answer=to_pool)
        self._made.set()
        return answer

    async def GetPool(self, request: service_pb2.GetPoolRequest, context: Context) -> resources_pb2.Pool:
        async with self._work.reading() as tx:
            pool = await tx.pool(request.name.removeprefix("pools/"))
        if pool is None:
            raise PoolNotFound(pool=request.name)
        return to_pool(pool)

    async def ListPools(self, request: service_pb2.ListPoolsRequest, context: Context) -> service_pb2.ListPoolsResponse:
        kind = resources_pb2.Pool.Kind.Name(request.kind) if request.kind else ""
        page = Page.of(request.page_size, request.page_token, "pools", kind, most=500)
        async with self._work.reading() as tx:
            cut = page.cut(await tx.all_pools(page.after or "", page.size + 1, kind), lambda pool: pool.domain)
        return service_pb2.ListPoolsResponse(
            pools=[to_pool(pool) for pool in cut.rows], next_page_token=cut.next_page_token
        )

    async def ListReservedNames(
        self, request: service_pb2.ListReservedNamesRequest, context: Context
    ) -> service_pb2.ListReservedNamesResponse:
        async with self._work.reading() as tx:
            pool = await tx.pool(request.parent.removeprefix("pools/"))
        if pool is None:
            raise PoolNotFound(pool=request.parent)
        page = Page.of(request.page_size, request.page_token, "reservedNames", request.parent, most=500)
        # Labels sort before patterns; the pair is the place in the list.
        rest = [k for k in labels.kept(pool.policy, pool.in_use) if page.after is None or _place(k) > page.after]
        cut = page.cut(rest[: page.size + 1], _place)
        names = [resources_pb2.ReservedName(label=k.label, pattern=k.pattern, rule=k.rule) for k in cut.rows]
        return service_pb2.ListReservedNamesResponse(reserved_names=names, next_page_token=cut.next_page_token)


def _place(kept: labels.Kept) -> list[str]:
    return ["1", kept.label] if kept.label else ["2", kept.pattern]


def _check(request: service_pb2.CreatePoolRequest) -> str:
    """The plugin of the pool's backend. Raises what is wrong with the wish, all at once."""
    wish, found = request.pool, []
    if not wish.kinds:
        found.append(Violation("pool.kinds", "say what the pool is for", "required"))
    if wish.zone and wish.zone != f"zones/{request.pool_id}":
        found.append(Violation("pool.zone", f"the pool's zone is zones/{request.pool_id}", "zone"))
    if wish.zone_mode == resources_pb2.Pool.ZONE_MODE_IN_PARENT:
        found.append(Violation("pool.zone_mode", "names inside of the pool's zone are not served yet", "zone_mode"))
    names = [entry.name for entry in wish.record_layout]
    if "*" in names:
        found.append(Violation("pool.record_layout", "a wildcard answers for every mistyped name", "wildcard"))
    if len(names) != len(set(names)):
        found.append(Violation("pool.record_layout", "a name stands there twice", "unique"))
    found += [*_ttl_faults(wish.ttls), *_policy_faults(wish.policy)]
    if found:
        raise InvalidRequest(tuple(found))
    backend = wish.backend or next(iter(BACKENDS))
    if backend not in BACKENDS:
        raise refusals.BackendNotFound(backend=backend)
    return BACKENDS[backend]


def _ttl_faults(wish: resources_pb2.PoolTtls) -> Iterator[Violation]:
    for field in ("ns", "ds", "record", "negative"):
        if wish.HasField(field) and not 1 <= getattr(wish, field).seconds < 2**31:  # RFC 2181, section 8
            yield Violation(f"pool.ttls.{field}", "a time to live is 1 to 2147483647 seconds", "ttl")


def _policy_faults(wish: resources_pb2.PoolPolicy) -> Iterator[Violation]:
    has_both = wish.HasField("min_label_length") and wish.HasField("max_label_length")
    if has_both and wish.min_label_length > wish.max_label_length:
        yield Violation("pool.policy.min_label_length", "it is above max_label_length", "range")
    if wish.allow_idn:
        yield Violation("pool.policy.allow_idn", "encoded names are not handed out", "idn")
    for n, pattern in enumerate(wish.reserved_patterns):
        try:
            re.compile(pattern)
        except re.error as error:
            yield Violation(f"pool.policy.reserved_patterns[{n}]", f"it is no pattern: {error}", "pattern")
