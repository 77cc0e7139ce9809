"""`catalyst dev cell kill|pause|resume|wipe|start`."""

from pathlib import Path
from typing import Annotated

import typer

from catalyst_cli.output import Form, Output, show

from .asking import Folder, asked

COLUMNS = {"CELL": "name", "STATE": "state", "PID": "pid", "ADDRESS": "address", "ZONE": "zone", "FOLDER": "folder"}
Name = Annotated[str, typer.Argument(help="A cell, such as cell-1.", metavar="CELL")]


def kill(cell: Name, data_dir: Folder = None, output: Output = Form.TABLE) -> None:
    """kill -9 a cell; it stays dead until `start`.

    Examples:

        catalyst dev cell kill cell-1
    """
    _do("kill", cell, data_dir, output)


def pause(cell: Name, data_dir: Folder = None, output: Output = Form.TABLE) -> None:
    """Freeze a cell: it keeps its port and answers nobody.

    Examples:

        catalyst dev cell pause cell-2
    """
    _do("pause", cell, data_dir, output)


def resume(cell: Name, data_dir: Folder = None, output: Output = Form.TABLE) -> None:
    """Let a frozen cell go on.

    Examples:

        catalyst dev cell resume cell-2
    """
    _do("resume", cell, data_dir, output)


def wipe(cell: Name, data_dir: Folder = None, output: Output = Form.TABLE) -> None:
    """Take away all that a cell has and start it: it comes back empty, with another identity.

    Examples:

        catalyst dev cell wipe cell-3
    """
    _do("wipe", cell, data_dir, output)


def start(cell: Name, data_dir: Folder = None, output: Output = Form.TABLE) -> None:
    """Start a cell that was killed; it has what it acknowledged.

    Examples:

        catalyst dev cell start cell-1
    """
    _do("start", cell, data_dir, output)


def _do(what: str, cell: str, folder: Path | None, output: Form) -> None:
    show(output, asked(folder, f"cell.{what}", name=cell), COLUMNS)
