"""`catalyst zone export`."""

from enum import StrEnum
from typing import Annotated

import typer

from catalyst_cli.api import Api
from catalyst_cli.commands.zone.names import Zone, path_of
from catalyst_cli.context import context
from catalyst_cli.output import Form, Output, show


class Source(StrEnum):
    """Whose record sets."""

    DESIRED = "desired"
    BACKEND = "backend"


def export(
    zone: Zone,
    source: Annotated[Source, typer.Option(help="The wish, or what the backend has.")] = Source.DESIRED,
    output: Output = Form.TABLE,
) -> None:
    """Print a zone as a zone file.

    Examples:

        catalyst zone export acme.example > acme.example.zone

        catalyst zone export acme.example --source backend
    """
    answer = Api(context()).get(f"/v1/{path_of(zone)}:export", source=f"SOURCE_{source.upper()}")
    if output is Form.TABLE:
        print(answer.get("zoneFile", ""), end="")
    else:
        show(output, answer, {})
