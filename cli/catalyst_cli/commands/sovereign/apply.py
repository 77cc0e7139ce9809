"""`catalyst sovereign apply`."""

from typing import Annotated

import typer

from catalyst_cli.api import Api
from catalyst_cli.commands.sovereign import runs
from catalyst_cli.commands.sovereign.showing import show_sovereign
from catalyst_cli.context import context
from catalyst_cli.output import Form, Output


def apply(
    plan: Annotated[str, typer.Argument(help="The plan, sovereigns/<s>/plans/<p>.")],
    hash_: Annotated[str, typer.Option("--hash", help="Hash of the plan as it was read.")],
    order: Annotated[str, typer.Option(help="A paid order, where the first creation needs one.")] = "",
    instead_of: Annotated[str, typer.Option(help="Run that waits, and that this one goes on from.")] = "",
    wait: Annotated[bool, typer.Option(help="Follow the run to its end.")] = True,
    output: Output = Form.TABLE,
) -> None:
    """Carry out a plan that was read and agreed to, and show how it goes.

    Examples:

        catalyst sovereign apply sovereigns/omantel/plans/plan-019a2b3c --hash 3b0c...

        catalyst sovereign apply sovereigns/omantel/plans/plan-029a2b3c --hash 77e1... \\
            --instead-of sovereigns/omantel/runs/run-019a2b3c
    """
    api = Api(context())
    run = runs.apply(api, {"name": plan, "hash": hash_}, order=order, instead_of=instead_of)
    runs.finish(api, run, wait=wait)
    show_sovereign(output, api.get(f"/v1/{plan.partition('/plans/')[0]}"))
