"""What there is, as agents and clouds have shown it: the contract's topology, from observation only.

Invariants
  unknown   what was not observed, or too long ago, is STATUS_UNKNOWN, whatever was wished;
  counted   a number that nobody has seen is absent, never 0.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from .conditions import is_silent

HEALTHY, DEGRADED, FAILED = "STATUS_HEALTHY", "STATUS_DEGRADED", "STATUS_FAILED"
PENDING, UNKNOWN = "STATUS_PENDING", "STATUS_UNKNOWN"
_WORST = (FAILED, UNKNOWN, DEGRADED, PENDING, HEALTHY)


@dataclass(frozen=True, slots=True)
class ClusterSeen:
    """What is known of one cluster."""

    name: str
    provider: str
    region: str
    credential: str
    hosts: tuple[str, ...]
    heartbeat_at: datetime | None
    heartbeat: Mapping[str, Any]
    inventory: Mapping[str, Any]
    made: Mapping[str, Any]
    pools: Mapping[str, tuple[str, int]]
    """Size and wished count by pool, control planes among them."""


def topology(name: str, revision: int, clusters: Sequence[ClusterSeen], now: datetime) -> dict[str, Any]:
    """The whole, in the contract's JSON form."""
    seen = [c.heartbeat_at for c in clusters if c.heartbeat_at]
    regions: dict[tuple[str, str], list[ClusterSeen]] = {}
    for cluster in clusters:
        regions.setdefault((cluster.provider, cluster.region), []).append(cluster)
    return {
        "name": name,
        "revision": str(revision),
        **_at(max(seen, default=None)),
        "pattern": pattern(clusters),
        "clouds": _clouds(clusters, now),
        "regions": [_region(provider, region, rows, now) for (provider, region), rows in regions.items()],
        "storage": {"pvcs": [_pvc(c, row) for c in clusters for row in c.inventory.get("pvcs", ())]},
    }


def without_moments(body: Any) -> Any:
    """The same without its moments: two of them are equal when nothing but time has passed."""
    if isinstance(body, Mapping):
        return {k: without_moments(v) for k, v in body.items() if k not in ("observe_time", "create_time", "revision")}
    return [without_moments(row) for row in body] if isinstance(body, list) else body


def pattern(clusters: Sequence[ClusterSeen]) -> str:
    """Which pattern the facts show; nothing seen shows none."""
    if not clusters or any(c.heartbeat_at is None for c in clusters):
        return "PATTERN_UNKNOWN"
    if len({(c.provider, c.region) for c in clusters}) > 1:
        return "PATTERN_MULTI_REGION"
    members = max(int(c.heartbeat.get("voting_members", 0)) for c in clusters)
    return "PATTERN_HA_PAIR" if members > 1 else "PATTERN_SOLO"


def _clouds(clusters: Sequence[ClusterSeen], now: datetime) -> list[dict[str, Any]]:
    accounts: dict[tuple[str, str], list[ClusterSeen]] = {}
    for cluster in clusters:
        accounts.setdefault((cluster.provider, cluster.credential), []).append(cluster)
    return [
        {"provider": provider, "credential": credential, "status": _worst(_status(c, now) for c in rows)}
        for (provider, credential), rows in accounts.items()
    ]


def _region(provider: str, region: str, rows: Sequence[ClusterSeen], now: datetime) -> dict[str, Any]:
    return {
        "provider": provider,
        "region": region,
        "clusters": [_cluster(row, now) for row in rows],
        "networks": [network for row in rows for network in _networks(row)],
        "status": _worst(_status(row, now) for row in rows),
        **_at(max((row.heartbeat_at for row in rows if row.heartbeat_at), default=None)),
    }


def _cluster(c: ClusterSeen, now: datetime) -> dict[str, Any]:
    silent = c.heartbeat_at is None or is_silent(c.heartbeat_at, now)
    nodes = [{**node, "status": UNKNOWN} if silent else dict(node) for node in c.inventory.get("nodes", ())]
    balancers = [{**b, "status": UNKNOWN} if silent else dict(b) for b in c.inventory.get("load_balancers", ())]
    seen = bool(c.inventory.get("nodes")) and not silent
    return {
        "id": c.name,
        "version": str(c.heartbeat.get("k3s_version", "")),
        **({"node_count": len(nodes)} if seen else {}),
        "vclusters": [dict(row) for row in c.inventory.get("vclusters", ())],
        "load_balancers": balancers,
        "node_pools": [_pool(name, size, count, nodes, seen=seen) for name, (size, count) in c.pools.items()],
        "nodes": nodes,
        "status": _status(c, now),
        **_at(c.heartbeat_at),
    }


def _pool(name: str, size: str, count: int, nodes: Sequence[Mapping[str, Any]], *, seen: bool) -> dict[str, Any]:
    mine = [node for node in nodes if node.get("pool") == name]
    status = UNKNOWN if not seen else _worst([node["status"] for node in mine] or [PENDING])
    if seen and len(mine) < count and status == HEALTHY:
        status = PENDING
    role = mine[0].get("role", "") if mine else ""
    return {
        "id": name, "role": role, "size": size, "desired": count, **({"current": len(mine)} if seen else {}),
        "status": status,
    }  # fmt: skip


def _networks(c: ClusterSeen) -> list[dict[str, Any]]:
    """What the cloud showed after the last apply; nobody looks at networks in between."""
    rows = [r for r in c.made.get("resources", ()) if r["kind"] in ("network", "firewall")]
    walls = [{"id": r["name"], "status": UNKNOWN} for r in rows if r["kind"] == "firewall"]
    return [{"id": r["name"], "firewalls": walls, "status": UNKNOWN} for r in rows if r["kind"] == "network"]


def _pvc(c: ClusterSeen, row: Mapping[str, Any]) -> dict[str, Any]:
    return {**row, "cluster": c.name}


def _status(c: ClusterSeen, now: datetime) -> str:
    if c.heartbeat_at is None or is_silent(c.heartbeat_at, now):
        return UNKNOWN
    if not c.heartbeat.get("api_healthy"):
        return FAILED
    ready = int(c.heartbeat.get("ready_nodes", 0)) >= sum(count for _, count in c.pools.values())
    return HEALTHY if ready else DEGRADED


def _worst(statuses: Iterable[str]) -> str:
    found = set(statuses)
    return next((status for status in _WORST if status in found), UNKNOWN)


def _at(moment: datetime | None) -> dict[str, Any]:
    return {"observe_time": f"{moment:%FT%T.%fZ}"} if moment else {}
