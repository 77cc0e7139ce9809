"""`catalyst zone propagation`."""

from typing import Annotated, Any

import typer

from catalyst_cli.api import Api
from catalyst_cli.commands.zone.names import Zone, path_of
from catalyst_cli.context import context
from catalyst_cli.failures import EXIT_CODES, Failure
from catalyst_cli.output import Form, Output, err, show

COLUMNS = {
    "ROLE": "role", "SERVER": "server", "ADDRESS": "address", "VERDICT": "said", "SERIAL": "serial", "MS": "rttMs",
}  # fmt: skip


def propagation(
    zone: Zone,
    seconds: Annotated[float, typer.Option(help="Time for the whole check, 10 at most.")] = 10.0,
    output: Output = Form.TABLE,
) -> None:
    """Ask every server of a zone and of its parent, all at once; fails where they do not agree.

    Examples:

        catalyst zone propagation acme.example

        catalyst zone propagation acme.example --seconds 5 --output json
    """
    seen: list[dict[str, Any]] = []
    summary: dict[str, Any] = {}
    for _, _, data in Api(context()).stream(f"/v1/{path_of(zone)}/propagation", timeout=f"{seconds}s"):
        if "summary" in data:
            summary = data["summary"]
        elif "observation" in data:
            seen.append(_named(data["observation"]))
            err.print(
                "{role} {server} {address}: {said}".format(**{"server": "", "address": "", **seen[-1]}), markup=False
            )
    if not summary:
        raise Failure("the check was cut short", next_step="ask again", exit_code=EXIT_CODES["UNAVAILABLE"])
    show(output, {"observations": seen, "summary": summary}, COLUMNS, seen)
    is_whole = bool(summary.get("delegated")) and bool(summary.get("consistent"))
    err.print(
        f"{summary.get('ok', 0)} of {summary.get('asked', 0)} servers as wished; delegated: "
        f"{summary.get('delegated', False)}, consistent: {summary.get('consistent', False)}",
        markup=False,
    )
    if not is_whole:
        raise typer.Exit(1)


def _named(one: dict[str, Any]) -> dict[str, Any]:
    """With the words of the contract as people say them."""
    role, said = one.get("zoneRole", ""), one.get("verdict", "")
    return {**one, "role": role.removeprefix("ZONE_ROLE_").lower(), "said": said.removeprefix("VERDICT_").lower()}
