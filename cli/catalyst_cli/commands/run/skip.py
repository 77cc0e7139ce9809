"""`catalyst run skip`."""

from typing import Annotated

import typer

from catalyst_cli.api import Api, new_request_id
from catalyst_cli.commands.run.get_run import Run
from catalyst_cli.context import context
from catalyst_cli.output import Form, Output, show


def skip(
    name: Run,
    step: Annotated[str, typer.Argument(help="Id of the step; only what the plan shows as skippable can be left out.")],
    reason: Annotated[str, typer.Option(help="Why; kept with the run.")],
    output: Output = Form.TABLE,
) -> None:
    """Leave a step out; what needs it goes on without it.

    Examples:

        catalyst run skip sovereigns/omantel/runs/run-019a2b3c quiesce --reason "the cluster is gone"
    """
    answer = Api(context()).post(f"/v1/{name}/steps/{step}:skip", {"reason": reason}, once=new_request_id())
    show(output, answer, {"NAME": "name", "STATE": "state", "REASON": "skipReason"})
