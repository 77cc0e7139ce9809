"""`catalyst sovereign get`."""

from typing import Annotated

import typer

from catalyst_cli.api import Api
from catalyst_cli.commands.sovereign.files import resource
from catalyst_cli.commands.sovereign.showing import show_sovereign
from catalyst_cli.context import context
from catalyst_cli.output import Form, Output

Name = Annotated[str, typer.Argument(help="Id or resource name of the Sovereign.")]


def get(name: Name, output: Output = Form.TABLE) -> None:
    """Show one Sovereign.

    Examples:

        catalyst sovereign get omantel

        catalyst sovereign get omantel --output yaml
    """
    show_sovereign(output, Api(context()).get(f"/v1/{resource(name)}"), fallen=True)
