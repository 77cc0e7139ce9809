"""`catalyst zone drift …`."""

from typing import Annotated

import typer

from catalyst_cli.api import Api, new_request_id
from catalyst_cli.commands.zone.names import path_of
from catalyst_cli.context import context
from catalyst_cli.output import Form, Output, show

COLUMNS = {
    "NAME": "name", "KIND": "kind", "STATE": "state", "SERVER": "server", "WISHED": "wished.values",
    "OBSERVED": "observed.values", "SINCE": "openTime",
}  # fmt: skip
Name = Annotated[str, typer.Argument(help="The drift, zones/…/drifts/….")]


def list_drifts(
    zone: Annotated[str, typer.Argument(help="The zone's domain; `-` for all zones.")] = "-",
    closed: Annotated[bool, typer.Option(help="Also those that ended.")] = False,
    output: Output = Form.TABLE,
) -> None:
    """List what differs between wish and world.

    Examples:

        catalyst zone drift list

        catalyst zone drift list acme.example --closed --output json
    """
    rows = Api(context()).pages(f"/v1/{path_of(zone)}/drifts", "drifts", includeClosed="true" if closed else "")
    show(output, {"drifts": rows}, COLUMNS, rows)


def repair(name: Name, output: Output = Form.TABLE) -> None:
    """Put a difference right, by a plan with every guard. What others keep is never touched.

    Examples:

        catalyst zone drift repair zones/acme.example/drifts/d12
    """
    show(output, Api(context()).post(f"/v1/{name}:repair", once=new_request_id()), COLUMNS)


def accept(name: Name, output: Output = Form.TABLE) -> None:
    """Take what was observed as the wish. Writes no record.

    Examples:

        catalyst zone drift accept zones/acme.example/drifts/d12
    """
    show(output, Api(context()).post(f"/v1/{name}:accept", once=new_request_id()), COLUMNS)
