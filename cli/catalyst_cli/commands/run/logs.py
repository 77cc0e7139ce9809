"""`catalyst run logs`."""

import json
import time
from typing import Annotated, Any

import typer

from catalyst_cli.api import Api
from catalyst_cli.commands.run.get_run import Run
from catalyst_cli.context import context
from catalyst_cli.output import Form, Output, show, word
from catalyst_cli.progress import ENDED

COLUMNS = {"SEQ": "seq", "TIME": "time", "LEVEL": "level", "STEP": "step", "TRY": "attempt", "TEXT": "text"}


def logs(
    name: Run,
    step: Annotated[str, typer.Option(help="Only lines of this step.")] = "",
    attempt: Annotated[int, typer.Option(help="Only lines of this try of the step.", min=0)] = 0,
    follow: Annotated[bool, typer.Option("--follow", help="Go on as lines come, until the run ends.")] = False,
    output: Output = Form.TABLE,
) -> None:
    """Show what the steps of a run wrote.

    Examples:

        catalyst run logs sovereigns/omantel/runs/run-019a2b3c

        catalyst run logs sovereigns/omantel/runs/run-019a2b3c --step infra.sb-east-mgt-dev --follow
    """
    api = Api(context())
    which: dict[str, Any] = {"step": step, "attempt": attempt or ""}
    if not follow:
        rows = api.pages(f"/v1/{name}/logs", "lines", **which)
        show(output, {"lines": rows}, COLUMNS, rows)
        return
    last = "0"
    while True:
        over = word(api.get(f"/v1/{name}")["state"]) in ENDED
        for number, _, data in api.stream(f"/v1/{name}/logs:stream", last=last, **which):
            last = number or last
            _line(data, output)
        if over:
            return
        time.sleep(0.5)  # the server went away; the stream goes on after `last`


def _line(line: dict[str, Any], output: Form) -> None:
    if output is Form.TABLE:
        print(f"{line['time'][11:23]} {word(line['level']):<5} {line.get('step', '')}  {line.get('text', '')}")
    else:
        print(json.dumps(line), flush=True)
