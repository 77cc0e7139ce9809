"""Whether what is wished fits into what is bought."""

import re
from collections.abc import Mapping, Sequence

from catalyst_sdk.cloud import Finding, Offer, Severity

from . import cidrs
from .cidrs import Ranges
from .reference import Reference
from .wishes import Cluster, Pool, Wish

Offers = Mapping[tuple[str, str], Sequence[Offer]]
"""What is sold, by provider and region."""

MIB_PER_GB = 1024


def findings(
    wish: Wish,
    offers: Offers,
    reference: Reference,
    capabilities: Mapping[str, frozenset[str]],
    numbers: Mapping[str, int],
) -> list[Finding]:
    """What stands against the sizes of all clusters.

    capabilities   of each provider
    numbers        index of each cluster
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
            found += _memory(wish, cluster, known, reference, path)
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


def memory_needed(wish: Wish, cluster: Cluster, reference: Reference) -> float:
    """GB of memory that the system takes in this cluster."""
    needed = reference.memory.per_cluster
    if cluster is wish.front:
        needed += reference.memory.control_plane_services
    return max(needed, reference.memory.solo_floor) if len(wish.clusters) == 1 else needed


def _memory(wish: Wish, cluster: Cluster, known: Mapping[str, Offer], reference: Reference, path: str) -> list[Finding]:
    pools = (cluster.control_plane, *cluster.pools)
    nodes = [known[p.size].memory_mb / MIB_PER_GB for p in pools for _ in range(p.count)]
    # A highly available cluster must bear the loss of its largest node.
    there = sum(nodes) - (max(nodes) if cluster.control_plane.count > 1 else 0)
    needed = memory_needed(wish, cluster, reference)
    if there >= 1.2 * needed:
        return []
    short = there < needed
    text = f"{cluster.name} has {there:.1f} GB for {needed:.1f} GB ({100 * there / needed:.0f} %)"
    metadata = {"there_gb": f"{there:.1f}", "needed_gb": f"{needed:.1f}"}
    severity = Severity.ERROR if short else Severity.WARNING
    return [Finding("sizing.memory", severity, path, text, "take a larger size or more workers", metadata)]


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
