"""ZoneService: the zones that PDM writes, and the keys of each."""

from catalyst.pooldomain.v1 import resources_pb2, service_pb2, service_pb2_grpc
from catalyst_mesh import Context, Page, PluginHost, Work, caller, stamp
from catalyst_sdk import PluginFailure
from catalyst_sdk.dns import DnsBackend, ZoneKey, ZoneState

from catalyst_pool_domain_manager.domain import filters, refusals
from catalyst_pool_domain_manager.domain.allocations import Allocation, State
from catalyst_pool_domain_manager.domain.pools import Pool
from catalyst_pool_domain_manager.store import Store

from .messages import backend_name, etag, to_condition
from .standing import may_see, owners_seen, sees_all

_STATES = {
    State.PROVISIONING: resources_pb2.Zone.STATE_SYNCING,
    State.ACTIVE: resources_pb2.Zone.STATE_ACTIVE,
    State.DEGRADED: resources_pb2.Zone.STATE_DEGRADED,
    State.FAILED: resources_pb2.Zone.STATE_FAILED,
    State.RELEASING: resources_pb2.Zone.STATE_DELETING,
}


class ZoneService(service_pb2_grpc.ZoneServiceServicer):
    """Zones of pools and of names; both are made elsewhere and read here."""

    def __init__(self, work: Work[Store], host: PluginHost) -> None:
        self._work = work
        self._host = host

    async def GetZone(self, request: service_pb2.GetZoneRequest, context: Context) -> resources_pb2.Zone:
        return (await self._found(request.name))[0]

    async def ListZones(self, request: service_pb2.ListZonesRequest, context: Context) -> service_pb2.ListZonesResponse:
        if request.filter:
            raise filters.FilterInvalid("zones are not filtered")
        me = caller(context)
        owners = owners_seen(me)
        page = Page.of(request.page_size, request.page_token, "zones", owners, most=500)
        after = page.after or ""
        async with self._work.reading() as tx:
            known = {pool.domain: pool for pool in await tx.all_pools()}
            children = await tx.zoned(after, page.size + 1, owners)
        pools = [to_pool_zone(p) for p in known.values() if p.domain > after] if sees_all(me) else []
        found = sorted((*pools, *(to_child(a, known[a.pool]) for a in children)), key=lambda zone: zone.name)
        cut = page.cut(found[: page.size + 1], lambda zone: zone.name.removeprefix("zones/"))
        return service_pb2.ListZonesResponse(zones=cut.rows, next_page_token=cut.next_page_token)

    async def GetDnssec(self, request: service_pb2.GetDnssecRequest, context: Context) -> resources_pb2.ZoneDnssec:
        """Keys as the backend has them, and the DS that the parent shows."""
        zone, pool = await self._found(request.name.removesuffix("/dnssec"))
        domain = zone.name.removeprefix("zones/")
        backend: DnsBackend = self._host.get("dns_backend", pool.backend)
        try:
            state = await backend.get_zone(zone=f"{domain}.")
            parent = await backend.get_zone(zone=pool.zone) if domain != pool.domain else None
        except PluginFailure as failure:
            raise refusals.BackendUnavailable(backend=zone.backend, why=failure.message) from failure
        return to_dnssec(zone, state, parent)

    async def _found(self, name: str) -> tuple[resources_pb2.Zone, Pool]:
        """The zone and its pool, where the caller may know of it. Raises ZoneNotFound."""
        domain, me = name.removeprefix("zones/"), caller()
        label, _, above = domain.partition(".")
        async with self._work.reading() as tx:
            pool, parent = await tx.pool(domain), await tx.pool(above)
            a = await tx.lock(above, label) if parent else None
        if pool is not None and sees_all(me):
            return to_pool_zone(pool), pool
        if parent is not None and a is not None and a.zone_told and may_see(a.owner, me):
            return to_child(a, parent), parent
        raise refusals.ZoneNotFound(name=name)


def to_child(a: Allocation, pool: Pool) -> resources_pb2.Zone:
    """The zone of a name."""
    return resources_pb2.Zone(
        name=f"zones/{a.fqdn}",
        kind=resources_pb2.Zone.KIND_CHILD,
        owner=a.owner,
        backend=backend_name(pool),
        revision=a.observed_generation,
        dnssec=resources_pb2.DnssecPolicy(enabled=True, algorithm=13, publish_cds=True),
        state=_STATES.get(a.state, resources_pb2.Zone.STATE_UNSPECIFIED),
        uid=a.uid,
        etag=etag(a.version),
        version=a.zone_version,
        create_time=stamp(a.committed_at),
        update_time=stamp(a.updated_at),
        generation=a.generation,
        observed_generation=a.observed_generation,
        conditions=[to_condition(c) for c in a.conditions],
    )  # fmt: skip - fields in the contract's order


def to_pool_zone(p: Pool) -> resources_pb2.Zone:
    """The zone of a pool, which PDM changes but never makes."""
    return resources_pb2.Zone(
        name=f"zones/{p.domain}", kind=resources_pb2.Zone.KIND_POOL, owner=p.name, backend=backend_name(p),
        state=resources_pb2.Zone.STATE_ACTIVE if p.ready else resources_pb2.Zone.STATE_PENDING, uid=p.uid,
        etag=etag(p.version), version=p.version, create_time=stamp(p.created_at), update_time=stamp(p.updated_at),
    )  # fmt: skip


def to_dnssec(zone: resources_pb2.Zone, state: ZoneState | None, parent: ZoneState | None) -> resources_pb2.ZoneDnssec:
    """Keys and DS. What is not signed has none."""
    answer = resources_pb2.ZoneDnssec(name=f"{zone.name}/dnssec", state=resources_pb2.ZoneDnssec.STATE_UNSIGNED)
    if state is None or not state.signed:
        return answer
    is_seen = any(c.type == "Signed" and c.status == c.STATUS_TRUE for c in zone.conditions)
    is_whole = is_seen or zone.kind == resources_pb2.Zone.KIND_POOL
    answer.state = resources_pb2.ZoneDnssec.STATE_ACTIVE if is_whole else resources_pb2.ZoneDnssec.STATE_SIGNING
    answer.keys.extend(_key(key) for key in state.keys)
    answer.ds.extend(_ds(text) for key in state.keys if key.active for text in key.ds)
    if parent is not None and (shown := parent.find(state.name, "DS")):
        answer.ds_observed.extend(_ds(text) for text in shown.records)
    return answer


def _key(key: ZoneKey) -> resources_pb2.DnssecKey:
    flags, _, _, public = key.dnskey.split(maxsplit=3)
    return resources_pb2.DnssecKey(
        key_tag=key.tag, flags=int(flags), algorithm=key.algorithm, public_key=public.replace(" ", ""),
        active=key.active, published=True,
    )  # fmt: skip


def _ds(text: str) -> resources_pb2.DsRecord:
    tag, algorithm, digest_type, digest = text.split(maxsplit=3)
    return resources_pb2.DsRecord(
        key_tag=int(tag), algorithm=int(algorithm), digest_type=int(digest_type), digest=digest.replace(" ", "").lower()
    )
