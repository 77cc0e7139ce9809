"""`catalyst billing franchise`: agreements with the publisher, and monthly statements."""

from typing import Annotated

import typer

from catalyst_cli.api import Api, new_request_id
from catalyst_cli.context import context
from catalyst_cli.output import Form, Output, show

from .subscriptions import shown

COLUMNS = {
    "NAME": "name",
    "SOVEREIGN": "sovereign",
    "SHARE BPS": "shareBps",
    "BASIS": "basis",
    "FROM": "validFromTime",
    "TO": "validToTime",
}  # fmt: skip - a table
STATEMENTS = {
    "MONTH": "name",
    "NUMBER": "number",
    "GROSS": "grossText",
    "VOUCHERS": "voucherText",
    "PUBLISHER": "publisherText",
    "FRANCHISEE": "franchiseeText",
}  # fmt: skip - a table
_AMOUNTS = {
    "gross": "grossText",
    "voucherCredit": "voucherText",
    "publisherShare": "publisherText",
    "franchiseeShare": "franchiseeText",
}  # fmt: skip - a table


def agreements(output: Output = Form.TABLE) -> None:
    """List agreements, latest first.

    Examples:

        catalyst billing franchise agreements -o json
    """
    with Api(context()) as api:
        rows = api.pages("/v1/billing/agreements", "agreements")
    show(output, {"agreements": rows}, COLUMNS, rows)


def agree(
    sovereign: Annotated[str, typer.Argument(help="Sovereign, sovereigns/ID.")],
    share_bps: Annotated[int, typer.Option(help="Publisher's share in hundredths of a percent.")],
    since: Annotated[str, typer.Option("--from", help="First moment, such as 2026-01-01T00:00:00Z.")],
    currency: Annotated[str, typer.Option(help="ISO 4217 code.")] = "OMR",
    basis: Annotated[str, typer.Option(help="What it is taken from: gross or net.")] = "gross",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Make every check, store nothing.")] = False,
    output: Output = Form.TABLE,
) -> None:
    """Make an agreement.

    Examples:

        catalyst billing franchise agree sovereigns/omantel --share-bps 3000 --from 2026-01-01T00:00:00Z
    """
    wish = {
        "sovereign": sovereign, "shareBps": share_bps, "validFromTime": since, "currency": currency,
        "basis": f"BASIS_{basis.upper()}",
    }  # fmt: skip
    query = {"requestId": new_request_id(), "validateOnly": str(dry_run).lower()}
    with Api(context()) as api:
        show(output, api.post("/v1/billing/agreements", wish, query=query), COLUMNS)


def statements(output: Output = Form.TABLE) -> None:
    """List statements, latest month first.

    Examples:

        catalyst billing franchise statements
    """
    with Api(context()) as api:
        rows = api.pages("/v1/billing/statements", "statements")
    show(output, {"statements": rows}, STATEMENTS, [shown(row, **_AMOUNTS) for row in rows])


def state(
    month: Annotated[str, typer.Argument(help="Month that has ended, YYYY-MM.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show it, issue nothing.")] = False,
    output: Output = Form.TABLE,
) -> None:
    """Issue the statement of a month; one that was issued is shown again.

    Examples:

        catalyst billing franchise state 2026-01 -o yaml
    """
    wish = {"month": month, "validateOnly": dry_run}
    with Api(context()) as api:
        made = api.post("/v1/billing/statements:issue", wish, once=new_request_id())
    show(output, made, STATEMENTS, [shown(made, **_AMOUNTS)])
