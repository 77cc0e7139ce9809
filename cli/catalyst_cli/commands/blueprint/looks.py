"""`catalyst blueprint list`, `show`, `closure` and `plan`."""

import json
from typing import Annotated, Any

import typer

from catalyst_cli.api import Api
from catalyst_cli.commands.catalog.names import blueprint
from catalyst_cli.context import context
from catalyst_cli.failures import EXIT_CODES, Failure
from catalyst_cli.output import Form, Output, err, show

CARDS = {"NAME": "name", "VERSION": "version", "FAMILY": "family", "TIER": "tier", "TAGLINE": "tagline"}
COLUMNS = {
    "NAME": "name", "VERSION": "latestVersion", "LAYER": "layer", "VISIBILITY": "visibility", "SOURCE": "source",
    "NEEDS": "closureSize",
}  # fmt: skip
VERSIONS = {
    "VERSION": "number", "STATE": "state", "WHY": "stateReason", "INSTEAD": "replacement", "SIGNATURE": "signature",
    "SOURCE": "source",
}  # fmt: skip
EVERY_STATE = [f"STATE_{one}" for one in ("PENDING", "VERIFIED", "DEPRECATED", "YANKED", "QUARANTINED", "REJECTED")]
NODES = {"WAVE": "wave", "NAME": "name", "VERSION": "version", "MISSING": "missing"}
PLANNED = {"WAVE": "wave", "APPLICATION": "name", "BLUEPRINT": "blueprint", "VERSION": "version", "AS": "alias"}
Name = Annotated[str, typer.Argument(help="The Blueprint, such as valkey or bp-valkey.")]


def list_blueprints(
    words: Annotated[str, typer.Argument(help="Words that must all be found; none: everything.")] = "",
    family: Annotated[str, typer.Option(help="Only this family.")] = "",
    output: Output = Form.TABLE,
) -> None:
    """Find Blueprints by words of name, title, tags and summary.

    Examples:

        catalyst blueprint list

        catalyst blueprint list "llm gateway" --output name
    """
    with Api(context()) as api:
        rows = api.pages("/v1/catalog/cards", "cards", q=words, families=family)
    show(output, {"cards": rows}, CARDS, rows)


def show_blueprint(name: Name, output: Output = Form.TABLE) -> None:
    """Show a Blueprint with its newest versions.

    Examples:

        catalyst blueprint show valkey --output yaml
    """
    with Api(context()) as api:
        show(output, api.get(f"/v1/catalog/{blueprint(name)}"), COLUMNS)


def versions(
    name: Name,
    every: Annotated[bool, typer.Option("--all", help="Also what nobody gets anew: yanked, waiting, refused.")] = False,
    output: Output = Form.TABLE,
) -> None:
    """List the versions of a Blueprint, highest first, with what was decided about each.

    Examples:

        catalyst blueprint versions valkey

        catalyst blueprint versions valkey --all --output json
    """
    with Api(context()) as api:
        states = {"states": EVERY_STATE} if every else {}
        rows = api.pages(f"/v1/catalog/{blueprint(name)}/versions", "versions", **states)
    listed = [row | {"number": row["name"].rpartition("/")[2]} for row in rows]
    show(output, {"versions": rows}, VERSIONS, listed)


def closure(
    name: Name,
    version: Annotated[str, typer.Option(help="Version or range; none: the highest.")] = "",
    reverse: Annotated[bool, typer.Option("--reverse", help="Who needs it, instead of what it needs.")] = False,
    output: Output = Form.TABLE,
) -> None:
    """Show everything that a Blueprint needs, in waves of installation, or who needs it.

    Examples:

        catalyst blueprint closure librechat

        catalyst blueprint closure cnpg --reverse --output json
    """
    with Api(context()) as api:
        found = api.get(
            f"/v1/catalog/{blueprint(name)}:closure", version=version, reverse="true" if reverse else ""
        )  # fmt: skip - one question
    show(output, found, NODES, found.get("nodes", []))


def plan(
    name: Name,
    environment: Annotated[str, typer.Option(help="The Environment, such as acme-prod.")],
    version: Annotated[str, typer.Option(help="Version or range; none: the highest.")] = "",
    application: Annotated[str, typer.Option(help="Name of the Application; none: the Blueprint's.")] = "",
    config: Annotated[str, typer.Option(help="Its configuration as JSON.")] = "{}",
    choice: Annotated[list[str] | None, typer.Option(help="ALIAS=dedicated or ALIAS=reuse:APP; repeat it.")] = None,
    size: Annotated[str, typer.Option("--plan", help="Plan whose limits count, such as m.")] = "",
    output: Output = Form.TABLE,
) -> None:
    """Show what an installation would do. Writes nothing.

    Examples:

        catalyst blueprint plan librechat --environment acme-prod

        catalyst blueprint plan librechat --environment acme-prod --choice db=dedicated --plan m --output json
    """
    body: dict[str, Any] = {
        "blueprint": blueprint(name),
        "version": version,
        "environment": f"environments/{environment}",
        "application": application,
        "config": _document(config),
        "choices": dict(map(_choice, choice or [])),
        "plan": f"plans/{size}" if size else "",
    }  # fmt: skip - one request
    with Api(context()) as api:
        made = api.post("/v1/catalog:planInstall", {key: value for key, value in body.items() if value})
    for told in made.get("warnings", []):
        err.print(f"{told['reason']}: {told['message']}", markup=False)
    show(output, made, PLANNED, made.get("applications", []))


def _choice(text: str) -> tuple[str, str]:
    alias, sign, chosen = text.partition("=")
    if not sign:
        raise Failure(f"{text} chooses nothing", next_step="--choice ALIAS=dedicated", exit_code=2)
    return alias, chosen


def _document(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except ValueError as error:
        raise Failure("--config is no JSON", why=str(error), exit_code=EXIT_CODES["INVALID_ARGUMENT"]) from error
    if not isinstance(found, dict):
        raise Failure("--config is no JSON object", exit_code=EXIT_CODES["INVALID_ARGUMENT"])
    return found
