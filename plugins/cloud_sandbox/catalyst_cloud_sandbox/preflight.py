"""What can be said against a request before anything is made. Pure."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from ipaddress import ip_network

from catalyst_sdk.cloud import CloudManifest, ClusterRequest, Finding, Severity

from . import catalogue
from .wishes import Wish, wished


def findings(
    request: ClusterRequest,
    manifest: CloudManifest,
    *,
    missing: Callable[[Wish], bool],
    room: Callable[[str], int],
    sold: Mapping[tuple[str, str], int],
) -> Iterator[Finding]:
    """Everything at once.

    missing   whether a wished resource still has to be made
    room      how many more of a kind the quota allows
    sold      servers of each (region, size) that exist
    """
    if manifest.region(request.region) is None:
        known = ", ".join(region.id for region in manifest.regions)
        yield _error("region.unknown", "region", f"sandbox has no region {request.region}", f"choose one of {known}")
        return
    yield from _sizes(request)
    yield from _ranges(request)
    wanted = [wish for wish in wished(request) if missing(wish)]
    for kind, count in Counter(wish.kind for wish in wanted).items():
        if count > (left := room(kind)):
            text = f"{count} more {kind}s are wanted, the quota of {request.region} leaves {left}"
            yield _error(f"quota.{kind}s", "region", text, "free some, or raise the quota", wanted=count, left=left)
    for size, count in Counter(wish.size for wish in wanted if wish.kind == "server").items():
        yield from _stock(request, size, count, sold)


def _sizes(request: ClusterRequest) -> Iterator[Finding]:
    pools = [("control_plane.size", request.control_plane)]
    pools += [(f"worker_pools[{n}].size", pool) for n, pool in enumerate(request.worker_pools) if pool.count]
    for path, pool in pools:
        if catalogue.size(pool.size) is None:
            known = ", ".join(size.id for size in catalogue.SIZES)
            yield _error(
                "size.unknown", path, f"sandbox has no size {pool.size or '(empty)'}", f"choose one of {known}"
            )
    if request.load_balancer not in ("", catalogue.LOAD_BALANCER):
        text = f"sandbox has no load balancer {request.load_balancer}"
        yield _error("size.unknown", "load_balancer.type", text, f"choose {catalogue.LOAD_BALANCER}")


def _ranges(request: ClusterRequest) -> Iterator[Finding]:
    names = ("node_cidr", "pod_cidr", "service_cidr")
    ranges = {name: ip_network(getattr(request, name)) for name in names}
    for n, first in enumerate(names):
        for second in names[n + 1 :]:
            if ranges[first].overlaps(ranges[second]):
                text = f"{first} {ranges[first]} overlaps {second} {ranges[second]}"
                yield _error("cidr.overlap", second, text, "choose ranges that share no address")


def _stock(request: ClusterRequest, size_id: str, count: int, sold: Mapping[tuple[str, str], int]) -> Iterator[Finding]:
    size = catalogue.size(size_id)
    left = size.stock - sold.get((request.region, size_id), 0) if size else count
    if left >= count:
        return
    others = [
        s.id for s in catalogue.SIZES if s.id != size_id and s.stock - sold.get((request.region, s.id), 0) >= count
    ]
    text = f"{count} of {size_id} are wanted, {request.region} has {max(0, left)} (simulated stock)"
    yield _error("capacity.size", "control_plane.size", text, f"choose another size: {', '.join(others)}", left=left)


def _error(code: str, path: str, message: str, remedy: str, **metadata: object) -> Finding:
    return Finding(code, Severity.ERROR, path, message, remedy, {key: str(value) for key, value in metadata.items()})
