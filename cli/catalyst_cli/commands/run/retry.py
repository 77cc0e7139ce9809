"""`catalyst run retry`."""

from typing import Annotated

import typer

from catalyst_cli.api import Api, new_request_id
from catalyst_cli.commands.run.get_run import Run
from catalyst_cli.context import context
from catalyst_cli.output import Form, Output, show


def retry(
    name: Run, step: Annotated[str, typer.Argument(help="Id of the failed step.")], output: Output = Form.TABLE
) -> None:
    """Try a failed step again, and what was skipped because of it.

    Examples:

        catalyst run retry sovereigns/omantel/runs/run-019a2b3c probe
    """
    answer = Api(context()).post(f"/v1/{name}/steps/{step}:retry", once=new_request_id())
    show(output, answer, {"NAME": "name", "STATE": "state"})
