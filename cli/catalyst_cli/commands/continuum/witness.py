"""`catalyst continuum witness`: verify, admit."""

from typing import Annotated, Any

import typer

from catalyst_cli.api import Api, new_request_id
from catalyst_cli.commands.continuum.names import Slot, path_of
from catalyst_cli.context import context
from catalyst_cli.output import Form, Output, err, show

COLUMNS = {"CELL": "name", "PASSED": "passed", "CASES": "cases", "IDENTITY": "identity", "FAILURES": "failures"}
ADMITTED = {
    "CELL": "name",
    "REACHABLE": "reachable",
    "QUARANTINED": "quarantined",
    "IDENTITY": "identity",
    "MESSAGE": "message",
}


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


def admit(
    slot: Slot,
    cell: Annotated[str, typer.Argument(help="Cell that forgot, by its name.")],
    incarnation: Annotated[str, typer.Option(help="What the cell shows now, as `witness verify` tells it.")],
    reason: Annotated[str, typer.Option(help="Why, for the audit.")] = "",
    output: Output = Form.TABLE,
) -> None:
    """Let a cell that lost its memory count again for a slot: the committed record is copied to it.

    A cell shows less than it once did when its disk was lost, or set back to a backup. Until it is admitted it counts as down.
    A majority of all cells must answer among the others.

    Examples:

        catalyst continuum witness admit omantel cell-2 --incarnation 1

        catalyst continuum witness admit demo/shop cell-2 --incarnation 2 --reason "restored from a backup"
    """
    body = {"cell": cell, "newIncarnation": incarnation, "reason": reason}
    answer = Api(context()).post(f"/v1/{path_of(slot)}:admitCell", body, once=new_request_id())
    cells = [
        {**row, "reachable": row.get("reachable", False), "quarantined": row.get("quarantined", False)}
        for row in answer.get("status", {}).get("witness", {}).get("cells", [])
    ]
    show(output, answer, ADMITTED, cells)
