"""`catalyst catalog source …` and `catalyst catalog sync`."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from catalyst_cli.api import Api, new_request_id
from catalyst_cli.commands.catalog.names import source
from catalyst_cli.commands.zone.operations import finish
from catalyst_cli.confirm import confirm
from catalyst_cli.context import context
from catalyst_cli.failures import EXIT_CODES, Failure
from catalyst_cli.output import Form, Output, show

COLUMNS = {
    "NAME": "name",
    "KIND": "kind",
    "SCOPE": "scope",
    "STATE": "state",
    "BLUEPRINTS": "blueprintCount",
    "VERSIONS": "versionCount",
    "ISSUES": "openIssueCount",
    "SIGNATURE": "trust.signature",
}
SYNCED = {
    "LISTED": "listedCount",
    "PUBLISHED": "publishedCount",
    "UNCHANGED": "unchangedCount",
    "ISSUES": "issueCount",
    "ORPHANED": "orphanedCount",
}
Name = Annotated[str, typer.Argument(help="The source; sources/ may be left out.")]


def list_sources(output: Output = Form.TABLE) -> None:
    """List the sources that you may see.

    Examples:

        catalyst catalog source list

        catalyst catalog source list --output json
    """
    with Api(context()) as api:
        rows = api.pages("/v1/catalog/sources", "sources")
    show(output, {"sources": rows}, COLUMNS, rows)


def get(name: Name, output: Output = Form.TABLE) -> None:
    """Show a source, with its state and what it asks of signatures.

    Examples:

        catalyst catalog source get public --output yaml
    """
    with Api(context()) as api:
        show(output, api.get(f"/v1/catalog/{source(name)}"), COLUMNS)


def create(
    id: Annotated[str, typer.Argument(help="Name of the new source, such as acme-git.")],
    kind: Annotated[str, typer.Option(help="Its plugin: directory, git, oci_index or another.")],
    config: Annotated[str, typer.Option(help="Its settings as JSON, after the plugin's page.")],
    org: Annotated[str, typer.Option(help="Whose Blueprints they are; none: the Sovereign's.")] = "",
    secret_ref: Annotated[str, typer.Option(help="Name of the secret with its credential.")] = "",
    key: Annotated[list[Path] | None, typer.Option(help="File with a public key that may sign; repeat it.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Make every check, store nothing.")] = False,
    request_id: Annotated[str, typer.Option(help="UUID4; repeating it makes the source once.")] = "",
    output: Output = Form.TABLE,
) -> None:
    """Make a source; its first sync begins at once.

    Examples:

        catalyst catalog source create acme-git --kind git --org acme --config '{"url": "https://git.example/acme"}'

        catalyst catalog source create site --kind oci_index --config '{"registry": "file:///srv/layout"}' --key cosign.pub
    """
    body: dict[str, Any] = {"kind": kind, "config": _settings(config), "secretRef": secret_ref}
    body |= {"scope": "SCOPE_ORGANIZATION", "org": f"organizations/{org}"} if org else {"scope": "SCOPE_SOVEREIGN"}
    if key:
        body["trust"] = {"keys": [path.read_text() for path in key]}
    query = {"sourceId": id, "requestId": request_id or new_request_id(), "validateOnly": str(dry_run).lower()}
    with Api(context()) as api:
        show(output, api.post_resource("/v1/catalog/sources", body, **query), COLUMNS)


def delete(
    name: Name,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    output: Output = Form.NAME,
) -> None:
    """Take a source away. What it brought stays in locks and is offered to nobody new.

    Examples:

        catalyst catalog source delete acme-git --yes
    """
    with Api(context()) as api:
        held = api.get(f"/v1/catalog/{source(name)}")
        confirm(f"take {held['name']} away, with {held.get('blueprintCount', 0)} Blueprint(s)?", yes=yes)
        api.delete(f"/v1/catalog/{held['name']}", etag=held["etag"], requestId=new_request_id())
    show(output, {"name": held["name"]}, {"NAME": "name"})


def sync(
    name: Name = "public",
    full: Annotated[bool, typer.Option("--full", help="Read everything again, not only what is new.")] = False,
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Whether to wait for its end.")] = True,
    output: Output = Form.TABLE,
) -> None:
    """Read a source now.

    Examples:

        catalyst catalog sync

        catalyst catalog sync acme-git --full --no-wait
    """
    with Api(context()) as api:
        begun = api.post(f"/v1/catalog/{source(name)}:sync", {"full": full}, once=new_request_id())
        show(output, finish(api, begun, wait=wait), SYNCED)


def _settings(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except ValueError as error:
        raise Failure("--config is no JSON", why=str(error), exit_code=EXIT_CODES["INVALID_ARGUMENT"]) from error
    if not isinstance(found, dict):
        raise Failure("--config is no JSON object", exit_code=EXIT_CODES["INVALID_ARGUMENT"])
    return found
