"""`catalyst billing order`: purchases, their refunds, credit bought ahead."""

from typing import Annotated, Any

import typer

from catalyst_cli.api import Api, new_request_id
from catalyst_cli.confirm import confirm
from catalyst_cli.context import context
from catalyst_cli.output import Form, Output, show

from . import words

Name = Annotated[str, typer.Argument(help="Order, billingAccounts/<org>/orders/<id>.")]
COLUMNS = {
    "ORDER": "name", "STATE": "state", "KIND": "kind", "TOTAL": "total", "DUE": "due", "REFUNDED": "refunded",
    "PAY AT": "checkoutUrl",
}  # fmt: skip


def list_orders(
    org: Annotated[str, typer.Argument(help="Slug, or - for all.")] = "-", output: Output = Form.TABLE
) -> None:
    """List orders, newest first.

    Examples:

        catalyst billing order list acme

        catalyst billing order list -o json
    """
    with Api(context()) as api:
        rows = api.pages(f"/v1/billing/{words.account(org)}/orders", "orders")
    show(output, {"orders": rows}, COLUMNS, [_row(row) for row in rows])


def get(name: Name, output: Output = Form.TABLE) -> None:
    """Show an order.

    Examples:

        catalyst billing order get billingAccounts/acme/orders/o-1 -o yaml
    """
    with Api(context()) as api:
        _show(output, api.get(f"/v1/billing/{name}"))


def cancel(name: Name, yes: words.Yes = False, output: Output = Form.TABLE) -> None:
    """Give up an unpaid order: its credit and voucher are free again.

    Examples:

        catalyst billing order cancel billingAccounts/acme/orders/o-1 --yes
    """
    confirm(f"Cancel {name}?", yes=yes)
    with Api(context()) as api:
        _show(output, api.post(f"/v1/billing/{name}:cancel", once=new_request_id()))


def refund(
    name: Name,
    reason: Annotated[str, typer.Option(help="Why, in a sentence.")],
    amount: Annotated[
        str, typer.Option(help='Part to give back, such as "4.500 OMR"; default: all that is left.')
    ] = "",
    to_credit: Annotated[
        bool, typer.Option("--to-credit", help="As credit, instead of to where it came from.")
    ] = False,
    yes: words.Yes = False,
    dry_run: words.DryRun = False,
    request_id: words.RequestId = "",
    output: Output = Form.TABLE,
) -> None:
    """Give back a part or all of what was paid.

    Examples:

        catalyst billing order refund billingAccounts/acme/orders/o-1 --reason "outage" --yes

        catalyst billing order refund billingAccounts/acme/orders/o-1 --amount "4.500 OMR" --reason "outage" --to-credit
    """
    if not dry_run:
        confirm(f"Refund {amount or 'all that is left'} of {name}?", yes=yes)
    wish: dict[str, Any] = {"reason": reason, "validateOnly": dry_run}
    wish |= {"amount": words.amount(amount)} if amount else {}
    wish |= {"destination": "DESTINATION_CREDIT"} if to_credit else {}
    with Api(context()) as api:
        _show(output, api.post(f"/v1/billing/{name}:refund", wish, once=request_id or new_request_id()))


def top_up(
    org: Annotated[str, typer.Argument(help="Slug of the Organization.")],
    amount: Annotated[str, typer.Argument(help='Such as "20.000 OMR".')],
    provider: Annotated[str, typer.Option(help="Payment provider; default: the first that takes it.")] = "",
    request_id: words.RequestId = "",
    output: Output = Form.TABLE,
) -> None:
    """Buy credit ahead; the order then says where it is paid.

    Examples:

        catalyst billing order top-up acme "20.000 OMR"
    """
    wish: dict[str, Any] = {"amount": words.amount(amount)}
    wish |= {"provider": words.full("providers", provider)} if provider else {}
    with Api(context()) as api:
        path = f"/v1/billing/{words.account(org)}/orders:topUp"
        _show(output, api.post(path, wish, once=request_id or new_request_id()))


def _row(order: dict[str, Any]) -> dict[str, Any]:
    kind = str(order.get("kind", "")).removeprefix("KIND_")
    return {**words.shown(order, "total", "due", "refunded"), "kind": kind}


def _show(output: Form, answer: dict[str, Any]) -> None:
    show(output, answer, COLUMNS, [_row(answer)])
