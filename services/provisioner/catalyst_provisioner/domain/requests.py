"""What a cloud is asked for: one cluster, with every name, label and range computed here."""

from collections.abc import Mapping
from dataclasses import replace

from catalyst_sdk.cloud import Adopted, ClusterRequest, Listener, NodePool

from . import cidrs
from .naming import labels
from .reference import Reference
from .sovereign import Sovereign
from .wishes import Cluster, Wish


def cluster_request(
    sovereign: Sovereign,
    wish: Wish,
    cluster: Cluster,
    number: int,
    reference: Reference,
    adopted: Mapping[str, Adopted] | None = None,
    anew: Mapping[str, str] | None = None,
) -> ClusterRequest:
    """The request for one cluster; `number` is its index for life, `adopted` what was given to it, `anew` which server ends."""
    ranges = cidrs.ranges(reference.cidrs, number, wish.cidr_base)
    plane = cluster.control_plane
    listeners = tuple(Listener(port, target) for port, target in cluster.listeners)
    request = ClusterRequest(
        sovereign=sovereign.name,
        fqdn=wish.fqdn,
        cluster=cluster.name,
        suffix=sovereign.suffix,
        region=cluster.region,
        labels=labels(
            sovereign=sovereign.id,
            uid=sovereign.uid,
            provider=cluster.provider,
            region=cluster.region,
            block=cluster.block,
            env_type=cluster.env_type,
            cluster=cluster.name,
        ),
        control_plane=NodePool(plane.name, plane.size, plane.count),
        worker_pools=tuple(NodePool(p.name, p.size, p.count) for p in cluster.pools),
        load_balancer=cluster.load_balancer,
        node_cidr=ranges.nodes,
        subnet_cidr=ranges.node_subnet,
        pod_cidr=ranges.pods,
        service_cidr=ranges.services,
        ssh_public_keys=wish.ssh_public_keys,
        ssh_allowed_cidrs=wish.ssh_allowed_cidrs,
        api_public=wish.api_public,
        adopted=adopted or {},
        anew=anew or {},
        allow_deprecated=any(pool.allow_deprecated for pool in (plane, *cluster.pools)),
    )
    return replace(request, listeners=listeners) if listeners else request
