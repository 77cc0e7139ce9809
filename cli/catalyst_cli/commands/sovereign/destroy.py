"""`catalyst sovereign destroy`."""

from typing import Annotated

import typer

from catalyst_cli.api import Api
from catalyst_cli.commands.sovereign import plans, runs
from catalyst_cli.commands.sovereign.files import resource
from catalyst_cli.commands.sovereign.get import Name
from catalyst_cli.commands.sovereign.showing import COLUMNS
from catalyst_cli.confirm import confirm
from catalyst_cli.context import context
from catalyst_cli.output import Form, Output, err, show, word


def destroy(
    name: Name,
    wait: Annotated[bool, typer.Option(help="Follow the run to its end.")] = True,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    output: Output = Form.TABLE,
) -> None:
    """Take a Sovereign away, and verify that nothing of it is left. Repeating it goes on where it was.

    Examples:

        catalyst sovereign destroy omantel

        catalyst sovereign destroy omantel --yes --output json
    """
    api = Api(context())
    full = resource(name)
    run = runs.going(api, full)
    if run is None and word(api.get(f"/v1/{full}")["state"]) == "DESTROYED":
        err.print(f"{full} is destroyed already", markup=False)
    elif run is None or word(api.get(f"/v1/{run}").get("intent")) != "DESTROY":
        plan = plans.make(api, full, "DESTROY")
        plans.summary(plan)
        plans.require_applicable(plan)
        confirm(f"Destroy {full} and everything in it?", yes=yes)
        run = runs.apply(api, plan)
    if run is not None:
        runs.finish(api, run, wait=wait)
    show(output, api.get(f"/v1/{full}"), COLUMNS)
