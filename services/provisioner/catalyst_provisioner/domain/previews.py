"""Verbs of daily work as changes of the spec. Pure: `(document, verb, kind, target, spec) -> document`.

A verb gives the spec that a person would have written by hand; the plan of it says what that does. What the spec has no
word for (claims, buckets) is no verb here; work on single nodes stands in `tending`.
"""

import copy
from collections.abc import Callable, Mapping
from typing import Any

from catalyst_sdk import Code, Refused, Violation

from .reference import Reference
from .rules import SpecInvalid
from .wishes import Clouds, Document, dimensions

Fields = Mapping[str, Any]


class TargetNotFound(Refused):
    code, reason, message = Code.NOT_FOUND, "TARGET_NOT_FOUND", "there is no {kind} {target}"


class VerbMissing(Refused):
    code, reason = Code.UNIMPLEMENTED, "CAPABILITY_MISSING"
    message = "{verb} of a {kind} is no change of the spec that this release makes"


def changed(
    document: Document, clouds: Clouds, reference: Reference, *, verb: str, kind: str, target: str, spec: Fields
) -> dict[str, Any]:
    """The spec after a verb. Raises TargetNotFound, VerbMissing, SpecInvalid; what it says is not judged here."""
    change = _VERBS.get((verb, kind))
    if change is None:
        raise VerbMissing(verb=verb.lower(), kind=kind.lower())
    made = copy.deepcopy(dict(document))
    change(_Work(made, clouds, reference, kind.lower(), target, spec))
    return made


class _Work:
    """A spec that is being changed, and what about it."""

    def __init__(
        self, document: dict[str, Any], clouds: Clouds, reference: Reference, kind: str, target: str, spec: Fields
    ) -> None:
        self.document = document
        self.kind = kind
        self.target = target
        self.spec = dict(spec)
        self._named: dict[str, dict[str, Any]] = {
            dimensions(row, clouds, reference).cluster_name: row for row in document["clusters"]
        }

    @property
    def clusters(self) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = self.document["clusters"]
        return rows

    def absent(self) -> TargetNotFound:
        return TargetNotFound(kind=self.kind, target=self.target or "(nothing named)")

    def take(self, key: str) -> Any:
        """A field of the verb that it cannot do without."""
        if key not in self.spec:
            raise SpecInvalid([Violation(f"spec.{key}", "is required for this verb", "required")])
        return self.spec.pop(key)

    def cluster(self, name: str) -> dict[str, Any]:
        if name not in self._named:
            raise self.absent()
        return self._named[name]

    def listed(self, section: str, key: str) -> list[Any]:
        """A list of the spec, made where it is absent."""
        rows: list[Any] = self.document.setdefault(section, {}).setdefault(key, [])
        return rows


def _add_region(w: _Work) -> None:
    """The clusters of the first region once more, in another one; fields of the verb win."""
    provider, region = w.spec.pop("provider", w.clusters[0]["provider"]), w.take("region")
    first = (w.clusters[0]["provider"], w.clusters[0]["region"])
    for row in [c for c in w.clusters if (c["provider"], c["region"]) == first]:
        w.clusters.append({**copy.deepcopy(row), "provider": provider, "region": region, **copy.deepcopy(w.spec)})


def _remove_region(w: _Work) -> None:
    left = [c for c in w.clusters if f"{c['provider']}/{c['region']}" != w.target]
    if len(left) == len(w.clusters):
        raise w.absent()
    w.document["clusters"] = left


def _create_cluster(w: _Work) -> None:
    w.clusters.append(w.spec)


def _delete_cluster(w: _Work) -> None:
    w.clusters.remove(w.cluster(w.target))


def _update_cluster(w: _Work) -> None:
    w.cluster(w.target).update(w.spec)


def _upgrade_cluster(w: _Work) -> None:
    w.cluster(w.target)["k3s_version"] = w.take("k3s_version")


def _create_pool(w: _Work) -> None:
    w.target = str(w.spec.pop("cluster", w.target))
    w.cluster(w.target).setdefault("worker_pools", []).append(w.spec)


def _pool(w: _Work) -> tuple[dict[str, Any], dict[str, Any]]:
    """The cluster and the pool of a target `cluster/pool`."""
    name, _, pool = w.target.partition("/")
    cluster = w.cluster(name)
    found = next((p for p in cluster.get("worker_pools", ()) if p["name"] == pool), None)
    if found is None:
        raise w.absent()
    return cluster, found


def _delete_pool(w: _Work) -> None:
    cluster, pool = _pool(w)
    cluster["worker_pools"].remove(pool)


def _set_of_pool(*keys: str) -> Callable[[_Work], None]:
    def change(w: _Work) -> None:
        _, pool = _pool(w)
        for key in keys:
            pool[key] = _whole(w.take(key))
        # Bounds that were never set follow the count; those that were must hold it.
        if "count" in keys:
            for bound, better in (("min", min), ("max", max)):
                if bound in pool:
                    pool[bound] = better(pool[bound], pool["count"])

    return change


def _whole(value: Any) -> Any:
    """A Struct carries every number as a float."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _update_load_balancer(w: _Work) -> None:
    w.cluster(w.target).setdefault("load_balancer", {}).update(w.spec)


def _add_listener(w: _Work) -> None:
    w.target = str(w.spec.pop("cluster", w.target))
    row = {key: _whole(value) for key, value in w.spec.items()}
    w.cluster(w.target).setdefault("load_balancer", {}).setdefault("listeners", []).append(row)


def _remove_listener(w: _Work) -> None:
    name, _, port = w.target.partition("/")
    rows = w.cluster(name).get("load_balancer", {}).get("listeners", [])
    found = next((row for row in rows if str(row["port"]) == port), None)
    if found is None:
        raise w.absent()
    rows.remove(found)


def _add_key(w: _Work) -> None:
    w.listed("access", "ssh_public_keys").append(w.take("key"))


def _remove_key(w: _Work) -> None:
    keys = w.listed("access", "ssh_public_keys")
    found = next((line for line in keys if w.target in (line, line.split(None, 2)[-1])), None)
    if found is None:
        raise w.absent()
    keys.remove(found)


def _add_component(w: _Work) -> None:
    name = w.target or str(w.take("blueprint"))
    chosen = w.document.setdefault("components", {})
    chosen["exclude"] = [other for other in chosen.get("exclude", ()) if other != name]
    chosen["include"] = [*dict.fromkeys([*chosen.get("include", ()), name])]
    if "values" in w.spec:
        chosen.setdefault("values", {})[name] = w.spec["values"]


def _remove_component(w: _Work) -> None:
    chosen = w.document.setdefault("components", {})
    chosen["include"] = [other for other in chosen.get("include", ()) if other != w.target]
    chosen["exclude"] = [*dict.fromkeys([*chosen.get("exclude", ()), w.target])]
    chosen.get("values", {}).pop(w.target, None)
    if w.spec.get("confirm_cascade"):
        chosen["confirm_cascade"] = True


def _update_component(w: _Work) -> None:
    w.document.setdefault("components", {}).setdefault("values", {})[w.target] = w.take("values")


def _upgrade_component(w: _Work) -> None:
    """The wish stays: a plan always takes the newest versions that the catalog's lock gives."""


_VERBS: Mapping[tuple[str, str], Callable[[_Work], None]] = {
    ("ADD", "REGION"): _add_region,
    ("REMOVE", "REGION"): _remove_region,
    ("CREATE", "CLUSTER"): _create_cluster,
    ("DELETE", "CLUSTER"): _delete_cluster,
    ("UPDATE", "CLUSTER"): _update_cluster,
    ("UPGRADE", "CLUSTER"): _upgrade_cluster,
    ("CREATE", "POOL"): _create_pool,
    ("DELETE", "POOL"): _delete_pool,
    ("SCALE", "POOL"): _set_of_pool("count"),
    ("RESIZE", "POOL"): _set_of_pool("size"),
    ("SET_BOUNDS", "POOL"): _set_of_pool("min", "max"),
    ("SET_TAINTS", "POOL"): _set_of_pool("taints"),
    ("UPDATE", "LOAD_BALANCER"): _update_load_balancer,
    ("ADD", "LISTENER"): _add_listener,
    ("REMOVE", "LISTENER"): _remove_listener,
    ("ADD", "SSH_KEY"): _add_key,
    ("REMOVE", "SSH_KEY"): _remove_key,
    ("ADD", "COMPONENT"): _add_component,
    ("REMOVE", "COMPONENT"): _remove_component,
    ("UPDATE", "COMPONENT"): _update_component,
    ("UPGRADE", "COMPONENT"): _upgrade_component,
}
