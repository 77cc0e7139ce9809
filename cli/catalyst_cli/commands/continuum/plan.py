"""`catalyst continuum plan`."""

from enum import StrEnum
from typing import Annotated, Any

import typer

from catalyst_cli.api import Api
from catalyst_cli.context import context
from catalyst_cli.output import Form, Output, err, show

from .names import Slot, path_of

COLUMNS = {
    "": "number",
    "STEP": "phase",
    "REGION": "executor",
    "READY": "ready",
    "TAKES": "estimatedDuration",
    "WHAT": "notes",
}


class Kind(StrEnum):
    """What a run is for."""

    SWITCHOVER = "switchover"
    FAILOVER = "failover"
    FAILBACK = "failback"
    DRILL_ISOLATED = "drill-isolated"
    GAME_DAY = "game-day"

    @property
    def api(self) -> str:
        """As the API names it."""
        return f"RUN_KIND_{self.name}"


def plan(
    slot: Slot,
    kind: Annotated[Kind, typer.Option(help="What the run would be for.")] = Kind.SWITCHOVER,
    to: Annotated[str, typer.Option(help="Region that would take. Default: the first fit standby.")] = "",
    accept_data_loss: Annotated[
        bool, typer.Option("--accept-data-loss", help="Plan as if loss were accepted.")
    ] = False,
    output: Output = Form.TABLE,
) -> None:
    """Make every check and the plan of a run, without any effect; fails where something stands in its way.

    Examples:

        catalyst continuum plan demo/shop

        catalyst continuum plan demo/shop --kind failover --to sb-west-rtz-dev --output json
    """
    wish = {"kind": kind.api, "toRegion": to, "acceptDataLoss": accept_data_loss}
    report: dict[str, Any] = Api(context()).post(f"/v1/{path_of(slot)}:plan", wish)
    steps = [
        row | {"ready": row.get("preconditionsMet", False), "notes": "; ".join(row["notes"])} for row in report["steps"]
    ]
    show(output, report, COLUMNS, steps)
    err.print(
        f"{report['fromRegion']} -> {report['toRegion']}, epoch {report.get('epoch', 'unknown')}, "
        f"about {report['estimatedWriteDisruption']} without writes, plan {report['planFingerprint']}",
        markup=False,
    )
    for warning in report.get("warnings", []):
        err.print(f"warning: {warning}", markup=False)
    for blocker in report.get("blockers", []):
        err.print(f"blocked: {blocker}", markup=False)
    if report.get("blockers"):
        raise typer.Exit(1)
