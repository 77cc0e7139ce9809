"""Address ranges of clusters: each keeps its index, and with it its ranges, for life."""

import ipaddress
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

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


def ranges(templates: Mapping[str, str], index: int) -> Ranges:
    """The ranges of the cluster with `index`, from templates such as `10.{64+2*i}.0.0/15`."""
    return Ranges(**{key: _TERM.sub(lambda m: str(_value(m[1], index)), text) for key, text in templates.items()})


def overlapping(first: str, second: str) -> bool:
    """Whether two ranges share an address."""
    a, b = ipaddress.ip_network(first), ipaddress.ip_network(second)
    return a.version == b.version and a.overlaps(b)


def conflicts(clusters: Mapping[str, Ranges], reserved: Iterable[str]) -> list[tuple[str, str, str]]:
    """Cluster, its range and the reserved range that it touches."""
    kept = list(reserved)
    return [(name, own, r) for name, rs in clusters.items() for own in rs.all() for r in kept if overlapping(own, r)]


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
