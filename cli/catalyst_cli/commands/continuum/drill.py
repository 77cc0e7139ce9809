"""`catalyst continuum drill`."""

import asyncio
from enum import StrEnum
from typing import Annotated, Any

import typer

from catalyst_cli.commands.dev.asking import Folder, asked
from catalyst_cli.drills.house import House
from catalyst_cli.drills.kill import NotReady, kill
from catalyst_cli.failures import Failure
from catalyst_cli.output import Form, Output, err, show

COLUMNS = {
    "REGION": "region",
    "EPOCH": "epoch",
    "RTO": "rto_seconds",
    "PROMISED": "rto_promised_seconds",
    "NO WRITES": "write_disruption_seconds",
    "ACKED": "acked",
    "LOST": "lost",
    "OVERLAPS": "overlaps",
}  # fmt: skip - one table


class Kind(StrEnum):
    """Values of `--kind`."""

    KILL = "kill"


def drill(
    slot: Annotated[str, typer.Argument(help="NAMESPACE/NAME of the slot.", metavar="SLOT")],
    kind: Annotated[Kind, typer.Option(help="kill: the holder's region dies (on `catalyst dev --regions` only).")],
    data_dir: Folder = None,
    output: Output = Form.TABLE,
) -> None:
    """Rehearse a move while a client writes by the public name; fails unless all is as promised.

    Examples:

        catalyst continuum drill demo/shop --kind kill
    """
    house = House(asked(data_dir, "status"))
    if not house.status.get("demo") or house.demo["slot"] != slot:
        raise Failure(
            f"{slot} is not the slot of this dev",
            why="only its own regions are killed",
            next_step="catalyst dev --regions",
            exit_code=4,
        )  # fmt: skip - one call
    try:
        report = asyncio.run(
            kill(house, promised=house.demo["rto_promised"], tell=lambda line: err.print(line, markup=False))
        )
    except NotReady as error:
        raise Failure(str(error), next_step=f"read the logs in {house.status['folder']}/logs") from error
    summary: dict[str, Any] = report.summary()
    show(output, summary, COLUMNS)
    err.print("  ".join(f"{name} {took}" for name, took in summary["phases"].items()), markup=False)
    for fault in summary["faults"]:
        err.print(f"not as promised: {fault}", markup=False)
    if summary["faults"]:
        raise typer.Exit(1)
