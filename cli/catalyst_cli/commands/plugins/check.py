"""`catalyst plugins check`."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from catalyst_cli.output import Form, Output, err, show

COLUMNS = {"CHECK": "check", "STATUS": "status", "MESSAGE": "message", "REMEDY": "remedy"}


def check(
    path: Annotated[Path, typer.Argument(help="Folder of the plugin's distribution, where its pyproject.toml lies.")],
    output: Output = Form.TABLE,
) -> None:
    """Check a plugin: manifest, import, its kind's conformance suite, secrets. Exit code 1 where something was found.

    Examples:

        catalyst plugins check catalyst-registrar-acme

        catalyst plugins check . --output json
    """
    from catalyst_cli.plugin_checks import check as checked  # here, so that no other command carries what it needs

    err.print("running the conformance suite; this takes up to a minute", markup=False)
    findings = checked(path.resolve())
    rows = [asdict(finding) for finding in findings]
    show(output, {"findings": rows}, COLUMNS, rows)
    if any(finding.status == "failed" for finding in findings):
        raise typer.Exit(1)
