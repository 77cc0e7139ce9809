"""`catalyst run pause` and `catalyst run resume`."""

from typing import Annotated

import typer

from catalyst_cli.api import Api, new_request_id
from catalyst_cli.commands.run.get_run import Run
from catalyst_cli.context import context
from catalyst_cli.output import Form, Output, show

COLUMNS = {"NAME": "name", "STATE": "state"}


def pause(
    name: Run, reason: Annotated[str, typer.Option(help="Why; kept with the run.")] = "", output: Output = Form.TABLE
) -> None:
    """Let no further step of a run begin. What is under way goes on to its end; the name stays held.

    Examples:

        catalyst run pause sovereigns/omantel/runs/run-019a2b3c --reason "the network is being changed"
    """
    body = {"reason": reason} if reason else {}
    show(output, Api(context()).post(f"/v1/{name}:pause", body, once=new_request_id()), COLUMNS)


def resume(name: Run, output: Output = Form.TABLE) -> None:
    """Let a paused run go on.

    Examples:

        catalyst run resume sovereigns/omantel/runs/run-019a2b3c
    """
    show(output, Api(context()).post(f"/v1/{name}:resume", once=new_request_id()), COLUMNS)
