"""Stages of the first boot, on disk until they are in the outbox: the boot goes on whether anybody listens or not."""

import json
import time
from collections.abc import Iterator
from pathlib import Path

from catalyst.provisioner.v1 import resources_pb2 as pb

from . import files

FOLDER = "stages"
ORDER = ("start", "binaries", "enrol", "system", "k3s", "api", "storage", "flux", "tree", "done")
"""Numbers of the stages, from 1."""
STATES = {
    "begun": pb.AgentStage.STATE_RUNNING,
    "succeeded": pb.AgentStage.STATE_SUCCEEDED,
    "failed": pb.AgentStage.STATE_FAILED,
}
LONGEST = 1_000
"""Characters of a line that are told."""


def keep(folder: Path, stage: str, state: str, lines: list[str]) -> None:
    """Write down that a stage stands so; the last lines of a failure go with it."""
    told = {"stage": stage, "state": state, "lines": [line[:LONGEST] for line in lines] if state == "failed" else []}
    files.write(folder / FOLDER / f"{time.time_ns()}.json", json.dumps(told))


def waiting(folder: Path) -> Iterator[tuple[Path, pb.AgentStage]]:
    """Those that nobody has taken, in order. One that was cut off or means nothing is thrown away."""
    for path in sorted((folder / FOLDER).glob("*.json")):
        try:
            told = json.loads(path.read_text(encoding="utf-8"))
            number, state = ORDER.index(told["stage"]) + 1, STATES[told["state"]]
        except (OSError, ValueError, KeyError):
            path.unlink(missing_ok=True)
            continue
        yield path, pb.AgentStage(number=number, stage=told["stage"], state=state, last_lines=told["lines"])
