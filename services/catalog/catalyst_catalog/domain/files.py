"""What an Application is in Git: one file, which Flux installs. Secrets stand in it as references."""

import json
from collections.abc import Mapping
from typing import Any

from .planned import Planned


def of(environment: str, one: Planned) -> tuple[str, str]:
    """Path and text. JSON is YAML too, and has one way to write a value."""
    name = environment.removeprefix("environments/")
    source, chart = _source(one)
    documents = [*source, _release(name, one, chart)]
    text = "".join(f"---\n{json.dumps(document, indent=2, sort_keys=True)}\n" for document in documents)
    return f"environments/{name}/applications/{one.name}/release.yaml", text


def _release(environment: str, one: Planned, chart: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "apiVersion": "helm.toolkit.fluxcd.io/v2",
        "kind": "HelmRelease",
        "metadata": {
            "name": one.name,
            "labels": {
                "app.kubernetes.io/name": one.release.name.removeprefix("bp-"),
                "app.kubernetes.io/instance": one.name,
                "app.kubernetes.io/version": one.release.version,
                "openova.io/environment": environment,
                "openova.io/application": one.name,
                "openova.io/blueprint": one.release.name,
                "openova.io/blueprint-version": one.release.version,
            },
            "annotations": {"catalyst.openova.io/digest": one.release.digest},
        },
        "spec": {
            "interval": "10m",
            "timeout": one.release.manifest.spec.install_timeout,
            "dependsOn": [{"name": name} for name in one.after],
            **chart,
            "values": dict(one.config),
        },
    }


def _source(one: Planned) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """The objects from which Flux gets the chart, and how the release speaks of it."""
    manifests = one.release.manifest.spec.manifests
    assert manifests is not None, "only a planned Blueprint has none, and no plan has that"
    ref = manifests.source.ref if manifests.source else ""
    if ref.startswith("oci://"):
        spec = {"interval": "10m", "url": ref, "ref": {"tag": one.release.version}}
        return [_object("OCIRepository", one.name, spec)], {"chartRef": {"kind": "OCIRepository", "name": one.name}}
    if not ref:
        # An own chart lies beside the manifest, in the repository that Flux reads.
        return [], _chart(f"./{manifests.chart}", "GitRepository", "catalyst")
    upstream = next(one for one in manifests.upstream if one.chart == ref)
    spec = {"interval": "1h", "url": upstream.repo, "type": "oci" if upstream.repo.startswith("oci://") else "default"}
    chart = _chart(upstream.chart, "HelmRepository", one.name, version=upstream.version)
    return [_object("HelmRepository", one.name, spec)], chart


def _object(kind: str, name: str, spec: Mapping[str, Any]) -> dict[str, Any]:
    return {"apiVersion": "source.toolkit.fluxcd.io/v1", "kind": kind, "metadata": {"name": name}, "spec": dict(spec)}


def _chart(chart: str, kind: str, name: str, **version: str) -> dict[str, Any]:
    return {"chart": {"spec": {"chart": chart, "sourceRef": {"kind": kind, "name": name}, **version}}}
