"""`catalyst continuum suspend`, `resume`, `ack`."""

import time
from typing import Annotated, Any

import typer

from catalyst_cli.api import Api, new_request_id
from catalyst_cli.commands.continuum.names import Slot, path_of
from catalyst_cli.commands.continuum.rows import COLUMNS, row
from catalyst_cli.context import context
from catalyst_cli.failures import EXIT_CODES, Failure
from catalyst_cli.output import Form, Output, err, show

Reason = Annotated[str, typer.Option(help="Why, for the audit.")]
Wait = Annotated[bool, typer.Option(help="Wait until the register is as wished.")]
RequestId = Annotated[str, typer.Option(help="UUID4 of this wish, for a safe repeat. Default: a new one.")]
PATIENCE = 60.0
PAUSE = 0.3


def suspend(
    slot: Slot, reason: Reason = "", wait: Wait = True, request_id: RequestId = "", output: Output = Form.TABLE
) -> None:
    """Freeze a slot: nobody claims it, its holder goes on.

    Examples:

        catalyst continuum suspend demo/shop --reason "new cells"

        catalyst continuum suspend demo/shop --no-wait --output json
    """
    _say(slot, "suspend", reason, request_id, output, until=True if wait else None)


def resume(
    slot: Slot, reason: Reason = "", wait: Wait = True, request_id: RequestId = "", output: Output = Form.TABLE
) -> None:
    """Thaw a slot again.

    Examples:

        catalyst continuum resume demo/shop
    """
    _say(slot, "resume", reason, request_id, output, until=False if wait else None)


def ack(
    slot: Slot,
    epoch: Annotated[int, typer.Option(help="Epoch that was seen; another one now refuses. Default: any.")] = 0,
    comment: Annotated[str, typer.Option(help="Remark for the audit.")] = "",
    request_id: RequestId = "",
    output: Output = Form.TABLE,
) -> None:
    """Say that the last failovers were seen, so that the slot may move by itself again.

    Examples:

        catalyst continuum ack demo/shop --epoch 7 --comment "power cut, mended"
    """
    body = {"expectedEpoch": epoch, "comment": comment}
    found = Api(context()).post(f"/v1/{path_of(slot)}:acknowledge", body, once=request_id or new_request_id())
    show(output, found, COLUMNS, [row(found)])


def _say(slot: str, verb: str, reason: str, request_id: str, output: Form, *, until: bool | None) -> None:
    api, path = Api(context()), path_of(slot)
    found = api.post(f"/v1/{path}:{verb}", {"reason": reason}, once=request_id or new_request_id())
    if until is not None:
        found = _reached(api, path, frozen=until)
    show(output, found, COLUMNS, [row(found)])


def _reached(api: Api, path: str, *, frozen: bool) -> dict[str, Any]:
    deadline = time.monotonic() + PATIENCE
    while True:
        found = api.get(f"/v1/{path}")
        state = (found.get("register") or {}).get("state", "")
        if not state and int((found.get("status") or {}).get("epoch", 0)) == 0:
            err.print("nobody has written to the register yet", markup=False)
            return found
        if state and (state == "STATE_FROZEN") is frozen:
            return found
        if time.monotonic() > deadline:
            raise Failure(
                f"the register is not {'frozen' if frozen else 'thawed'} yet; the wish stays",
                why="no majority of cells answers" if not state else f"it is {state.removeprefix('STATE_')}",
                next_step="catalyst continuum get SLOT", exit_code=EXIT_CODES["UNAVAILABLE"],
            )  # fmt: skip
        time.sleep(PAUSE)
