"""How zones are named on the command line: by their domain."""

from typing import Annotated

import typer

Zone = Annotated[str, typer.Argument(help="The zone's domain, such as acme.example.")]


def path_of(zone: str) -> str:
    """Resource name of a zone that may be written as a domain, or in full."""
    return f"zones/{zone.removeprefix('zones/').lower().rstrip('.')}"
