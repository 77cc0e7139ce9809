"""A Sovereign's spec as people change it: servers of its clusters, a cluster more, components. What comes of it is a plan.

Nothing is stored here: the whole changed spec goes into the plan, and becomes the Sovereign's own when that is applied.
"""

import copy
import re
from collections.abc import Iterable, Mapping
from typing import Any

from . import words
from .asking import together
from .choices import offered
from .faults import NONE, REFUSALS, Faults
from .visits import Shown, Visit, action, page

_CHANGE = "/console/sovereigns/{sovereign:str}/change"
_NEW_POOL = re.compile(r"clusters\[(\d+)\]\.worker_pools\[(\d+)\]\.(name|size|count)")
_CLUSTER = re.compile(r"clusters\[(\d+)\]")
_BLOCKS = "rtz, dmz"
"""What a cluster more is for, where nobody says it; the first one names it."""


@page(_CHANGE)
async def change(at: Visit) -> Shown:
    """The form of what may change, as it stands now."""
    return await _change(at)


async def _change(at: Visit, faults: Faults = NONE) -> Shown:
    one = await at.api.get(f"/v1/sovereigns/{at.names['sovereign']}")
    clusters = one["spec"].get("clusters", ())
    providers = sorted({cluster["provider"] for cluster in clusters})
    found = await together(
        *(at.api.all(f"/v1/providers/{provider}/regions", "regions") for provider in providers),
        *(at.api.all(f"/v1/providers/{provider}/regions/-/offers", "offers") for provider in providers),
    )
    sold, offers = (
        dict(zip(providers, half, strict=True)) for half in (found[: len(providers)], found[len(providers) :])
    )
    regions = [
        (
            f"{provider}/{words.leaf(region['name'])}",
            f"{provider}, {region.get('displayName') or words.leaf(region['name'])}",
        )
        for provider in providers
        for region in sold[provider]
        if region["offered"]
    ]
    return at.show(
        "change.html",
        title=f"Change {at.names['sovereign']}",
        tab="",
        one=one,
        clusters=[(cluster, offered(offers[cluster["provider"]], cluster["region"])) for cluster in clusters],
        regions=regions,
        blocks=_BLOCKS,
        given=at.form or standing(one["spec"]),
        faults=faults,
        status=422 if faults else 200,
    )  # fmt: skip - one call


def standing(spec: Mapping[str, Any]) -> dict[str, str]:
    """A spec as the fields of its form."""
    found = {
        name: "\n".join(spec.get("components", {}).get(name.partition(".")[2], ()))
        for name in ("components.include", "components.exclude")
    }
    for n, cluster in enumerate(spec.get("clusters", ())):
        found[f"clusters[{n}].control_plane.count"] = str(cluster["controlPlane"]["count"])
        for m, pool in enumerate(cluster.get("workerPools", ())):
            found |= {f"clusters[{n}].worker_pools[{m}].{what}": str(pool[what]) for what in ("size", "count")}
    return found


def changed(spec: Mapping[str, Any], form: Mapping[str, str]) -> tuple[dict[str, Any], dict[str, str]]:
    """The spec that a form asks for, and by field what cannot be read. What the form does not ask for stays."""
    wrong: dict[str, str] = {}

    def count(field: str) -> int:
        text = form.get(field, "").strip()
        if not (text.isdecimal() and len(text) < 4):
            wrong[field] = "a number from 0 on is wanted"
            return 0
        return int(text)

    wish: dict[str, Any] = copy.deepcopy(dict(spec))
    for n, cluster in enumerate(wish.get("clusters", ())):
        at, pools = f"clusters[{n}]", cluster.setdefault("workerPools", [])
        cluster["controlPlane"]["count"] = count(f"{at}.control_plane.count")
        for m, pool in enumerate(pools):
            pool["size"] = form.get(f"{at}.worker_pools[{m}].size", "") or pool["size"]
            pool["count"] = count(f"{at}.worker_pools[{m}].count")
        if name := form.get(f"{at}.more.name", "").strip():
            pools.append({"name": name, "size": form.get(f"{at}.more.size", ""), "count": count(f"{at}.more.count")})
    if place := form.get("more.region", ""):
        if more := _one_more(spec.get("clusters", ()), place, form.get("more.hosts", "")):
            wish["clusters"].append(more)
        else:
            wrong["more.region"] = "none of its clusters is at that cloud yet"
    asked = {name: _blueprints(form.get(f"components.{name}", "")) for name in ("include", "exclude")}
    wish["components"] = {**wish.get("components", {}), **asked}
    if form.get("components.confirm_cascade"):
        wish["components"]["confirmCascade"] = True
    return wish, wrong


def _one_more(clusters: Iterable[Mapping[str, Any]], place: str, hosts: str) -> dict[str, Any] | None:
    """A cluster in another region, otherwise like the first one at the same cloud; None where there is none to be like."""
    provider, _, region = place.partition("/")
    like = next((cluster for cluster in clusters if cluster["provider"] == provider), None)
    blocks = re.findall(r"[^\s,]+", hosts) or re.findall(r"[^\s,]+", _BLOCKS)
    if like is None:
        return None
    return {**copy.deepcopy(dict(like)), "region": region, "buildingBlock": blocks[0], "hosts": blocks}


def _blueprints(text: str) -> list[str]:
    """The names of a list, a line or a comma each, with or without their beginning."""
    return [f"bp-{name.removeprefix('bp-')}" for name in dict.fromkeys(re.findall(r"[^\s,]+", text))]


def named(faults: Faults, spec: Mapping[str, Any]) -> Faults:
    """The same, by the names of the form's fields: what stands against a pool or a cluster more stands at its own."""
    clusters = spec.get("clusters", ())

    def field(path: str) -> str:
        found = _CLUSTER.match(path)
        if found is None:
            return path
        n = int(found[1])
        if n >= len(clusters):
            return (
                "more.hosts"
                if path.startswith((f"clusters[{n}].hosts", f"clusters[{n}].building_block"))
                else "more.region"
            )
        pool = _NEW_POOL.fullmatch(path)
        if pool and int(pool[2]) >= len(clusters[n].get("workerPools", ())):
            return f"clusters[{n}].more.{pool[3]}"
        return path

    return Faults(faults.message, faults.reason, {field(path): text for path, text in faults.fields.items()})


@action(_CHANGE)
async def plan(at: Visit) -> Shown:
    """A plan of the changed spec; it is looked at before anything happens."""
    name = f"sovereigns/{at.names['sovereign']}"
    one = await at.api.get(f"/v1/{name}")
    wish, wrong = changed(one["spec"], at.form)
    if wrong:
        return await _change(at, Faults("Some fields need another value.", "", wrong))
    body = {"intent": "INTENT_APPLY", "spec": wish, "etag": at.form.get("etag", "")}
    try:
        made = await at.api.send("POST", f"/v1/{name}/plans", body)
    except REFUSALS as refused:
        return await _change(at, named(Faults.of(refused, under=("spec.",)), one["spec"]))
    return at.go(f"/console/{made['name']}")


PAGES = (change, plan)
