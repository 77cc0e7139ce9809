"""What each kind of zone should hold, and what its backend does hold of it."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from catalyst_sdk.dns import RecordSet, ZoneState
from catalyst_sdk.dns_rules import Key

from catalyst_pool_domain_manager.domain import record_sets, zones
from catalyst_pool_domain_manager.domain.allocations import Allocation
from catalyst_pool_domain_manager.domain.changes import world_sets
from catalyst_pool_domain_manager.domain.hosting import Kind, Zone
from catalyst_pool_domain_manager.domain.pools import Pool
from catalyst_pool_domain_manager.domain.record_sets import Challenge, Wish


def of_kept(wishes: Iterable[Wish], challenges: Iterable[Challenge]) -> dict[Key, RecordSet]:
    """Of a zone whose wish stands here."""
    return record_sets.desired(wishes, challenges)


def of_child(
    a: Allocation, pool: Pool, name_servers: Sequence[str], challenges: Iterable[Challenge]
) -> dict[Key, RecordSet]:
    """Of an allocation's zone. Its SOA is the backend's affair, and what a host with a traffic policy has is its members'."""
    spec = zones.spec(replace(a, traffic=()), pool, tuple(name_servers))
    ns = RecordSet(a.zone, "NS", spec.ttl, tuple(name_servers))
    sets = {(r.name, r.type): r for r in (ns, *spec.record_sets) if r.name not in zones.steered(a)}
    wishes = [record_sets.Wish(r.name, r.type, r.ttl, r.records, a.owner, 0) for r in sets.values()]
    return record_sets.desired(wishes, challenges)


def found_kept(state: ZoneState, zone: Zone, held: Iterable[str]) -> dict[Key, RecordSet]:
    """What a backend has of a kept zone, without what names of a pool have in it by right."""
    found = world_sets(state.record_sets, zone.origin, zone.owner)
    if zone.kind is not Kind.POOL:
        return found
    below = tuple(f".{label}.{zone.origin}" for label in held)
    return {key: r for key, r in found.items() if not (f".{key[0]}".endswith(below) if below else False)}


def found_child(state: ZoneState, a: Allocation | None = None) -> dict[Key, RecordSet]:
    """What a backend has of an allocation's zone, without its SOA and hosts with a traffic policy."""
    sets = world_sets(state.record_sets, state.name, a.owner if a else "")
    steered = zones.steered(a) if a else frozenset()
    return {key: r for key, r in sets.items() if key != (state.name, "SOA") and key[0] not in steered}
