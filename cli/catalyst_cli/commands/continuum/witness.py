"""`catalyst continuum witness verify`."""

from typing import Annotated, Any

import typer

from catalyst_cli.api import Api, new_request_id
from catalyst_cli.commands.continuum.names import Slot, path_of
from catalyst_cli.context import context
from catalyst_cli.output import Form, Output, err, show

COLUMNS = {"CELL": "name", "PASSED": "passed", "CASES": "cases", "IDENTITY": "identity", "FAILURES": "failures"}


def verify(
    slot: Slot,
    cell: Annotated[list[str] | None, typer.Option(help="Cell to ask; may be given again. Default: all.")] = None,
    output: Output = Form.TABLE,
) -> None:
    """Ask the cells of a slot's witness for one compare-and-swap in all its cases; fails where they are not safe together.

    Examples:

        catalyst continuum witness verify omantel

        catalyst continuum witness verify demo/shop --cell cell-1 --output json
    """
    answer = Api(context()).post(f"/v1/{path_of(slot)}:verifyWitness", {"cells": cell or []}, once=new_request_id())
    report: dict[str, Any] = answer["response"]
    cells = [{**row, "passed": row.get("passed", False)} for row in report.get("cells", [])]
    show(output, report, COLUMNS, cells)
    for finding in report.get("findings", []):
        err.print(finding, markup=False)
    if not report.get("safe", False):
        err.print("these cells must not keep a register", markup=False)
        raise typer.Exit(1)
