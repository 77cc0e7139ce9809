"""What can be installed: cards by family, one of them from every side, and whether a configuration would be taken."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .asking import Answer, together
from .faults import NONE, REFUSALS, Faults, is_of_no_role
from .visits import Shown, Visit, action, page

_CARD = "/console/marketplace/{blueprint:str}"


@page("/console/marketplace")
async def cards(at: Visit) -> Shown:
    """Cards; by words, and by family or category."""
    wish = {name: at.query.get(name, "") for name in ("q", "families", "categories")}
    found = await at.api.get("/v1/catalog/cards", pageSize=200, **wish)
    facets = {facet["name"]: facet["values"] for facet in found["facets"]}
    values: dict[str, Any] = {"cards": found["cards"], "facets": facets, **wish}
    return at.show("marketplace.html", title="Marketplace", **values)


@page(_CARD)
async def card(at: Visit) -> Shown:
    """One Blueprint: what it is, what comes with it, and a form of its configuration."""
    return await _card(at)


async def _card(
    at: Visit, faults: Faults = NONE, given: Mapping[str, str] | None = None, taken: Answer | None = None
) -> Shown:
    name = f"blueprints/{at.names['blueprint']}"
    one, versions, closure, apps = await together(
        at.api.get(f"/v1/catalog/{name}"),
        at.api.get(f"/v1/catalog/{name}/versions", pageSize=50),
        _closure(at, name),
        at.api.all("/v1/catalog/apps", "apps"),
    )  # fmt: skip - one call
    rows = versions["versions"]
    latest = next((row for row in rows if row["name"] == one["latestVersion"]), rows[0] if rows else {})
    return at.show(
        "card.html",
        title=one["title"],
        one=one,
        versions=rows,
        latest=latest,
        app=next((app for app in apps if app["blueprint"] == name and app["deployable"]), None),
        waves=None if closure is None else waves(closure["nodes"]),
        inputs=inputs(latest.get("configSchema", {})),
        given=given or {},
        faults=faults,
        taken=taken,
        status=422 if faults else 200,
    )  # fmt: skip - one call


async def _closure(at: Visit, name: str) -> Answer | None:
    """What comes with a Blueprint; None where that is not this person's to ask: it is asked by those who install."""
    try:
        return await at.api.get(f"/v1/catalog/{name}:closure")
    except REFUSALS as refused:
        if not is_of_no_role(refused):
            raise
        return None


def waves(nodes: Sequence[Answer]) -> list[list[Answer]]:
    """What comes with it, in the order in which it is installed."""
    found: dict[int, list[Answer]] = {}
    for node in sorted(nodes, key=lambda node: (int(node["wave"]), str(node["name"]))):
        found.setdefault(int(node["wave"]), []).append(node)
    return list(found.values())


@dataclass(frozen=True, slots=True)
class Input:
    """One field of a form, made from a property of a schema."""

    name: str
    label: str
    type: str
    help: str
    default: str
    required: bool
    options: tuple[tuple[str, str], ...] = ()

    def text(self, value: Any) -> str:
        """A value of it as the form shows it."""
        return _text(value, self.type)


def inputs(schema: Mapping[str, Any], prefix: str = "") -> list[Input]:
    """A flat form of a configuration: objects by dots, and what is neither simple nor a choice as JSON.

    Required fields come first, then by name: a schema that came as a protobuf Struct has lost its order.
    """
    found: list[Input] = []
    required = schema.get("required", ())
    for name, one in sorted(schema.get("properties", {}).items(), key=lambda pair: (pair[0] not in required, pair[0])):
        path = f"{prefix}{name}"
        if one.get("type") == "object" and one.get("properties"):
            found += inputs(one, f"{path}.")
        else:
            found.append(_input(path, one, name in required))
    return found


def _input(path: str, one: Mapping[str, Any], required: bool) -> Input:
    options = tuple((str(value), str(value)) for value in one.get("enum", ()))
    kinds = {"boolean": "checkbox", "integer": "number", "number": "number", "string": "text"}
    type = "select" if options else kinds.get(str(one.get("type")), "textarea")
    default = _text(one.get("default", ""), type)
    return Input(path, str(one.get("title") or path), type, str(one.get("description", "")), default, required, options)


def _text(value: Any, type: str) -> str:
    """A value as its field shows it."""
    if (
        type == "number" and isinstance(value, float) and value.is_integer()
    ):  # what JSON on its way made of a whole number
        value = int(value)
    if type == "checkbox":
        return "true" if value else ""
    return value if isinstance(value, str) else json.dumps(value)


@action(_CARD + "/check")
async def check(at: Visit) -> Shown:
    """Whether the catalogue takes a configuration, and what it becomes with its defaults."""
    name = f"blueprints/{at.names['blueprint']}"
    one = await at.api.get(f"/v1/catalog/{name}")
    version = one["latestVersion"]
    schema = (await at.api.get(f"/v1/catalog/{version}")).get("configSchema", {})
    config, wrong = values(inputs(schema), at.form)
    if wrong:
        return await _card(at, Faults("some values cannot be read", "CONFIG_UNREADABLE", wrong), at.form)
    try:
        said = await at.api.send("POST", "/v1/catalog:validate", {"version": version, "config": config})
    except REFUSALS as refused:
        return await _card(at, by_field(Faults.of(refused)), at.form)
    return await _card(at, NONE, at.form, said)


def by_field(faults: Faults) -> Faults:
    """The catalogue points into the configuration (`/smtp/host`); the form has its fields by dots."""
    fields = {name.removeprefix("config").strip("/").replace("/", "."): text for name, text in faults.fields.items()}
    return Faults(faults.message, faults.reason, fields)


def values(form: Sequence[Input], given: Mapping[str, str]) -> tuple[dict[str, Any], dict[str, str]]:
    """The configuration that was filled in, and by field what cannot be read; an empty field is one that says nothing."""
    config: dict[str, Any] = {}
    wrong: dict[str, str] = {}
    for one in form:
        text = given.get(one.name, "").strip()
        if one.type == "checkbox":
            value: Any = bool(text)
        elif not text:
            continue
        else:
            try:
                value = json.loads(text) if one.type in ("number", "textarea") else text
            except ValueError:
                wrong[one.name] = "a number is wanted" if one.type == "number" else "this is no JSON"
                continue
        *parents, last = one.name.split(".")
        here = config
        for parent in parents:
            here = here.setdefault(parent, {})
        here[last] = value
    return config, wrong


PAGES = (cards, card, check)
