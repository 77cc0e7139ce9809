"""`catalyst zone apply`."""

from typing import Annotated

import typer

from catalyst_cli.api import Api, new_request_id
from catalyst_cli.commands.zone import options
from catalyst_cli.commands.zone.operations import finish
from catalyst_cli.confirm import confirm
from catalyst_cli.context import context
from catalyst_cli.output import Form, Output, show

COLUMNS = {"NAME": "name", "STATE": "state", "REVERSE": "reversePlan"}


def apply(
    plan: options.PlanName,
    hash_: options.PlanHash,
    force: options.Force = [],  # noqa: B006 - typer reads the default and keeps it
    wait: Annotated[bool, typer.Option(help="Follow it until every server has it.")] = True,
    yes: options.Yes = False,
    request_id: options.RequestId = "",
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
