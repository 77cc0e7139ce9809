"""Address ranges of clusters: each keeps its index, and with it its ranges, for life."""

import ipaddress
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

SHORTEST_BASE, LONGEST_BASE = 8, 12
"""Prefix lengths of a base that leaves room for 32 clusters with pods on 32 nodes each."""
SMALLEST_SUBNET = 24
NODE_PREFIX = 24
"""Kubernetes gives each node a range of this length for its pods."""
Range = ipaddress.IPv4Network | ipaddress.IPv6Network
_TERM = re.compile(r"\{([^}]*)\}")


@dataclass(frozen=True, slots=True)
class Ranges:
    """The ranges of one cluster."""

    nodes: str
    node_subnet: str
    pods: str
    services: str

    def all(self) -> tuple[str, ...]:
        """Those that must not touch anything else; the subnet lies within `nodes`."""
        return (self.nodes, self.pods, self.services)


def ranges(templates: Mapping[str, str], index: int, base: str = "") -> Ranges:
    """The ranges of the cluster with `index`, from templates such as `10.{64+2*i}.0.0/15`.

    base   private range of /8 to /12 that the same plan is cut from, to scale; the templates cut from 10.0.0.0/8
    """
    usual = {key: _TERM.sub(lambda m: str(_value(m[1], index)), text) for key, text in templates.items()}
    if not base:
        return Ranges(**usual)
    scaled = {key: _scaled(ipaddress.IPv4Network(text), ipaddress.IPv4Network(base)) for key, text in usual.items()}
    if scaled["node_subnet"].prefixlen > SMALLEST_SUBNET:
        # To scale it would hold a handful of servers; half of the cluster's own range does as well.
        scaled["node_subnet"] = list(scaled["nodes"].subnets())[1]
    return Ranges(**{key: str(network) for key, network in scaled.items()})


def overlapping(first: str, second: str) -> bool:
    """Whether two ranges share an address."""
    a, b = ipaddress.ip_network(first), ipaddress.ip_network(second)
    return a.version == b.version and a.overlaps(b)


def conflicts(clusters: Mapping[str, Ranges], reserved: Iterable[str]) -> list[tuple[str, str, str]]:
    """Cluster, its range and the reserved range that it touches."""
    kept = list(reserved)
    return [(name, own, r) for name, rs in clusters.items() for own in rs.all() for r in kept if overlapping(own, r)]


def most_nodes(own: Ranges) -> int:
    """How many nodes the ranges of a cluster have room for: addresses of their own, and a range for the pods of each."""
    pods, subnet = ipaddress.ip_network(own.pods), ipaddress.ip_network(own.node_subnet)
    gateway_and_ends = 3
    return min(int(2 ** max(0, NODE_PREFIX - pods.prefixlen)), subnet.num_addresses - gateway_and_ends)


def next_index(taken: Iterable[int]) -> int:
    """The lowest index that no cluster has."""
    used = set(taken)
    return next(i for i in range(len(used) + 1) if i not in used)


def _value(term: str, index: int) -> int:
    """`i`, `128+i` or `64+2*i`."""
    base, factor = 0, 0
    for part in term.replace(" ", "").split("+"):
        if part.endswith("i"):
            factor += int(part[:-2]) if part[:-1] else 1
        else:
            base += int(part)
    return base + factor * index


def _scaled(usual: ipaddress.IPv4Network, base: ipaddress.IPv4Network) -> ipaddress.IPv4Network:
    """Where a range of the plan of 10.0.0.0/8 lies in `base`."""
    shift = base.prefixlen - _WHOLE.prefixlen
    offset = int(usual.network_address) - int(_WHOLE.network_address)
    return ipaddress.IPv4Network((int(base.network_address) + (offset >> shift), usual.prefixlen + shift))


_WHOLE = ipaddress.IPv4Network("10.0.0.0/8")
