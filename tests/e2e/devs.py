"""A `catalyst dev` of a test's own: real processes, driven by commands and looked at from outside."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
from catalyst_cli.api import Api
from catalyst_cli.context import Context
from catalyst_cli.demo.mesh import free_base, words
from catalyst_cli.failures import Failure
from catalyst_sdk.resolver import Resolver

START_WITHIN = 60.0
EXAMPLE = Path("examples/01-first-sovereign/sovereign.yaml")
VOUCHER = "FIRST-SOVEREIGN"


def own_base() -> int:
    """Free ports that no other worker of this test run takes: each has every n-th of the ranges."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    while True:
        base = free_base()
        if base // 100 % workers == worker:
            return base


@dataclass
class Dev:
    """One dev in a folder."""

    folder: Path
    base: int = field(default_factory=lambda: own_base())
    options: tuple[str, ...] = ()
    state: dict[str, Any] = field(default_factory=dict)
    process: subprocess.Popen[str] | None = None
    _api: Api | None = None
    _commands: list[subprocess.Popen[str]] = field(default_factory=list)

    @property
    def environment(self) -> dict[str, str]:
        return {**os.environ, "CATALYST_CLI_CONFIG": str(self.folder / "context.json")}

    def command(self, *words: str, timeout: float = 240) -> subprocess.CompletedProcess[str]:
        """Run one command to its end."""
        return subprocess.run(
            [sys.executable, "-m", "catalyst_cli", *words], env=self.environment, capture_output=True, text=True,
            timeout=timeout, check=False,
        )  # fmt: skip

    def background(self, *words: str) -> subprocess.Popen[str]:
        """Start one command and let it run, at the longest until this dev stops."""
        command = subprocess.Popen(
            [sys.executable, "-m", "catalyst_cli", *words], env=self.environment, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        self._commands.append(command)
        return command

    def arguments(self) -> list[str]:
        return ["dev", "--port-base", str(self.base), "--data-dir", str(self.folder), *self.options, "--output", "json"]

    def start(self) -> None:
        """Start, or start again."""
        self._close()
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        said = self.folder.with_name(f"{self.folder.name}.err")
        with said.open("a") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "catalyst_cli", *self.arguments()], env=self.environment, stdout=subprocess.PIPE,
                stderr=log, text=True, start_new_session=True,
            )  # fmt: skip
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, f"dev did not come up: {said.read_text()[-2000:]}"
        self.state = json.loads(line)

    def stop(self) -> None:
        """As Ctrl-C does."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            self.process.wait(60)
        self._close()

    def _close(self) -> None:
        while self._commands:  # also those of a test that failed before it read them to their end
            command = self._commands.pop()
            command.kill()
            with command:  # closes its pipes and waits
                pass
        if self._api is not None:
            self._api.close()
            self._api = None
        if self.process is not None and self.process.stdout is not None:
            self.process.stdout.close()

    @property
    def api(self) -> Api:
        if self._api is None or self._api.server != self.state["gateway"]:
            self._api = Api(Context(self.state["gateway"], Path(self.state["token_file"])))
        return self._api

    @property
    def resolver(self) -> Resolver:
        return Resolver.from_files(Path(self.state["dns_hints"]), Path(self.state["dns_trust_anchor"]))

    def pid(self, name: str) -> int:
        """The process id that a part has now."""
        rows = json.loads((self.folder / "children.json").read_text())
        return int(next(row["pid"] for row in rows if row["name"] == name))

    def agents(self) -> list[psutil.Process]:
        """The simulated cloud's agents of this dev."""
        return [p for p in self.processes() if "catalyst_cloud_sandbox.agent" in " ".join(words(p))]

    def processes(self) -> list[psutil.Process]:
        """Every process of this dev that is alive: by command line, or, for forked daemons, by dev's own list."""
        mark, found = str(self.folder), {}
        for process in psutil.process_iter(["cmdline"]):
            if process.pid != os.getpid() and any(mark in word for word in process.info["cmdline"] or ()):
                found[process.pid] = process
        if (self.folder / "children.json").exists():
            for row in json.loads((self.folder / "children.json").read_text()):
                with suppress(psutil.NoSuchProcess):
                    found[row["pid"]] = psutil.Process(row["pid"])
        return list(found.values())

    def until(self, check: Callable[[], Any], within: float, what: str) -> Any:
        """Ask until the answer is true. Raises AssertionError with what was waited for.

        Who was killed a moment ago cannot answer; that he does not is no answer either.
        """
        deadline, pause = time.monotonic() + within, 0.05
        while True:
            failure = ""
            try:
                if answer := check():
                    return answer
            except Failure as error:
                failure = " ".join(error.lines())
            assert time.monotonic() < deadline, f"not within {within} s: {what}; {failure}"
            _pause(pause)
            pause = min(
                pause * 1.25, 0.4
            )  # each question costs several processes time that those need who are waited for


def _pause(seconds: float) -> None:
    """Between two questions; a deadline bounds them."""
    threading.Event().wait(seconds)


def gaps(rows: list[dict[str, Any]]) -> list[str]:
    """Aggregates whose versions, in the order in which they were heard, are not 1, 2, 3, …"""
    seen: dict[str, list[int]] = {}
    for row in rows:
        seen.setdefault(row["aggregate"], []).append(int(row["version"]))
    return [f"{name}: {v}" for name, v in seen.items() if v != list(range(v[0], v[0] + len(v)))]
