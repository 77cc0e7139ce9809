"""A run of a slot, followed to its end."""

import time
from typing import Any

import typer

from catalyst_cli.api import Api
from catalyst_cli.commands.continuum.names import short
from catalyst_cli.commands.continuum.rows import RUN_COLUMNS, run_row
from catalyst_cli.failures import EXIT_CODES, Failure
from catalyst_cli.output import Form, err, show

ENDED = ("STATE_SUCCEEDED", "STATE_ABORTED", "STATE_FAILED")
PATIENCE = 60.0
"""Seconds without a word before the command gives up; the run does not."""


def finish(api: Api, name: str, output: Form, *, wait: bool) -> None:
    """Show a run; with `wait`, its phases until it ends or waits for approval. Fails where it ended badly."""
    run = _followed(api, name) if wait else api.get(f"/v1/{name}")
    show(output, run, RUN_COLUMNS, [run_row(run)])
    if run.get("state") == "STATE_AWAITING_APPROVAL":
        err.print(
            f"waits for approval: catalyst continuum approve {short(name)} --plan {run.get('planFingerprint', '')}",
            markup=False,
        )
    if run.get("state") in ("STATE_ABORTED", "STATE_FAILED"):
        raise typer.Exit(1)


def of_operation(operation: dict[str, Any]) -> str:
    """Name of the run that an operation is."""
    return str((operation.get("metadata") or {}).get("run") or (operation.get("response") or {}).get("name"))


def _followed(api: Api, name: str) -> dict[str, Any]:
    said, heard, cursor = "", time.monotonic(), ""
    try:
        while time.monotonic() - heard < PATIENCE:
            for _, _, data in api.stream(f"/v1/{name}:watch", cursor=cursor):
                heard, cursor = time.monotonic(), data.get("cursor", cursor)
                run = data.get("run")
                if not run:
                    continue
                line = " ".join(filter(None, run_row(run).values()))
                if line != said:
                    err.print(line, markup=False)
                    said = line
                if run.get("state") in (*ENDED, "STATE_AWAITING_APPROVAL"):
                    return dict(run)
            time.sleep(0.3)
    except KeyboardInterrupt:
        err.print(f"\ndetached; the run goes on: catalyst continuum run {short(name)}", markup=False)
        raise typer.Exit(130) from None
    raise Failure(f"nothing is heard of {short(name)}; the run goes on", exit_code=EXIT_CODES["UNAVAILABLE"])
