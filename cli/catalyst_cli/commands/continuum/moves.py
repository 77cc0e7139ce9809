"""`catalyst continuum switchover`, `failover`, `failback`, `force-takeover`."""

from typing import Annotated, Any

import typer

from catalyst_cli.api import Api, new_request_id
from catalyst_cli.commands.continuum import runs
from catalyst_cli.commands.continuum.names import Slot, path_of, short
from catalyst_cli.confirm import confirm
from catalyst_cli.context import context
from catalyst_cli.output import Form, Output, err

To = Annotated[str, typer.Option("--to", help="Region that takes over. Default: the first fit one.")]
Reason = Annotated[str, typer.Option(help="Why, for audit and history.")]
Epoch = Annotated[int, typer.Option(help="Epoch that was seen; another one now refuses. Default: as it is now.")]
Plan = Annotated[str, typer.Option(help="Fingerprint of the plan that was read. Default: planned anew.")]
Loss = Annotated[bool, typer.Option("--accept-data-loss", help="Accept loss beyond rpo, by name.")]
Wait = Annotated[bool, typer.Option(help="Follow the run to its end.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Make every check, write nothing.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
RequestId = Annotated[str, typer.Option(help="UUID4 of this wish, for a safe repeat. Default: a new one.")]


def switchover(
    slot: Slot, to: To = "", reason: Reason = "", epoch: Epoch = 0, plan: Plan = "", wait: Wait = True,
    dry_run: DryRun = False, yes: Yes = False, request_id: RequestId = "", output: Output = Form.TABLE,
) -> None:  # fmt: skip
    """Move the primary to another region, planned: fence, hand over, promote, then the names.

    Examples:

        catalyst continuum switchover demo/shop --to sb-west-rtz-dev

        catalyst continuum switchover demo/shop --dry-run --output json
    """
    wish = {"kind": "RUN_KIND_SWITCHOVER", "toRegion": to, "reason": reason, "planFingerprint": plan}
    _start(slot, wish, epoch, request_id, output, wait=wait, dry_run=dry_run, yes=yes)


def failover(
    slot: Slot, to: To = "", reason: Reason = "", epoch: Epoch = 0, plan: Plan = "", accept_data_loss: Loss = False,
    force: Annotated[bool, typer.Option("--force", help="Do not wait for the holder's silence.")] = False,
    wait: Wait = True, dry_run: DryRun = False, yes: Yes = False, request_id: RequestId = "",
    output: Output = Form.TABLE,
) -> None:  # fmt: skip
    """Take the slot from a region that is gone.

    Examples:

        catalyst continuum failover demo/shop --to sb-west-rtz-dev --reason "east is dark"

        catalyst continuum failover demo/shop --accept-data-loss --yes
    """
    wish = {
        "kind": "RUN_KIND_FAILOVER", "toRegion": to, "reason": reason, "planFingerprint": plan, "force": force,
        "acceptDataLoss": accept_data_loss,
    }  # fmt: skip
    _start(slot, wish, epoch, request_id, output, wait=wait, dry_run=dry_run, yes=yes)


def failback(
    slot: Slot, reason: Reason = "", epoch: Epoch = 0, plan: Plan = "", wait: Wait = True, dry_run: DryRun = False,
    yes: Yes = False, request_id: RequestId = "", output: Output = Form.TABLE,
) -> None:  # fmt: skip
    """Move the primary back to the preferred region. Nothing ever does so by itself.

    Examples:

        catalyst continuum failback demo/shop --reason "east is mended"
    """
    wish = {"kind": "RUN_KIND_FAILBACK", "reason": reason, "planFingerprint": plan}
    _start(slot, wish, epoch, request_id, output, wait=wait, dry_run=dry_run, yes=yes)


def force_takeover(
    slot: Slot,
    to: Annotated[str, typer.Option("--to", help="Region to make primary.")],
    reason: Annotated[str, typer.Option(help="Why; shown to the approvers and in the audit.")],
    epoch: Epoch = 0,
    unwitnessed: Annotated[bool, typer.Option("--unwitnessed", help="Go on without a majority of cells.")] = False,
    accept_data_loss: Loss = False,
    wait: Wait = True,
    dry_run: DryRun = False,
    yes: Yes = False,
    request_id: RequestId = "",
    output: Output = Form.TABLE,
) -> None:
    """Break the glass: make a region primary although checks forbid it. Two others must approve, one a security officer.

    Examples:

        catalyst continuum force-takeover demo/shop --to sb-west-rtz-dev --reason "east burnt down" --unwitnessed
    """
    api, path = Api(context()), path_of(slot)
    now = _now(api, path)
    asked = epoch or (0 if unwitnessed else now["epoch"])
    err.print(f"{short(path)}: {now['holder'] or 'nobody'} holds it in epoch {now['epoch'] or 'unknown'}", markup=False)
    if not dry_run:
        confirm(
            f"Make {to} primary against the checks? Writes of {now['holder'] or 'the holder'} may be lost.", yes=yes
        )
    wish = {
        "toRegion": to, "reason": reason, "expectedEpoch": asked, "unwitnessed": unwitnessed,
        "acceptDataLoss": accept_data_loss, "validateOnly": dry_run,
    }  # fmt: skip
    operation = api.post(f"/v1/{path}:forceTakeover", wish, once=request_id or new_request_id())
    _show(api, operation, output, wait=wait, dry_run=dry_run)


def _start(
    slot: str, wish: dict[str, Any], epoch: int, request_id: str, output: Form, *, wait: bool, dry_run: bool, yes: bool
) -> None:
    api, path = Api(context()), path_of(slot)
    now = _now(api, path)
    kind, to = wish["kind"].removeprefix("RUN_KIND_").lower(), wish.get("toRegion") or "the first fit region"
    err.print(f"{short(path)}: {now['holder'] or 'nobody'} holds it in epoch {now['epoch'] or 'unknown'}", markup=False)
    if not dry_run:
        confirm(f"{kind.capitalize()} to {to}? Writes stop until it is done.", yes=yes)
    body = {**wish, "expectedEpoch": epoch or now["epoch"], "validateOnly": dry_run}
    operation = api.post(f"/v1/{path}/runs", body, once=request_id or new_request_id())
    _show(api, operation, output, wait=wait, dry_run=dry_run)


def _show(api: Api, operation: dict[str, Any], output: Form, *, wait: bool, dry_run: bool) -> None:
    if dry_run:
        err.print("every check passes; nothing was written", markup=False)
        return
    runs.finish(api, runs.of_operation(operation), output, wait=wait)


def _now(api: Api, path: str) -> dict[str, Any]:
    status = api.get(f"/v1/{path}").get("status", {})
    return {"holder": status.get("leaseHolder", ""), "epoch": int(status.get("epoch", 0))}
