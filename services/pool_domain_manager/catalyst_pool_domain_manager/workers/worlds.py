"""What a plan stands on, read from the database and the backend."""

from collections.abc import Mapping

from catalyst_mesh import Work
from catalyst_sdk import PluginFailure
from catalyst_sdk.dns import DnsBackend, RecordSet, ZoneState
from catalyst_sdk.dns_rules import Key

from catalyst_pool_domain_manager.domain import ownership, refusals, zone_refusals
from catalyst_pool_domain_manager.domain.changes import Step, World, world_sets
from catalyst_pool_domain_manager.domain.hosting import Kind, Thresholds, Zone
from catalyst_pool_domain_manager.domain.record_sets import same
from catalyst_pool_domain_manager.store import Store

from .backends import Backends


async def state_at(backends: Backends, name: str, origin: str) -> ZoneState | None:
    """The zone as a backend has it. Raises BackendUnavailable, BackendNotFound, PluginUnavailable."""
    backend: DnsBackend = await backends.get(name)
    try:
        return await backend.get_zone(zone=origin)
    except PluginFailure as failure:
        raise refusals.BackendUnavailable(backend=name, why=failure.message) from failure


async def world_of(work: Work[Store], backends: Backends, domain: str) -> World:
    """The zone as it is wished and as its backend has it. Raises BackendUnavailable, ForeignZone."""
    async with work.reading() as tx:
        zone = await tx.zone(domain)
        if zone is None:
            raise refusals.ZoneNotFound(name=f"zones/{domain}")
        wishes, challenges = await tx.wishes_of(domain), await tx.challenges_of(domain)
        held = await tx.labels_held(domain) if zone.kind is Kind.POOL else frozenset()
    state = await state_at(backends, zone.backend, zone.origin)
    if state is not None and state.owner != zone.mark:
        raise zone_refusals.ForeignZone(name=zone.name, backend=zone.backend)
    sets = world_sets(state.record_sets, zone.origin, zone.owner) if state else {}
    return World(
        zone, sets, wishes, foreign=ownership.foreign_keys(sets.values(), zone.owner), held=held,
        challenged=frozenset(one.name for one in challenges if one.wanted),
        serial=state.serial if state else 0, revision=state.revision if state else 0,
    )  # fmt: skip


async def thresholds_of(tx: Store, zone: Zone) -> Thresholds:
    """The zone's limits, or else its backend's, or else the usual ones."""
    if zone.thresholds is not None:
        return zone.thresholds
    backend = await tx.backend(zone.backend.removeprefix("backends/"))
    return (backend.thresholds if backend else None) or Thresholds()


def differences(
    wished: Mapping[Key, RecordSet], found: Mapping[Key, RecordSet], *, only: frozenset[Key] | None = None
) -> tuple[Step, ...]:
    """What would make `found` equal to the wish; with `only`, of these names and types."""
    keys = sorted((wished.keys() | found.keys()) if only is None else only)
    return tuple(Step(found.get(key), wished.get(key)) for key in keys if not same(found.get(key), wished.get(key)))
