"""Options that commands on zones and on domains have in common."""

from pathlib import Path
from typing import Annotated

import typer

PlanName = Annotated[str, typer.Argument(help="The plan, zones/…/plans/….")]
PlanHash = Annotated[str, typer.Option("--hash", help="Hash of the plan as it was shown.")]
Force = Annotated[list[str], typer.Option(help="A rule of the plan's findings to lift.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
RequestId = Annotated[str, typer.Option(help="UUID4; repeating it has one effect.")]

ZoneFile = Annotated[Path | None, typer.Option("--file", "-f", help="A zone file of the present host.")]
Transfer = Annotated[str, typer.Option("--axfr", help="A server that gives the zone away, HOST or HOST:PORT.")]
TransferKey = Annotated[str, typer.Option("--tsig", help="Reference of the key for that.")]
Account = Annotated[str, typer.Option(help="Your account at the registrar whose name servers have it.")]
Walk = Annotated[bool, typer.Option("--walk", help="Walk along the NSEC records of the present servers.")]
Wait = Annotated[bool, typer.Option(help="Follow it to its end.")]
