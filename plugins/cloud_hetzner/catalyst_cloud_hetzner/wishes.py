"""From a request to the module's variables. Pure."""

from collections.abc import Mapping
from ipaddress import ip_network
from typing import Any

from catalyst_sdk.cloud import ClusterRequest, NodePool

from .facts import ARCHES, facts
from .lock_key import lock_key

ENV_TYPE = "openova.io/env-type"
PROTECTED = "prod"


def variables(request: ClusterRequest, *, image: str, binaries: Mapping[str, Any]) -> dict[str, Any]:
    """Equal requests give equal variables; nothing secret is among them."""
    ingress, api = reserved(request.subnet_cidr)
    return {
        "cluster_name": request.cluster,
        "suffix": request.suffix,
        "sovereign_fqdn": request.fqdn,
        "labels": dict(request.labels),
        "region": request.region,
        "network_zone": facts().zones[request.region],
        "node_cidr": request.node_cidr,
        "subnet_cidr": request.subnet_cidr,
        "pod_cidr": request.pod_cidr,
        "service_cidr": request.service_cidr,
        "control_plane": _pool(request.control_plane),
        "worker_pools": {pool.name: _pool(pool) for pool in request.worker_pools if pool.count},
        "image": image,
        "binaries": dict(binaries),
        "lock_key": lock_key(f"{request.cluster}-{request.suffix}"),
        "ssh_keys": list(request.ssh_public_keys),
        "ssh_allowed_cidrs": list(request.ssh_allowed_cidrs),
        "api": {"public": request.api_public, "private_ip": api, "extra_sans": [f"api.{request.fqdn}"]},
        "load_balancer": {
            "type": request.load_balancer or facts().balancers[0],
            "algorithm": "round_robin",
            "private_ip": ingress,
            "listeners": [
                {"port": one.port, "protocol": "tcp", "target_port": one.target_port} for one in request.listeners
            ],
        },
        "adopted": {address: given.name for address, given in request.adopted.items()},
        "protection": request.labels.get(ENV_TYPE) == PROTECTED,
    }


def reserved(subnet: str) -> tuple[str, str]:
    """Private addresses of the load balancers, ingress and API, at the end of the subnet: servers begin at its start."""
    network = ip_network(subnet)
    return str(network[-7]), str(network[-6])


def needed_arches(request: ClusterRequest) -> list[str]:
    """Architectures of the servers, as binaries are named."""
    pools = [request.control_plane, *(pool for pool in request.worker_pools if pool.count)]
    return sorted({_arch(pool.size) for pool in pools})


def _pool(pool: NodePool) -> dict[str, Any]:
    return {"size": pool.size, "arch": _arch(pool.size), "count": pool.count}


def _arch(size: str) -> str:
    return ARCHES[facts().arch(size)]
