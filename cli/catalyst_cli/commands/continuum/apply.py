"""`catalyst continuum apply`."""

from pathlib import Path
from typing import Annotated, Any

import typer

from catalyst_cli.api import Api, Refused, new_request_id
from catalyst_cli.commands.continuum import manifests
from catalyst_cli.commands.continuum.manifests import Manifest
from catalyst_cli.commands.continuum.names import short
from catalyst_cli.commands.continuum.rows import COLUMNS, row
from catalyst_cli.context import context
from catalyst_cli.failures import Failure
from catalyst_cli.output import Form, Output, err, show

TRIES = 10
"""Readings of a slot that its agents may outrun."""


def apply(
    file: Annotated[Path, typer.Option("--file", "-f", help="Manifests of kind Continuum, YAML or JSON.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Make every check, write nothing.")] = False,
    request_id: Annotated[str, typer.Option(help="UUID4 of this wish, for a safe repeat. Default: a new one.")] = "",
    output: Output = Form.TABLE,
) -> None:
    """Make slots as a file says, or change them. What the file leaves out goes back to its default, but for suspension.

    The same file goes to every region. Cells and regions of a slot change only while it is suspended.

    Examples:

        catalyst continuum apply --file shop.yaml

        catalyst continuum apply --file shop.yaml --dry-run --output json
    """
    api = Api(context())
    wishes = manifests.read(file)
    try:
        slots = [_applied(api, wish, dry_run=dry_run, once=request_id or new_request_id()) for wish in wishes]
    except Refused as refused:
        raise manifests.explained(refused) from refused
    show(output, slots[0] if len(slots) == 1 else slots, COLUMNS, [row(slot) for slot in slots])


def _applied(api: Api, wish: Manifest, *, dry_run: bool, once: str) -> dict[str, Any]:
    for warning in wish.warnings:
        err.print(f"warning: {warning}", markup=False)
    rest: dict[str, str] = {"requestId": once, **({"validateOnly": "true"} if dry_run else {})}
    parent, _, name = wish.name.rpartition("/continuums/")
    known = _known(api, wish.name)
    if known is None:
        made = api.post_resource(f"/v1/{parent}/continuums", {"spec": wish.spec}, continuumId=name, **rest)
        return _said(made, "created", dry_run=dry_run)
    after = _changed(api, wish, known, rest)
    return _said(after, "unchanged" if after["generation"] == known["generation"] else "changed", dry_run=dry_run)


def _changed(api: Api, wish: Manifest, known: dict[str, Any], rest: dict[str, str]) -> dict[str, Any]:
    """The slot with the new wish. Its agents write what they see of it all the time: only another wish is in our way."""
    body, now = {"name": wish.name, "spec": wish.spec}, known
    for _ in range(TRIES):
        try:
            return api.patch(f"/v1/{wish.name}", body, query={"updateMask": wish.mask, "etag": now["etag"], **rest})
        except Refused as refused:
            now = api.get(f"/v1/{wish.name}")
            if refused.reason != "ETAG_MISMATCH" or now["generation"] != known["generation"]:
                raise
            rest = {**rest, "requestId": new_request_id()}  # one that was refused is not asked again with other words
    raise Failure(f"{wish.name} changes faster than it can be read", next_step="try again")


def _known(api: Api, name: str) -> dict[str, Any] | None:
    try:
        return api.get(f"/v1/{name}")
    except Refused as refused:
        if refused.reason == "CONTINUUM_NOT_FOUND":
            return None
        raise


def _said(slot: dict[str, Any], what: str, *, dry_run: bool) -> dict[str, Any]:
    err.print(f"{short(slot['name'])}: {'would be ' if dry_run else ''}{what}", markup=False)
    return slot
