"""`catalyst domain import`."""

from pathlib import Path
from typing import Annotated

import typer

from catalyst_cli.commands.zone.import_zone import import_zone
from catalyst_cli.commands.zone.names import Zone
from catalyst_cli.output import Form, Output


def import_domain(
    domain: Zone,
    file: Annotated[Path | None, typer.Option("--file", "-f", help="A zone file of the present host.")] = None,
    axfr: Annotated[str, typer.Option(help="A server that gives the zone away, HOST or HOST:PORT.")] = "",
    tsig: Annotated[str, typer.Option(help="Reference of the key for that.")] = "",
    account: Annotated[str, typer.Option(help="Your account at the registrar whose name servers have it.")] = "",
    walk: Annotated[bool, typer.Option("--walk", help="Walk along the NSEC records of the present servers.")] = False,
    probe: Annotated[list[str], typer.Option(help="A name to ask for besides the usual ones.")] = [],  # noqa: B006 - typer reads the default and keeps it
    wait: Annotated[bool, typer.Option(help="Follow it to its end.")] = True,
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
