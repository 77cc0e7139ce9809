"""From objects of the Kubernetes API to what the provisioner is told. Pure.

Only what stands in an object is told. A field that is missing stays at its zero, which the contract reads as unknown.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from catalyst.provisioner.v1 import resources_pb2 as pb
from google.protobuf.timestamp_pb2 import Timestamp

PLANE, ETCD = "node-role.kubernetes.io/control-plane", "node-role.kubernetes.io/etcd"
POOL = "openova.io/pool"
VOTES, READY = "EtcdIsVoter", "Ready"
STATUS = pb.Topology.Status
Object = Mapping[str, Any]


def heartbeat(
    nodes: Sequence[Object], kustomizations: Sequence[Object], *, healthy: bool, version: str, authority: str = ""
) -> pb.AgentHeartbeat:
    """Sign of life. `kustomizations` are the roots that Flux applies; the first tells of the tree.

    authority   by what k3s's join tokens know it
    """
    members = [node for node in nodes if ETCD in _labels(node)]
    root = kustomizations[0] if kustomizations else {}
    return pb.AgentHeartbeat(
        api_healthy=healthy,
        voting_members=sum(_is(node, VOTES) for node in members),
        members=len(members),
        ready_nodes=sum(_is(node, READY) for node in nodes),
        nodes=len(nodes),
        agent_version=version,
        k3s_version=_oldest(nodes),
        tree_commit=_commit(_status(root).get("lastAttemptedRevision")),
        applied_commit=_commit(_status(root).get("lastAppliedRevision")),
        suspended=bool((root.get("spec") or {}).get("suspend")),
        authority_sha256=authority,
    )


def inventory(nodes: Sequence[Object], services: Sequence[Object], now: float) -> pb.AgentInventory:
    """Nodes, and services of the type LoadBalancer."""
    balancers = [one for one in services if (one.get("spec") or {}).get("type") == "LoadBalancer"]
    return pb.AgentInventory(
        nodes=[_node(node, now) for node in nodes], load_balancers=[_balancer(one, now) for one in balancers]
    )


def release(raw: Object) -> pb.AgentComponents.Release:
    """A HelmRelease of Flux."""
    meta, spec, status = raw["metadata"], raw.get("spec") or {}, _status(raw)
    last: Object = next(iter(status.get("history") or ()), {})
    stalled = any(c.get("type") == "Stalled" and c.get("status") == "True" for c in _conditions(raw))
    return pb.AgentComponents.Release(
        name=meta["name"],
        namespace=meta["namespace"],
        target_namespace=spec.get("targetNamespace") or meta["namespace"],
        generation=int(meta.get("generation") or 0),
        observed_generation=int(status.get("observedGeneration") or 0),
        conditions=[_condition(one) for one in _conditions(raw)],
        suspended=bool(spec.get("suspend")),
        version=str(last.get("chartVersion") or ""),
        digest=str(last.get("ociDigest") or status.get("lastAttemptedRevisionDigest") or ""),
        install_failures=int(status.get("installFailures") or 0),
        upgrade_failures=int(status.get("upgradeFailures") or 0),
        retries_remain=not stalled,
        depends_on=[_needed(one, meta["namespace"]) for one in spec.get("dependsOn") or ()],
        resource_version=str(meta.get("resourceVersion") or ""),
    )


def is_ready(raw: Object) -> bool:
    """Whether a release says so of its present generation."""
    seen = int(_status(raw).get("observedGeneration") or 0)
    return _is(raw, READY) and seen == int((raw.get("metadata") or {}).get("generation") or 0)


def served(component: str, workloads: Iterable[Object]) -> pb.AgentProbeResult:
    """Whether all that a release runs is available, which is what a component without a probe of its own is asked for."""
    missing = [
        f"{one['kind'].lower()}/{one['metadata']['name']}" for one in workloads if _available(one) < _wished(one)
    ]
    text = f"not available: {', '.join(sorted(missing)[:10])}" if missing else "everything that it runs is available"
    return pb.AgentProbeResult(component=component, probe="ready", passed=not missing, message=text)


def moment(seconds: float) -> Timestamp:
    """Seconds since 1970."""
    stamp = Timestamp()
    stamp.FromMilliseconds(round(seconds * 1000))
    return stamp


def _node(raw: Object, now: float) -> pb.Topology.Node:
    meta, labels = raw["metadata"], _labels(raw)
    addresses = {one["type"]: one["address"] for one in _status(raw).get("addresses") or ()}
    return pb.Topology.Node(
        id=meta["name"],
        role="control-plane" if PLANE in labels else "worker",
        size=labels.get("node.kubernetes.io/instance-type", ""),
        ip=addresses.get("InternalIP", ""),
        pool=labels.get(POOL, ""),
        status=STATUS.STATUS_HEALTHY if _is(raw, READY) else STATUS.STATUS_PENDING,
        observe_time=moment(now),
        # `hcloud://4711`: what the cloud calls it stands after its provider's name.
        server_id=str((raw.get("spec") or {}).get("providerID") or "").rpartition("://")[2],
        create_time=_stamp(meta.get("creationTimestamp")),
        cordoned=bool((raw.get("spec") or {}).get("unschedulable")),
        version=str((_status(raw).get("nodeInfo") or {}).get("kubeletVersion") or ""),
        boot_id=str((_status(raw).get("nodeInfo") or {}).get("bootID") or ""),
    )


def _balancer(raw: Object, now: float) -> pb.Topology.LoadBalancer:
    given = ((_status(raw).get("loadBalancer") or {}).get("ingress")) or ()
    addresses = [str(one.get("ip") or one.get("hostname")) for one in given]
    return pb.Topology.LoadBalancer(
        id=f"{raw['metadata']['namespace']}/{raw['metadata']['name']}",
        addresses=addresses,
        ports=[int(one["port"]) for one in raw["spec"].get("ports") or ()],
        status=STATUS.STATUS_HEALTHY if addresses else STATUS.STATUS_PENDING,
        observe_time=moment(now),
    )


def _condition(raw: Object) -> pb.AgentComponents.Condition:
    return pb.AgentComponents.Condition(
        type=str(raw.get("type") or ""),
        status=str(raw.get("status") or ""),
        reason=str(raw.get("reason") or ""),
        message=str(raw.get("message") or "")[:4_000],
        observed_generation=int(raw.get("observedGeneration") or 0),
        last_transition_time=_stamp(raw.get("lastTransitionTime")),
    )


def _needed(raw: Object, namespace: str) -> str:
    return f"{raw.get('namespace') or namespace}/{raw['name']}"


def _available(raw: Object) -> int:
    status = _status(raw)
    return int(status.get("availableReplicas") or status.get("numberAvailable") or 0)


def _wished(raw: Object) -> int:
    if raw.get("kind") == "DaemonSet":
        return int(_status(raw).get("desiredNumberScheduled") or 0)
    return int((raw.get("spec") or {}).get("replicas", 1))


def _oldest(nodes: Sequence[Object]) -> str:
    """The version that every node has reached: an upgrade is through when the last one has it."""
    found = {str((_status(node).get("nodeInfo") or {}).get("kubeletVersion") or "") for node in nodes}
    return min(found, key=_numbers, default="")


def _numbers(version: str) -> list[int]:
    words = version.lstrip("v").replace("+k3s", ".").split(".")
    return [int(word) for word in words if word.isdigit()]


def _commit(revision: Any) -> str:
    """`main@sha1:…` and its older form `main/…`."""
    return str(revision or "").rpartition(":")[2].rpartition("/")[2]


def _is(raw: Object, condition: str) -> bool:
    return any(one.get("type") == condition and one.get("status") == "True" for one in _conditions(raw))


def _conditions(raw: Object) -> Sequence[Object]:
    return _status(raw).get("conditions") or ()


def _status(raw: Object) -> Mapping[str, Any]:
    return raw.get("status") or {}


def _labels(raw: Object) -> Mapping[str, str]:
    return (raw.get("metadata") or {}).get("labels") or {}


def _stamp(text: Any) -> Timestamp | None:
    return moment(datetime.fromisoformat(text).timestamp()) if text else None
