"""`catalyst zone import`."""

from pathlib import Path
from typing import Annotated, Any

import typer

from catalyst_cli.api import Api, new_request_id
from catalyst_cli.commands.zone import options
from catalyst_cli.commands.zone.names import Zone, path_of
from catalyst_cli.commands.zone.operations import finish
from catalyst_cli.context import context
from catalyst_cli.failures import Failure
from catalyst_cli.output import Form, Output, err, show
from catalyst_cli.reading import text_of

COLUMNS = {"NAME": "name", "TYPE": "type", "TTL": "ttl", "VALUES": "values"}


def import_zone(
    zone: Zone,
    file: options.ZoneFile = None,
    axfr: options.Transfer = "",
    tsig: options.TransferKey = "",
    account: options.Account = "",
    walk: options.Walk = False,
    probe: Annotated[list[str], typer.Option(help="Ask for usual names, and for this one; `@` for none besides.")] = [],  # noqa: B006 - typer reads the default and keeps it
    wait: options.Wait = True,
    output: Output = Form.TABLE,
) -> None:
    """Collect what a zone holds elsewhere. Changes nothing; plan with what was found.

    Examples:

        catalyst zone import acme.example --file acme.example.zone

        catalyst zone import acme.example --axfr ns1.old.example --tsig transfer-key

        catalyst zone import acme.example --account acme-main

        catalyst zone import acme.example --probe shop --probe intranet
    """
    body = _source(file, axfr, tsig, account, probe, walk=walk)
    with Api(context()) as api:
        found = finish(api, api.post(f"/v1/{path_of(zone)}/imports", body, once=new_request_id()), wait=wait)
    show(output, found, COLUMNS, found.get("recordSets", []) if output is Form.TABLE else None)
    if output is Form.TABLE and "completeness" in found:
        whole = str(found["completeness"]).removeprefix("COMPLETENESS_")
        for one in found.get("leftOut", []):
            err.print(f"left out, because no record can hold it: {one}", markup=False)
        err.print(f"{whole}; to plan with it: catalyst zone plan {zone} --import {found['name']}", markup=False)


def _source(
    file: Path | None, axfr: str, tsig: str, account: str, probe: list[str], *, walk: bool
) -> dict[str, Any]:  # fmt: skip
    given = [bool(file), bool(axfr), bool(account), walk, bool(probe)]
    if sum(given) != 1:
        raise Failure("say one source: --file, --axfr, --account, --walk or --probe", exit_code=2)
    if file:
        return {"zoneFile": text_of(file)}
    if axfr:
        host, _, port = axfr.partition(":")
        server = {"host": host, **({"port": int(port)} if port.isdigit() else {})}
        return {"axfr": {"server": server, "tsigSecretRef": tsig}}
    if account:
        return {"registrarAccount": f"registrarAccounts/{account.removeprefix('registrarAccounts/')}"}
    return {"nsecWalk": {}} if walk else {"probe": {"extraNames": [name for name in probe if name != "@"]}}
