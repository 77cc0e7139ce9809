"""`catalyst name offer`, `accept`, `force-release`: names that change hands."""

from typing import Annotated

import typer

from catalyst_cli.api import Api, new_request_id
from catalyst_cli.commands.name.fqdn import Fqdn
from catalyst_cli.commands.name.looks import COLUMNS, path_of
from catalyst_cli.confirm import confirm
from catalyst_cli.context import context
from catalyst_cli.output import Form, Output, show

Reason = Annotated[str, typer.Option(help="Why; kept in the history.")]
OFFER = {"NAME": "allocation.fqdn", "OWNER": "allocation.owner", "CODE": "code", "UNTIL": "expireTime"}


def offer(
    fqdn: Fqdn,
    to: Annotated[str, typer.Option(help="Who is to own it, organizations/<slug>.")],
    reason: Reason = "handed over by its owner",
    output: Output = Form.TABLE,
) -> None:
    """Offer a name to another owner. The code that is printed, here only, accepts it; a new offer voids the one before.

    Examples:

        catalyst name offer acme.omani.works --to organizations/bankdhofar
    """
    body = {"newOwner": to, "reason": reason}
    with Api(context()) as api:
        show(output, api.post(f"/v1/{path_of(fqdn)}:transfer", body, once=new_request_id()), OFFER)


def accept(
    fqdn: Fqdn,
    code: Annotated[str, typer.Option(help="The code of the offer.", envvar="CATALYST_NAME_CODE")],
    output: Output = Form.TABLE,
) -> None:
    """Take over a name that was offered to you. In the DNS nothing changes but whose it is.

    Examples:

        catalyst name accept acme.omani.works --code "$CODE"
    """
    with Api(context()) as api:
        show(output, api.post(f"/v1/{path_of(fqdn)}:acceptTransfer", {"code": code}, once=new_request_id()), COLUMNS)


def force_release(
    fqdn: Fqdn,
    reason: Annotated[str, typer.Option(help="Why; kept in the history.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    output: Output = Form.TABLE,
) -> None:
    """Take a name from an owner who does not give it back. Refused for 30 days and while the name resolves.

    Examples:

        catalyst name force-release acme.omani.works --reason "the company is no more"
    """
    confirm(f"Take {fqdn} from its owner?", yes=yes)
    body = {"reason": reason, "confirmFqdn": fqdn.strip().rstrip("."), "graceConfirmed": True}
    with Api(context()) as api:
        show(output, api.post(f"/v1/{path_of(fqdn)}:forceRelease", body, once=new_request_id()), COLUMNS)
