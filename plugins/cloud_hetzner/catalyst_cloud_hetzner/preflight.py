"""What can be said against a request before anything is made. Pure."""

from collections.abc import Collection, Iterator, Mapping
from ipaddress import ip_network

from catalyst_sdk.cloud import ClusterRequest, Finding, Offer, Severity

from .facts import facts
from .wishes import needed_arches

PRIVATE = tuple(map(ip_network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")))


def findings(
    request: ClusterRequest, *, offers: Collection[Offer], names: Mapping[str, str], binaries: Collection[str]
) -> Iterator[Finding]:
    """Everything at once.

    offers     what the region sells
    names      id and title of each region
    binaries   architectures whose binaries are configured
    """
    if request.region not in names or request.region not in facts().offered:
        known = ", ".join(sorted(facts().offered))
        text = f"hetzner sells nothing in {request.region}"
        yield _finding("region.unknown", "region", text, f"choose one of {known}")
        return
    yield from _sizes(request, {offer.size: offer for offer in offers})
    yield from _ranges(request)
    yield from _counts(request)
    for arch in needed_arches(request):
        if arch not in binaries:
            text = f"nobody has said where servers of {arch} fetch k3s and the agent, and with which digests"
            yield _finding(
                "boot.binaries_missing", "provider", text, f"configure binaries.{arch} of cloud_provider:hetzner"
            )
    if request.api_public:
        text = "the API of Kubernetes will be reachable from everywhere"
        yield _finding("api.public", "api.public", text, "leave it private", Severity.WARNING)


def _sizes(request: ClusterRequest, offers: Mapping[str, Offer]) -> Iterator[Finding]:
    pools = [("control_plane.size", request.control_plane)]
    pools += [(f"worker_pools[{n}].size", pool) for n, pool in enumerate(request.worker_pools) if pool.count]
    for path, pool in pools:
        offer = offers.get(pool.size)
        others = ", ".join(sorted(one.size for one in offers.values() if one.stock != 0 and not one.deprecated)[:8])
        if offer is None:
            yield _finding("size.unknown", path, f"{request.region} has no size {pool.size}", f"choose one of {others}")
        elif offer.stock == 0:
            text = f"{request.region} has no {pool.size} left at the moment"
            yield _finding("capacity.size", path, text, f"choose another size: {others}")
        elif offer.deprecated and not request.allow_deprecated:
            text = f"{pool.size} is being withdrawn"
            yield _finding("size.deprecated", path, text, f"choose one of {others}, or set allow_deprecated")


def _counts(request: ClusterRequest) -> Iterator[Finding]:
    """More of something than Hetzner takes, which it would say only when half of it is made and paid."""
    table, servers = facts(), request.control_plane.count + sum(pool.count for pool in request.worker_pools)
    takes = table.takes.get(request.load_balancer or table.balancers[0])
    if takes is None:
        text = f"hetzner has no load balancer {request.load_balancer}"
        yield _finding("size.unknown", "load_balancer.type", text, f"choose one of {', '.join(table.balancers)}")
    elif len(request.listeners) > takes.services:
        text = f"it takes {takes.services} listeners, not {len(request.listeners)}"
        yield _finding("load_balancer.listeners", "load_balancer.type", text, "choose a larger one, or fewer listeners")
    elif servers > takes.targets:
        text = f"it leads to {takes.targets} servers, and the cluster has {servers}"
        yield _finding("load_balancer.targets", "load_balancer.type", text, "choose a larger one", Severity.WARNING)
    members = servers + (2 if request.control_plane.count > 1 else 1)
    if members > table.limits.members_per_network:
        text = (
            f"a network takes {table.limits.members_per_network} servers and balancers, and the cluster has {members}"
        )
        yield _finding("network.members", "worker_pools", text, "spread the servers over several clusters")
    if len(request.ssh_allowed_cidrs) > table.limits.sources_per_rule:
        most = table.limits.sources_per_rule
        text = f"a rule of a firewall takes {most} ranges, not {len(request.ssh_allowed_cidrs)}"
        yield _finding("firewall.sources", "access.ssh_allowed_cidrs", text, "name larger ranges")


def _ranges(request: ClusterRequest) -> Iterator[Finding]:
    paths = ("node_cidr", "pod_cidr", "service_cidr")
    ranges = {path: ip_network(getattr(request, path)) for path in paths}
    for n, first in enumerate(paths):
        for second in paths[n + 1 :]:
            if ranges[first].overlaps(ranges[second]):
                text = f"{first} {ranges[first]} overlaps {second} {ranges[second]}"
                yield _finding("cidr.overlap", second, text, "choose ranges that share no address")
    nodes, subnet = ranges["node_cidr"], ip_network(request.subnet_cidr)
    if not any(nodes.subnet_of(private) for private in PRIVATE if nodes.version == 4):  # type: ignore[arg-type]
        yield _finding("cidr.public", "node_cidr", f"{nodes} is not a private range", "choose one of RFC 1918")
    elif nodes.prefixlen > facts().limits.network_prefix:
        yield _finding("cidr.small", "node_cidr", f"{nodes} is smaller than a network may be", "take a /24 or larger")
    elif not subnet.subnet_of(nodes):  # type: ignore[arg-type]
        yield _finding("cidr.outside", "subnet_cidr", f"{subnet} is not part of {nodes}", "choose a part of it")
    elif subnet.num_addresses < 32:
        yield _finding("cidr.small", "subnet_cidr", f"{subnet} has no room for servers and balancers", "take a /24")


def _finding(code: str, path: str, message: str, remedy: str, severity: Severity = Severity.ERROR) -> Finding:
    return Finding(code, severity, path, message, remedy)
