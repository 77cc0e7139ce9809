"""One Application: how far it is, what it could become, and the ways to change it or to take it away."""

from collections.abc import Mapping
from typing import Any

from . import operations
from .asking import Answer, together
from .environments import organization_of
from .faults import NONE, REFUSALS, Faults
from .marketplace import by_field, inputs, values
from .visits import Shown, Visit, action, page

_APP = "/console/environments/{env:str}/applications/{app:str}"


@page(_APP)
async def application(at: Visit) -> Shown:
    """From every side: state, pin, who uses whom, configuration, and what is being done with it."""
    return await _application(at)


async def _application(at: Visit, faults: Faults = NONE, given: Mapping[str, str] | None = None) -> Shown:
    one = await at.api.get(f"/v1/{_name(at)}")
    operation, advice, schema = await together(operations.of(at, one), _advice(at), _schema(at, one))
    form = inputs(schema)
    return at.show(
        "application.html",
        title=at.names["app"],
        one=one,
        env=f"environments/{at.names['env']}",
        org=f"organizations/{organization_of(at.names['env'])}",
        operation=operation,
        advice=advice,
        inputs=form,
        given=given or filled(form, one.get("config", {})),
        faults=faults,
        status=409 if faults else 200,
    )  # fmt: skip - one call


async def _advice(at: Visit) -> Answer:
    """What newer version the catalogue knows a way to."""
    path = f"/v1/catalog/environments/{at.names['env']}/upgrades"
    answer = await at.api.perhaps(path, application=at.names["app"])
    return dict(next(iter(answer.get("advices", ())), {}))


async def _schema(at: Visit, one: Answer) -> Answer:
    """The schema of its configuration; nothing where the catalogue does not tell."""
    version = await at.api.perhaps(f"/v1/catalog/{one['blueprint']}/versions/{one['blueprintVersion']}")
    return dict(version.get("configSchema", {}))


def filled(form: list[Any], config: Mapping[str, Any]) -> dict[str, str]:
    """A configuration as the fields of its form."""
    found: dict[str, str] = {}
    for one in form:
        here: Any = config
        for part in one.name.split("."):
            here = here.get(part) if isinstance(here, Mapping) else None
        if here is not None:
            found[one.name] = one.text(here)
    return found


@action(_APP + "/configure")
async def configure(at: Visit) -> Shown:
    """Another configuration, all of it."""
    one = await at.api.get(f"/v1/{_name(at)}")
    config, wrong = values(inputs(await _schema(at, one)), at.form)
    if wrong:
        return await _application(at, Faults("some values cannot be read", "CONFIG_UNREADABLE", wrong), at.form)
    try:
        await at.api.send("PATCH", f"/v1/{_name(at)}", {"config": config}, etag=one["etag"], updateMask="config")
    except REFUSALS as refused:
        return await _application(at, by_field(Faults.of(refused)), at.form)
    return at.go(f"/console/{_name(at)}")


@page(_APP + "/uninstall")
async def uninstall(at: Visit) -> Shown:
    """What would go with it and what would stay: the way to taking it away leads through here."""
    return await _uninstall(at)


async def _uninstall(at: Visit, faults: Faults = NONE) -> Shown:
    one, going = await together(at.api.get(f"/v1/{_name(at)}"), at.api.get(f"/v1/{_name(at)}:previewUninstall"))
    return at.show(
        "uninstall.html",
        title=f"Uninstall {at.names['app']}",
        one=one,
        going=going,
        env=f"environments/{at.names['env']}",
        org=f"organizations/{organization_of(at.names['env'])}",
        faults=faults,
        given=at.form,
        status=422 if faults else 200,
    )  # fmt: skip - one call


@action(_APP + "/uninstall")
async def remove(at: Visit) -> Shown:
    """Take it away: what was looked at, by its etag, after its name was typed."""
    if at.form.get("confirm", "").strip() != at.names["app"]:
        return await _uninstall(at, Faults.at(confirm=f"Type {at.names['app']}: this is another name."))
    cascade = bool(at.form.get("cascade"))
    try:
        await at.api.send("DELETE", f"/v1/{_name(at)}", etag=at.form.get("etag", ""), cascade=cascade or "")
    except REFUSALS as refused:
        return await _uninstall(at, Faults.of(refused))
    return at.go(f"/console/environments/{at.names['env']}")  # its own page goes with it


@action(_APP + "/{verb:str}")
async def act(at: Visit) -> Shown:
    """Upgrade, roll back, pause, resume; try again what failed, or end it."""
    verb = at.names["verb"]
    if verb in operations.VERBS:
        if faults := await operations.act(at, await at.api.get(f"/v1/{_name(at)}"), verb):
            return await _application(at, faults)
        return at.go(f"/console/{_name(at)}")
    body = {"blueprintVersion": at.form.get("version", "")} if verb == "upgrade" else {}
    try:
        await at.api.send("POST", f"/v1/{_name(at)}:{verb}", body)
    except REFUSALS as refused:
        return await _application(at, Faults.of(refused))
    return at.go(f"/console/{_name(at)}")


def _name(at: Visit) -> str:
    return f"environments/{at.names['env']}/applications/{at.names['app']}"


PAGES = (application, configure, uninstall, remove, act)
