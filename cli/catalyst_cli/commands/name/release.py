"""`catalyst name release`."""

from typing import Annotated

import typer

from catalyst_cli.api import Api, new_request_id
from catalyst_cli.commands.name.fqdn import Fqdn, split
from catalyst_cli.context import context
from catalyst_cli.output import Form, Output, show


def release(
    fqdn: Fqdn,
    reason: Annotated[str, typer.Option(help="Why; kept in the history.")] = "released by its owner",
    token: Annotated[str, typer.Option(help="The reservation's token, while it is only reserved.")] = "",
    output: Output = Form.TABLE,
) -> None:
    """Give a name back. Its zone goes in the safe order; then it rests in quarantine.

    Examples:

        catalyst name release acme.omani.works --reason "not needed any more"
    """
    pool, label = split(fqdn)
    body = {"reason": reason, **({"reservationToken": token} if token else {})}
    answer = Api(context()).post(f"/v1/{pool}/allocations/{label}:release", body, once=new_request_id())
    show(output, answer, {"NAME": "name", "STATE": "state", "AVAILABLE": "availableTime"})
