"""What `catalyst continuum drill` does: it asks the dev, rehearses, and shows what came of it."""

import asyncio
from typing import Any

import typer

from catalyst_cli.failures import Failure
from catalyst_cli.output import Form, err, show

from .client import NotReady
from .house import House
from .kill import kill
from .kinds import Kind
from .move import dry_run, game_day, isolated
from .report import Report

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
TRIED = {"REGION": "region", "EPOCH": "epoch", "ACKED MEANWHILE": "acked_meanwhile", "LOST": "lost"}
PLANNED = {"STEP": "number", "PHASE": "phase", "EXECUTOR": "executor", "SECONDS": "estimatedDuration"}


def rehearse(slot: str, kind: Kind, status: Any, output: Form) -> None:
    """Rehearse a move of `slot` in a dev. Raises Failure; typer.Exit(1) where all is not as promised."""
    house = House(status)
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
        if kind is Kind.ISOLATED:
            _tried(asyncio.run(isolated(house)), output)
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


def _tried(found: dict[str, Any], output: Form) -> None:
    show(output, found, TRIED, [_shown(found)])
    err.print("  ".join(f"{phase} {took}" for phase, took in found["phases"].items()), markup=False)
    if found["lost"] or found["moved"]:
        err.print(f"not as promised: {found['lost']} acknowledged writes are lost, or the slot moved", markup=False)
        raise typer.Exit(1)


def _planned(plan: dict[str, Any], output: Form) -> None:
    show(output, plan, PLANNED, plan["steps"])
    for words in ("warnings", "blockers"):
        for line in plan.get(words, ()):
            err.print(f"{words[:-1]}: {line}", markup=False)
    if plan.get("blockers"):
        raise typer.Exit(1)


def _tell(line: str) -> None:
    err.print(line, markup=False)
