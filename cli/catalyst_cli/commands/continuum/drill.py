"""`catalyst continuum drill`."""

from typing import Annotated

import typer

from catalyst_cli.commands.dev.asking import Folder, asked
from catalyst_cli.drills.kinds import Kind
from catalyst_cli.output import Form, Output


def drill(
    slot: Annotated[str, typer.Argument(help="NAMESPACE/NAME of the slot.", metavar="SLOT")],
    kind: Annotated[
        Kind,
        typer.Option(help="dry-run: the plan; isolated: on a copy; game-day: there and back; kill: a region dies."),
    ],
    data_dir: Folder = None,
    output: Output = Form.TABLE,
) -> None:
    """Rehearse a move while a client writes by the public name; fails unless all is as promised.

    Examples:

        catalyst continuum drill demo/shop --kind dry-run

        catalyst continuum drill demo/shop --kind isolated

        catalyst continuum drill demo/shop --kind game-day

        catalyst continuum drill demo/shop --kind kill
    """
    # It takes as long to import as all other commands together.
    from catalyst_cli.drills.rehearsal import rehearse

    rehearse(slot, kind, asked(data_dir, "status"), output)
