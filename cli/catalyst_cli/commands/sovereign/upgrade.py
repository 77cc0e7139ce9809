"""`catalyst sovereign upgrade`."""

from typing import Annotated, Any

import typer

from catalyst_cli.api import Api, new_request_id
from catalyst_cli.commands.sovereign import plans, runs
from catalyst_cli.commands.sovereign.files import resource
from catalyst_cli.commands.sovereign.get import Name
from catalyst_cli.commands.sovereign.showing import show_sovereign
from catalyst_cli.confirm import confirm
from catalyst_cli.context import context
from catalyst_cli.output import Form, Output, err, show

PLANS = {"NAME": "name", "RELEASE": "inputs.release", "APPLICABLE": "applicable", "HASH": "hash"}


def upgrade(
    name: Name,
    channel: Annotated[str, typer.Option(help="Release channel to follow from now on: canary, ring1, …, stable.")] = "",
    k3s: Annotated[str, typer.Option(help="Version of k3s for all clusters, one minor further at most.")] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the plan, store and change nothing.")] = False,
    wait: Annotated[bool, typer.Option(help="Follow the run to its end.")] = True,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    output: Output = Form.TABLE,
) -> None:
    """Take the versions of the Sovereign's release channel, or the newest where channels hold nothing. Nothing goes back.

    Examples:

        catalyst sovereign upgrade omantel --dry-run

        catalyst sovereign upgrade omantel --channel canary --yes --output json
    """
    api, full = Api(context()), resource(name)
    wish = _wish(api.get(f"/v1/{full}")["spec"], channel, k3s)
    body = {"intent": "INTENT_UPGRADE", "validateOnly": dry_run, **({"spec": wish} if wish else {})}
    plan = api.post(f"/v1/{full}/plans", body, once=new_request_id())
    if not dry_run or output is Form.TABLE:
        plans.summary(plan)
    if dry_run and output is not Form.TABLE:
        show(output, plan, PLANS)
    plans.require_applicable(plan)
    if dry_run:
        return
    if plan.get("empty"):
        err.print(f"{full} has what its channel holds; there is nothing to do", markup=False)
    else:
        confirm(f"Upgrade {full}?", yes=yes)
        runs.finish(api, runs.apply(api, plan), wait=wait)
    show_sovereign(output, api.get(f"/v1/{full}"))


def _wish(spec: dict[str, Any], channel: str, k3s: str) -> dict[str, Any] | None:
    """The spec with what was named in it; None where nothing was."""
    if not channel and not k3s:
        return None
    release = {"release": {**spec.get("release", {}), "channel": channel}} if channel else {}
    clusters = [{**row, "k3sVersion": k3s} if k3s else row for row in spec["clusters"]]
    return {**spec, **release, "clusters": clusters}
