"""`catalyst continuum trace`."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from catalyst_sdk.traces import check, merged, overlaps

from catalyst_cli.commands.dev.asking import Folder, asked
from catalyst_cli.failures import Failure
from catalyst_cli.output import Form, Output, err, show

COLUMNS = {"INVARIANT": "invariant", "SLOT": "slot", "AT": "boottime", "WHAT": "what"}


def trace(
    files: Annotated[list[Path] | None, typer.Argument(help="Traces. Default: those of the dev that runs.")] = None,
    invariants: Annotated[str, typer.Option("--check", help="Names, joined by commas. Default: all.")] = "",
    data_dir: Folder = None,
    output: Output = Form.TABLE,
) -> None:
    """Judge what agents wrote down of their authority and effects; fails where an invariant does not hold.

    Examples:

        catalyst continuum trace

        catalyst continuum trace east.jsonl west.jsonl --check I1,I2,I5 -o json
    """
    chosen = files or [Path(row["trace"]) for row in asked(data_dir, "status").get("regions", [])]
    if not chosen:
        raise Failure("no traces", why="no file is named, and this dev has no regions", exit_code=2)
    try:
        lines = merged(file.read_text() for file in chosen if files or file.exists())
        breaches = check(lines, [name for name in invariants.split(",") if name])
    except (OSError, ValueError) as error:
        raise Failure(f"the traces cannot be judged: {error}", exit_code=2) from error
    slots = sorted({line.slot for line in lines})
    report: dict[str, Any] = {
        "lines": len(lines),
        "slots": slots,
        "regions": sorted({line.region for line in lines}),
        "overlaps": sum(len(overlaps([line for line in lines if line.slot == slot])) for slot in slots),
        "breaches": [asdict(breach) for breach in breaches],
    }  # fmt: skip - one answer
    show(output, report, COLUMNS, report["breaches"])
    if breaches:
        err.print(f"{len(breaches)} breaches in {len(lines)} lines", markup=False)
        raise typer.Exit(1)
    err.print(f"{len(lines)} lines of {len(report['regions'])} regions: nothing is wrong", markup=False)
