"""`catalyst plugins new`."""

from pathlib import Path
from typing import Annotated

import typer

from catalyst_cli.output import err
from catalyst_cli.scaffolding import PACKAGES, Scaffold


def new(
    kind: Annotated[str, typer.Argument(help=f"What it is: {' or '.join(PACKAGES)}.")],
    name: Annotated[str, typer.Argument(help="Name of the provider, such as acme.")],
    into: Annotated[Path, typer.Option(help="Folder in which the distribution's folder is made.")] = Path(),
) -> None:
    """Begin a plugin: a distribution with a fake of its provider, which passes `catalyst plugins check` as it is.

    Examples:

        catalyst plugins new registrar acme

        catalyst plugins new dns_backend acme --into plugins
    """
    home = Scaffold(kind, name).write(into)
    print(home)
    err.print(f"to see that it works: catalyst plugins check {home}", markup=False)
