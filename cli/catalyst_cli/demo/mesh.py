"""A `catalyst dev` of the demonstration's own, driven as a person would: by commands."""

import json
import os
import secrets
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

from catalyst_cli.api import Api
from catalyst_cli.context import Context
from catalyst_cli.dev.layout import REPLICAS, Layout
from catalyst_cli.dev.ports import PortsTaken, check
from catalyst_cli.dev.processes import with_children

START_WITHIN = 60
"""Seconds in which dev must be up, on a machine however busy."""
STOP_WITHIN = 60


class Mesh:
    """One dev in a folder, started with further options."""

    def __init__(self, folder: Path, base: int, options: Sequence[str] = ()) -> None:
        self.layout = Layout(folder, base)
        self._options = options
        self.state: dict[str, Any] = {}
        self._environment = {**os.environ, "CATALYST_CLI_CONFIG": str(folder / "context.json")}
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        """Start dev and read what it says about itself."""
        command = [sys.executable, "-m", "catalyst_cli", "dev", "--port-base", str(self.layout.base),
                   "--data-dir", str(self.layout.folder), *self._options, "--output", "json"]  # fmt: skip
        self._process = subprocess.Popen(
            command, stdout=subprocess.PIPE, text=True, env=self._environment, start_new_session=True
        )
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit(f"dev did not come up (exit {self._process.wait(START_WITHIN)}); see {self.layout.logs}")
        self.state = json.loads(line)

    def command(self, *words: str) -> None:
        """Run one `catalyst` command; its progress is shown as it comes. Raises SystemExit where it fails."""
        done = subprocess.run(
            [sys.executable, "-m", "catalyst_cli", *words],
            env=self._environment,
            stdout=subprocess.DEVNULL,
            check=False,
        )
        if done.returncode:
            raise SystemExit(f"`catalyst {' '.join(words)}` ended with {done.returncode}")

    @property
    def api(self) -> Api:
        """The same API that the commands use."""
        return Api(Context(self.state["gateway"], Path(self.state["token_file"])))

    def processes(self) -> list[psutil.Process]:
        """Every process of this dev: the supervisor, its children, and the simulated cloud's agents."""
        marks, found = str(self.layout.folder), {}
        for process in psutil.process_iter(["cmdline"]):
            if process.pid != os.getpid() and any(marks in word for word in process.info["cmdline"] or ()):
                found[process.pid] = process
        with suppress(OSError, ValueError):
            # Forked daemons carry no command line of their own; dev keeps a list.
            for row in json.loads(self.layout.children.read_text()):
                with suppress(psutil.NoSuchProcess):
                    process = psutil.Process(row["pid"])
                    # The number of one that was killed may be somebody else's by now.
                    if abs(process.create_time() - row["started"]) < 0.1:
                        found[row["pid"]] = process
        for pid in with_children(list(found)):
            with suppress(psutil.NoSuchProcess):
                found.setdefault(pid, psutil.Process(pid))
        return list(found.values())

    def stop(self) -> list[str]:
        """Stop dev; what is left over of it, which should be nothing."""
        if self._process is None:
            return []
        known = self.processes()
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(STOP_WITHIN)
        except subprocess.TimeoutExpired:
            self._process.kill()
        if self._process.stdout is not None:
            self._process.stdout.close()
        left = [p for p in {*known, *self.processes()} if p.is_running()]
        names = [f"process {p.pid} {' '.join(words(p)[:4])}" for p in left if p.is_running()]
        for process in left:
            process.kill()
        return names


def free_base() -> int:
    """A port base whose every port is free.

    Below 32768, where Linux begins to take ports for outgoing connections: one of those would be free when it is checked
    and taken when the daemon binds it.
    """
    for _ in range(50):
        base = 20_000 + secrets.randbelow(127) * 100
        try:
            check(Layout(Path("/nonexistent"), base, count=REPLICAS, has_cluster=True).ports())
        except PortsTaken:
            continue
        return base
    raise SystemExit("no free range of ports was found")


def words(process: psutil.Process) -> list[str]:
    """Its command line; none of one that has just died, and of which its parent has not taken note yet."""
    try:
        return process.cmdline()
    except psutil.NoSuchProcess:
        return []
