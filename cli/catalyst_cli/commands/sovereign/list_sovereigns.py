"""`catalyst sovereign list`."""

from catalyst_cli.api import Api
from catalyst_cli.commands.sovereign.showing import COLUMNS
from catalyst_cli.context import context
from catalyst_cli.output import Form, Output, show


def list_sovereigns(output: Output = Form.TABLE) -> None:
    """List Sovereigns.

    Examples:

        catalyst sovereign list

        catalyst sovereign list --output name
    """
    rows = Api(context()).pages("/v1/sovereigns", "sovereigns")
    show(output, {"sovereigns": rows}, COLUMNS, rows)
