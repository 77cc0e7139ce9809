"""`catalyst domain import`."""

from typing import Annotated

import typer

from catalyst_cli.commands.zone import options
from catalyst_cli.commands.zone.import_zone import import_zone
from catalyst_cli.commands.zone.names import Zone
from catalyst_cli.output import Form, Output


def import_domain(
    domain: Zone,
    file: options.ZoneFile = None,
    axfr: options.Transfer = "",
    tsig: options.TransferKey = "",
    account: options.Account = "",
    walk: options.Walk = False,
    probe: Annotated[list[str], typer.Option(help="A name to ask for besides the usual ones.")] = [],  # noqa: B006 - typer reads the default and keeps it
    wait: options.Wait = True,
    output: Output = Form.TABLE,
) -> None:
    """Collect what a domain's present servers answer. Changes nothing. Without a source the usual names are asked for.

    Examples:

        catalyst domain import acme.example

        catalyst domain import acme.example --file acme.example.zone

        catalyst domain import acme.example --account acme-main

        catalyst domain import acme.example --probe shop --probe intranet
    """
    asked = probe or ([] if file or axfr or account or walk else ["@"])
    import_zone(domain, file, axfr, tsig, account, walk, asked, wait, output)
