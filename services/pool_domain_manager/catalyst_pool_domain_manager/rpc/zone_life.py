"""ZoneService: making, reading, changing and deleting zones."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from catalyst.pooldomain.v1 import resources_pb2, service_pb2
from catalyst_mesh import Context, InvalidRequest, Page, PluginUnavailable, Work, caller
from catalyst_mesh.calls import RoleDenied
from catalyst_mesh.journal import Engine
from catalyst_sdk import Decision, Permanent, PluginFailure, Violation
from catalyst_sdk.dns import Change, RecordSet

from catalyst_pool_domain_manager.domain import delegations, filters, hosting, server_sets, zone_refusals
from catalyst_pool_domain_manager.domain.hosting import Kind, State, Zone
from catalyst_pool_domain_manager.domain.record_sets import Wish, frame, reframe, taken
from catalyst_pool_domain_manager.domain.server_sets import ServerSet, ServerSetNotFound
from catalyst_pool_domain_manager.store import Store
from catalyst_pool_domain_manager.workers.backends import Backends
from catalyst_pool_domain_manager.workers.cuts import Cuts
from catalyst_pool_domain_manager.workers.late import Late
from catalyst_pool_domain_manager.workers.polled import Poll
from catalyst_pool_domain_manager.workers.propagation import Propagation

from .masks import wanted
from .standing import owners_seen, sees_all
from .zone_messages import CHANGEABLE, changed, from_zone, to_child, to_pool_zone, to_zone
from .zone_views import View, governed, may_keep, viewed


@dataclass(frozen=True, slots=True)
class ZoneTools:
    """What the methods of ZoneService work with."""

    work: Work[Store]
    backends: Backends
    poll: Poll
    engine: Engine
    propagation: Propagation
    cuts: Cuts
    late: Late
    is_suffix: Callable[[str], bool]
    """Whether nobody can register a domain itself."""


class ZoneLife:
    """Zones as their keepers wish them; the keeper of zones makes the world match."""

    def __init__(self, tools: ZoneTools) -> None:
        self._tools = tools
        self._work = tools.work

    async def CreateZone(self, request: service_pb2.CreateZoneRequest, context: Context) -> resources_pb2.Zone:
        domain, me = request.zone_id, caller(context)
        if request.zone.owner and not may_keep(_kind(request.zone), request.zone.owner, me):
            raise RoleDenied(subject=me.subject, resource=request.zone.owner)
        await self._demand_maker(request.zone, domain)

        async def step(tx: Store) -> Decision[Zone]:
            wish = from_zone(domain, request.zone, tx.now)
            await _demand_place(tx, wish, self._tools.is_suffix)
            servers = await _servers(tx, wish)
            decision = hosting.create(await tx.zone(domain), wish)
            if not request.validate_only:
                await _wish_frame(tx, decision.state, servers)
            return decision

        ask = self._work.rehearse if request.validate_only else self._work.run
        return await ask(step, answer=to_zone)

    async def GetZone(self, request: service_pb2.GetZoneRequest, context: Context) -> resources_pb2.Zone:
        async with self._work.reading() as tx:
            view = await viewed(tx, request.name, caller(context))
            return await shown(tx, view)

    async def ListZones(self, request: service_pb2.ListZonesRequest, context: Context) -> service_pb2.ListZonesResponse:
        me = caller(context)
        owners, wished = owners_seen(me), filters.parse_terms(request.filter, ("kind", "owner", "state", "backend"))
        page = Page.of(request.page_size, request.page_token, "zones", owners, request.filter, most=500)
        after, most = page.after or "", page.size + 1
        async with self._work.reading() as tx:
            known = {pool.domain: pool for pool in await tx.all_pools()}
            children = [to_child(a, known[a.pool]) for a in await tx.zoned(after, most, owners)]
            kept = await tx.zones_after(after, most, owners)
            taken_over = {domain for domain in known if await tx.zone(domain)}
        rows = [to_zone(z) for z in kept if sees_all(me) or z.kind is Kind.BYO]
        foreign = [to_pool_zone(p) for p in known.values() if p.domain > after and p.domain not in taken_over]
        found = sorted([*rows, *children, *(foreign if sees_all(me) else [])], key=lambda zone: zone.name)
        cut = page.cut(found[:most], lambda zone: zone.name.removeprefix("zones/"))
        shown = [zone for zone in cut.rows if _takes(wished, zone)]
        return service_pb2.ListZonesResponse(zones=shown, next_page_token=cut.next_page_token)

    async def UpdateZone(self, request: service_pb2.UpdateZoneRequest, context: Context) -> resources_pb2.Zone:
        me, name = caller(context), request.zone.name
        fields = changed(request.zone, wanted(request.update_mask, request.zone, CHANGEABLE))

        async def step(tx: Store) -> Decision[Zone]:
            before = (await governed(tx, name, me)).kept
            _demand_possible(before, fields)
            decision = hosting.change(before, request.etag, tx.now, **fields)
            after = decision.state
            servers = await _servers(tx, after)
            if after is not before and not request.validate_only:
                old = await tx.server_set(before.name_server_set.removeprefix("nameServerSets/"))
                old_frame, new_frame = frame(before, old or servers, before.soa), frame(after, servers, after.soa)
                wishes = await tx.wishes_of(after.domain)
                await tx.wish_sets(after.domain, reframe(after, wishes, old_frame, new_frame))
            return decision

        ask = self._work.rehearse if request.validate_only else self._work.run
        return await ask(step, answer=to_zone)

    async def DeleteZone(self, request: service_pb2.DeleteZoneRequest, context: Context) -> resources_pb2.Zone:
        me = caller(context)

        async def step(tx: Store) -> Decision[Zone]:
            zone = (await governed(tx, request.name, me)).kept
            if moved := await tx.delegation(zone.domain, lock=True):
                delegations.demand_still(moved)
            decision = hosting.delete(zone, request.etag, tx.now)
            if zone.kind is Kind.POOL and await tx.pool(zone.domain) is not None:
                raise zone_refusals.ZoneOfPool(name=zone.name, pool=f"pools/{zone.domain}")
            return decision

        ask = self._work.rehearse if request.validate_only else self._work.run
        return await ask(step, answer=to_zone)

    async def _demand_maker(self, wish: resources_pb2.Zone, domain: str) -> None:
        """The backend is there, and has no zone of that name that is somebody else's. One that does not answer is waited
        for by the keeper. Raises BackendNotFound, PluginUnavailable, FOREIGN_ZONE."""
        if not wish.backend:
            return
        backend = await self._tools.backends.get(wish.backend)
        try:
            state = await backend.get_zone(zone=f"{domain}.")
        except Permanent as refused:
            raise PluginUnavailable(plugin=wish.backend, why=refused.message) from refused
        except PluginFailure:
            return
        if state is not None and state.owner != wish.owner:
            raise zone_refusals.ForeignZone(name=f"zones/{domain}", backend=wish.backend)


async def _demand_place(tx: Store, wish: Zone, is_suffix: Callable[[str], bool]) -> None:
    """No zone lies in a pool: names there are given out by allocation only, and none is what nobody can register. Raises
    InvalidRequest."""
    labels = wish.domain.split(".")
    for n in range(1, len(labels) - 1):
        above = ".".join(labels[n:])
        if await tx.pool(above) is not None:
            fault = Violation("zone_id", f"{wish.domain} lies in the pool {above}; reserve the name there", "pool")
            raise InvalidRequest((fault,))
    if wish.kind is Kind.BYO and is_suffix(wish.domain):
        fault = Violation("zone_id", f"{wish.domain} is a public suffix, and nobody's own", "suffix")
        raise InvalidRequest((fault,))
    if wish.kind is Kind.BYO and await tx.pool(wish.domain) is not None:
        raise InvalidRequest((Violation("zone.kind", f"{wish.domain} is a pool", "kind"),))


def _kind(wish: resources_pb2.Zone) -> Kind:
    return Kind.POOL if wish.kind == resources_pb2.Zone.KIND_POOL else Kind.BYO


def _demand_possible(zone: Zone, fields: dict[str, object]) -> None:
    if fields.get("backend", zone.backend) != zone.backend and zone.state is not State.PENDING:
        raise InvalidRequest((Violation("zone.backend", "it changes only while the zone is PENDING", "immutable"),))
    if zone.signed and not fields.get("signed", True):
        raise zone_refusals.ProtectedRecord(
            name=zone.name, what="the signatures", how="DisableDnssec takes them away in order"
        )


async def _servers(tx: Store, zone: Zone) -> ServerSet:
    """The zone's servers. Raises ServerSetNotFound, GlueRequired, RecordsRefused."""
    servers = await tx.server_set(zone.name_server_set.removeprefix("nameServerSets/"))
    if servers is None:
        raise ServerSetNotFound(name=zone.name_server_set)
    server_sets.demand_glue(servers, zone.origin)
    try:
        taken(zone.origin, {}, _as_changes(frame(zone, servers, zone.soa)))
    except Permanent as refused:
        raise zone_refusals.RecordsRefused.of(refused, "zone.soa") from refused
    return servers


def _as_changes(sets: Iterable[RecordSet]) -> tuple[Change, ...]:
    return tuple(Change(r.name, r.type, r.ttl, r.records) for r in sets)


async def _wish_frame(tx: Store, zone: Zone, servers: ServerSet) -> None:
    sets = frame(zone, servers, zone.soa)
    await tx.wish_sets(zone.domain, [Wish(r.name, r.type, r.ttl, r.records, zone.owner, zone.revision) for r in sets])


async def shown(tx: Store, view: View) -> resources_pb2.Zone:
    """The zone as callers see it."""
    if view.zone is not None:
        return to_zone(view.zone, await tx.server_set(view.zone.name_server_set.removeprefix("nameServerSets/")))
    assert view.pool is not None, "see View.backend"
    return to_child(view.allocation, view.pool) if view.allocation else to_pool_zone(view.pool)


def _takes(wished: tuple[tuple[str, str], ...], zone: resources_pb2.Zone) -> bool:
    said = {
        "kind": resources_pb2.Zone.Kind.Name(zone.kind).removeprefix("KIND_"),
        "state": resources_pb2.Zone.State.Name(zone.state).removeprefix("STATE_"),
        "owner": zone.owner,
        "backend": zone.backend,
    }
    return all(said[field] == value for field, value in wished)
