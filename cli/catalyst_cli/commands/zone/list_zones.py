"""`catalyst zone list`."""

from typing import Annotated

import typer

from catalyst_cli.api import Api
from catalyst_cli.context import context
from catalyst_cli.output import Form, Output, show

COLUMNS = {
    "NAME": "name",
    "KIND": "kind",
    "STATE": "state",
    "OWNER": "owner",
    "REVISION": "revision",
    "BACKEND": "backend",
}


def list_zones(
    filter_: Annotated[str, typer.Option("--filter", help="Such as `kind = BYO AND state = ACTIVE`.")] = "",
    output: Output = Form.TABLE,
) -> None:
    """List zones: of pools, of names, and domains that their owners brought.

    Examples:

        catalyst zone list

        catalyst zone list --filter "kind = BYO" --output json
    """
    rows = Api(context()).pages("/v1/zones", "zones", filter=filter_)
    show(output, {"zones": rows}, COLUMNS, rows)
