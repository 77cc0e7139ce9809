"""`catalyst sovereign create`."""

from pathlib import Path
from typing import Annotated

import typer

from catalyst_cli.api import Api
from catalyst_cli.commands.sovereign import orders, plans, runs
from catalyst_cli.commands.sovereign.files import read
from catalyst_cli.commands.sovereign.showing import show_sovereign
from catalyst_cli.confirm import confirm
from catalyst_cli.context import context
from catalyst_cli.output import Form, Output, err, word


def create(
    file: Annotated[Path, typer.Option("--file", "-f", help="The Sovereign as YAML or JSON.")],
    billing_plan: Annotated[str, typer.Option(help="What is bought: s, m, l, xl.")] = "m",
    voucher: Annotated[str, typer.Option(help="A voucher's code; its credit pays the order.")] = "",
    order: Annotated[str, typer.Option(help="A paid order to use instead of making one.")] = "",
    wait: Annotated[bool, typer.Option(help="Follow the run to its end.")] = True,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    output: Output = Form.TABLE,
) -> None:
    """Plan, order and create a Sovereign, and show how it comes to be. Repeating it goes on where it was.

    Examples:

        catalyst sovereign create --file sovereign.yaml --voucher FIRST-SOVEREIGN

        catalyst sovereign create --file sovereign.yaml --order billingAccounts/acme/orders/o-1 --no-wait
    """
    api = Api(context())
    name, spec = read(file)
    known = plans.ensure_sovereign(api, name, spec)
    run = runs.going(api, name)
    if run is None and word(known["state"]) == "ACTIVE" and plans.make(api, name, "APPLY", spec).get("empty"):
        err.print(f"{name} is as the file says; there is nothing to do", markup=False)
    elif run is None:
        run = _begin(api, known, spec, billing_plan, voucher, order, yes=yes)
    if run is not None:
        runs.finish(api, run, wait=wait)
    show_sovereign(output, api.get(f"/v1/{name}"))


def _begin(
    api: Api,
    known: dict[str, object],
    spec: dict[str, object],
    billing_plan: str,
    voucher: str,
    order: str,
    *,
    yes: bool,
) -> str:
    name = str(known["name"])
    plan = plans.make(api, name, "APPLY", spec)
    plans.summary(plan)
    plans.require_applicable(plan)
    confirm(f"Create {name}?", yes=yes)
    paid = order or orders.pay(api, known, plan=billing_plan, voucher=voucher)
    return runs.apply(api, plan, order=paid)
