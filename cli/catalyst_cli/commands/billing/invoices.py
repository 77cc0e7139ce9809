"""`catalyst billing invoice`: bills and credit notes."""

from typing import Annotated

import typer

from catalyst_cli.api import Api, new_request_id
from catalyst_cli.confirm import confirm
from catalyst_cli.context import context
from catalyst_cli.output import Form, Output, show

from .subscriptions import ORDER, Org, shown

COLUMNS = {
    "NUMBER": "number",
    "STATE": "state",
    "KIND": "kind",
    "TOTAL": "totalText",
    "DUE": "dueText",
    "UNTIL": "dueTime",
    "NAME": "name",
}  # fmt: skip - a table
LINES = {"WHAT": "description", "QUANTITY": "quantity", "AMOUNT": "amountText", "FROM": "startTime", "TO": "endTime"}
Name = Annotated[str, typer.Argument(help="Document, billingAccounts/ORG/invoices/ID.")]


def list_invoices(org: Org, output: Output = Form.TABLE) -> None:
    """List invoices and credit notes, newest first.

    Examples:

        catalyst billing invoice list acme

        catalyst billing invoice list - -o name
    """
    with Api(context()) as api:
        rows = api.pages(f"/v1/billing/billingAccounts/{org}/invoices", "invoices")
    show(output, {"invoices": rows}, COLUMNS, [shown(row, total="totalText", amountDue="dueText") for row in rows])


def get(name: Name, output: Output = Form.TABLE) -> None:
    """Show the lines of a document.

    Examples:

        catalyst billing invoice get billingAccounts/acme/invoices/in-1 -o yaml
    """
    with Api(context()) as api:
        found = api.get(f"/v1/billing/{name}")
    show(output, found, LINES, [shown(line, amount="amountText") for line in found.get("lines", [])])


def pay(name: Name, output: Output = Form.TABLE) -> None:
    """Pay an open invoice: credit first, the rest on the provider's page.

    Examples:

        catalyst billing invoice pay billingAccounts/acme/invoices/in-1
    """
    with Api(context()) as api:
        order = api.post(f"/v1/billing/{name}:pay", {}, once=new_request_id())
    show(output, order, ORDER, [shown(order, total="totalText", due="dueText")])


def void(
    name: Name,
    reason: Annotated[str, typer.Option(help="Why, for the audit.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    output: Output = Form.TABLE,
) -> None:
    """Withdraw an unpaid invoice; its number stays taken, and its period costs nothing.

    Examples:

        catalyst billing invoice void billingAccounts/acme/invoices/in-1 --reason "billed twice" --yes
    """
    confirm(f"Withdraw {name}?", yes=yes)
    with Api(context()) as api:
        gone = api.post(f"/v1/billing/{name}:void", {"reason": reason}, once=new_request_id())
    show(output, gone, COLUMNS, [shown(gone, total="totalText", amountDue="dueText")])
