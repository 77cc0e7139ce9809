"""ZoneService: the zones that PDM writes, and the keys of each."""

from catalyst.pooldomain.v1 import resources_pb2, service_pb2, service_pb2_grpc
from catalyst_mesh import Context, caller
from catalyst_sdk import PluginFailure
from catalyst_sdk.dns import ZoneKey, ZoneState

from catalyst_pool_domain_manager.domain import refusals
from catalyst_pool_domain_manager.events import ds_record

from .challenges import ZoneChallenges
from .zone_drifts import ZoneDrifts
from .zone_imports import ZoneImports
from .zone_life import shown
from .zone_plans import ZonePlans
from .zone_propagation import ZonePropagation
from .zone_views import viewed


class ZoneService(
    ZonePlans, ZonePropagation, ZoneImports, ZoneDrifts, ZoneChallenges, service_pb2_grpc.ZoneServiceServicer
):
    """Zones of all kinds; each part of the service stands in a module of its own."""

    async def GetDnssec(self, request: service_pb2.GetDnssecRequest, context: Context) -> resources_pb2.ZoneDnssec:
        """Keys as the backend has them, and the DS that the parent shows."""
        async with self._work.reading() as tx:
            view = await viewed(tx, request.name.removesuffix("/dnssec"), caller(context))
            zone = await shown(tx, view)
        backend = await self._tools.backends.get(view.backend)
        try:
            state = await backend.get_zone(zone=view.origin)
            parent = await backend.get_zone(zone=view.pool.zone) if view.allocation and view.pool else None
        except PluginFailure as failure:
            raise refusals.BackendUnavailable(backend=zone.backend, why=failure.message) from failure
        return to_dnssec(zone, state, parent)


def to_dnssec(zone: resources_pb2.Zone, state: ZoneState | None, parent: ZoneState | None) -> resources_pb2.ZoneDnssec:
    """Keys and DS. What is not signed has none."""
    answer = resources_pb2.ZoneDnssec(name=f"{zone.name}/dnssec", state=resources_pb2.ZoneDnssec.STATE_UNSIGNED)
    if state is None or not state.signed:
        return answer
    is_seen = any(c.type == "Signed" and c.status == c.STATUS_TRUE for c in zone.conditions)
    is_whole = is_seen or zone.kind == resources_pb2.Zone.KIND_POOL
    answer.state = resources_pb2.ZoneDnssec.STATE_ACTIVE if is_whole else resources_pb2.ZoneDnssec.STATE_SIGNING
    answer.keys.extend(_key(key) for key in state.keys)
    answer.ds.extend(ds_record(text) for key in state.keys if key.active for text in key.ds)
    if parent is not None and (shown := parent.find(state.name, "DS")):
        answer.ds_observed.extend(ds_record(text) for text in shown.records)
    return answer


def _key(key: ZoneKey) -> resources_pb2.DnssecKey:
    flags, _, _, public = key.dnskey.split(maxsplit=3)
    return resources_pb2.DnssecKey(
        key_tag=key.tag, flags=int(flags), algorithm=key.algorithm, public_key=public.replace(" ", ""),
        active=key.active, published=True,
    )  # fmt: skip
