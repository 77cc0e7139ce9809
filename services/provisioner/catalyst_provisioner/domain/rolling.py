"""One node after the other: the order in which a cluster takes another version of k3s. Pure.

Invariants
  servers first   no worker is newer than its control plane, which Kubernetes does not allow;
  whole quorum    the next server of the control plane begins when all members of etcd vote;
  one at a time   nothing begins as long as another node of the right version is not ready.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

PLANE = "control-plane"
READY = "STATUS_HEALTHY"
Node = Mapping[str, Any]


def ordered(nodes: Iterable[Node]) -> list[Node]:
    """Nodes of an inventory in the order in which they take a version."""
    return sorted(nodes, key=lambda node: (node.get("role") != PLANE, str(node["id"])))


def runs(node: Node, version: str) -> bool:
    """Whether it has the version and is ready with it."""
    return node.get("version") == version and node.get("status") == READY


def may_begin(node: Node, nodes: Sequence[Node], beat: Mapping[str, Any], version: str) -> bool:
    """Whether this node may take the version now."""
    others = [other for other in nodes if other["id"] != node["id"]]
    if any(other.get("version") == version and not runs(other, version) for other in others):
        return False
    whole = int(beat.get("voting_members", 0)) >= max(1, int(beat.get("members", 0)))
    return bool(beat.get("api_healthy")) and whole


def emptied(node: Node, nodes: Sequence[Node]) -> bool:
    """Whether its pods are moved away first: they go on while k3s restarts, so a node without another one keeps them."""
    return any(other["id"] != node["id"] and not other.get("cordoned") for other in nodes)
