"""`catalyst domain rollback` and `catalyst domain close`."""

from typing import Annotated

import typer

from catalyst_cli.api import Api, new_request_id
from catalyst_cli.commands.domain.following import COLUMNS, follow
from catalyst_cli.commands.zone.names import Zone, path_of
from catalyst_cli.confirm import confirm
from catalyst_cli.context import context
from catalyst_cli.output import Form, Output, show


def rollback(
    domain: Zone,
    reason: Annotated[str, typer.Option(help="Why, for the audit.")],
    wait: Annotated[bool, typer.Option(help="Follow it to its end; Ctrl-C only stops following.")] = True,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    output: Output = Form.TABLE,
) -> None:
    """Point a domain to its old servers again, with its old keys, as they stood before the move.

    Examples:

        catalyst domain rollback acme.example --reason "letters are missing"

        catalyst domain rollback acme.example --reason "a rehearsal" --yes --no-wait
    """
    confirm(f"Take the move of {domain} back?", yes=yes)
    zone = path_of(domain)
    with Api(context()) as api:
        started = api.post(f"/v1/{zone}/delegation:rollback", {"reason": reason}, once=new_request_id())
        show(output, follow(api, zone, started) if wait else started, COLUMNS if wait else {"OPERATION": "name"})


def close(
    domain: Zone,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    output: Output = Form.TABLE,
) -> None:
    """Say that a move is for good: it cannot be taken back any more.

    Examples:

        catalyst domain close acme.example

        catalyst domain close acme.example --yes --output json
    """
    confirm(f"End the time in which {domain} can be taken back?", yes=yes)
    with Api(context()) as api:
        show(output, api.post(f"/v1/{path_of(domain)}/delegation:closeRollbackWindow", once=new_request_id()), COLUMNS)
