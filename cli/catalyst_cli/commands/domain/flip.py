"""`catalyst domain flip`."""

from typing import Annotated

import typer

from catalyst_cli.api import Api, new_request_id
from catalyst_cli.commands.domain.following import COLUMNS, follow
from catalyst_cli.commands.zone import options
from catalyst_cli.confirm import confirm
from catalyst_cli.context import context
from catalyst_cli.output import Form, Output, show


def flip(
    plan: options.PlanName,
    hash_: options.PlanHash,
    force: options.Force = [],  # noqa: B006 - typer reads the default and keeps it
    wait: Annotated[bool, typer.Option(help="Follow it to its end; Ctrl-C only stops following.")] = True,
    yes: options.Yes = False,
    request_id: options.RequestId = "",
    output: Output = Form.TABLE,
) -> None:
    """Move a domain as it was planned: compared, watched, and taken back by itself where it does not hold.

    Examples:

        catalyst domain flip zones/acme.example/plans/0199c0de --hash 3f5e0a

        catalyst domain flip zones/acme.example/plans/0199c0de --hash 3f5e0a \\
            --yes --no-wait
    """
    confirm(f"Move the domain of {plan}?", yes=yes)
    zone, body = plan.partition("/plans/")[0], {"plan": plan, "hash": hash_, "force": force}
    with Api(context()) as api:
        started = api.post(f"/v1/{zone}/delegation:apply", body, once=request_id or new_request_id())
        show(output, follow(api, zone, started) if wait else started, COLUMNS if wait else {"OPERATION": "name"})
