"""`catalyst zone diff`."""

from enum import StrEnum
from typing import Annotated

import typer

from catalyst_cli.api import Api
from catalyst_cli.commands.zone.names import Zone, path_of
from catalyst_cli.context import context
from catalyst_cli.output import Form, Output, err, show

COLUMNS = {"ACTION": "action", "CHANGE": "sentence"}


class Against(StrEnum):
    """What the wish is compared with."""

    BACKEND = "backend"
    SERVERS = "servers"


def diff(
    zone: Zone,
    against: Annotated[Against, typer.Option(help="The backend, or what the servers answer.")] = Against.BACKEND,
    output: Output = Form.TABLE,
) -> None:
    """Say what would make the world equal to the wish, now.

    Examples:

        catalyst zone diff acme.example

        catalyst zone diff acme.example --against servers --output json
    """
    answer = Api(context()).get(f"/v1/{path_of(zone)}:diff", against=f"SOURCE_{against.upper()}")
    rows = answer.get("changes", [])
    for server in answer.get("unreachable", ()):
        err.print(f"{server} gives no answer", markup=False)
    if output is Form.TABLE and not rows:
        err.print(f"{zone} is as wished", markup=False)
        return
    show(output, answer, COLUMNS, rows)
