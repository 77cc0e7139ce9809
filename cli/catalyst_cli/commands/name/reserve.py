"""`catalyst name reserve`."""

from typing import Annotated

import typer

from catalyst_cli.api import Api, new_request_id
from catalyst_cli.commands.name.fqdn import Fqdn, split
from catalyst_cli.context import context
from catalyst_cli.output import Form, Output, show

COLUMNS = {
    "NAME": "allocation.name",
    "STATE": "allocation.state",
    "EXPIRES": "allocation.expireTime",
    "TOKEN": "reservationToken",
}


def reserve(
    fqdn: Fqdn,
    owner: Annotated[str, typer.Option(help="Organization that owns the name, organizations/<slug>.")],
    ttl: Annotated[int, typer.Option(help="Seconds for which it is held without a commit.", min=1, max=86400)] = 600,
    request_id: Annotated[str, typer.Option(help="UUID4; repeating it gives the same reservation.")] = "",
    output: Output = Form.TABLE,
) -> None:
    """Hold a free name for a while. The token that is printed commits or releases it.

    Examples:

        catalyst name reserve acme.omani.works --owner organizations/acme
    """
    pool, label = split(fqdn)
    body = {"label": label, "owner": owner, "ttl": f"{ttl}s"}
    answer = Api(context()).post(f"/v1/{pool}/allocations:reserve", body, once=request_id or new_request_id())
    show(output, answer, COLUMNS)
