"""`catalyst projector rebuild`."""

from catalyst_cli.api import Api
from catalyst_cli.context import context
from catalyst_cli.output import Form, Output, err, show

COLUMNS = {"MODEL": "model", "SCHEMA": "schema"}


def rebuild(output: Output = Form.TABLE) -> None:
    """Have the read model built anew, beside the one that is read until then. Asked again while it is built, it is that one.

    Examples:

        catalyst projector rebuild
    """
    answer = Api(context()).post("/v1/projector:rebuild", {})
    show(output, answer, COLUMNS, [answer])
    err.print("readers go on with the old model until the new one is whole", markup=False)
