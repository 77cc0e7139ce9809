"""What the wizard's steps offer to choose from, and what the daemons say of a wish so far."""

from collections.abc import Mapping, Sequence
from typing import Any

from . import servers, wishes, words
from .asking import Api, together
from .faults import NONE, REFUSALS, Faults
from .wishes import Step, Wish

UNDER = ("sovereign.spec.", "spec.", "sovereign.")
"""Beginnings of the contract's paths that a form leaves out."""
ENVIRONMENTS = (("dev", "dev"), ("poc", "poc"), ("stg", "staging"), ("uat", "uat"), ("prod", "production"))
_LATER: Mapping[str, Mapping[str, str]] = {
    "topology": {"topology": "solo", "env_type": "dev"},
    "provider": {"provider": "later", "region.0": "later", "region.1": "later", "region.2": "later", "region.3": "later",
                 "control.size": "later", "control.count": "1"},
    "credentials": {"credential": "credentials/later"},
    "domain": {"domain.mode": "byo-manual", "domain.fqdn": "later.example"},
}  # fmt: skip
"""What stands in a wish for what later steps ask: of what is right in itself, the daemon checks the rest."""


async def organization(_api: Api, _wish: Wish) -> dict[str, Any]:
    """Nothing is chosen; it is typed."""
    return {}


async def topology(api: Api, _wish: Wish) -> dict[str, Any]:
    """Layouts, the recommended one first."""
    rows = (await api.get("/v1/topologies", pageSize=100))["topologies"]
    # Mirrors are named in a file, not in this form.
    return {"layouts": [row for row in rows if not row.get("airGap")], "environments": ENVIRONMENTS}


async def provider(api: Api, wish: Wish) -> dict[str, Any]:
    """Clouds; of the chosen one its regions and sizes."""
    clouds, layout = await together(api.all("/v1/providers", "providers"), layout_of(api, wish))
    needed = len(layout["regions"]) if layout else 1
    chosen = wish.get("provider") or ""
    known = [words.leaf(cloud["name"]) for cloud in clouds]
    if chosen not in known:
        return {"clouds": clouds, "regions": [], "sizes": [], "needed": needed}
    places, offers = await together(
        api.all(f"/v1/providers/{chosen}/regions", "regions"),
        api.all(f"/v1/providers/{chosen}/regions/-/offers", "offers"),
    )
    here = wish.get("region.0") or (words.leaf(places[0]["name"]) if places else "")
    return {
        "clouds": clouds,
        "needed": needed,
        "regions": [
            (words.leaf(r["name"]), r.get("displayName") or words.leaf(r["name"])) for r in places if r["offered"]
        ],
        "sizes": offered(offers, here),
        "apart": [
            (place, offered(offers, wish.get(f"region.{place.region}") or here)) for place in servers.places(layout)
        ],
    }


def offered(offers: Sequence[Mapping[str, Any]], region: str) -> list[tuple[str, str]]:
    """Sizes of one region, to choose from."""
    return [(o["size"], wishes.says(o)) for o in offers if o["name"].split("/")[3] == region and not o["deprecated"]]


async def credentials(api: Api, wish: Wish) -> dict[str, Any]:
    """Credentials of the chosen cloud, and what a new one asks for."""
    chosen = wish.get("provider", "")
    rows, clouds = await together(api.all("/v1/credentials", "credentials"), api.all("/v1/providers", "providers"))
    mine = [row for row in rows if row["provider"] == chosen and row["kind"] == "cloud_provider"]
    cloud: dict[str, Any] = next((c for c in clouds if words.leaf(c["name"]) == chosen), {})
    schema: dict[str, Any] = cloud.get("credentialSchema") or next(
        (row["schema"] for row in mine if row.get("schema")), {}
    )
    required = schema.get("required", ())
    fields = [(name, rule, name in required) for name, rule in (schema.get("properties") or {}).items()]
    return {"known": mine, "asked": fields}


async def components(api: Api, wish: Wish) -> dict[str, Any]:
    """All that can be installed: what is chosen, and what is always there, by families."""
    cards, usual = await together(api.all("/v1/catalog/blueprints", "blueprints"), default(api))
    released = [card for card in cards if words.bare(card["status"]) == "RELEASED"]
    selected = set(wish.get("selected", usual))
    always: dict[str, list[dict[str, Any]]] = {}
    for card in released:
        if words.bare(card["tier"]) == "TIER_MANDATORY":
            always.setdefault(card["family"], []).append(card)
    free = [card for card in released if words.bare(card["tier"]) != "TIER_MANDATORY"]
    return {
        "cards": sorted(free, key=lambda card: (card["family"], card["title"])),
        "always": dict(sorted(always.items())),
        "families": sorted({card["family"] for card in free}),
        "selected": selected,
    }


async def domain(api: Api, _wish: Wish) -> dict[str, Any]:
    """Pools, and accounts at registrars."""
    pools, accounts = await together(
        api.all("/v1/pools", "pools"), api.all("/v1/registrarAccounts", "registrarAccounts")
    )
    mine = [words.leaf(p["name"]) for p in pools if "KIND_SOVEREIGN" in p["kinds"]]
    return {
        "pools": [(p, p) for p in mine],
        "accounts": [(a["name"], a.get("displayName") or words.leaf(a["name"])) for a in accounts],
        "modes": (("pool", "a name below a pool"), ("byo-manual", "a domain of your own, delegated by hand"),
                  ("byo-api", "a domain of your own, through its registrar")),
    }  # fmt: skip


async def proposed(api: Api, wish: Wish) -> Wish:
    """The wish with a name that it could have: the first pool, and what the Sovereign is called."""
    pools = (await domain(api, wish))["pools"]
    likely = {"domain.pool": pools[0][0] if pools else "", "domain.label": wish.get("name", "")}
    return {**wish, **{name: value for name, value in likely.items() if not wish.get(name)}}


async def default(api: Api) -> list[str]:
    """What is installed where nobody chooses."""
    return list((await api.send("POST", "/v1/catalog:select", {}))["selected"])


async def toggled(api: Api, wish: Wish, id: str) -> tuple[list[str], dict[str, Any]]:
    """The selection with a component added or taken out, and what came or went along, with the reason."""
    selected = list(wish.get("selected") or await default(api))
    change = {"remove": [id]} if id in selected else {"add": [id]}
    answer = await api.send("POST", "/v1/catalog:select", {"selected": selected, "fromEmpty": True, **change})
    along = {"added": [c for c in answer["added"] if c != id], "removed": [c for c in answer["removed"] if c != id]}
    return answer["selected"], {**along, "id": id, "because": answer["because"]}


async def layout_of(api: Api, wish: Wish) -> Mapping[str, Any] | None:
    """The chosen topology; None before one is."""
    rows = (await api.get("/v1/topologies", pageSize=100))["topologies"]
    return next((row for row in rows if words.leaf(row["name"]) == wish.get("topology")), None)


async def described(api: Api, name: str, wish: Wish) -> dict[str, Any]:
    """The spec that a wish means: that of its topology, or where a cluster has servers of its own, its clusters one by one.

    What stands against the topology is refused here: the clusters are known from what the daemon makes of it.
    """
    layout = await layout_of(api, wish)
    usual = await default(api) if "selected" in wish else ()
    spec = wishes.spec(wish, regions=len(layout["regions"]) if layout else 1, default=usual)
    if not any(field.startswith(servers.PREFIX) for field in wish):
        return spec
    body = {"name": name, "spec": spec}
    expanded = (await api.send("POST", "/v1/sovereigns", body, validateOnly=True)).get("spec", {})
    return servers.with_own(expanded, wish, servers.places(layout)) or spec


async def checked(api: Api, wish: Wish, step: Step) -> tuple[dict[str, Any], Faults]:
    """The spec as the daemon expands it, and what stands against what was asked up to `step`."""
    later = [s.id for s in wishes.STEPS[wishes.STEPS.index(step) + 1 :]]
    stand_in = {name: value for id in later for name, value in _LATER.get(id, {}).items()}
    whole = {**wish, **stand_in}
    if "components" in later:
        whole.pop("selected", None)
    if "provider" in later:
        whole = {name: value for name, value in whole.items() if not name.startswith(servers.PREFIX)}
    name = f"sovereigns/{wish.get('name') or 'later'}"
    try:
        body = {"name": name, "spec": await described(api, name, whole)}
        return (await api.send("POST", "/v1/sovereigns", body, validateOnly=True)).get("spec", {}), NONE
    except REFUSALS as refused:
        return await _refused(api, wish, step, Faults.of(refused, under=UNDER))


async def _refused(api: Api, wish: Wish, step: Step, faults: Faults) -> tuple[dict[str, Any], Faults]:
    if faults.reason == "NAME_TAKEN":
        known = await api.get(f"/v1/sovereigns/{wish['name']}")
        if words.bare(known["state"]) in ("DRAFT", "DESTROYED"):
            return known["spec"], NONE  # of an earlier visit; it is described anew before it is planned
        return {}, Faults(faults.message, faults.reason, {"name": "there is a Sovereign of this name"})
    if faults.reason == "FQDN_TAKEN":
        return {}, Faults(faults.message, faults.reason, {"domain.label": "this name is taken"})
    here = {
        name: text
        for name, text in faults.fields.items()
        if any(wishes.belongs(s, name) for s in wishes.STEPS[: wishes.STEPS.index(step) + 1])
    }  # fmt: skip - one thought
    if faults.fields and not here:
        return {}, NONE  # only of what later steps ask
    return {}, named(Faults(faults.message, faults.reason, here), servers.places(await layout_of(api, wish)))


def named(faults: Faults, layout: Sequence[servers.Place] = ()) -> Faults:
    """The same, by the names of the forms' fields."""
    known = {**wishes.FIELDS, **dict(servers.fields(layout))}
    fields = {known.get(name, name): text for name, text in faults.fields.items()}
    many = f"{len(fields)} fields need another value." if len(fields) != 1 else "A field needs another value."
    return Faults(many if fields else faults.message, faults.reason, fields)


async def faults(api: Api, wish: Wish, step: Step) -> Faults:
    """What stands against going on from `step`."""
    missing = {name: "is not chosen yet" for name in _asked(wish, step) if not wish.get(name)}
    if missing:
        return Faults("Something is not chosen yet.", "", missing)
    return (await checked(api, wish, step))[1]


def _asked(wish: Wish, step: Step) -> Sequence[str]:
    workers = ("workers.size",) if wish.get("workers.count", "0") != "0" else ()
    return {
        "organization": ("organization.display_name", "organization.slug", "organization.admin_email"),
        "topology": ("topology",), "provider": ("provider", "region.0", "control.size", *workers),
        "credentials": ("credential",),
    }.get(step.id, ())  # fmt: skip


async def so_far(api: Api, wish: Wish, step: Step) -> dict[str, Any]:
    """What the wish comes to: faults, the price of its servers, whether its name is free."""
    spec, wrong = await checked(api, wish, step)
    cost = None
    if wish.get("provider") and wish.get("control.size") and step.id not in ("organization", "topology"):
        offers = await api.all(f"/v1/providers/{wish['provider']}/regions/-/offers", "offers")
        cost = wishes.price(spec, offers)
    return {
        "faults": wrong,
        "cost": cost,
        "clusters": len(spec.get("clusters", ())),
        "name": await _name(api, wish, step),
    }


async def _name(api: Api, wish: Wish, step: Step) -> dict[str, Any] | None:
    pool, label = wish.get("domain.pool", ""), wish.get("domain.label", "")
    if step.id != "domain" or wish.get("domain.mode") != "pool" or not pool or not label:
        return None
    try:
        return await api.get(f"/v1/pools/{pool}:checkName", label=label)
    except REFUSALS as refused:
        return {"available": False, "fqdn": f"{label}.{pool}", "detail": Faults.of(refused).message}


async def plan(api: Api, wish: Wish) -> dict[str, Any]:
    """A plan of the whole wish, of a Sovereign that is described as the wish says."""
    name = f"sovereigns/{wish['name']}"
    rows = await api.get("/v1/sovereigns", pageSize=1000)
    known = next((one for one in rows["sovereigns"] if one["name"] == name), None)
    if known is not None and words.bare(known["state"]) in ("DRAFT", "DESTROYED"):  # nothing of it is outside
        await api.send("DELETE", f"/v1/{name}", etag=known["etag"])
    await api.send("POST", "/v1/sovereigns", {"name": name, "spec": await described(api, name, wish)})
    return await api.send("POST", f"/v1/{name}/plans", {"intent": "INTENT_APPLY"})
