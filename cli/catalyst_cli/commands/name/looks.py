"""`catalyst name list`, `get`, `history`, `wait`: who holds which name, and how far it is."""

from typing import Annotated

import typer

from catalyst_cli.api import Api
from catalyst_cli.commands.name.fqdn import Fqdn, split
from catalyst_cli.context import context
from catalyst_cli.failures import Failure
from catalyst_cli.output import Form, Output, err, show, tell_fallen, word

COLUMNS = {
    "NAME": "fqdn",
    "STATE": "state",
    "OWNER": "owner",
    "HOLDER": "holder",
    "EXPIRES": "expireTime",
    "FREE FROM": "availableTime",
}
HISTORY = {
    "WHEN": "changeTime",
    "EVENT": "event",
    "STATE": "state",
    "OWNER": "owner",
    "BY": "actor",
    "WHY": "reason",
}  # fmt: skip - a table
_LOOK = 30
"""Seconds that one question waits at the server."""


def list_names(
    pool: Annotated[str, typer.Argument(help="Domain of a pool; `-` for all pools.")] = "-",
    filter_: Annotated[str, typer.Option("--filter", help="Over state, owner, holder, fqdn: `state = ACTIVE`.")] = "",
    output: Output = Form.TABLE,
) -> None:
    """List the names that you may see.

    Examples:

        catalyst name list

        catalyst name list omani.works --filter "state = FAILED" -o json
    """
    with Api(context()) as api:
        rows = api.pages(f"/v1/pools/{pool.removeprefix('pools/')}/allocations", "allocations", filter=filter_)
    show(output, {"allocations": rows}, COLUMNS, rows)


def get(fqdn: Fqdn, output: Output = Form.TABLE) -> None:
    """Show a name, who holds it, and what is still on its way in the DNS.

    Examples:

        catalyst name get omantel.omani.works
    """
    with Api(context()) as api:
        answer = api.get(f"/v1/{path_of(fqdn)}")
    show(output, answer, COLUMNS)
    if output is Form.TABLE:
        tell_fallen(answer)


def history(fqdn: Fqdn, output: Output = Form.TABLE) -> None:
    """List what happened to a name, the newest first; also after it is free again.

    Examples:

        catalyst name history omantel.omani.works
    """
    with Api(context()) as api:
        rows = api.pages(f"/v1/{path_of(fqdn)}/history", "entries")
    show(output, {"entries": rows}, HISTORY, rows)


def wait(
    fqdn: Fqdn,
    state: Annotated[
        str, typer.Option(help="State to wait for, such as ACTIVE; default: that nothing is under way.")
    ] = "",
    timeout: Annotated[int, typer.Option(help="Seconds to wait at most.", min=0, max=86400)] = 300,
    output: Output = Form.TABLE,
) -> None:
    """Wait until a name is in a state, or nothing is under way with it. Exit code 1 when the time is over before.

    Examples:

        catalyst name wait acme.omani.works --state ACTIVE
    """
    wished = f"STATE_{state.upper().removeprefix('STATE_')}" if state else ""
    left, answer = timeout, {}
    with Api(context()) as api:
        while True:
            patience = min(left, _LOOK - 5)  # less than the patience of a call
            answer = api.get(f"/v1/{path_of(fqdn)}:wait", state=wished, timeout=f"{patience}s")
            left -= patience
            if _is_there(answer["state"], wished) or left <= 0:
                break
            err.print(f"{answer['fqdn']}: {word(answer['state'])}", markup=False)
    show(output, answer, COLUMNS)
    if not _is_there(answer["state"], wished):
        tell_fallen(answer)
        raise Failure(f"{answer['fqdn']} is still {word(answer['state'])}", next_step=f"catalyst name get {fqdn}")


def path_of(fqdn: str) -> str:
    """The resource name of a name."""
    pool, label = split(fqdn)
    return f"{pool}/allocations/{label}"


def _is_there(state: str, wished: str) -> bool:
    return state == wished if wished else state not in ("STATE_PROVISIONING", "STATE_RELEASING")
