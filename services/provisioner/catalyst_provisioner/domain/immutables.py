"""What of an accepted spec can never change, and what may only rise."""

from collections.abc import Mapping
from typing import Any

from catalyst_sdk import Violation

from . import remotes
from .reference import Reference
from .wishes import Document

FIELDS = (
    "organization.slug",
    "domain",
    "keycloak_topology",
    "topology",
    "regions",
    "network.cidr_base",
    "air_gap",
    "cluster_defaults",
)  # fmt: skip - reads as a list


def violations(old: Document, new: Document, reference: Reference) -> list[Violation]:
    """Fields that differ and can never change; control planes and versions that would fall."""
    fixed = [
        Violation(f"spec.{path}", "can never change", "immutable")
        for path in FIELDS
        if _at(old, path) != _at(new, path)
    ]
    fixed += remotes.moved(old, new)
    before = {_key(cluster): cluster for cluster in old.get("clusters", ())}
    for i, cluster in enumerate(new.get("clusters", ())):
        if known := before.get(_key(cluster)):
            fixed += _rising(known, cluster, f"spec.clusters[{i}]", str(reference.versions["k3s"]))
    return fixed


def _rising(old: Document, new: Document, path: str, usual: str) -> list[Violation]:
    found = []
    was, is_now = (row.get("control_plane", {}).get("count", 0) for row in (old, new))
    if is_now < was:
        text = f"may rise, not fall from {was} to {is_now}"
        found.append(Violation(f"{path}.control_plane.count", text, "count"))
    before, after = (_version(row.get("k3s_version") or usual) for row in (old, new))
    if after < before or after[:2] not in (before[:2], (before[0], before[1] + 1)):
        text = f"may rise by one minor at a time, from {old.get('k3s_version') or usual}"
        found.append(Violation(f"{path}.k3s_version", text, "version"))
    return found


def _version(text: str) -> tuple[int, ...]:
    """`v1.31.4+k3s1` as (1, 31, 4, 1)."""
    plain, _, build = text.removeprefix("v").partition("+k3s")
    return (*(int(part) for part in plain.split(".")), int(build))


def _key(row: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(row.get(k) for k in ("provider", "region", "building_block", "env_type"))


def _at(document: Any, path: str) -> Any:
    for key in path.split("."):
        document = document.get(key) if isinstance(document, dict) else None
    return document or None
