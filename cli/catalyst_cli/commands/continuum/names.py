"""Names of slots and runs, as people write them."""

from typing import Annotated

import typer

from catalyst_cli.failures import Failure

SYSTEM = "catalyst-system"
"""Namespace of the slots that Sovereigns have for themselves."""

Slot = Annotated[str, typer.Argument(help="Name of a Sovereign, or NAMESPACE/NAME of any slot.", metavar="SLOT")]
Run = Annotated[str, typer.Argument(help="NAMESPACE/NAME/ID of a run, or its full name.", metavar="RUN")]


def path_of(slot: str) -> str:
    """Resource name of a slot."""
    if slot.startswith("namespaces/"):
        return slot
    namespace, _, name = slot.rpartition("/")
    return f"namespaces/{namespace or SYSTEM}/continuums/{name}"


def run_path(run: str) -> str:
    """Resource name of a run. Raises Failure."""
    if run.startswith("namespaces/"):
        return run
    slot, _, id = run.rpartition("/")
    if not slot:
        raise Failure(f"{run} names no run", next_step="write NAMESPACE/NAME/ID", exit_code=2)
    return f"{path_of(slot)}/runs/{id}"


def short(resource: str) -> str:
    """`demo/shop` of a resource name, `demo/shop/ID` of a run's."""
    return "/".join(resource.split("/")[1::2])
