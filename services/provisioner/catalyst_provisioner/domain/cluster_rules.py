"""What a spec may say of clusters, their control planes and their pools."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence

from catalyst_sdk import Violation

from .naming import LABEL_PREFIX
from .reference import Reference
from .wishes import Clouds, Document, dimensions

COUNTS = (1, 3, 5)
KEY = re.compile(r"^([a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?/)?[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$")
"""Key of a label or a taint, as Kubernetes takes it: an optional DNS name, and at most 63 characters."""


def violations(rows: Sequence[Document], clouds: Clouds, reference: Reference) -> Iterator[Violation]:
    """What is wrong with the clusters of a spec; each has a name of its own."""
    names: dict[str, int] = {}
    for i, row in enumerate(rows):
        path = f"spec.clusters[{i}]"
        found = list(_cluster(row, path, clouds))
        yield from found
        if not any(one.field in _names_it(path) for one in found):
            name = dimensions(row, clouds, reference).cluster_name
            if name in names:
                yield Violation(path, f"has the name of spec.clusters[{names[name]}], {name}", "unique")
            names.setdefault(name, i)
    if len(rows) > reference.max_clusters:
        yield Violation("spec.clusters", f"at most {reference.max_clusters}", "max_items")


def place(provider: str, region: str, clouds: Clouds, *, provider_at: str, region_at: str) -> Iterator[Violation]:
    """Whether a loaded plugin offers the region."""
    cloud = clouds.get(provider)
    if cloud is None:
        known = ", ".join(sorted(clouds)) or "none"
        why = f"no cloud plugin {provider} is loaded" if provider else "names no provider, and there is no default one"
        yield Violation(provider_at, f"{why} (loaded: {known})", "provider")
    elif region not in cloud.regions:
        known = ", ".join(sorted(cloud.regions))
        yield Violation(region_at, f"{cloud.provider} offers {known}, not {region}", "region")


def control_plane(row: Document, path: str) -> Iterator[Violation]:
    """Size and an odd count."""
    if not row.get("size"):
        yield Violation(f"{path}.size", "is required", "required")
    if row.get("count", 0) not in COUNTS:
        yield Violation(f"{path}.count", f"must be 1, 3 or 5, not {row.get('count', 0)}", "count")


def pools(rows: Sequence[Document], path: str) -> Iterator[Violation]:
    """Names of their own, bounds in order, labels that nodes can carry."""
    for name, times in Counter(row.get("name", "") for row in rows).items():
        if times > 1:
            yield Violation(path, f"{times} pools are called {name or '(nothing)'}", "unique")
    for i, row in enumerate(rows):
        yield from _pool(row, f"{path}[{i}]")


def load_balancer(row: Document, path: str) -> Iterator[Violation]:
    """No port twice."""
    listeners = [(x.get("port"), x.get("protocol") or "tcp") for x in row.get("listeners") or ()]
    for (port, protocol), times in Counter(listeners).items():
        if times > 1:
            yield Violation(f"{path}.listeners", f"{protocol} port {port} is given {times} times", "unique")


def _names_it(path: str) -> set[str]:
    return {f"{path}.{key}" for key in ("provider", "region", "building_block", "env_type")}


def _cluster(row: Document, path: str, clouds: Clouds) -> Iterator[Violation]:
    for key in ("provider", "region", "building_block", "env_type"):
        if not row.get(key):
            yield Violation(f"{path}.{key}", "is required", "required")
    if row.get("provider") and row.get("region"):
        yield from place(row["provider"], row["region"], clouds, provider_at=f"{path}.provider",
                         region_at=f"{path}.region")  # fmt: skip
    cloud = clouds.get(row.get("provider", ""))
    if cloud and not row.get("credential") and not cloud.default_credential:
        yield Violation(f"{path}.credential", "is required", "required")
    hosts = row.get("hosts") or ()
    if hosts and row.get("building_block") and row["building_block"] not in hosts:
        yield Violation(f"{path}.hosts", f"must contain the building block {row['building_block']}", "hosts")
    yield from control_plane(row.get("control_plane") or {}, f"{path}.control_plane")
    yield from pools(row.get("worker_pools") or (), f"{path}.worker_pools")
    yield from load_balancer(row.get("load_balancer") or {}, f"{path}.load_balancer")


def _pool(row: Document, path: str) -> Iterator[Violation]:
    count = row.get("count", 0)
    if count and not row.get("size"):
        yield Violation(f"{path}.size", "is required where count is above 0", "required")
    if not row.get("min", count) <= count <= row.get("max", count):
        text = f"min <= count <= max must hold, not {row.get('min', count)} <= {count} <= {row.get('max', count)}"
        yield Violation(path, text, "bounds")
    keys = [(f"labels.{key}", key) for key in row.get("labels") or ()]
    keys += [(f"taints[{i}].key", taint.get("key", "")) for i, taint in enumerate(row.get("taints") or ())]
    for where, key in keys:
        if not KEY.match(key):
            yield Violation(f"{path}.{where}", f"{key[:80]!r} is no key of a label", "key")
        elif key.startswith(f"{LABEL_PREFIX}/"):
            yield Violation(f"{path}.{where}", f"{LABEL_PREFIX} is for labels that are computed", "reserved")
