"""`catalyst env …`: Environments and what they ask for."""

from typing import Annotated, Any

import typer

from catalyst_cli.api import Api, new_request_id
from catalyst_cli.commands.org.names import environment, organization
from catalyst_cli.confirm import confirm
from catalyst_cli.context import context
from catalyst_cli.output import Form, Output, show, show_one

COLUMNS = {"NAME": "name", "TYPE": "type", "BRANCH": "branch", "STATE": "state", "RUNS ON": "hostClusters"}
POLICY = {
    "NAME": "name",
    "APPROVALS": "requiredApprovals",
    "SOAK": "soak",
    "SCORE": "requiredScore",
    "ZONE": "timeZone",
}
Name = Annotated[str, typer.Argument(help="The Environment, such as acme-prod.")]


def list_environments(
    org: Annotated[str, typer.Argument(help="The Organization.")], output: Output = Form.TABLE
) -> None:
    """List the Environments of an Organization.

    Examples:

        catalyst env list acme
    """
    with Api(context()) as api:
        rows = api.pages(f"/v1/{organization(org)}/environments", "environments")
    show(output, {"environments": rows}, COLUMNS, rows)


def get(name: Name, output: Output = Form.TABLE) -> None:
    """Show an Environment.

    Examples:

        catalyst env get acme-prod --output yaml
    """
    with Api(context()) as api:
        show_one(output, api.get(f"/v1/{environment(name)}"), COLUMNS)


def create(
    org: Annotated[str, typer.Argument(help="The Organization.")],
    type: Annotated[str, typer.Argument(help="prod, stg, uat, dev or poc.")],
    output: Output = Form.TABLE,
) -> None:
    """Make an Environment.

    Examples:

        catalyst env create acme dev
    """
    with Api(context()) as api:
        path = f"/v1/{organization(org)}/environments"
        show(output, api.post_resource(path, {"type": type}, requestId=new_request_id()), COLUMNS)


def delete(
    name: Name,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    output: Output = Form.NAME,
) -> None:
    """Remove an Environment that is empty.

    Examples:

        catalyst env delete acme-dev --yes
    """
    with Api(context()) as api:
        held = api.get(f"/v1/{environment(name)}")
        confirm(f"remove {held['name']}?", yes=yes)
        api.remove(f"/v1/{held['name']}")
    show(output, {"name": held["name"]}, {"NAME": "name"})


def policy(
    name: Name,
    approvals: Annotated[int | None, typer.Option(help="How many distinct people must approve.")] = None,
    soak: Annotated[float | None, typer.Option(help="Hours of health before, in the lower Environment.")] = None,
    score: Annotated[int | None, typer.Option(help="Least score of its checks, 0 to 100.")] = None,
    output: Output = Form.TABLE,
) -> None:
    """Show what an Environment asks of promotions into it; with options, change it.

    Examples:

        catalyst env policy acme-prod

        catalyst env policy acme-prod --approvals 2 --soak 4 --score 80
    """
    values: dict[str, Any] = {
        "requiredApprovals": approvals,
        "soak": None if soak is None else f"{soak * 3600:g}s",
        "requiredScore": score,
    }  # fmt: skip - one table
    given = {key: value for key, value in values.items() if value is not None}
    path = f"/v1/{environment(name)}/policy"
    with Api(context()) as api:
        held = api.change(path, given, given) if given else api.get(path)
    show(output, held, POLICY)
