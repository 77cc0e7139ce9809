"""Rows of a plan in the contract's JSON form: changes, components, steps and findings, each from what it shows."""

from typing import Any

from catalyst_sdk.cloud import Action, InfraPlan

from . import graphs
from .locks import Component, Lock
from .plan_inputs import Found, Held, Read, Wanted
from .wishes import Wish

NATIVE = "native"


def step(shape: graphs.Shape) -> dict[str, Any]:
    return {
        "id": shape.id,
        "phase": shape.phase,
        "needs": list(shape.needs),
        **({"timeout": f"{int(shape.timeout.total_seconds())}s"} if shape.timeout else {}),
        "retries": shape.retries,
        "gate": shape.gate,
        "undoable": shape.undoable,
        "skippable": shape.skippable,
        "optional": shape.optional,
        "cluster": shape.cluster,
        "component": shape.component,
    }


def finding(found: Found) -> dict[str, Any]:
    one = found.finding
    return {
        "code": one.code,
        "severity": f"SEVERITY_{one.severity.value.upper()}",
        "field": one.path,
        "message": one.message,
        "remedy": one.remedy,
        "cluster": found.cluster,
        "metadata": dict(one.metadata),
        "alternatives": list(found.alternatives),
    }


def change(cluster: str, plan: InfraPlan, change: Any) -> dict[str, Any]:
    return {
        "cluster": cluster,
        "kind": change.kind,
        "name": change.name,
        "address": change.address,
        "action": f"ACTION_{change.action.value.upper()}",
        "manager": "native",
        "reason": change.reason,
        "changed_paths": list(change.paths),
        **({"before": dict(change.before)} if change.action is not Action.CREATE and change.before else {}),
        **({"after": dict(change.after)} if change.action is not Action.DELETE and change.after else {}),
    }


def deletion(held: Held, reason: str = "") -> dict[str, Any]:
    return {
        "cluster": held.cluster,
        "kind": held.row.kind,
        "name": held.row.name,
        "address": f"{held.row.kind}.{held.row.name}",
        "action": "ACTION_DELETE",
        "manager": "native",
        "reason": reason,
    }


def kept(held: Held, action: str, manager: str, reason: str) -> dict[str, Any]:
    kind, name = held.row.kind, held.row.name
    return {
        "cluster": held.cluster, "kind": kind, "name": name, "address": f"{kind}.{name}", "action": action,
        "manager": manager, "reason": reason,
    }  # fmt: skip


def rise(cluster: str, before: str, after: str) -> dict[str, Any]:
    return {
        "cluster": cluster, "kind": "kubernetes", "name": cluster, "address": "k3s", "action": "ACTION_UPDATE",
        "manager": NATIVE, "reason": f"{before} to {after}, servers one by one, then workers",
        "changed_paths": ["k3s_version"],
    }  # fmt: skip


def components(read: Read, wish: Wish, lock: Lock) -> list[dict[str, Any]]:
    numbered = list(enumerate(lock.components, 1))
    return [_component(read, cluster.name, i, c, lock) for cluster in wish.clusters for i, c in numbered]


def removals(read: Read, wanted: Wanted) -> list[dict[str, Any]]:
    """Components that go: those that the lock has no more, and all of a cluster that goes."""
    kept = {c.name for c in wanted.lock.components}
    staying = {cluster.name for cluster in wanted.wish.clusters}
    return [
        _removed(read, cluster, name)
        for cluster, versions in read.installed.items()
        for name in sorted(versions.keys() - (kept if cluster in staying else set()))
    ]


def _component(read: Read, cluster: str, order: int, component: Component, lock: Lock) -> dict[str, Any]:
    before = read.installed.get(cluster, {}).get(component.name, "")
    action = "KEEP" if before == component.version else "UPGRADE" if before else "ADD"
    return {
        "cluster": cluster,
        "blueprint": component.name,
        "version": component.version,
        "digest": component.digest,
        "previous_version": before,
        "action": f"ACTION_{action}",
        "requested": component.requested,
        "needed_by": list(lock.needed_by(component.name)),
        "needs": list(component.needs),
        "wave": component.wave,
        "order": order,
        "optional": component.optional,
    }


def _removed(read: Read, cluster: str, name: str) -> dict[str, Any]:
    version = read.installed[cluster][name]
    return {"cluster": cluster, "blueprint": name, "previous_version": version, "action": "ACTION_REMOVE"}
