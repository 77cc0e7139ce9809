"""`catalyst billing usage` and `quota`: what was used, and how far it may go."""

from typing import Annotated, Any

import typer

from catalyst_cli.api import Api
from catalyst_cli.context import context
from catalyst_cli.output import Form, Output, show

from .subscriptions import Org, shown

COLUMNS = {"METER": "meter", "FROM": "startTime", "TO": "endTime", "USED": "value", "COST": "costText"}
QUOTA = {
    "MODE": "mode",
    "SPENT": "spentText",
    "LIMIT": "limitText",
    "REACHED %": "reachedPercent",
    "CPU MILLI": "maxCpuMilli",
    "RAM MIB": "maxRamMb",
    "PREPAID": "prepaid",
}  # fmt: skip - a table


def usage(
    org: Org,
    step: Annotated[str, typer.Option(help="Length of a span: hour, day or month.")] = "day",
    output: Output = Form.TABLE,
) -> None:
    """Show what an Organization used in its current period.

    Examples:

        catalyst billing usage acme

        catalyst billing usage acme --step month -o json
    """
    with Api(context()) as api:
        rows = api.pages(f"/v1/billing/billingAccounts/{org}/usage", "points", step=f"STEP_{step.upper()}")
    show(output, {"points": rows}, COLUMNS, [shown(row, rated="costText") for row in rows])


def quota(org: Org, output: Output = Form.TABLE) -> None:
    """Show how far usage of an Organization may go, and how far it went this month.

    Examples:

        catalyst billing quota get acme
    """
    with Api(context()) as api:
        found = api.get(f"/v1/billing/billingAccounts/{org}/entitlement")
    show(output, found, QUOTA, [_shown(found)])


def set_quota(
    org: Org,
    limit: Annotated[int | None, typer.Option(help="Monthly spending limit, in minor units.")] = None,
    currency: Annotated[str, typer.Option(help="ISO 4217 code of the limit.")] = "OMR",
    grow: Annotated[bool | None, typer.Option("--grow/--capped", help="Whether usage may pass the plan.")] = None,
    prepaid: Annotated[
        bool | None, typer.Option("--prepaid/--postpaid", help="Whether usage is drawn from credit each hour.")
    ] = None,
    output: Output = Form.TABLE,
) -> None:
    """Change how far usage may go; what is not named stays.

    Examples:

        catalyst billing quota set acme --limit 20000 --grow

        catalyst billing quota set acme --prepaid
    """
    path = f"/v1/billing/billingAccounts/{org}/entitlement"
    wish: dict[str, Any] = {}
    if limit is not None:
        wish["monthlySpendingLimit"] = {"minor": str(limit), "currency": currency}
    if grow is not None:
        wish["mode"] = "MODE_GROW" if grow else "MODE_CAPPED"
    if prepaid is not None:
        wish["prepaid"] = prepaid
    with Api(context()) as api:
        changed = api.change(path, wish, wish)
    show(output, changed, QUOTA, [_shown(changed)])


def _shown(found: dict[str, Any]) -> dict[str, Any]:
    row = shown(found, spent="spentText")
    return (
        shown(row, monthlySpendingLimit="limitText")
        if "monthlySpendingLimit" in found
        else {**row, "limitText": "none"}
    )
