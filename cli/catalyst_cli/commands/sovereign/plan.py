"""`catalyst sovereign plan`."""

from pathlib import Path
from typing import Annotated

import typer

from catalyst_cli.api import Api
from catalyst_cli.commands.sovereign import plans
from catalyst_cli.commands.sovereign.files import read
from catalyst_cli.context import context
from catalyst_cli.output import Form, Output, show

COLUMNS = {"NAME": "name", "STATE": "state", "APPLICABLE": "applicable", "HASH": "hash", "EXPIRES": "expireTime"}


def plan(
    file: Annotated[Path, typer.Option("--file", "-f", help="The Sovereign as YAML or JSON.")],
    output: Output = Form.TABLE,
) -> None:
    """Say what creating or changing a Sovereign would do and cost. Nothing outside is touched.

    Examples:

        catalyst sovereign plan --file sovereign.yaml

        catalyst sovereign plan --file sovereign.yaml --output json
    """
    api = Api(context())
    name, spec = read(file)
    plans.ensure_sovereign(api, name, spec)
    made = plans.make(api, name, "APPLY", spec)
    if output is Form.TABLE:
        print("\n".join(plans.lines(made)))
    else:
        show(output, made, COLUMNS)
    plans.require_applicable(made)
