"""AllocationService: reading names, and waiting for them. With it the service is whole."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

from catalyst.pooldomain.v1 import resources_pb2, service_pb2
from catalyst_mesh import Context, Page, caller
from catalyst_mesh.waits import heard

from catalyst_pool_domain_manager.domain import allocations, filters, refusals
from catalyst_pool_domain_manager.domain.allocations import Allocation

from . import watching
from .messages import to_allocation, to_entry
from .name_calls import pool_of
from .name_leaving import NameLeaving
from .standing import key_of, owners_seen, seen

DEFAULT_WAIT = 30.0
MOST_WAIT = 60.0
_POLL, _LONGEST = 0.1, 1.0
"""Seconds between two looks of somebody who waits, at first and in the end."""


class AllocationService(NameLeaving):
    """Names: every method stores a wish and answers at once, or reads."""

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
                await pool_of(tx, domain)
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
                await pool_of(tx, domain)
        pool = None if domain == "-" else domain
        now = asyncio.get_running_loop().time
        async for change in watching.changes(self._work, pool, owners, request.from_version, now=now):
            yield change


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
        await heard(bell, min(pause, left))
        pause = min(2 * pause, _LONGEST)
