"""`catalyst zone plan`."""

from typing import Annotated, Any

import typer

from catalyst_cli.api import Api, new_request_id
from catalyst_cli.commands.zone.names import Zone, path_of
from catalyst_cli.context import context
from catalyst_cli.failures import Failure
from catalyst_cli.output import Form, Output, err, show

COLUMNS = {"ACTION": "action", "CHANGE": "sentence"}
_NEEDED = 4
"""Words of a wish to put a set: name, ttl, type, and one value at least."""


def plan(
    zone: Zone,
    put: Annotated[
        list[str], typer.Option(help="`NAME TTL TYPE VALUE`; several of one name and type are one set.")
    ] = [],  # noqa: B006 - typer reads the default and keeps it
    delete: Annotated[list[str], typer.Option(help="`NAME TYPE`.")] = [],  # noqa: B006 - as above
    from_import: Annotated[str, typer.Option("--import", help="An import to take over, zones/…/imports/….")] = "",
    accept_partial: Annotated[bool, typer.Option(help="The import may have missed records, and that is fine.")] = False,
    confirm_removal: Annotated[list[str], typer.Option(help="`NAME TYPE` of a mail record that may go.")] = [],  # noqa: B006 - as above
    take_over: Annotated[bool, typer.Option(help="Take records over that somebody else keeps.")] = False,
    output: Output = Form.TABLE,
) -> None:
    """Say what changes mean for a zone. Nothing is written; apply the plan by its name and hash within the hour.

    Examples:

        catalyst zone plan acme.example --put "www 300 A 192.0.2.1"

        catalyst zone plan acme.example --delete "old A" --output json

        catalyst zone plan acme.example \\
            --import zones/acme.example/imports/0199c0de --accept-partial
    """
    body: dict[str, Any] = {"requestId": new_request_id(), "takeOver": take_over, "acceptPartial": accept_partial}
    if from_import:
        body["import"] = from_import
    else:
        body["changes"] = [*_sets(put), *(_gone(text) for text in delete)]
    if confirm_removal:
        body["confirmedRemovals"] = [_key(text) for text in confirm_removal]
    with Api(context()) as api:
        made = api.post(f"/v1/{path_of(zone)}/plans", body)
    show(output, made, COLUMNS, made.get("changes", []) if output is Form.TABLE else None)
    if output is Form.TABLE:
        summary(made)


def summary(made: dict[str, Any]) -> None:
    """Findings, and how the plan is applied."""
    for finding in made.get("safety", ()):
        lifts = f"--force {finding['rule']}" if finding.get("forceable") else "not to be forced"
        refused = f"refused ({lifts})" if finding.get("refused") else "note"
        err.print(f"{finding['rule']}: {refused}: {finding['detail']}", markup=False)
    err.print(f"to apply it: catalyst zone apply {made['name']} --hash {made['hash']}", markup=False)


def _sets(wishes: list[str]) -> list[dict[str, Any]]:
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for text in wishes:
        words = text.split(None, _NEEDED - 1)
        if len(words) < _NEEDED or not words[1].isdigit():
            raise Failure(f"{text!r} is not `NAME TTL TYPE VALUE`", exit_code=2)
        name, ttl, kind, value = words
        one = found.setdefault(
            (name, kind.upper()), {"name": name, "type": kind.upper(), "ttl": f"{ttl}s", "values": []}
        )
        one["values"].append(value)
    return [{"action": "ACTION_UPSERT", "recordSet": one} for one in found.values()]


def _gone(text: str) -> dict[str, Any]:
    return {"action": "ACTION_DELETE", "recordSet": _key(text)}


def _key(text: str) -> dict[str, str]:
    words = text.split()
    if len(words) != 2:
        raise Failure(f"{text!r} is not `NAME TYPE`", exit_code=2)
    return {"name": words[0], "type": words[1].upper()}
