"""`catalyst run events`."""

import json
import time
from typing import Annotated, Any

import typer

from catalyst_cli.api import Api
from catalyst_cli.commands.run.get_run import Run
from catalyst_cli.context import context
from catalyst_cli.output import Form, Output, show

COLUMNS = {"SEQ": "seq", "TIME": "time", "CODE": "code", "STEP": "step", "MESSAGE": "message"}


def events(
    name: Run,
    from_seq: Annotated[int, typer.Option(help="First event to show.", min=1)] = 1,
    follow: Annotated[bool, typer.Option("--follow", help="Go on as events come, until the run ends.")] = False,
    output: Output = Form.TABLE,
) -> None:
    """Show the events of a run, in order and without gaps.

    Examples:

        catalyst run events sovereigns/omantel/runs/run-019a2b3c

        catalyst run events sovereigns/omantel/runs/run-019a2b3c --from-seq 40 --follow
    """
    api = Api(context())
    if not follow:
        rows = api.pages(f"/v1/{name}/events", "events", fromSeq=from_seq)
        show(output, {"events": rows}, COLUMNS, rows)
        return
    last = str(from_seq - 1)
    while True:
        for number, event, data in api.stream(f"/v1/{name}/events:stream", last=last):
            if event == "done":
                return
            last = number or last
            _line(data, output)
        time.sleep(0.5)  # the server went away; the stream goes on after `last`


def _line(event: dict[str, Any], output: Form) -> None:
    if output is Form.TABLE:
        print(
            f"{event['seq']:>5} {event['time'][11:23]} {event['code']:<20} {event.get('step', '')} {event.get('message', '')}"
        )
    else:
        print(json.dumps(event), flush=True)
