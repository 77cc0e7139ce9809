"""`catalyst events tail`."""

import json
import time
from typing import Annotated

import typer

from catalyst_cli.api import Api
from catalyst_cli.context import context
from catalyst_cli.output import Form, Output, err


def tail(
    topics: Annotated[str, typer.Option(help="Beginning of the subjects, such as catalyst.v1.billing.")] = "",
    from_start: Annotated[bool, typer.Option("--from-start", help="Begin with the oldest event that is kept.")] = False,
    count: Annotated[int, typer.Option(help="End after so many events; 0: never.", min=0)] = 0,
    output: Output = Form.TABLE,
) -> None:
    """Print the mesh's events as they happen. After a lost connection it goes on where it was.

    Examples:

        catalyst events tail

        catalyst events tail --topics catalyst.v1.pooldomain. --from-start --count 10 --output json
    """
    api = Api(context())
    last, seen = ("0" if from_start else ""), 0
    while True:
        for number, event, data in api.stream("/v1/stream", last=last, topics=topics):
            last = number or last
            if event == "reset":
                err.print("the server's store is another one; some events may be missing", markup=False)
                continue
            line = f"{data['time'][11:23]} {data['subject']} {data['aggregate']} v{data['version']}"
            print(line if output is Form.TABLE else json.dumps(data), flush=True)
            seen += 1
            if count and seen >= count:
                return
        time.sleep(0.5)  # the server went away; the stream goes on after `last`
