"""`catalyst run get`."""

from typing import Annotated

import typer

from catalyst_cli.api import Api
from catalyst_cli.context import context
from catalyst_cli.output import Form, Output, show

Run = Annotated[str, typer.Argument(help="Resource name, sovereigns/<s>/runs/<r>.")]
STEP_COLUMNS = {"STEP": "step", "PHASE": "phase", "STATE": "state", "ATTEMPT": "attempt", "MESSAGE": "message"}


def get_run(name: Run, output: Output = Form.TABLE) -> None:
    """Show a run and its steps.

    Examples:

        catalyst run get sovereigns/omantel/runs/run-019a2b3c
    """
    api = Api(context())
    run = api.get(f"/v1/{name}")
    steps = api.pages(f"/v1/{name}/steps", "steps")
    if output is Form.TABLE:
        show(output, run, {"NAME": "name", "STATE": "state", "INTENT": "intent", "STARTED": "startTime"})
    rows = [
        {
            **s,
            "step": s["name"].rsplit("/", 1)[-1],
            "message": (s.get("error") or {}).get("message") or s.get("waitingFor"),
        }
        for s in steps
    ]
    show(output, {"run": run, "steps": steps}, STEP_COLUMNS, rows)
