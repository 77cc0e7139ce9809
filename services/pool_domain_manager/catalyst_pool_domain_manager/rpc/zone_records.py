"""ZoneService: record sets as wished, as a backend has them, and as the servers answer them."""

import asyncio
from collections.abc import Mapping

from catalyst.pooldomain.v1 import service_pb2
from catalyst_mesh import Context, Page, caller
from catalyst_sdk.dns import RecordSet, ZoneState
from catalyst_sdk.dns_rules import KEYS, Key

from catalyst_pool_domain_manager.domain import ownership, refusals
from catalyst_pool_domain_manager.domain.record_sets import Challenge, same
from catalyst_pool_domain_manager.workers import wished, zone_files
from catalyst_pool_domain_manager.workers.polled import Polled
from catalyst_pool_domain_manager.workers.sights import answered
from catalyst_pool_domain_manager.workers.worlds import differences, state_at

from .plan_messages import to_change
from .zone_life import ZoneLife
from .zone_messages import to_set
from .zone_views import View, viewed

_SOURCE = service_pb2.ListRecordSetsRequest


class ZoneRecords(ZoneLife):
    """Three views of one zone."""

    async def ListRecordSets(
        self, request: service_pb2.ListRecordSetsRequest, context: Context
    ) -> service_pb2.ListRecordSetsResponse:
        source = request.source or _SOURCE.SOURCE_DESIRED
        page = Page.of(request.page_size, request.page_token, "recordSets", request.parent, request.source, most=500)
        view = await self._view(request.parent)
        unreachable: tuple[str, ...] = ()
        if source == _SOURCE.SOURCE_SERVERS:
            sets, unreachable = await self._of_servers(view)
        elif source == _SOURCE.SOURCE_BACKEND:
            state = await self._state(view)
            sets = {(r.name, r.type): r for r in state.record_sets}
        else:
            sets = await self._desired(view)
        foreign = ownership.foreign_keys(sets.values(), _owner(view))
        after = tuple(page.after) if page.after else ("", "")
        rest = [sets[key] for key in sorted(sets) if key > after]
        cut = page.cut(rest[: page.size + 1], lambda r: [r.name, r.type])
        shown = [
            to_set(r, "" if (r.name, r.type) in foreign else _owner(view), foreign=(r.name, r.type) in foreign)
            for r in cut.rows
        ]
        return service_pb2.ListRecordSetsResponse(
            record_sets=shown, next_page_token=cut.next_page_token, unreachable=unreachable
        )

    async def ExportZone(
        self, request: service_pb2.ExportZoneRequest, context: Context
    ) -> service_pb2.ExportZoneResponse:
        view = await self._view(request.name)
        if request.source == _SOURCE.SOURCE_BACKEND:
            state = await self._state(view)
            text = zone_files.write(state.record_sets, view.origin, state.serial)
            return service_pb2.ExportZoneResponse(zone_file=text, serial=state.serial)
        sets = await self._desired(view)
        return service_pb2.ExportZoneResponse(zone_file=zone_files.write(sets.values(), view.origin))

    async def DiffZone(self, request: service_pb2.DiffZoneRequest, context: Context) -> service_pb2.DiffZoneResponse:
        view = await self._view(request.name)
        desired = await self._desired(view)
        if request.against == _SOURCE.SOURCE_SERVERS:
            found, unreachable = await self._of_servers(view)
            steps = differences(desired, found, only=frozenset(desired))
            return service_pb2.DiffZoneResponse(changes=map(to_change, steps), unreachable=unreachable)
        state = await self._state(view)
        foreign = ownership.foreign_keys(state.record_sets, _owner(view))
        found = {key: r for key, r in await self._found(view, state) if key not in foreign or key in desired}
        return service_pb2.DiffZoneResponse(changes=map(to_change, differences(desired, found)))

    async def _view(self, name: str) -> View:
        async with self._work.reading() as tx:
            return await viewed(tx, name, caller())

    async def _state(self, view: View) -> ZoneState:
        """The zone at its backend; an empty one where it is not there yet."""
        state = await state_at(self._tools.backends, view.backend, view.origin)
        return state or ZoneState(view.origin, "", 0, 0, False, (), (), "")

    async def _challenges(self, view: View) -> tuple[Challenge, ...]:
        async with self._work.reading() as tx:
            return await tx.challenges_of(view.domain)

    async def _desired(self, view: View) -> dict[Key, RecordSet]:
        """The wish; of a pool's zone that is not kept here, what its backend has."""
        if view.zone is not None:
            async with self._work.reading() as tx:
                return wished.of_kept(await tx.wishes_of(view.domain), await tx.challenges_of(view.domain))
        if view.allocation is None:
            return {(r.name, r.type): r for r in (await self._state(view)).record_sets}
        assert view.pool is not None, "see View.backend"
        servers = view.pool.servers.published if view.pool.servers else await self._pool_servers(view)
        return wished.of_child(view.allocation, view.pool, servers, await self._challenges(view))

    async def _found(self, view: View, state: ZoneState) -> list[tuple[Key, RecordSet]]:
        if view.zone is not None:
            async with self._work.reading() as tx:
                held = await tx.labels_held(view.domain)
            return list(wished.found_kept(state, view.zone, held).items())
        if view.allocation is not None:
            return list(wished.found_child(state).items())
        return [((r.name, r.type), r) for r in state.record_sets]

    async def _of_servers(self, view: View) -> tuple[dict[Key, RecordSet], tuple[str, ...]]:
        """What all polled servers answer alike for the wished names; where they differ, the one that differs is shown."""
        desired = await self._desired(view)
        polled = await self._polled(view)
        own: frozenset[str] = frozenset()
        if (view.origin, KEYS) in desired:
            own = frozenset(key.dnskey for key in (await self._state(view)).keys)
        asked = await asyncio.gather(*(answered(polled.servers, name, desired, own) for name in polled.names))
        answers = [found for found in asked if found is not None]
        unreachable = tuple(name for name, found in zip(polled.names, asked, strict=True) if found is None)
        return _worst(desired, answers), unreachable

    async def _polled(self, view: View) -> Polled:
        if view.allocation is not None and view.pool is not None and view.pool.servers is not None:
            return await self._tools.poll.of(view.pool.servers)
        if view.zone is None:
            return Polled(tuple(await self._pool_servers(view)), self._tools.poll.hinted)
        async with self._work.reading() as tx:
            servers = await tx.server_set(view.zone.name_server_set.removeprefix("nameServerSets/"))
        assert servers is not None, "a set with zones cannot be deleted"
        return await self._tools.poll.of(servers)

    async def _pool_servers(self, view: View) -> tuple[str, ...]:
        assert view.pool is not None, "see View.backend"
        state = await state_at(self._tools.backends, view.backend, view.pool.zone)
        ns = state.find(view.pool.zone, "NS") if state else None
        if ns is None:
            raise refusals.BackendUnavailable(backend=view.backend, why=f"it has no zone {view.pool.zone}")
        return ns.records


def _owner(view: View) -> str:
    if view.zone is not None:
        return view.zone.owner
    return view.allocation.owner if view.allocation else f"pools/{view.domain}"


def _worst(
    desired: Mapping[Key, RecordSet], answers: list[dict[Key, RecordSet]]
) -> dict[Key, RecordSet]:  # fmt: skip
    found = {}
    for key, wish in desired.items():
        seen = [answer.get(key) for answer in answers]
        other = next((r for r in seen if not _alike(r, wish)), seen[0] if seen else None)
        if other is not None:
            found[key] = other
    return found


def _alike(seen: RecordSet | None, wish: RecordSet) -> bool:
    return seen is not None and same(seen, wish)
