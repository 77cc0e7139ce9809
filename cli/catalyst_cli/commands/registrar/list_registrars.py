"""`catalyst registrar list` and `catalyst registrar get`."""

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from catalyst_cli.api import Api
from catalyst_cli.context import context
from catalyst_cli.output import Form, Output, err, show

from .credentials import registrar

COLUMNS = {"NAME": "name", "DISPLAY NAME": "displayName", "CAN": "can", "SHOWS AFTER": "shows", "MISSING": "missing"}
FIELDS = {"FIELD": "field", "SECRET": "secret", "NEEDED": "needed", "WHAT": "what"}
_CAN = {
    "setNs": "ns",
    "setDs": "ds",
    "glue": "glue",
    "hostRecords": "records",
    "subdomains": "subdomains",
}  # fmt: skip - a table
_UNITS = (("d", 86400), ("h", 3600), ("min", 60))


def list_registrars(output: Output = Form.TABLE) -> None:
    """List registrars: what each can change, and what to install where its plugin is missing.

    Examples:

        catalyst registrar list

        catalyst registrar list --output json
    """
    with Api(context()) as api:
        rows = api.pages("/v1/registrars", "registrars")
    show(output, {"registrars": rows}, COLUMNS, [_row(row) for row in rows] if output is Form.TABLE else rows)


def get(
    name: Annotated[str, typer.Argument(help="Registrar, such as ovh.")], output: Output = Form.TABLE
) -> None:  # fmt: skip
    """Show a registrar and the fields of its credential.

    Examples:

        catalyst registrar get namecheap

        catalyst registrar get ovh --output json
    """
    with Api(context()) as api:
        found = api.get(f"/v1/{registrar(name)}")
    if output is not Form.TABLE:
        show(output, found, {})
        return
    show(output, found, COLUMNS, [_row(found)])
    schema = found.get("credentialSchema") or {}
    needed = schema.get("required", [])
    fields = [
        {
            "field": field,
            "secret": "yes" if rule.get("x-secret") else "",
            "needed": "yes" if field in needed else "",
            "what": rule.get("description", ""),
        }
        for field, rule in sorted(schema.get("properties", {}).items())
    ]  # fmt: skip - one row
    if fields:
        err.print("\nits credential:", markup=False)
        show(output, fields, FIELDS, fields)


def _row(found: Mapping[str, Any]) -> dict[str, Any]:
    can = found.get("capabilities") or {}
    words = [word for field, word in _CAN.items() if can.get(field)]
    return {
        **found,
        "can": words,
        "shows": f"{_time(found.get('delayMin'))} to {_time(found.get('delayMax'))}",
        "missing": found.get("unavailableReason", ""),
    }


def _time(given: object) -> str:
    """`172800s` as `2 d`."""
    seconds = float(str(given or "0s").removesuffix("s"))
    for unit, size in _UNITS:
        if seconds >= size:
            return f"{seconds / size:g} {unit}"
    return f"{seconds:g} s"
