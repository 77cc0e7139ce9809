"""`catalyst zone dnssec`."""

from typing import Annotated, Any

import typer

from catalyst_cli.api import Api, new_request_id
from catalyst_cli.commands.zone.names import Zone, path_of
from catalyst_cli.commands.zone.operations import finish
from catalyst_cli.confirm import confirm
from catalyst_cli.context import context
from catalyst_cli.output import Form, Output, show

COLUMNS = {"NAME": "name", "STATE": "state", "STEP": "rollStep", "KEYS": "tags", "DS": "wanted", "PARENT HAS": "seen"}
Wait = Annotated[bool, typer.Option(help="Follow it to its end; every step waits for a time to live.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
RequestId = Annotated[str, typer.Option(help="UUID4; repeating it has one effect.")]


def show_dnssec(zone: Zone, output: Output = Form.TABLE) -> None:
    """Keys of a zone, the DS to enter at its registrar, what its parent shows, and the step of a roll.

    Examples:

        catalyst zone dnssec show acme.example

        catalyst zone dnssec show acme.example --output json
    """
    answer = Api(context()).get(f"/v1/{path_of(zone)}/dnssec")
    show(output, answer, COLUMNS, [_row(answer)])


def roll(
    zone: Zone, wait: Wait = False, yes: Yes = False, request_id: RequestId = "", output: Output = Form.TABLE
) -> None:
    """Exchange the key of a zone without one moment in which it does not validate.

    Examples:

        catalyst zone dnssec roll acme.example --yes

        catalyst zone dnssec roll acme.example --wait --output json
    """
    confirm(f"Exchange the key of {zone}?", yes=yes)
    api = Api(context())
    begun = api.post(f"/v1/{path_of(zone)}/dnssec:rollKey", {}, once=request_id or new_request_id())
    show(output, finish(api, begun, wait=wait), {"NAME": "name"})


def disable(
    zone: Zone,
    reason: Annotated[str, typer.Option(help="Why, for the audit.")],
    wait: Wait = False,
    yes: Yes = False,
    request_id: RequestId = "",
    output: Output = Form.TABLE,
) -> None:
    """Take the DS out, wait until nobody expects signatures, then drop the keys.

    Examples:

        catalyst zone dnssec disable acme.example --reason "moves to another host"

        catalyst zone dnssec disable acme.example --reason "moves away" --wait --yes
    """
    confirm(f"Take the signatures of {zone} away?", yes=yes)
    api = Api(context())
    body = {"reason": reason}
    begun = api.post(f"/v1/{path_of(zone)}/dnssec:disable", body, once=request_id or new_request_id())
    show(output, finish(api, begun, wait=wait), {"NAME": "name"})


def _row(answer: dict[str, Any]) -> dict[str, Any]:
    keys = [f"{key.get('keyTag', 0)}{'' if key.get('active') else ' (shown)'}" for key in answer.get("keys", ())]
    return {**answer, "tags": keys, "wanted": _ds(answer.get("ds", ())), "seen": _ds(answer.get("dsObserved", ()))}


def _ds(records: Any) -> list[str]:
    return [f"{r.get('keyTag')} {r.get('algorithm')} {r.get('digestType')} {r.get('digest')}" for r in records]
