"""`catalyst zone apply`."""

from typing import Annotated

import typer

from catalyst_cli.api import Api, new_request_id
from catalyst_cli.commands.zone.operations import finish
from catalyst_cli.confirm import confirm
from catalyst_cli.context import context
from catalyst_cli.output import Form, Output, show

COLUMNS = {"NAME": "name", "STATE": "state", "REVERSE": "reversePlan"}


def apply(
    plan: Annotated[str, typer.Argument(help="The plan, zones/…/plans/….")],
    hash_: Annotated[str, typer.Option("--hash", help="Hash of the plan as it was shown.")],
    force: Annotated[list[str], typer.Option(help="A rule of the plan's findings to lift.")] = [],  # noqa: B006 - typer reads the default and keeps it
    wait: Annotated[bool, typer.Option(help="Follow it until every server has it.")] = True,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    request_id: Annotated[str, typer.Option(help="UUID4; repeating it has one effect.")] = "",
    output: Output = Form.TABLE,
) -> None:
    """Carry a plan out, as it was shown. Its reverse is kept.

    Examples:

        catalyst zone apply zones/acme.example/plans/0199c0de --hash 3f5e0a

        catalyst zone apply zones/acme.example/plans/0199c0de --hash 3f5e0a \\
            --force mass-change --yes
    """
    confirm(f"Apply {plan}?", yes=yes)
    with Api(context()) as api:
        started = api.post(f"/v1/{plan}:apply", {"hash": hash_, "force": force}, once=request_id or new_request_id())
        show(output, finish(api, started, wait=wait), COLUMNS)
