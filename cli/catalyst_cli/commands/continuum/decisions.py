"""`catalyst continuum run`, `runs`, `approve`, `abort`."""

from typing import Annotated

import typer

from catalyst_cli.api import Api, new_request_id
from catalyst_cli.commands.continuum.names import Run, Slot, path_of, run_path
from catalyst_cli.commands.continuum.rows import RUN_COLUMNS, run_row
from catalyst_cli.context import context
from catalyst_cli.output import Form, Output, show

RequestId = Annotated[str, typer.Option(help="UUID4 of this wish, for a safe repeat. Default: a new one.")]


def run(run: Run, output: Output = Form.TABLE) -> None:
    """Show a run with its steps.

    Examples:

        catalyst continuum run demo/shop/abcdefghij --output json
    """
    found = Api(context()).get(f"/v1/{run_path(run)}")
    show(output, found, RUN_COLUMNS, [run_row(found)])


def runs(slot: Slot, output: Output = Form.TABLE) -> None:
    """List the runs of a slot, newest first.

    Examples:

        catalyst continuum runs demo/shop
    """
    found = Api(context()).pages(f"/v1/{path_of(slot)}/runs", "runs")
    show(output, found, RUN_COLUMNS, [run_row(one) for one in found])


def approve(
    run: Run,
    plan: Annotated[str, typer.Option(help="Fingerprint of the plan that was read.")],
    comment: Annotated[str, typer.Option(help="Remark for the audit.")] = "",
    request_id: RequestId = "",
    output: Output = Form.TABLE,
) -> None:
    """Approve the plan of a run that waits. Whoever asked for the run cannot; each approver counts once.

    Examples:

        catalyst continuum approve demo/shop/abcdefghij --plan 0123456789abcdef
    """
    body = {"planFingerprint": plan, "comment": comment}
    found = Api(context()).post(f"/v1/{run_path(run)}:approve", body, once=request_id or new_request_id())
    show(output, found, RUN_COLUMNS, [run_row(found)])


def abort(
    run: Run,
    reason: Annotated[str, typer.Option(help="Why, for the audit.")] = "",
    request_id: RequestId = "",
    output: Output = Form.TABLE,
) -> None:
    """Take a run back. Possible until the epoch has moved.

    Examples:

        catalyst continuum abort demo/shop/abcdefghij --reason "wrong slot"
    """
    body = {"reason": reason}
    found = Api(context()).post(f"/v1/{run_path(run)}:abort", body, once=request_id or new_request_id())
    show(output, found, RUN_COLUMNS, [run_row(found)])
