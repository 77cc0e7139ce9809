"""`catalyst catalog seed`."""

from typing import Annotated

import typer

from catalyst_cli.api import Api, new_request_id
from catalyst_cli.context import context
from catalyst_cli.output import Form, Output, show

COLUMNS = {"OFFER": "name", "NOW": "now"}


def seed(
    look: Annotated[bool, typer.Option("--validate-only", help="Show what it would do; write nothing.")] = False,
    output: Output = Form.TABLE,
) -> None:
    """Bring this release's plans, add-ons, apps, bundles and industries in. What was edited or deleted since stays.

    Examples:

        catalyst catalog seed --validate-only

        catalyst catalog seed
    """
    with Api(context()) as api:
        body = {"validate_only": True} if look else {}
        told = api.post("/v1/catalog:importSeed", body, once=new_request_id())
    rows = [{"name": name, "now": "as seeded"} for name in told.get("changed", [])]
    rows += [{"name": name, "now": "as edited here"} for name in told.get("kept", [])]
    if book := told.get("priceBook"):
        rows.append({"name": book, "now": "published"})
    show(output, told, COLUMNS, rows)
