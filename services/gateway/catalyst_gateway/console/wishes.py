"""A Sovereign that is being described, step by step: what was typed, and the spec that it means. Pure.

What is kept is what stood in the forms, by the names of the spec's fields; never a secret.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from . import servers, words

Wish = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Step:
    """A step of the wizard.

    fields   beginnings of the spec's paths that it asks for: what stands against them is told here
    """

    id: str
    label: str
    fields: tuple[str, ...]


_PROVIDER = (
    "regions",
    "cluster_defaults.provider",
    "cluster_defaults.control_plane",
    "cluster_defaults.worker_pools",
    "clusters",
)
STEPS = (
    Step("organization", "Organization", ("organization", "name")),
    Step("topology", "Topology", ("topology", "env_type", "cluster_defaults.env_type", "placement")),
    Step("provider", "Provider", _PROVIDER),
    Step("credentials", "Credentials", ("cluster_defaults.credentials",)),
    Step("components", "Components", ("components",)),
    Step("domain", "Domain", ("domain",)),
    Step("review", "Review", ()),
)
_IDS = [step.id for step in STEPS]
_TYPED = {
    "organization": ("organization.display_name", "organization.slug", "organization.admin_email", "name"),
    "topology": ("topology", "env_type"),
    "provider": (
        "provider",
        "region.0",
        "region.1",
        "region.2",
        "region.3",
        "control.size",
        "control.count",
        "workers.size",
        "workers.count",
    ),
    "credentials": ("credential",),
    "components": (),
    "domain": ("domain.mode", "domain.pool", "domain.label", "domain.fqdn", "domain.registrar_account"),
}  # fmt: skip - a step a row
START: Wish = {
    "topology": "solo", "env_type": "dev", "control.count": "1", "workers.count": "2", "domain.mode": "pool",
}  # fmt: skip


def step_of(id: str) -> Step | None:
    """The step of an id."""
    return next((step for step in STEPS if step.id == id), None)


def after(id: str) -> str:
    """The id of the next step."""
    return _IDS[min(_IDS.index(id) + 1, len(_IDS) - 1)]


def with_form(wish: Wish, step: str, form: Mapping[str, str]) -> Wish:
    """The wish with what a step's form says; other fields of the form are not kept."""
    typed = {name: form[name].strip() for name in _TYPED.get(step, ()) if name in form}
    changed = dict(wish)
    if step == "provider" and any(name.startswith(servers.PREFIX) for name in form):
        changed = {name: value for name, value in wish.items() if not name.startswith(servers.PREFIX)}
        typed |= servers.typed(form)
    changed |= typed
    if changed.get("topology") != wish.get("topology"):  # its clusters are others
        changed = {name: value for name, value in changed.items() if not name.startswith(servers.PREFIX)}
    if step == "organization" and changed.get("name", "") in ("", wish.get("organization.slug", "")):
        changed["name"] = changed.get("organization.slug", "")
    if changed.get("provider") != wish.get("provider"):  # what one cloud offers, another does not
        kept = [
            name
            for name in changed
            if not name.startswith(("region.", servers.PREFIX)) and name not in ("control.size", "workers.size")
        ]
        return {name: changed[name] for name in {*kept, *(n for n in typed if n in changed)} - {"credential"}}
    return changed


def spec(wish: Wish, *, regions: int, default: Sequence[str] = ()) -> dict[str, Any]:
    """The spec that it means, with what is not known yet left out.

    regions   how many its topology has
    default   components that are taken where nobody chooses
    """
    provider, credential = wish.get("provider", ""), wish.get("credential", "")
    cluster = {
        "provider": provider,
        "envType": wish.get("env_type", ""),
        "credentials": {provider: {"name": credential}} if provider and credential else {},
        "controlPlane": {"size": wish.get("control.size", ""), "count": _number(wish.get("control.count"))},
        "workerPools": _workers(wish),
    }
    return {
        "organization": {
            "slug": wish.get("organization.slug", ""),
            "displayName": wish.get("organization.display_name", ""),
            "adminEmail": wish.get("organization.admin_email", ""),
        },
        "domain": _domain(wish),
        "topology": wish.get("topology", ""),
        "regions": [r for n in range(regions) if (r := wish.get(f"region.{n}", ""))],
        "clusterDefaults": cluster,
        "components": _components(wish, default),
    }


def _workers(wish: Wish) -> list[dict[str, Any]]:
    count = _number(wish.get("workers.count"))
    return [{"name": "general", "size": wish.get("workers.size", ""), "count": count}] if count else []


def _domain(wish: Wish) -> dict[str, str]:
    mode = wish.get("domain.mode", "")
    fields = {"pool": ("pool", "label"), "byo-manual": ("fqdn",), "byo-api": ("fqdn", "registrar_account")}.get(
        mode, ()
    )
    found = {_camel(name): wish.get(f"domain.{name}", "") for name in fields}
    return {"mode": mode, **{name: value for name, value in found.items() if value}}


def _components(wish: Wish, default: Sequence[str]) -> dict[str, Any]:
    if "selected" not in wish:
        return {}
    chosen, usual = set(wish["selected"]), set(default)
    return {"include": sorted(chosen - usual), "exclude": sorted(usual - chosen), "confirmCascade": True}


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(part.title() for part in rest)


def _number(text: object) -> int:
    value = str(text or "")
    return int(value) if value.isdecimal() and len(value) < 4 else 0


FIELDS = {
    "cluster_defaults.control_plane.size": "control.size", "cluster_defaults.control_plane.count": "control.count",
    "cluster_defaults.worker_pools[0].size": "workers.size", "cluster_defaults.worker_pools[0].count": "workers.count",
    "cluster_defaults.provider": "provider", "cluster_defaults.env_type": "env_type", "regions": "region.0",
    "regions[0]": "region.0", "regions[1]": "region.1", "regions[2]": "region.2", "regions[3]": "region.3",
    "cluster_defaults.credentials": "credential",
}  # fmt: skip
"""Which field of a form asks for a path of the spec, where the two are not called the same."""


def belongs(step: Step, field: str) -> bool:
    """Whether what stands against `field` of the spec is to be mended at `step`."""
    return any(field == f or field.startswith((f"{f}.", f"{f}[")) for f in step.fields)


def first_wrong(fields: Sequence[str], *, until: str) -> str:
    """The first step, up to `until`, that asks for one of `fields`; empty where none does."""
    for step in STEPS[: _IDS.index(until) + 1]:
        if any(belongs(step, field) for field in fields):
            return step.id
    return ""


def price(spec: Mapping[str, Any], offers: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    """What the servers of an expanded spec cost in a month; None while a size is not chosen or its price not known."""
    by_size = {(o["name"].split("/")[1], o["name"].split("/")[3], o["size"]): o for o in offers}
    minor, servers, currency = 0, 0, ""
    for cluster in spec.get("clusters", ()):
        for pool in (cluster["controlPlane"], *cluster.get("workerPools", ())):
            offer = by_size.get((cluster["provider"], cluster["region"], pool["size"]))
            if offer is None or not offer.get("price"):
                return None
            month = offer["price"]["month"]
            minor, servers = minor + int(month["minor"]) * pool["count"], servers + pool["count"]
            currency = month["currency"]
    return {"minor": str(minor), "currency": currency, "servers": servers} if servers else None


def says(offer: Mapping[str, Any]) -> str:
    """An offer in words, for a list to choose from."""
    memory = int(offer["memoryMib"]) // 1024
    cost = words.money((offer.get("price") or {}).get("month"))
    return f"{offer['size']}: {offer['vcpu']} vCPU, {memory} GiB{f', {cost} a month' if cost else ''}"
