"""`catalyst org …`: Organizations."""

from typing import Annotated, Any

import typer

from catalyst_cli.api import Api, new_request_id
from catalyst_cli.commands.org.following import followed
from catalyst_cli.commands.org.names import organization
from catalyst_cli.confirm import confirm
from catalyst_cli.context import context
from catalyst_cli.output import Form, Output, show

COLUMNS = {"NAME": "name", "TITLE": "displayName", "STATE": "state", "REASON": "reason", "PLAN": "plan"}
CONDITIONS = {"TYPE": "type", "STATUS": "status", "REASON": "reason", "MESSAGE": "message"}
Name = Annotated[str, typer.Argument(help="The Organization; organizations/ may be left out.")]
Wait = Annotated[bool, typer.Option("--wait/--no-wait", help="Whether to wait for its end.")]
Reason = Annotated[str, typer.Option(help="Why; kept on record.")]


def list_organizations(
    q: Annotated[str, typer.Option(help="Only those with this in slug or title.")] = "", output: Output = Form.TABLE
) -> None:
    """List the Organizations of which you are a member.

    Examples:

        catalyst org list
    """
    with Api(context()) as api:
        rows = api.pages("/v1/organizations", "organizations", q=q)
    show(output, {"organizations": rows}, COLUMNS, rows)


def get(name: Name, output: Output = Form.TABLE) -> None:
    """Show an Organization with what it has and what it has not.

    Examples:

        catalyst org get acme
    """
    with Api(context()) as api:
        found = api.get(f"/v1/{organization(name)}")
    show(output, found, COLUMNS)
    if output is Form.TABLE:
        show(output, found, CONDITIONS, found.get("conditions", []))


def create(
    slug: Annotated[str, typer.Argument(help="Its slug: 3 to 32 letters, digits and hyphens. It never changes.")],
    title: Annotated[str, typer.Option(help="Its name for people. Default: the slug.")] = "",
    kind: Annotated[str, typer.Option(help="customer or internal.")] = "customer",
    env: Annotated[str, typer.Option(help="Type of its first Environment.")] = "prod",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Make every check, store nothing.")] = False,
    wait: Wait = True,
    output: Output = Form.TABLE,
) -> None:
    """Make an Organization; you own it.

    Examples:

        catalyst org create acme --title "Acme & Sons"

        catalyst org create acme --dry-run
    """
    body = {"displayName": title, "kind": f"KIND_{kind.upper()}", "defaultEnvironmentType": env}
    query = {"organizationId": slug, "requestId": new_request_id(), "validateOnly": str(dry_run).lower()}
    with Api(context()) as api:
        made = api.post_resource("/v1/organizations", body, **query)
        show(output, followed(api, made, wait=wait and not dry_run), COLUMNS)


def delete(
    name: Name,
    reason: Reason = "",
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    output: Output = Form.TABLE,
) -> None:
    """Begin to take an Organization away. For seven days it can be taken back.

    Examples:

        catalyst org delete acme --yes
    """
    with Api(context()) as api:
        held = api.get(f"/v1/{organization(name)}")
        slug = held["name"].partition("/")[2]
        confirm(f"take {slug} away, with everything in it?", yes=yes)
        gone = api.remove(f"/v1/{held['name']}", confirm=slug, reason=reason)
    show(output, gone, {**COLUMNS, "GOES": "purgeTime"})


def undelete(name: Name, output: Output = Form.TABLE) -> None:
    """Take a deletion back while nothing has gone.

    Examples:

        catalyst org undelete acme
    """
    _verb(name, "undelete", {}, output)


def suspend(name: Name, reason: Reason, output: Output = Form.TABLE) -> None:
    """Let nothing of an Organization be changed any more.

    Examples:

        catalyst org suspend acme --reason "the bill is open"
    """
    _verb(name, "suspend", {"reason": reason}, output)


def resume(name: Name, output: Output = Form.TABLE) -> None:
    """End a suspension.

    Examples:

        catalyst org resume acme
    """
    _verb(name, "resume", {}, output)


def _verb(name: str, verb: str, body: dict[str, Any], output: Form) -> None:
    with Api(context()) as api:
        show(output, api.post(f"/v1/{organization(name)}:{verb}", body, once=new_request_id()), COLUMNS)
