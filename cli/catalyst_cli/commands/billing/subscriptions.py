"""`catalyst billing subscription`: what runs from period to period."""

from typing import Annotated, Any

import typer

from catalyst_cli.api import Api, new_request_id
from catalyst_cli.confirm import confirm
from catalyst_cli.context import context
from catalyst_cli.output import Form, Output, money, show

COLUMNS = {
    "NAME": "name",
    "STATE": "state",
    "SCOPE": "scope",
    "PLAN": "plan",
    "PRICE": "priceText",
    "PERIOD END": "periodEndTime",
    "NEXT PLAN": "pendingPlan",
    "ENDS": "cancelAtPeriodEnd",
}  # fmt: skip - a table
ORDER = {"ORDER": "name", "STATE": "state", "TOTAL": "totalText", "DUE": "dueText", "PAY AT": "checkoutUrl"}
REVENUE = {"PLAN": "plan", "SUBSCRIPTIONS": "subscriptions", "MONTHLY": "mrrText"}
Org = Annotated[str, typer.Argument(help="Organization's slug; - is every one.")]
Name = Annotated[str, typer.Argument(help="Subscription, billingAccounts/ORG/subscriptions/ID.")]


def list_subscriptions(org: Org, output: Output = Form.TABLE) -> None:
    """List subscriptions of an Organization.

    Examples:

        catalyst billing subscription list acme

        catalyst billing subscription list acme -o json
    """
    with Api(context()) as api:
        rows = api.pages(f"/v1/billing/billingAccounts/{org}/subscriptions", "subscriptions")
    show(output, {"subscriptions": rows}, COLUMNS, [shown(row, price="priceText") for row in rows])


def change(
    name: Name,
    plan: Annotated[str, typer.Argument(help="Plan to move to.")],
    immediate: Annotated[bool, typer.Option("--immediate", help="A downgrade counts at once, not at the end.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what it would cost, order nothing.")] = False,
    output: Output = Form.TABLE,
) -> None:
    """Move to another plan. An upgrade costs the rest of the period, by the second.

    Examples:

        catalyst billing subscription change billingAccounts/acme/subscriptions/s-1 l --dry-run
    """
    wish = {"plan": plan, "immediate": immediate, "validateOnly": dry_run}
    with Api(context()) as api:
        order = api.post(f"/v1/billing/{name}:change", wish, once=new_request_id())
    show(output, order, ORDER, [shown(order, total="totalText", due="dueText")])


def cancel(
    name: Name,
    immediate: Annotated[bool, typer.Option("--immediate", help="At once; unused time comes back as credit.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    output: Output = Form.TABLE,
) -> None:
    """End a subscription with its period, or at once.

    Examples:

        catalyst billing subscription cancel billingAccounts/acme/subscriptions/s-1 --yes
    """
    confirm(f"End {name}{' now' if immediate else ' with its period'}?", yes=yes)
    with Api(context()) as api:
        ended = api.post(f"/v1/billing/{name}:cancel", {"immediate": immediate}, once=new_request_id())
    show(output, ended, COLUMNS, [shown(ended, price="priceText")])


def resume(name: Name, output: Output = Form.TABLE) -> None:
    """Take a cancellation back, or have the open debt tried again now.

    Examples:

        catalyst billing subscription resume billingAccounts/acme/subscriptions/s-1
    """
    with Api(context()) as api:
        back = api.post(f"/v1/billing/{name}:resume", {}, once=new_request_id())
    show(output, back, COLUMNS, [shown(back, price="priceText")])


def revenue(
    currency: Annotated[str, typer.Option(help="ISO 4217 code; default: the Sovereign's own.")] = "",
    output: Output = Form.TABLE,
) -> None:
    """Show the monthly revenue of what runs now, by plan.

    Examples:

        catalyst billing revenue

        catalyst billing revenue --currency EUR -o json
    """
    with Api(context()) as api:
        told = api.get("/v1/billing/revenue", currency=currency)
    whole = {"plan": "all", "subscriptions": told.get("activeSubscriptions", 0), "mrr": told.get("mrr")}
    rows = [shown(row, mrr="mrrText") for row in [*told.get("byPlan", []), whole]]
    show(output, told, REVENUE, rows)


def shown(row: dict[str, Any], **amounts: str) -> dict[str, Any]:
    """A row with amounts in words: field to the name of its text."""
    return {**row, **{text: money(row.get(field)) for field, text in amounts.items()}}
