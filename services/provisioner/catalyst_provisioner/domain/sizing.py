"""Whether what is wished fits into what is bought."""

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

from catalyst_sdk.cloud import Finding, Offer, Severity

from . import cidrs
from .cidrs import Ranges
from .locks import Traits
from .reference import Reference
from .wishes import Cluster, Pool, Wish

Offers = Mapping[tuple[str, str], Sequence[Offer]]
"""What is sold, by provider and region."""

DIMENSIONS: Mapping[str, tuple[str, Callable[[Offer], float]]] = {
    "memory": ("GB", lambda offer: offer.memory_mb / 1024),
    "cpu": ("vCPU", lambda offer: offer.vcpu),
    "storage": ("GB", lambda offer: offer.disk_gb),
}
"""Unit, and how much of it a server has, by dimension."""


def findings(
    wish: Wish,
    offers: Offers,
    reference: Reference,
    capabilities: Mapping[str, frozenset[str]],
    numbers: Mapping[str, int],
    traits: Collection[Traits] = (),
) -> list[Finding]:
    """What stands against the sizes of all clusters.

    capabilities   of each provider
    numbers        index of each cluster
    traits         of each component; those of Blueprints that tell nothing are empty
    """
    found: list[Finding] = []
    for i, cluster in enumerate(wish.clusters):
        path, able = f"spec.clusters[{i}]", capabilities.get(cluster.provider, frozenset())
        known = servers(offers, cluster)
        # A cloud that could not be asked has a finding of its own; what it sells is not known then.
        sizes = _sizes(cluster, known, path) if (cluster.provider, cluster.region) in offers else []
        found += [*sizes, *_capable(wish, cluster, able, path), *_architectures(cluster, known, able, path)]
        found += _room(cluster, cidrs.ranges(reference.cidrs, numbers[cluster.name], wish.cidr_base), path)
        if known and not any(finding.code == "capacity.size" for finding in sizes):
            found += _room_for_all(wish, cluster, known, reference, traits, path)
    return found


def servers(offers: Offers, cluster: Cluster) -> Mapping[str, Offer]:
    """Servers that are sold where a cluster is to be, by size."""
    return {o.size: o for o in offers.get((cluster.provider, cluster.region), ()) if o.kind == "server"}


def alternatives(wish: Wish, offers: Offers, one: Finding) -> tuple[str, ...]:
    """Offers that would do instead of a size that cannot be had: no less memory, in stock, not being phased out."""
    cluster = cluster_at(wish, one.path)
    if cluster is None or not one.code.startswith(("capacity.", "size.")):
        return ()
    known, wanted = servers(offers, cluster), _pool_at(cluster, one.path).size
    least = known[wanted].memory_mb if wanted in known else 0
    fit = [o for o in known.values() if o.size != wanted and o.memory_mb >= least and o.stock != 0 and not o.deprecated]
    fit.sort(key=lambda o: (o.price.month_minor if o.price else 0, o.size))
    return tuple(f"providers/{cluster.provider}/regions/{cluster.region}/offers/{o.size}" for o in fit)


def cluster_at(wish: Wish, path: str) -> Cluster | None:
    """The cluster that a path into the spec speaks of."""
    found = _INDEX.match(path)
    return wish.clusters[int(found[1])] if found and int(found[1]) < len(wish.clusters) else None


def needed(wish: Wish, cluster: Cluster, reference: Reference, dimension: str, traits: Iterable[Traits] = ()) -> float:
    """How much of a dimension is taken in this cluster: what its components ask for and the system's share.

    Where some do not tell, never less than the floor.
    """
    told = [one.requests.get(dimension) for one in traits]
    asked = sum(one for one in told if one) * (1 + reference.system_share)
    if told and None not in told:
        return asked
    row = reference.floors[dimension]
    least = row.per_cluster + (row.control_plane_services if cluster is wish.front else 0.0)
    return max(asked, least, row.solo_floor if len(wish.clusters) == 1 else 0.0)


def _room_for_all(
    wish: Wish,
    cluster: Cluster,
    known: Mapping[str, Offer],
    reference: Reference,
    traits: Collection[Traits],
    path: str,
) -> list[Finding]:
    """What is too small for the components, by dimension; disks that are sold apart from servers are not counted."""
    found = []
    pools = (cluster.control_plane, *cluster.pools)
    for dimension, (unit, size_of) in DIMENSIONS.items():
        nodes = [size_of(known[pool.size]) for pool in pools for _ in range(pool.count)]
        if 0 in nodes:
            continue
        # A highly available cluster must bear the loss of its largest node.
        there = sum(nodes) - (max(nodes) if cluster.control_plane.count > 1 else 0)
        wanted = needed(wish, cluster, reference, dimension, traits)
        if there < 1.2 * wanted:
            found.append(_too_small(cluster, dimension, unit, there, wanted, path))
    return found


def _too_small(cluster: Cluster, dimension: str, unit: str, there: float, wanted: float, path: str) -> Finding:
    severity = Severity.ERROR if there < wanted else Severity.WARNING
    text = f"{cluster.name} has {there:.1f} {unit} for {wanted:.1f} {unit} ({100 * there / wanted:.0f} %)"
    key = unit.lower()
    metadata = {f"there_{key}": f"{there:.1f}", f"needed_{key}": f"{wanted:.1f}"}
    return Finding(f"sizing.{dimension}", severity, path, text, "take a larger size or more workers", metadata)


def _sizes(cluster: Cluster, known: Mapping[str, Offer], path: str) -> list[Finding]:
    found = []
    for pool, field in _pools(cluster, path):
        offer = known.get(pool.size)
        if offer is None:
            listed = ", ".join(sorted(known)) or "nothing"
            text = f"{cluster.provider} does not sell {pool.size} in {cluster.region} (it sells {listed})"
            found.append(Finding("capacity.size", Severity.ERROR, field, text, "take a size that is sold there"))
        elif offer.deprecated:
            severity = Severity.WARNING if pool.allow_deprecated else Severity.ERROR
            remedy = "take another size" if pool.allow_deprecated else "take another size, or set allow_deprecated"
            found.append(Finding("size.deprecated", severity, field, f"{pool.size} is being phased out", remedy))
    return found


def _capable(wish: Wish, cluster: Cluster, able: frozenset[str], path: str) -> list[Finding]:
    """What the cloud lacks for this cluster, and what follows from having no workers."""
    found = []
    if cluster.control_plane.count > 1 and "private_lb" not in able and not wish.api_public:
        text = f"{cluster.provider} has no private load balancer, which several control planes stand behind"
        remedy = "take one control plane, or set api.public"
        field = f"{path}.control_plane.count"
        metadata = {"capability": "private_lb"}
        found.append(Finding("plugin.capability_missing", Severity.ERROR, field, text, remedy, metadata))
    if not cluster.pools:
        text = f"{cluster.name} has no workers, so its control planes take workloads"
        found.append(Finding("control_plane.schedulable", Severity.INFO, f"{path}.worker_pools", text, "add a pool"))
    return found


def _architectures(cluster: Cluster, known: Mapping[str, Offer], able: frozenset[str], path: str) -> list[Finding]:
    arches = {known[pool.size].arch for pool, _ in _pools(cluster, path) if pool.size in known} - {""}
    found = []
    for pool, field in _pools(cluster, path):
        arch = known[pool.size].arch if pool.size in known else ""
        if arch.startswith("arm") and "arm" not in able:
            text = f"{pool.size} is {arch}, which {cluster.provider} does not declare"
            found.append(Finding("arch.unsupported", Severity.ERROR, field, text, "take an x86_64 size"))
    if len(arches) > 1 and not found:
        text = f"{cluster.name} mixes {' and '.join(sorted(arches))}; every image must exist for both"
        found.append(Finding("arch.mixed", Severity.WARNING, path, text, "take sizes of one architecture"))
    return found


def _room(cluster: Cluster, own: Ranges, path: str) -> list[Finding]:
    most = cidrs.most_nodes(own)
    if cluster.nodes <= most:
        return []
    text = f"{cluster.name} has {cluster.nodes} nodes; {own.pods} and {own.node_subnet} have room for {most}"
    metadata = {"nodes": str(cluster.nodes), "most": str(most)}
    return [Finding("cidr.too_small", Severity.ERROR, path, text, "take fewer nodes, or a wider cidr_base", metadata)]


def _pools(cluster: Cluster, path: str) -> list[tuple[Pool, str]]:
    workers = [(pool, f"{path}.worker_pools[{pool.position}].size") for pool in cluster.pools]
    return [(cluster.control_plane, f"{path}.control_plane.size"), *workers]


def _pool_at(cluster: Cluster, path: str) -> Pool:
    found = _POOL.search(path)
    return next((p for p in cluster.pools if found and p.position == int(found[1])), cluster.control_plane)


_INDEX = re.compile(r"^spec\.clusters\[(\d+)\]")
_POOL = re.compile(r"worker_pools\[(\d+)\]")
