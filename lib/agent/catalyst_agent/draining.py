"""Moving things away: pods off a node, and what a cluster has made at its cloud.

Invariants
  by their leave   a pod goes by eviction, which its budget of disruption may forbid, until the time that was given is over;
  made again       what nobody would make anew (a pod without an owner) is never asked to go: it is named instead;
  said             what is still there when a call ends is named, never counted as gone.
"""

import asyncio
import time
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from .kube import Kube, NotAnswered

Object = Mapping[str, Any]
GRACE = 300.0
"""Seconds for evictions where a command names none."""
LAST = 60.0
"""Seconds that pods have to end once they are deleted without being asked."""
PAUSE = 2.0
"""Seconds between two looks."""
MIRROR = "kubernetes.io/config.mirror"
ENDED = ("Succeeded", "Failed")
SCALER = "cluster-autoscaler"
"""End of the name that its chart gives it, after that of a cloud."""
STOPPED_AT = "catalyst.openova.io/stopped-at-replicas"
"""Annotation of what was stopped: how many replicas it had."""
FORBIDDEN, GONE = "TooManyRequests", "NotFound"


async def cordon(kube: Kube, node: str, *, is_closed: bool) -> None:
    """Keep new pods off a node, or let them onto it. Raises NotAnswered."""
    await kube.patch("node", "", node, {"spec": {"unschedulable": is_closed or None}})


async def node(
    kube: Kube, name: str, *, grace: float, keep: Collection[str] = (), pause: float = PAUSE, last: float = LAST
) -> list[str]:
    """Move the pods of a node that takes no new ones; what is left of them, `Pod/{namespace}/{name}`. Raises NotAnswered.

    grace   seconds for which budgets of disruption are obeyed; then pods are deleted as they are
    """
    began = time.monotonic()
    while True:
        pods = await kube.all("pods", fields=f"spec.nodeName={name}")
        going = [pod for pod in pods if is_moved(pod) and named(pod) not in keep]
        waited = time.monotonic() - began
        if not going or waited >= grace + last:
            return sorted(named(pod) for pod in pods if not _stays(pod) and named(pod) not in keep)
        for pod in going:
            if not pod["metadata"].get("deletionTimestamp"):
                await _asked_to_go(kube, pod, by_force=waited >= grace)
        await asyncio.sleep(pause)


def is_moved(pod: Object) -> bool:
    """Whether somebody makes it anew elsewhere when it goes from its node."""
    return not _stays(pod) and bool(pod["metadata"].get("ownerReferences"))


def named(raw: Object, kind: str = "Pod") -> str:
    """As commands and their answers name objects."""
    return f"{kind}/{raw['metadata'].get('namespace', '')}/{raw['metadata']['name']}"


async def cloud_resources(kube: Kube, *, keep: Collection[str] = ()) -> list[str]:
    """Ask what the cluster has made at its cloud to go, balancers of services and claims of volumes; those still there."""
    left = []
    for kind, found in (
        ("Service", [one for one in await kube.all("services") if one["spec"].get("type") == "LoadBalancer"]),
        ("PersistentVolumeClaim", await kube.all("persistentvolumeclaims")),
    ):
        for one in found:
            if named(one, kind) in keep:
                continue
            left.append(named(one, kind))
            if not one["metadata"].get("deletionTimestamp"):
                await kube.delete(kind, one["metadata"]["name"], namespace=one["metadata"]["namespace"])
    return left


async def autoscalers(kube: Kube) -> Sequence[str]:
    """Stop what adds nodes, as long as nobody reconciles it; the names of what was stopped."""
    found = [one for one in await kube.all("deployments") if _scales(one)]
    for one in found:
        mark = {STOPPED_AT: str((one.get("spec") or {}).get("replicas", 1))}
        change = {"metadata": {"annotations": mark}, "spec": {"replicas": 0}}
        await kube.patch("deployment", one["metadata"]["namespace"], one["metadata"]["name"], change)
    return [named(one, "Deployment") for one in found]


async def restarted(kube: Kube) -> None:
    """Give back what `autoscalers` has stopped: no chart does it, as for its release nothing has changed."""
    for one in await kube.all("deployments"):
        before = str((one["metadata"].get("annotations") or {}).get(STOPPED_AT) or "")
        if before.isdecimal():
            change = {"metadata": {"annotations": {STOPPED_AT: None}}, "spec": {"replicas": int(before)}}
            await kube.patch("deployment", one["metadata"]["namespace"], one["metadata"]["name"], change)


def _scales(deployment: Object) -> bool:
    name = str((deployment["metadata"].get("labels") or {}).get("app.kubernetes.io/name") or "")
    return name.endswith(SCALER) and bool((deployment.get("spec") or {}).get("replicas", 1))


def _stays(pod: Object) -> bool:
    """What belongs to the node itself, and what has ended."""
    meta = pod["metadata"]
    if MIRROR in (meta.get("annotations") or {}) or (pod.get("status") or {}).get("phase") in ENDED:
        return True
    return any(owner.get("kind") in ("DaemonSet", "Node") for owner in meta.get("ownerReferences") or ())


async def _asked_to_go(kube: Kube, pod: Object, *, by_force: bool) -> None:
    meta = pod["metadata"]
    try:
        if by_force:
            await kube.delete("pod", meta["name"], namespace=meta["namespace"])
        else:
            await kube.evict(meta["namespace"], meta["name"])
    except NotAnswered as error:
        if error.reason not in (FORBIDDEN, GONE):  # forbidden for now: the next look asks again
            raise
