"""`catalyst continuum list`, `get`, `watch`."""

from typing import Annotated, Any

import typer

from catalyst_cli.api import Api
from catalyst_cli.commands.continuum import manifests
from catalyst_cli.commands.continuum.names import Slot, path_of
from catalyst_cli.commands.continuum.rows import COLUMNS, row
from catalyst_cli.context import context
from catalyst_cli.failures import EXIT_CODES, Failure
from catalyst_cli.output import Form, Output, err, show

TRIES = 10
"""How often a stream that breaks without a word is begun again."""


def list_slots(
    namespace: Annotated[
        str, typer.Option("--namespace", "-n", help="Namespace. Default: all that may be read.")
    ] = "-",
    filter_: Annotated[str, typer.Option("--filter", help="`phase = HEALTHY AND mode = MANUAL`, say.")] = "",
    output: Output = Form.TABLE,
) -> None:
    """List slots: which region holds each, in which epoch, how far the standbys are.

    Examples:

        catalyst continuum list

        catalyst continuum list --namespace demo --filter "phase = DEGRADED" --output json
    """
    found = Api(context()).pages(f"/v1/namespaces/{namespace}/continuums", "continuums", filter=filter_)
    show(output, found, COLUMNS, [row(slot) for slot in found])


def get(
    slot: Slot,
    manifest: Annotated[bool, typer.Option("--manifest", help="Print its wish as `apply` takes it.")] = False,
    output: Output = Form.TABLE,
) -> None:
    """Show one slot. The conditions that do not hold, or are not known, stand below it.

    Examples:

        catalyst continuum get demo/shop

        catalyst continuum get omantel --output yaml

        catalyst continuum get demo/shop --manifest > shop.yaml
    """
    found = Api(context()).get(f"/v1/{path_of(slot)}")
    if manifest:
        show(Form.JSON if output is Form.JSON else Form.YAML, manifests.written(found), {})
        return
    show(output, found, COLUMNS, [row(found)])
    tell(found)


def watch(slot: Slot, output: Output = Form.TABLE) -> None:
    """Follow a slot: one line for each change. Ctrl-C ends the watch and nothing else.

    Examples:

        catalyst continuum watch demo/shop

        catalyst continuum watch demo/shop --output json
    """
    api, cursor, tries = Api(context()), "", 0
    while tries < TRIES:
        tries += 1
        for _, _, data in api.stream(f"/v1/{path_of(slot)}:watch", cursor=cursor):
            tries, cursor = 0, data.get("cursor", cursor)
            if data.get("continuum"):
                show(output, data["continuum"], COLUMNS, [row(data["continuum"])])
    raise Failure(
        "the watch was cut off again and again", next_step="catalyst doctor", exit_code=EXIT_CODES["UNAVAILABLE"]
    )


def tell(slot: dict[str, Any]) -> None:
    """Say on stderr what does not hold, or is not known."""
    for one in slot.get("conditions", ()):
        if one["status"] != "STATUS_TRUE" and one["type"] not in ("Ready", "Fenced"):
            told = " ".join(
                filter(None, (one["type"], one["status"].removeprefix("STATUS_"), one["reason"], one.get("message")))
            )
            err.print(told, markup=False)
