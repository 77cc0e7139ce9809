"""`acme.omani.works` as pool and label."""

from typing import Annotated

import typer

from catalyst_cli.failures import Failure

Fqdn = Annotated[str, typer.Argument(help="The whole name, such as acme.omani.works.")]


def split(fqdn: str) -> tuple[str, str]:
    """Pool and label, in small letters. Raises Failure where the name has no pool."""
    label, _, pool = fqdn.strip().lower().rstrip(".").partition(".")
    if not label or "." not in pool:
        raise Failure(f"{fqdn!r} is no name under a pool", next_step="write it as LABEL.POOL", exit_code=2)
    return f"pools/{pool}", label
