"""The trace: what agents did, one JSON line each, in the file that `CATALYST_CONTINUUM_TRACE` names (`catalyst_sdk.traces`).

No decision rests on it, so nothing that goes wrong with it stops anything: a disk that is full loses lines, and says so once.
"""

import os
from collections.abc import Callable
from pathlib import Path

from catalyst_mesh import get_logger
from catalyst_mesh.failpoints import Failpoints
from catalyst_sdk.traces import Line

from catalyst_continuum.clock import boottime
from catalyst_continuum.domain.authority import Moment


class TraceFile:
    """A file that all agents of a process append to; each line by one write, so that a death cuts off the last one at most."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self._failed = False

    def of(
        self, region: str, slot: str, clock: Callable[[], Moment], failpoints: Failpoints | None = None
    ) -> "SlotTrace":
        """Where the agent of a slot writes; `clock` is the one that it believes. Each phase is a place where it may be killed."""
        return SlotTrace(self, region, slot, clock, failpoints)

    def write(self, line: Line) -> None:
        """Append a line."""
        try:
            os.write(self._file, f"{line.to_json()}\n".encode())
        except OSError as error:
            if not self._failed:
                get_logger("trace").error("lines are lost", file=str(self._path), error=str(error))
            self._failed = True

    async def close(self) -> None:
        """Nothing is written any more."""
        os.close(self._file)


class SlotTrace:
    """Follows `workers.standing.Trace`."""

    def __init__(
        self, file: TraceFile, region: str, slot: str, clock: Callable[[], Moment], failpoints: Failpoints | None
    ) -> None:
        self._failpoints = failpoints
        self._file = file
        self._region = region
        self._slot = slot
        self._clock = clock

    def __call__(
        self, event: str, *, epoch: int = 0, seq: int = 0, deadline: float | None = None, effect: str = ""
    ) -> None:
        """Write a line. Times become those of the machine's true clock, whatever the agent's shows."""
        now = boottime()
        true = None if deadline is None else now + deadline - self._clock().boot
        self._file.write(Line(now, self._region, self._slot, event, epoch, seq or None, true, effect))
        if self._failpoints is not None and event == "step":
            self._failpoints.hit(f"continuum.{effect.replace(' ', '.')}")
