"""`catalyst dev status`."""

from typing import Any

from catalyst_cli.output import Form, Output, show

from .asking import Folder, asked

COLUMNS = {"PART": "part", "STATE": "state", "PID": "pid", "ADDRESS": "address"}


def status(data_dir: Folder = None, output: Output = Form.TABLE) -> None:
    """What runs: process ids, ports, zones, key files. `-o json` has all of it.

    Examples:

        catalyst dev status

        catalyst dev status -o json
    """
    found: dict[str, Any] = asked(data_dir, "status")
    cells = {row["name"]: {**row, "part": row["name"]} for row in found["witness"]["cells"]}
    others = [
        {"part": name, "state": "up", "pid": pid, "address": found["grpc"].get(name, "")}
        for name, pid in found["pids"].items()
        if name not in cells
    ]  # fmt: skip - one row a part
    show(output, found, COLUMNS, [*others, *cells.values()])
