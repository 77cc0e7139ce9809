"""PoolService."""

from catalyst.pooldomain.v1 import resources_pb2, service_pb2, service_pb2_grpc
from catalyst_mesh import Context, InvalidRequest, Page, Work, caller
from catalyst_sdk import Decision, Violation

from catalyst_pool_domain_manager.domain import pools, refusals
from catalyst_pool_domain_manager.domain.pools import Pool, PoolNotFound
from catalyst_pool_domain_manager.store import Store

from .messages import BACKENDS, from_pool, to_pool


class PoolService(service_pb2_grpc.PoolServiceServicer):
    """Pools: made by an operator over a zone that is there; whether it is, a worker looks."""

    def __init__(self, work: Work[Store], defaults: tuple[float, float]) -> None:
        self._work = work
        self._defaults = defaults

    async def CreatePool(self, request: service_pb2.CreatePoolRequest, context: Context) -> resources_pb2.Pool:
        plugin = _check(request)
        actor = caller(context).subject

        async def step(tx: Store) -> Decision[Pool]:
            wish = from_pool(request.pool_id, request.pool, plugin, tx.now, self._defaults)
            return pools.create(await tx.pool(request.pool_id), wish, actor)

        return await self._work.run(step, answer=to_pool)

    async def GetPool(self, request: service_pb2.GetPoolRequest, context: Context) -> resources_pb2.Pool:
        async with self._work.reading() as tx:
            pool = await tx.pool(request.name.removeprefix("pools/"))
        if pool is None:
            raise PoolNotFound(pool=request.name)
        return to_pool(pool)

    async def ListPools(self, request: service_pb2.ListPoolsRequest, context: Context) -> service_pb2.ListPoolsResponse:
        page = Page.of(request.page_size, request.page_token, "pools", most=500)
        async with self._work.reading() as tx:
            cut = page.cut(await tx.all_pools(page.after or "", page.size + 1), lambda pool: pool.domain)
        return service_pb2.ListPoolsResponse(
            pools=[to_pool(pool) for pool in cut.rows], next_page_token=cut.next_page_token
        )


def _check(request: service_pb2.CreatePoolRequest) -> str:
    """The plugin of the pool's backend. Raises what is wrong with the wish, all at once."""
    wish, found = request.pool, []
    if not wish.kinds:
        found.append(Violation("pool.kinds", "say what the pool is for", "required"))
    if wish.zone and wish.zone != f"zones/{request.pool_id}":
        found.append(Violation("pool.zone", f"the pool's zone is zones/{request.pool_id}", "zone"))
    if wish.zone_mode == resources_pb2.Pool.ZONE_MODE_IN_PARENT:
        found.append(Violation("pool.zone_mode", "names inside of the pool's zone are not served yet", "zone_mode"))
    if any(entry.name == "*" for entry in wish.record_layout):
        found.append(Violation("pool.record_layout", "a wildcard answers for every mistyped name", "wildcard"))
    if found:
        raise InvalidRequest(tuple(found))
    backend = wish.backend or next(iter(BACKENDS))
    if backend not in BACKENDS:
        raise refusals.BackendNotFound(backend=backend)
    return BACKENDS[backend]
