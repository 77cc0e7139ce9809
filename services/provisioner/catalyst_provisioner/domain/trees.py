"""The tree that a cluster pulls: pure, so the same inputs give the same bytes."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from . import mirrors
from .locks import Component, Lock
from .mirrors import Mirror

SOURCE_NAMESPACE = "flux-system"
RETRIES = 3


@dataclass(frozen=True, slots=True)
class TreeFacts:
    """What a tree is rendered from; no secret is among it."""

    sovereign: str
    fqdn: str
    organization: str
    generation: int
    plan_hash: str
    registry: str
    clusters: tuple[Mapping[str, str], ...]
    """Name, provider, region, block, env_type, location code and version of k3s of each."""
    values: Mapping[str, Any]
    """Values of components as wished, by Blueprint."""
    claims: Mapping[str, Sequence[Mapping[str, Any]]] = field(default_factory=dict)
    """Claims of Crossplane by cluster."""
    probes: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """What a cluster's agent asks of a component that runs, by Blueprint."""
    mirrors: tuple[Mirror, ...] = ()
    """What clusters ask in place of the outside."""


def render(facts: TreeFacts, lock: Lock) -> dict[str, bytes]:
    """Files by path."""
    root = root_of(facts.fqdn)
    files = {f"{root}/sovereign.yaml": _yaml(_sovereign(facts)), f"{root}/lock.yaml": _yaml(_lock(facts, lock))}
    for cluster in facts.clusters:
        files |= _cluster(f"{root}/{cluster['name']}", cluster, facts, lock)
    return files


def root_of(fqdn: str) -> str:
    """Folder of a Sovereign, which holds all of its files."""
    return f"clusters/{fqdn}"


def folder(fqdn: str, cluster: str) -> str:
    """Folder of a cluster in the tree."""
    return f"{root_of(fqdn)}/{cluster}"


def namespace(blueprint: str) -> str:
    """Namespace that a component installs to."""
    return blueprint.removeprefix("bp-")


def _cluster(root: str, cluster: Mapping[str, str], facts: TreeFacts, lock: Lock) -> dict[str, bytes]:
    files: dict[str, bytes] = {}
    for component in lock.components:
        files[f"{root}/sources/{component.name}.yaml"] = _yaml(_source(component, facts))
        files[f"{root}/kit/{component.name}.yaml"] = _yaml(_namespace(component), _release(component, cluster, facts))
    files[f"{root}/config/k3s.yaml"] = _yaml(_k3s(cluster))
    if facts.mirrors:
        files[f"{root}/config/registries.yaml"] = _yaml(_registries(facts.mirrors))
    if probes := {c.name: facts.probes[c.name] for c in lock.components if c.name in facts.probes}:
        files[f"{root}/config/probes.yaml"] = _yaml(_probes(probes))
    for claim in facts.claims.get(cluster["name"], ()):
        kind, name = claim["kind"].lower(), claim["metadata"]["name"]
        files[f"{root}/claims/{kind}-{name}.yaml"] = _yaml(claim)
    resources = sorted(path.removeprefix(f"{root}/") for path in files)
    files[f"{root}/kustomization.yaml"] = _yaml(
        {"apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization", "resources": resources}
    )
    return files


def _k3s(cluster: Mapping[str, str]) -> dict[str, Any]:
    """What the cluster is to run. Servers that fetch it are told so one after another; a simulated cluster reads it here."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "catalyst-k3s", "namespace": "kube-system"},
        "data": {"version": cluster["k3s_version"], "order": "servers-first"},
    }


def _probes(probes: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """What shows that a component does what it is there for, for the agent of the cluster."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "catalyst-probes", "namespace": "kube-system"},
        "data": {name: json.dumps(spec, sort_keys=True) for name, spec in probes.items()},
    }


def _registries(found: Sequence[Mirror]) -> dict[str, Any]:
    """Where containerd has images from, as k3s reads it in `/etc/rancher/k3s/registries.yaml`."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "catalyst-registries", "namespace": "kube-system"},
        "data": {"registries.yaml": json.dumps(mirrors.registries(found), indent=2, sort_keys=True)},
    }


def _source(component: Component, facts: TreeFacts) -> dict[str, Any]:
    address = f"{facts.registry}/{component.name}"
    mirror = mirrors.mirror_of(address, facts.mirrors)
    ref = {"digest": component.digest} if component.digest else {}
    return {
        "apiVersion": "source.toolkit.fluxcd.io/v1",
        "kind": "OCIRepository",
        "metadata": {"name": component.name, "namespace": SOURCE_NAMESPACE},
        "spec": {
            "interval": "1m",
            "url": f"oci://{mirrors.rewritten(address, facts.mirrors)}",
            "ref": {"tag": component.version, **ref},
            "secretRef": {"name": "registry"},
            **({"certSecretRef": {"name": "registry-ca"}} if mirror and mirror.ca_bundle else {}),
        },
    }


def _namespace(component: Component) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace(component.name)}}


def _release(component: Component, cluster: Mapping[str, str], facts: TreeFacts) -> dict[str, Any]:
    retry = {"retries": RETRIES, "remediateLastFailure": True}
    naming = {"sovereignFqdn": facts.fqdn, "cluster": cluster["name"], "locationCode": cluster["location_code"]}
    return {
        "apiVersion": "helm.toolkit.fluxcd.io/v2",
        "kind": "HelmRelease",
        "metadata": {"name": component.name, "namespace": SOURCE_NAMESPACE},
        "spec": {
            "interval": "15m",
            "timeout": "15m",
            "chartRef": {"kind": "OCIRepository", "name": component.name, "namespace": SOURCE_NAMESPACE},
            "targetNamespace": namespace(component.name),
            "dependsOn": [{"name": need, "namespace": SOURCE_NAMESPACE} for need in component.needs],
            "install": {"remediation": retry},
            "upgrade": {"remediation": retry},
            "values": {**facts.values.get(component.name, {}), "global": naming},
        },
    }


def _sovereign(facts: TreeFacts) -> dict[str, Any]:
    return {
        "sovereign": facts.sovereign,
        "fqdn": facts.fqdn,
        "organization": facts.organization,
        "generation": facts.generation,
        "clusters": [dict(cluster) for cluster in facts.clusters],
    }


def _lock(facts: TreeFacts, lock: Lock) -> dict[str, Any]:
    rows = [{"name": c.name, "version": c.version, "digest": c.digest} for c in lock.components]
    return {"planHash": facts.plan_hash, "lockDigest": lock.digest, "components": rows}


def _yaml(*documents: Mapping[str, Any]) -> bytes:
    """JSON is YAML (YAML 1.2, section 1.3), and its bytes depend on no library's taste."""
    return b"".join(
        b"---\n" + json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False).encode() + b"\n"
        for document in documents
    )


def changed(old: Mapping[str, bytes], new: Mapping[str, bytes]) -> Sequence[str]:
    """Paths that differ."""
    return sorted(path for path in old.keys() | new.keys() if old.get(path) != new.get(path))
