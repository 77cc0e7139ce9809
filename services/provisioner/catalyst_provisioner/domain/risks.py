"""What may hurt when a plan is applied, read off its changes."""

import ipaddress
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from catalyst_sdk.cloud import Action, Change, InfraPlan

from .joins import ROLE_LABEL
from .wishes import Cluster, Wish

HOLDS_DATA = frozenset({"volume", "bucket", "database", "snapshot"})
CONTROL_PLANE = "control_plane"
REPLACE, DATA_LOSS, DOWNTIME = "KIND_REPLACE", "KIND_DATA_LOSS", "KIND_DOWNTIME"
QUORUM, PUBLIC, IRREVERSIBLE = "KIND_QUORUM", "KIND_PUBLIC_EXPOSURE", "KIND_IRREVERSIBLE"
DESTROYED = {
    "kind": IRREVERSIBLE,
    "code": "destroy.final",
    "message": "everything of this Sovereign is deleted, its data too",
    "resources": [],
    "cluster": "",
}


def of_changes(wish: Wish, infra: Mapping[str, InfraPlan], removed: Sequence[str]) -> list[dict[str, Any]]:
    """The risks of a creation or a change, in the contract's form."""
    found = list(_exposure(wish))
    for cluster in wish.clusters:
        if cluster.name in infra:
            found += _of_cluster(cluster, infra[cluster.name].changes)
    for name in removed:
        found.append(_risk(IRREVERSIBLE, "cluster.removed", f"{name} is deleted with all that runs in it", (), name))
        found.append(_risk(DATA_LOSS, "cluster.data", f"what the volumes of {name} hold is lost", (), name))
    return found


def of_destroy(kinds: Mapping[str, Sequence[str]]) -> list[dict[str, Any]]:
    """The risks of taking everything away; `kinds` holds the names of what the ledger lists."""
    lost = [name for kind in sorted(HOLDS_DATA & kinds.keys()) for name in kinds[kind]]
    return [DESTROYED, *([_risk(DATA_LOSS, "volume.lost", _listed(lost), lost)] if lost else [])]


def of_restart(cluster: str, node: str, planes: int) -> list[dict[str, Any]]:
    """The risks of restarting a node that is one of so many servers of a control plane; of a worker there are none."""
    if planes > 1:
        text = f"{node} is a member of the quorum: until it is back, no other one may fail"
        return [_risk(QUORUM, "control_plane.restarted", text, [node], cluster)]
    if planes == 1:
        return [
            _risk(DOWNTIME, "cluster.downtime", f"the API of {cluster} is away while {node} restarts", [node], cluster)
        ]
    return []


def _exposure(wish: Wish) -> Iterator[dict[str, Any]]:
    if wish.api_public:
        yield _risk(PUBLIC, "api.public", "the Kubernetes API is reachable by the world", ())
    world = [text for text in wish.ssh_allowed_cidrs if ipaddress.ip_network(text).prefixlen == 0]
    if world:
        yield _risk(PUBLIC, "ssh.public", "port 22 of the servers is reachable by the world", world)


def _of_cluster(cluster: Cluster, changes: Sequence[Change]) -> Iterator[dict[str, Any]]:
    def touched(*actions: Action) -> list[Change]:
        return [change for change in changes if change.action in actions]

    if replaced := touched(Action.REPLACE):
        yield _risk(REPLACE, "resource.replaced", _listed([c.address for c in replaced]), _at(replaced), cluster.name)
    lost = [c for c in touched(Action.DELETE, Action.REPLACE) if c.kind in HOLDS_DATA]
    if lost:
        yield _risk(DATA_LOSS, "volume.lost", _listed([c.name for c in lost]), _at(lost), cluster.name)
    planes = [c for c in touched(Action.DELETE, Action.REPLACE, Action.UPDATE) if _is_of_plane(c)]
    ending = [c for c in planes if c.action is Action.REPLACE]
    if len(ending) >= cluster.control_plane.count:
        text = f"{cluster.name} begins anew, empty: no server of its control plane stays"
        yield _risk(DATA_LOSS, "cluster.anew", text, _at(ending), cluster.name)
    if planes and cluster.control_plane.count > 1:
        text = "members of the control plane change; the majority must stay"
        yield _risk(QUORUM, "control_plane.changed", text, _at(planes), cluster.name)
    ways = [c for c in touched(Action.DELETE, Action.REPLACE) if c.kind == "load_balancer"]
    if still := (planes if cluster.control_plane.count == 1 else []) + ways:
        yield _risk(DOWNTIME, "cluster.downtime", _listed([c.address for c in still]), _at(still), cluster.name)


def _is_of_plane(change: Change) -> bool:
    """Whether it is a server of the control plane: by its label, or by an address that says so."""
    labels = (change.before or change.after).get("labels") or {}
    return CONTROL_PLANE in (change.address if ROLE_LABEL not in labels else labels[ROLE_LABEL].replace("-", "_"))


def _at(changes: Sequence[Change]) -> list[str]:
    return [change.address for change in changes]


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(names[:5])
    return shown if len(names) <= 5 else f"{shown} and {len(names) - 5} more"


def _risk(kind: str, code: str, message: str, resources: Sequence[str], cluster: str = "") -> dict[str, Any]:
    return {"kind": kind, "code": code, "message": message, "resources": list(resources), "cluster": cluster}
