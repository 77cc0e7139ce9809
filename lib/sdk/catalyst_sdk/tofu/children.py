"""A command of the tool as a process of its own, which outlives the daemon.

It writes to files, never to pipes: a tool whose reader has died is killed by its next line, and what it had just made
is missing from its state. It is told to stop by one SIGINT and is never killed: it finishes the calls in flight and
saves its state. Whoever comes later finds it by the record in its folder.
"""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

NICENESS = 5
"""Added to a command's priority number: a plan must not slow the daemon that waits for it."""
RECORD = "child.json"


@dataclass
class Child:
    """A command that runs, or ran. `code` stays None where nobody but a dead daemon could have learnt it."""

    pid: int
    born: str
    """When the process started, in the system's own words: a pid is used again."""
    verb: str
    code: int | None = None
    _reaped: threading.Event = field(default_factory=threading.Event, repr=False)
    is_own: bool = True

    @property
    def lives(self) -> bool:
        """Whether it still runs."""
        if self.is_own:
            return not self._reaped.is_set()
        return bool(self.born) and birth(self.pid) == self.born

    def interrupt(self) -> None:
        """Ask it to end; once is enough, a second time would break off what it has in flight."""
        with suppress(ProcessLookupError):
            if self.lives:
                os.kill(self.pid, signal.SIGINT)

    def reap(self) -> None:
        """Wait for the end, in a thread, so that no dead process stays behind."""
        with suppress(ChildProcessError):
            _, status = os.waitpid(self.pid, 0)
            self.code = os.waitstatus_to_exitcode(status)
        self._reaped.set()


def start(command: Sequence[str], *, folder: Path, env: Mapping[str, str], out: Path, record: bool = False) -> Child:
    """Start `command` in a session of its own; `record` writes down that it runs, for those who come later."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
    actions = [
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, str(out), flags, 0o600),
        (os.POSIX_SPAWN_OPEN, 2, str(out.with_suffix(".err")), flags, 0o600),
    ]
    pid = os.posix_spawn(command[0], list(command), dict(env), file_actions=actions, setsid=True)
    child = Child(pid, birth(pid), out.stem)
    if record:
        # Before anything is waited for: a death from here on is survived.
        (folder / RECORD).write_text(json.dumps({"pid": pid, "born": child.born, "verb": child.verb}))
    threading.Thread(target=child.reap, name=f"reap-{pid}", daemon=True).start()
    with suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, pid, NICENESS)
    return child


def recorded(folder: Path) -> Child | None:
    """The command that was started last in a run folder, whoever started it."""
    try:
        told = json.loads((folder / RECORD).read_text())
        return Child(int(told["pid"]), str(told["born"]), str(told["verb"]), is_own=False)
    except (OSError, ValueError, KeyError):
        return None  # none was started, or its daemon died while writing: before it waited for anything


def birth(pid: int) -> str:
    """When a process started; empty: it is no more, or only waits to be reaped."""
    if sys.platform != "linux":
        ps = ["/bin/ps", "-o", "stat=,lstart=", "-p", str(pid)]
        seen = subprocess.run(ps, capture_output=True, text=True, check=False).stdout
        return "" if seen.startswith("Z") else seen.strip()
    try:
        # The name may hold spaces and brackets; after the last bracket come state (field 3) and, 19 on, the start.
        rest = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if rest[0] in ("Z", "X") else rest[19]
