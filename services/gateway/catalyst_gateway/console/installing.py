"""From a card of the marketplace to an Application: a wish, the plan that it comes to, and the plan's digest as the yes."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from . import words
from .asking import Answer, together
from .faults import NONE, REFUSALS, Faults
from .marketplace import by_field, inputs, values
from .organizations import mine
from .visits import Shown, Visit, action, page

_INSTALL = "/console/marketplace/{blueprint:str}/install"
ENVIRONMENT, APPLICATION, VERSION, DIGEST = (
    "install:environment",
    "install:application",
    "install:version",
    "install:digest",
)  # fmt: skip - fields of the form with a mark that no field of a configuration has


@page(_INSTALL)
async def wish(at: Visit) -> Shown:
    """Where to, under which name, and how it is configured."""
    return await _wish(at)


async def _wish(at: Visit, faults: Faults = NONE, plan: Answer | None = None) -> Shown:
    one = await at.api.get(f"/v1/catalog/blueprints/{at.names['blueprint']}")
    latest, environments = await together(_latest(at, one), _environments(at))
    form = inputs(latest.get("configSchema", {}))
    return at.show(
        "install.html",
        title=f"Install {one['title']}",
        one=one,
        version=latest.get("semver", ""),
        environments=environments,
        inputs=form,
        given=at.form or {ENVIRONMENT: at.query.get("environment", ""), APPLICATION: _called(at)},
        submitted=bool(at.form),
        plan=plan,
        waves=_waves(plan["applications"]) if plan else [],
        choices=choices_of(plan, at.form) if plan else [],
        faults=faults,
        status=422 if faults else 200,
    )  # fmt: skip - one call


async def _latest(at: Visit, one: Answer) -> Answer:
    """The newest version that can be installed; nothing where there is none."""
    return await at.api.get(f"/v1/catalog/{one['latestVersion']}") if one["latestVersion"] else {}


def _called(at: Visit) -> str:
    return at.names["blueprint"].removeprefix("bp-")


async def _environments(at: Visit) -> list[tuple[str, str]]:
    """Where the person could install: Environments of the Organizations in which they are more than a viewer."""
    rows = await mine(at)
    active = [
        row["name"]
        for row in rows
        if words.bare(row["state"]) == "ACTIVE" and at.person.may_change(row["name"], "org-admin", "org-developer")
    ]
    found = await together(*(_of(at, org) for org in active))
    return [(words.leaf(one["name"]), words.leaf(one["name"])) for some in found for one in some]


async def _of(at: Visit, org: str) -> Sequence[Answer]:
    try:
        return await at.api.all(f"/v1/{org}/environments", "environments")
    except REFUSALS:  # whoever keeps the Sovereign sees Organizations and not what is inside
        return ()


def _waves(applications: Sequence[Answer]) -> list[list[Answer]]:
    found: dict[int, list[Answer]] = {}
    for one in sorted(applications, key=lambda one: int(one["wave"])):
        found.setdefault(int(one["wave"]), []).append(one)
    return list(found.values())


@dataclass(frozen=True, slots=True)
class Choice:
    """Where something that the Application needs comes from; what was chosen stays on the form when it is no longer open."""

    alias: str
    chosen: str
    options: tuple[tuple[str, str], ...]


def choices_of(plan: Answer, form: Mapping[str, str]) -> list[Choice]:
    """Choices that the plan leaves open, and those that were made before."""
    found = {
        one["alias"]: Choice(one["alias"], one["chosen"], _options(f"reuse:{name}" for name in one["candidates"]))
        for one in plan["openChoices"]
    }
    for alias, value in _choices(form).items():
        found.setdefault(alias, Choice(alias, value, _options([value])))
    return sorted(found.values(), key=lambda choice: choice.alias)


def _options(values: Iterable[str]) -> tuple[tuple[str, str], ...]:
    reused = sorted({value for value in values if value != "dedicated"})
    return ("dedicated", "one of its own"), *(
        (value, f"{value.removeprefix('reuse:')}, which stands") for value in reused
    )


@action(_INSTALL + "/preview")
async def preview(at: Visit) -> Shown:
    """Everything that the installation would do; nothing is written."""
    config, faults = await _config(at)
    if faults:
        return await _wish(at, faults)
    asked = {
        "blueprint": _blueprint(at),
        "version": at.form.get(VERSION, ""),
        "environment": f"environments/{at.form.get(ENVIRONMENT, '')}",
        "application": at.form.get(APPLICATION, ""),
        "config": config,
        "choices": _choices(at.form),
    }  # fmt: skip - a body
    try:
        plan = await at.api.send("POST", "/v1/catalog:planInstall", asked)
    except REFUSALS as refused:
        return await _wish(at, _by_field(refused))
    return await _wish(at, NONE, plan)


@action(_INSTALL)
async def install(at: Visit) -> Shown:
    """Do what was previewed, by its digest, or nothing."""
    config, faults = await _config(at)
    if faults:
        return await _wish(at, faults)
    application = {
        "blueprint": _blueprint(at),
        "blueprintVersion": at.form.get(VERSION, ""),
        "config": config,
        "choices": _choices(at.form),
    }  # fmt: skip - a body
    named = {"applicationId": at.form.get(APPLICATION, ""), "planDigest": at.form.get(DIGEST, "")}
    try:
        path = f"/v1/environments/{at.form.get(ENVIRONMENT, '')}/applications"
        made = await at.api.send("POST", path, application, **named)
    except REFUSALS as refused:
        return await _wish(at, _by_field(refused))
    return at.go(f"/console/{made['name']}")


def _by_field(refused: Exception) -> Faults:
    """What was refused, at the fields of this form."""
    own = {"environment": ENVIRONMENT, "parent": ENVIRONMENT, "application": APPLICATION, "application_id": APPLICATION}
    faults = by_field(Faults.of(refused, under=("application.",)))
    return Faults(faults.message, faults.reason, {own.get(name, name): faults.get(name) for name in faults})


async def _config(at: Visit) -> tuple[dict[str, Any], Faults]:
    """The configuration that was filled in, and what of it cannot be read."""
    version = await at.api.get(f"/v1/catalog/{_blueprint(at)}/versions/{at.form.get(VERSION, '')}")
    config, wrong = values(inputs(version.get("configSchema", {})), at.form)
    return config, Faults("some values cannot be read", "CONFIG_UNREADABLE", wrong) if wrong else NONE


def _choices(form: Mapping[str, str]) -> dict[str, str]:
    return {name.removeprefix("choice."): value for name, value in form.items() if name.startswith("choice.") and value}


def _blueprint(at: Visit) -> str:
    return f"blueprints/{at.names['blueprint']}"


PAGES = (wish, preview, install)
