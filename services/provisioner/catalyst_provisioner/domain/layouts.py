"""The shorthand: a topology with its regions, written out as clusters."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

from catalyst_sdk import Violation

from . import cluster_rules, mirrors
from .reference import Reference
from .wishes import Clouds, Document


def expanded(document: Document, clouds: Clouds, reference: Reference) -> dict[str, Any]:
    """The document with `topology` written out as `clusters`; as it is where something stands against that."""
    plain = dict(document)
    name = plain.get("topology", "")
    if name.removesuffix(mirrors.SUFFIX) in reference.layouts and not list(violations(plain, clouds, reference)):
        plain["clusters"] = list(_laid_out(plain, name, clouds, reference))
        for key in ("topology", "regions", "cluster_defaults"):
            plain.pop(key, None)
    return plain


def violations(document: Document, clouds: Clouds, reference: Reference) -> Iterator[Violation]:
    """What is wrong with the shorthand, at the paths that the caller wrote; a spec has it, or clusters, and never both."""
    topology, clusters = document.get("topology", ""), document.get("clusters")
    if topology and clusters:
        yield Violation("spec.topology", "excludes clusters; give one of the two", "exclusive")
    elif topology:
        if topology.endswith(mirrors.SUFFIX) and not document.get("air_gap"):
            yield Violation("spec.air_gap", f"is required with {topology}: the mirrors are named there", "required")
        yield from _regions(document, topology, clouds, reference)
        yield from _defaults(document, clouds)
    elif not clusters:
        yield Violation("spec.clusters", "at least one cluster, or a topology, is required", "required")
    if not topology:
        for key in ("regions", "cluster_defaults"):
            if document.get(key):
                yield Violation(f"spec.{key}", "is refused without a topology", "unexpected")


def _regions(document: Document, topology: str, clouds: Clouds, reference: Reference) -> Iterator[Violation]:
    named = list(document.get("regions") or ())
    wanted = len(_layout(topology, reference))
    if len(named) != wanted:
        yield Violation("spec.regions", f"{topology} takes {wanted} region(s), {len(named)} are given", "regions")
    places = [_place(document, text, clouds) for text in named]
    for i, (provider, region) in enumerate(places):
        yield from cluster_rules.place(provider, region, clouds, provider_at=f"spec.regions[{i}]",
                                       region_at=f"spec.regions[{i}]")  # fmt: skip
    for (_, region), times in Counter(places).items():
        if times > 1:
            yield Violation("spec.regions", f"{region} is given {times} times", "unique")


def _defaults(document: Document, clouds: Clouds) -> Iterator[Violation]:
    row, path = document.get("cluster_defaults") or {}, "spec.cluster_defaults"
    if not row.get("control_plane"):
        yield Violation(f"{path}.control_plane", "is required with a topology", "required")
    else:
        yield from cluster_rules.control_plane(row["control_plane"], f"{path}.control_plane")
    yield from cluster_rules.pools(row.get("worker_pools") or (), f"{path}.worker_pools")
    yield from cluster_rules.load_balancer(row.get("load_balancer") or {}, f"{path}.load_balancer")
    given = row.get("credentials") or {}
    used = {_place(document, text, clouds)[0] for text in document.get("regions") or ()}
    for provider in sorted(used - given.keys()):
        if provider in clouds and not clouds[provider].default_credential:
            yield Violation(f"{path}.credentials", f"has none for {provider}", "required")


def _place(document: Document, text: str, clouds: Clouds) -> tuple[str, str]:
    """Provider and region of an entry: its own, the default one, or the only one that is loaded."""
    provider, _, region = text.rpartition("/")
    only = next(iter(clouds)) if len(clouds) == 1 else ""
    return provider or (document.get("cluster_defaults") or {}).get("provider") or only, region


def _laid_out(document: Document, topology: str, clouds: Clouds, reference: Reference) -> Iterator[dict[str, Any]]:
    defaults = document.get("cluster_defaults", {})
    for named, clusters in zip(document["regions"], _layout(topology, reference), strict=True):
        provider, region = _place(document, named, clouds)
        for blocks in clusters:
            yield {
                "provider": provider,
                "region": region,
                "building_block": blocks[0],
                "hosts": list(blocks),
                "env_type": defaults.get("env_type", "prod"),
                "control_plane": defaults.get("control_plane", {}),
                **{k: defaults[k] for k in ("worker_pools", "load_balancer") if k in defaults},
                **_credential(defaults, clouds, provider),
            }


def _layout(topology: str, reference: Reference) -> tuple[tuple[tuple[str, ...], ...], ...]:
    """Blocks by region and cluster; an air gap adds a region, with the cluster of the mirrors alone."""
    regions = reference.layouts[topology.removesuffix(mirrors.SUFFIX)].regions
    return (*regions, ((mirrors.BLOCK,),)) if topology.endswith(mirrors.SUFFIX) else regions


def _credential(defaults: Document, clouds: Clouds, provider: str) -> dict[str, Any]:
    given = defaults.get("credentials", {}).get(provider)
    usual = clouds[provider].default_credential
    return {"credential": given or {"name": usual}} if given or usual else {}
