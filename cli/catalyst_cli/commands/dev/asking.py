"""What the commands on a running dev have in common: finding it, and asking it."""

from pathlib import Path
from typing import Annotated, Any

import typer

from catalyst_cli.context import context
from catalyst_cli.dev.control import NotThere, ask
from catalyst_cli.dev.layout import Layout
from catalyst_cli.dev.supervisor import running
from catalyst_cli.failures import EXIT_CODES, Failure

Folder = Annotated[Path | None, typer.Option("--data-dir", help="Folder of the dev. Default: the one started last.")]


def asked(folder: Path | None, call: str, **args: Any) -> Any:
    """One call to the dev in `folder`. Raises Failure where none runs, or it cannot do that."""
    layout = Layout(folder.absolute() if folder else _started_last())
    state = running(layout)
    if state is None or "control" not in state:
        still = "is still starting" if state else "is not running"
        raise Failure(f"catalyst dev {still} in {layout.folder}", next_step="catalyst dev", exit_code=6)
    try:
        return ask(state["control"], layout.control_token, call, **args)
    except NotThere as absent:
        raise Failure(str(absent), next_step=absent.next_step, exit_code=EXIT_CODES[absent.code]) from absent


def _started_last() -> Path:
    # Its operator's token is what every other command uses: a command on its parts finds it by the same way.
    return context().token_file.parent.parent
