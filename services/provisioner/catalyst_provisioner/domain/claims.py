"""Claims: what Crossplane is given of a cluster, one claim for each resource that has a kind of claim.

Invariants
  one manager   a resource of the ledger has exactly one manager, and only the step that saw its claim changes it;
  looking first a claim only observes until the cluster has seen that it equals what is there;
  by id         a claim adopts by the id of the ledger, never by a name.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from catalyst_sdk.cloud import ClusterRequest, LedgerRow

from .reference import Reference

CROSSPLANE = "crossplane"
OBSERVE, MANAGE = ["Observe"], ["*"]
EXTERNAL_NAME = "crossplane.io/external-name"


def claimed(kind: str) -> bool:
    """Whether resources of this kind are given to Crossplane; the others stay with their manager."""
    return kind in _KINDS


def name_of(row: LedgerRow) -> str:
    """Name of the claim of a resource."""
    return row.name


def render(
    rows: Iterable[LedgerRow], request: ClusterRequest, servers: Sequence[Mapping[str, Any]], provider: str,
    reference: Reference, *, observe_only: bool,
) -> list[dict[str, Any]]:  # fmt: skip
    """The claims of a cluster.

    rows      resources of its ledger that exist
    servers   what its cloud showed of its servers after the last apply
    """
    told = {server["name"]: server for server in servers}
    return [
        _claim(row, request, told.get(row.name, {}), provider, reference, OBSERVE if observe_only else MANAGE)
        for row in rows
        if claimed(row.kind) and row.id
    ]


def waiting(names: Iterable[str], seen: Iterable[Mapping[str, Any]], *, observe_only: bool) -> list[str]:
    """Claims that the cluster does not show as wished: absent, differing, or still managing where they should look."""
    shown = {claim["name"]: claim for claim in seen}
    return [
        name
        for name in names
        if not shown.get(name, {}).get("synced") or bool(shown[name].get("observe_only")) is not observe_only
    ]


def _claim(
    row: LedgerRow, request: ClusterRequest, server: Mapping[str, Any], provider: str, reference: Reference,
    policies: Sequence[str],
) -> dict[str, Any]:  # fmt: skip
    kind, parameters = _KINDS[row.kind]
    fields = reference.claims["kinds"][kind]["fields"]
    given = {key: value for key, value in parameters(row, request, server, provider).items() if key in fields}
    return {
        "apiVersion": f"{reference.claims['group']}/{reference.claims['version']}",
        "kind": kind,
        "metadata": {
            "name": name_of(row),
            "namespace": "crossplane-system",
            "annotations": {EXTERNAL_NAME: row.id},
            "labels": dict(sorted(row.labels.items())),
        },
        "spec": {"managementPolicies": list(policies), "parameters": given},
    }


def _region(row: LedgerRow, r: ClusterRequest, _: Mapping[str, Any], provider: str) -> dict[str, Any]:
    return {
        "region": r.region,
        "provider": provider,
        "sovereignFQDN": r.fqdn,
        "ipRange": r.node_cidr,
        "subnetIpRange": r.subnet_cidr,
        "skuCP": r.control_plane.size,
        "skuWorker": r.worker_pools[0].size if r.worker_pools else r.control_plane.size,
        "workerCount": sum(pool.count for pool in r.worker_pools),
        "sshKeyName": f"{r.sovereign.partition('/')[2]}-{r.suffix}",
    }  # fmt: skip - reads as a table


def _node(row: LedgerRow, r: ClusterRequest, server: Mapping[str, Any], _: str) -> dict[str, Any]:
    pool = next((p for p in r.worker_pools if p.name == server.get("pool")), r.control_plane)
    role = server.get("role", "control_plane").replace("_", "-")
    return {
        "name": row.name, "clusterRef": r.cluster, "sku": pool.size, "replicas": 1, "role": role, "region": r.region,
    }  # fmt: skip


def _balancer(row: LedgerRow, r: ClusterRequest, _: Mapping[str, Any], __: str) -> dict[str, Any]:
    listeners = [{"port": x.port, "protocol": "tcp", "targetPort": x.target_port} for x in r.listeners]
    return {"name": row.name, "regionRef": r.region, "listeners": listeners, "algorithm": "round_robin"}


def _firewall(row: LedgerRow, r: ClusterRequest, _: Mapping[str, Any], __: str) -> dict[str, Any]:
    return {
        "firewallRef": row.name, "direction": "in", "protocol": "tcp", "port": "22",
        "sources": list(r.ssh_allowed_cidrs), "action": "accept" if r.ssh_allowed_cidrs else "drop",
    }  # fmt: skip


Parameters = Callable[[LedgerRow, ClusterRequest, Mapping[str, Any], str], dict[str, Any]]
_KINDS: Mapping[str, tuple[str, Parameters]] = {
    "network": ("Region", _region),
    "server": ("NodePool", _node),
    "load_balancer": ("LoadBalancer", _balancer),
    "firewall": ("FirewallRule", _firewall),
}
"""Kind of claim and its parameters, by kind of resource."""
