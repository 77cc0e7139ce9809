"""`catalyst app …`: Applications."""

import json
from typing import Annotated, Any

import typer

from catalyst_cli.api import Api, new_request_id
from catalyst_cli.commands.catalog.names import blueprint
from catalyst_cli.commands.org.following import followed
from catalyst_cli.commands.org.names import application, environment
from catalyst_cli.confirm import confirm
from catalyst_cli.context import context
from catalyst_cli.failures import EXIT_CODES, Failure
from catalyst_cli.output import Form, Output, err, show

COLUMNS = {
    "NAME": "name",
    "BLUEPRINT": "blueprint",
    "VERSION": "blueprintVersion",
    "STATE": "state",
    "REASON": "reason",
    "COMMIT": "pin.commit",
    "USES": "uses",
}  # fmt: skip - one table
PLACEMENTS = {
    "RUNS ON": "cluster",
    "STATE": "state",
    "COMMIT": "commit",
    "CHART": "chartVersion",
    "SIMULATED": "simulated",
    "MESSAGE": "message",
}  # fmt: skip - one table
OPERATION = {"NAME": "name", "DONE": "done", "KIND": "metadata.kind", "SUBJECT": "metadata.subject"}
Name = Annotated[str, typer.Argument(help="The Application with its Environment, such as acme-prod/blog.")]
Wait = Annotated[bool, typer.Option("--wait/--no-wait", help="Whether to wait until its files are written.")]
Operation = Annotated[str, typer.Argument(help="The operation, operations/environment-run-….")]


def list_applications(
    env: Annotated[str, typer.Argument(help="The Environment, such as acme-prod.")], output: Output = Form.TABLE
) -> None:
    """List what is installed in an Environment, backing services among it.

    Examples:

        catalyst app list acme-prod
    """
    with Api(context()) as api:
        rows = api.pages(f"/v1/{environment(env)}/applications", "applications")
    show(output, {"applications": rows}, COLUMNS, rows)


def get(name: Name, output: Output = Form.TABLE) -> None:
    """Show an Application, how far it is, and what runs where.

    Examples:

        catalyst app get acme-prod/blog --output yaml
    """
    with Api(context()) as api:
        found = api.get(f"/v1/{application(name)}")
    show(output, found, COLUMNS)
    if output is Form.TABLE:
        columns = {"TYPE": "type", "STATUS": "status", "REASON": "reason", "MESSAGE": "message"}
        show(output, found, columns, found.get("conditions", []))
        show(output, found, PLACEMENTS, found.get("placements", []))


def install(
    name: Name,
    of: Annotated[
        str,
        typer.Argument(help="Blueprint: valkey, its newest version, or valkey@1.0.0."),
    ],
    config: Annotated[
        str, typer.Option(help="Its configuration as JSON; references to secrets, never a secret.")
    ] = "{}",
    choice: Annotated[list[str] | None, typer.Option(help="ALIAS=dedicated or ALIAS=reuse:APP; repeat it.")] = None,
    plan_digest: Annotated[str, typer.Option(help="Digest of the plan that you have read.")] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Make every check, store nothing.")] = False,
    wait: Wait = True,
    output: Output = Form.TABLE,
) -> None:
    """Install a Blueprint with what it needs.

    Examples:

        catalyst app install acme-prod/cache valkey

        catalyst app install acme-prod/blog app-ghost@1.0.0 --choice db=dedicated --dry-run
    """
    parent, _, id = application(name).partition("/applications/")
    bare, _, version = of.partition("@")
    body = {"blueprint": blueprint(bare), "config": _json(config), "choices": _choices(choice or [])}
    query = {"applicationId": id, "planDigest": plan_digest, "requestId": new_request_id()}
    with Api(context()) as api:
        body["blueprintVersion"] = version or _newest(api, blueprint(bare))
        path = f"/v1/{parent}/applications"
        made = api.post_resource(path, body, **query, validateOnly=str(dry_run).lower())
        show(output, followed(api, made, wait=wait and not dry_run), COLUMNS)


def _choices(given: list[str]) -> dict[str, str]:
    if wrong := [one for one in given if not all(one.partition("="))]:
        raise Failure(f"{wrong[0]!r} is no choice", next_step="write it as --choice db=dedicated", exit_code=2)
    return dict(one.split("=", 1) for one in given)


def _newest(api: Api, name: str) -> str:
    """The version that the catalogue offers first. Raises Failure where it offers none."""
    version = str(api.get(f"/v1/catalog/{name}").get("latestVersion", "")).rpartition("/versions/")[2]
    if not version:
        raise Failure(
            f"{name} has no version that can be installed", next_step=f"catalyst blueprint show {name}", exit_code=4
        )
    err.print(f"{name} {version}, the newest", markup=False)
    return version


def configure(
    name: Name,
    config: Annotated[str, typer.Argument(help="Its whole configuration as JSON.")],
    wait: Wait = True,
    output: Output = Form.TABLE,
) -> None:
    """Change the configuration of an Application.

    Examples:

        catalyst app configure acme-prod/cache '{"architecture": "standalone"}'
    """
    with Api(context()) as api:
        held = api.get(f"/v1/{application(name)}")
        made = api.change(f"/v1/{held['name']}", {"config": _json(config)}, ("config",))
        show(output, followed(api, made, wait=wait), COLUMNS)


def upgrade(
    name: Name,
    version: Annotated[str, typer.Argument(help="Exact version to go to.")],
    wait: Wait = True,
    output: Output = Form.TABLE,
) -> None:
    """Take an Application to another version to which the catalog knows a way.

    Examples:

        catalyst app upgrade acme-prod/cache 2.0.0
    """
    _verb(name, "upgrade", {"blueprintVersion": version}, output, wait=wait)


def rollback(name: Name, wait: Wait = True, output: Output = Form.TABLE) -> None:
    """Return to what was installed before the last change.

    Examples:

        catalyst app rollback acme-prod/cache
    """
    _verb(name, "rollback", {}, output, wait=wait)


def pause(name: Name, wait: Wait = True, output: Output = Form.TABLE) -> None:
    """Have its cluster leave an Application as it is.

    Examples:

        catalyst app pause acme-prod/cache
    """
    _verb(name, "pause", {}, output, wait=wait)


def resume(name: Name, wait: Wait = True, output: Output = Form.TABLE) -> None:
    """End a pause.

    Examples:

        catalyst app resume acme-prod/cache
    """
    _verb(name, "resume", {}, output, wait=wait)


def uninstall(
    name: Name,
    cascade: Annotated[bool, typer.Option("--cascade", help="Applications that need it go first.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    wait: Wait = True,
    output: Output = Form.TABLE,
) -> None:
    """Take an Application away, with the backing services that nobody else uses.

    Examples:

        catalyst app uninstall acme-prod/cache --yes
    """
    with Api(context()) as api:
        held = api.get(f"/v1/{application(name)}")
        going = api.get(f"/v1/{held['name']}:previewUninstall")
        also = (
            ", ".join([*going.get("purged", []), *(going.get("dependents", []) if cascade else [])]) or "nothing else"
        )
        confirm(f"take {held['name']} away, and {also}?", yes=yes)
        query = {"etag": held["etag"], "cascade": str(cascade).lower(), "requestId": new_request_id()}
        show(output, followed(api, api.delete(f"/v1/{held['name']}", **query), wait=wait), COLUMNS)


def operation(name: Operation, output: Output = Form.TABLE) -> None:
    """Show what is being done with an Application or an Organization, step by step.

    Examples:

        catalyst app operation operations/environment-run-0123456789abcdef01234567
    """
    with Api(context()) as api:
        found = api.get(f"/v1/{name}")
    show(output, found, OPERATION)
    if output is Form.TABLE:
        steps = found.get("metadata", {}).get("steps", [])
        show(output, found, {"STEP": "name", "STATE": "state", "MESSAGE": "message"}, steps)


def retry(name: Operation, output: Output = Form.NAME) -> None:
    """Try the failed steps of an operation again.

    Examples:

        catalyst app retry operations/environment-run-0123456789abcdef01234567
    """
    with Api(context()) as api:
        show(output, api.post(f"/v1/{name}:retry", {}, once=new_request_id()), OPERATION)


def cancel(name: Operation, output: Output = Form.NAME) -> None:
    """End an operation on an Application, and take back what it wrote.

    Examples:

        catalyst app cancel operations/environment-run-0123456789abcdef01234567
    """
    with Api(context()) as api:
        show(output, api.post(f"/v1/{name}:cancel", {}, once=new_request_id()), OPERATION)


def _verb(name: str, verb: str, body: dict[str, Any], output: Form, *, wait: bool) -> None:
    with Api(context()) as api:
        made = api.post(f"/v1/{application(name)}:{verb}", body, once=new_request_id())
        show(output, followed(api, made, wait=wait), COLUMNS)


def _json(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except ValueError as error:
        raise Failure(
            "the configuration is no JSON", why=str(error), exit_code=EXIT_CODES["INVALID_ARGUMENT"]
        ) from error
    if not isinstance(found, dict):
        raise Failure("the configuration is no JSON object", exit_code=EXIT_CODES["INVALID_ARGUMENT"])
    return found
