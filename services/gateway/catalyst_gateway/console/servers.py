"""Servers of single clusters, where they differ from those of all: what the wizard's form calls them, and what they mean. Pure.

A field is called `cluster.<region>.<building block>.<what>`; the region is its place in the wish, from 0, so that another
region of the same cloud keeps what was typed.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Wish = Mapping[str, Any]
PREFIX = "cluster."
_FIELD = re.compile(
    r"cluster\.\d\.(rtz|dmz|mgt)\.(control\.size|control\.count|(workers|more)\.(size|count)|more\.name)"
)
_SPEC = {
    "control_plane.size": "control.size",
    "control_plane.count": "control.count",
    "worker_pools[0].size": "workers.size",
    "worker_pools[0].count": "workers.count",
    "worker_pools[1].name": "more.name",
    "worker_pools[1].size": "more.size",
    "worker_pools[1].count": "more.count",
}
"""What of a cluster's spec a field asks for."""


@dataclass(frozen=True, slots=True)
class Place:
    """One cluster of a layout.

    region   number of its region in the wish
    block    the building block that names it
    """

    region: int
    block: str

    def field(self, what: str) -> str:
        """The name of a field."""
        return f"{PREFIX}{self.region}.{self.block}.{what}"


def places(layout: Mapping[str, Any] | None) -> list[Place]:
    """The clusters of a layout, in the order in which a spec has them."""
    regions = layout["regions"] if layout else ()
    return [Place(n, cluster["hosts"][0]) for n, region in enumerate(regions) for cluster in region["clusters"]]


def typed(form: Mapping[str, str]) -> dict[str, str]:
    """What a form says of single clusters; what was left empty is as for all."""
    return {name: value.strip() for name, value in form.items() if _FIELD.fullmatch(name) and value.strip()}


def with_own(spec: Mapping[str, Any], wish: Wish, layout: Sequence[Place]) -> dict[str, Any] | None:
    """An expanded spec whose clusters have the servers that were chosen for them; None where none has any of its own."""
    clusters = list(spec.get("clusters", ()))
    if not any(wish.get(place.field(what)) for place in layout for what in _SPEC.values()) or len(clusters) != len(
        layout
    ):
        return None
    own = [_changed(cluster, place, wish) for cluster, place in zip(clusters, layout, strict=True)]
    shorthand = ("topology", "regions", "clusterDefaults")
    return {**{name: value for name, value in spec.items() if name not in shorthand}, "clusters": own}


def _changed(cluster: Mapping[str, Any], place: Place, wish: Wish) -> dict[str, Any]:
    control = {**cluster["controlPlane"], **_sized(place, "control", wish)}
    pools: list[dict[str, Any]] = list(cluster.get("workerPools", ())) or [{"name": "general", "size": "", "count": 0}]
    pools[0] = {**pools[0], **_sized(place, "workers", wish)}
    if wish.get(place.field("more.size")) or wish.get(place.field("more.count")):
        more = {"name": wish.get(place.field("more.name")) or "more", "size": "", "count": 1}
        pools.append({**more, **_sized(place, "more", wish)})
    return {**cluster, "controlPlane": control, "workerPools": [pool for pool in pools if pool["count"]]}


def _sized(place: Place, whose: str, wish: Wish) -> dict[str, Any]:
    size, count = (wish.get(place.field(f"{whose}.{what}"), "") for what in ("size", "count"))
    known = {"count": int(count)} if count.isdecimal() and len(count) < 4 else {}
    return {**({"size": size} if size else {}), **known}


def fields(layout: Sequence[Place]) -> Iterator[tuple[str, str]]:
    """Paths of a spec with clusters, and the form's field that asks for each."""
    for n, place in enumerate(layout):
        yield from ((f"clusters[{n}].{path}", place.field(what)) for path, what in _SPEC.items())
