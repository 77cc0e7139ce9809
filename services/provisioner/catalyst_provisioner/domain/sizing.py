"""Whether what is wished fits into what is bought."""

from collections.abc import Mapping, Sequence

from catalyst_sdk.cloud import Finding, Offer, Severity

from .reference import Reference
from .wishes import Cluster, Wish

MIB_PER_GB = 1024


def findings(wish: Wish, offers: Mapping[tuple[str, str], Sequence[Offer]], reference: Reference) -> list[Finding]:
    """Sizes that are not offered, pools of two architectures, deprecated sizes, memory that does not suffice."""
    found: list[Finding] = []
    for i, cluster in enumerate(wish.clusters):
        known = {o.size: o for o in offers.get((cluster.provider, cluster.region), ()) if o.kind == "server"}
        sizes = _sizes(cluster, known, f"spec.clusters[{i}]")
        found += sizes
        if not any(finding.severity is Severity.ERROR for finding in sizes):
            found += _memory(wish, cluster, known, reference, f"spec.clusters[{i}]")
    return found


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
    pools = [(cluster.control_plane, f"{path}.control_plane.size")]
    pools += [(pool, f"{path}.worker_pools[{j}].size") for j, pool in enumerate(cluster.pools)]
    for pool, field in pools:
        offer = known.get(pool.size)
        if offer is None:
            listed = ", ".join(sorted(known)) or "nothing"
            text = f"{cluster.provider} does not sell {pool.size} in {cluster.region} (it sells {listed})"
            found.append(Finding("capacity.size", Severity.ERROR, field, text, "take a size that is sold there"))
        elif offer.deprecated:
            text = f"{pool.size} is being phased out"
            found.append(Finding("size.deprecated", Severity.WARNING, field, text, "take another size"))
    return found
