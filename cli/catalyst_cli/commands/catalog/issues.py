"""`catalyst catalog issues` and `catalyst catalog retry`."""

from typing import Annotated

import typer

from catalyst_cli.api import Api, new_request_id
from catalyst_cli.commands.catalog.names import source
from catalyst_cli.context import context
from catalyst_cli.output import Form, Output, show

COLUMNS = {
    "REF": "ref", "STAGE": "stage", "REASON": "reason", "MESSAGE": "message", "TRIES": "attempts", "NAME": "name",
}  # fmt: skip


def issues(
    name: Annotated[str, typer.Argument(help="The source; `-` for all of yours.")] = "-",
    reason: Annotated[str, typer.Option(help="Only this reason, such as DIGEST_CHANGED.")] = "",
    output: Output = Form.TABLE,
) -> None:
    """List what did not come through, the latest first.

    Examples:

        catalyst catalog issues

        catalyst catalog issues public --reason NAME_MISMATCH --output json
    """
    with Api(context()) as api:
        rows = api.pages(f"/v1/catalog/{source(name)}/issues", "issues", reason=reason)
    show(output, {"issues": rows}, COLUMNS, rows)


def retry(
    name: Annotated[str, typer.Argument(help="The issue, sources/…/issues/….")], output: Output = Form.TABLE
) -> None:
    """Take an item up again at once.

    Examples:

        catalyst catalog retry sources/public/issues/0123456789abcdef
    """
    with Api(context()) as api:
        show(output, api.post(f"/v1/catalog/{name}:retry", once=new_request_id()), COLUMNS)
