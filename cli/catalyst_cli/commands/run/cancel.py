"""`catalyst run cancel`."""

from typing import Annotated

import typer

from catalyst_cli.api import Api, new_request_id
from catalyst_cli.commands.run.get_run import Run
from catalyst_cli.context import context
from catalyst_cli.output import Form, Output, show


def cancel(
    name: Run,
    compensate: Annotated[bool, typer.Option("--compensate", help="Undo what was done, in reverse order.")] = False,
    output: Output = Form.TABLE,
) -> None:
    """End a run before its end. What is under way is finished, never cut.

    Examples:

        catalyst run cancel sovereigns/omantel/runs/run-019a2b3c

        catalyst run cancel sovereigns/omantel/runs/run-019a2b3c --compensate
    """
    mode = "MODE_COMPENSATE" if compensate else "MODE_FINISH_STEP"
    answer = Api(context()).post(f"/v1/{name}:cancel", {"mode": mode}, once=new_request_id())
    show(output, answer, {"NAME": "name", "STATE": "state"})
