"""`catalyst promotion …`: Applications on their way from one Environment to another."""

from typing import Annotated, Any

import typer

from catalyst_cli.api import Api, new_request_id
from catalyst_cli.commands.org.following import followed
from catalyst_cli.commands.org.names import environment
from catalyst_cli.context import context
from catalyst_cli.output import Form, Output, show

COLUMNS = {"NAME": "name", "APPLICATION": "application", "FROM": "source", "STATE": "state", "BY": "requester"}
GATES = {"GATE": "name", "STATE": "state", "MESSAGE": "message"}
Name = Annotated[str, typer.Argument(help="The promotion, environments/…/promotions/….")]


def promote(
    app: Annotated[str, typer.Argument(help="Name of the Application, such as blog.")],
    source: Annotated[str, typer.Argument(help="Environment from which it comes, such as acme-dev.")],
    target: Annotated[str, typer.Argument(help="Environment into which it comes, such as acme-prod.")],
    wait: Annotated[
        bool, typer.Option("--wait/--no-wait", help="Whether to wait for the merge, once it has begun.")
    ] = True,
    output: Output = Form.TABLE,
) -> None:
    """Ask for an Application to come into another Environment; every gate of its policy is shown.

    Examples:

        catalyst promotion create blog acme-dev acme-prod
    """
    body = {"application": app, "source": environment(source)}
    with Api(context()) as api:
        path = f"/v1/{environment(target)}/promotions"
        made = api.post_resource(path, body, requestId=new_request_id())
        followed(api, made, wait=wait)
        _shown(output, api.get(f"/v1/{made['name']}"))


def list_promotions(
    env: Annotated[str, typer.Argument(help="Environment into which they lead.")], output: Output = Form.TABLE
) -> None:
    """List promotions into an Environment, the newest first.

    Examples:

        catalyst promotion list acme-prod
    """
    with Api(context()) as api:
        rows = api.pages(f"/v1/{environment(env)}/promotions", "promotions")
    show(output, {"promotions": rows}, COLUMNS, rows)


def get(name: Name, output: Output = Form.TABLE) -> None:
    """Show a promotion with every gate.

    Examples:

        catalyst promotion get environments/acme-prod/promotions/pro-0123456789abcdef0123
    """
    with Api(context()) as api:
        _shown(output, api.get(f"/v1/{name}"))


def approve(name: Name, output: Output = Form.TABLE) -> None:
    """Say yes to a promotion that somebody else asked for.

    Examples:

        catalyst promotion approve environments/acme-prod/promotions/pro-0123456789abcdef0123
    """
    _verb(name, "approve", {}, output)


def override(
    name: Name,
    reason: Annotated[str, typer.Option(help="What is so urgent; kept on record.")],
    output: Output = Form.TABLE,
) -> None:
    """Demand a promotion past its gates; a second person has to, within four hours.

    Examples:

        catalyst promotion override environments/acme-prod/promotions/pro-0123456789abcdef0123 --reason "the site is down"
    """
    _verb(name, "override", {"reason": reason}, output)


def cancel(name: Name, output: Output = Form.TABLE) -> None:
    """Withdraw a promotion that waits.

    Examples:

        catalyst promotion cancel environments/acme-prod/promotions/pro-0123456789abcdef0123
    """
    _verb(name, "cancel", {}, output)


def _verb(name: str, verb: str, body: dict[str, Any], output: Form) -> None:
    with Api(context()) as api:
        _shown(output, api.post(f"/v1/{name}:{verb}", body, once=new_request_id()))


def _shown(output: Form, promotion: dict[str, Any]) -> None:
    show(output, promotion, COLUMNS)
    if output is Form.TABLE:
        show(output, promotion, GATES, promotion.get("gates", []))
