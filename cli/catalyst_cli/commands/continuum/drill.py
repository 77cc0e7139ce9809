"""`catalyst continuum drill`."""

import asyncio
from enum import StrEnum
from typing import Annotated, Any

import typer

from catalyst_cli.commands.dev.asking import Folder, asked
from catalyst_cli.drills.client import NotReady
from catalyst_cli.drills.house import House
from catalyst_cli.drills.kill import kill
from catalyst_cli.drills.move import dry_run, game_day
from catalyst_cli.drills.report import Report
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
PLANNED = {"STEP": "number", "PHASE": "phase", "EXECUTOR": "executor", "SECONDS": "estimatedDuration"}


class Kind(StrEnum):
    """Values of `--kind`."""

    DRY_RUN = "dry-run"
    GAME_DAY = "game-day"
    KILL = "kill"


def drill(
    slot: Annotated[str, typer.Argument(help="NAMESPACE/NAME of the slot.", metavar="SLOT")],
    kind: Annotated[Kind, typer.Option(help="dry-run: the plan alone; game-day: there and back; kill: a region dies.")],
    data_dir: Folder = None,
    output: Output = Form.TABLE,
) -> None:
    """Rehearse a move while a client writes by the public name; fails unless all is as promised.

    Examples:

        catalyst continuum drill demo/shop --kind dry-run

        catalyst continuum drill demo/shop --kind game-day

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
        if kind is Kind.DRY_RUN:
            _planned(asyncio.run(dry_run(house)), output)
            return
        reports = asyncio.run(_rehearsed(house, kind))
    except NotReady as error:
        raise Failure(str(error), next_step=f"read the logs in {house.status['folder']}/logs") from error
    summaries = [report.summary() for report in reports]
    show(output, summaries[0] if len(summaries) == 1 else summaries, COLUMNS, [_shown(one) for one in summaries])
    for one in summaries:
        err.print("  ".join(f"{name} {took}" for name, took in one["phases"].items()), markup=False)
    faults = [fault for one in summaries for fault in one["faults"]]
    for fault in faults:
        err.print(f"not as promised: {fault}", markup=False)
    if faults:
        raise typer.Exit(1)


async def _rehearsed(house: House, kind: Kind) -> list[Report]:
    if kind is Kind.GAME_DAY:
        return await game_day(house, tell=_tell)
    return [await kill(house, promised=house.demo["rto_promised"], tell=_tell)]


def _shown(summary: dict[str, Any]) -> dict[str, Any]:
    # A table leaves an empty place for what is nothing, and a zero is what is hoped for here.
    return {name: value if value is None else str(value) for name, value in summary.items()}


def _planned(plan: dict[str, Any], output: Form) -> None:
    show(output, plan, PLANNED, plan["steps"])
    for words in ("warnings", "blockers"):
        for line in plan.get(words, ()):
            err.print(f"{words[:-1]}: {line}", markup=False)
    if plan.get("blockers"):
        raise typer.Exit(1)


def _tell(line: str) -> None:
    err.print(line, markup=False)
