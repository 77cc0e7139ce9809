"""The two kinds of HTTP cell as processes: our own on SQLite, and the Durable Object in its real runtime."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import catalyst_witness_cloudflare
import pytest
from catalyst_sdk import Secret, SecretRef
from catalyst_testkit.servers import free_port
from catalyst_witness_cloudflare.cells import HttpCells, configured

HERE = Path(__file__).parent
MODULE = Path(catalyst_witness_cloudflare.__file__).with_name("cell.mjs")
TOKEN = "a-token-of-tests-only"
MINIFLARE = "miniflare@4.20251210.0"
"""The last that runs on Node 18."""


class Secrets:
    """One token for all."""

    def __init__(self, token: str = TOKEN) -> None:
        self._token = token

    async def resolve(self, ref: SecretRef) -> Secret:
        return Secret(self._token)


def witness(url: str, token: str = TOKEN, timeout: float = 10.0) -> HttpCells:
    """The plugin with one cell."""
    cells = [{"name": "one", "url": url, "token": "witness"}]
    return HttpCells(configured({"cells": cells, "op_timeout_seconds": timeout}), Secrets(token))


class Server:
    """A process that answers at `url`; started again, it has its store and address still."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def command(self) -> list[str]:
        raise NotImplementedError

    def start(self) -> None:
        # A group of its own, so that a runtime below the process is killed with it.
        self._process = subprocess.Popen(self.command(), stdout=subprocess.PIPE, start_new_session=True)
        assert self._process.stdout is not None
        assert self._process.stdout.readline(), "the cell ended at its start"

    def kill(self) -> None:
        process, self._process = self._process, None
        if process is not None and process.stdout is not None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            process.stdout.close()


class SqliteCell(Server):
    """`catalyst_testkit.http_cell`."""

    def __init__(self, home: Path, *options: str) -> None:
        super().__init__(home)
        self._options = options
        (home / "token").write_text(TOKEN)

    def command(self) -> list[str]:
        words = [sys.executable, "-m", "catalyst_testkit.http_cell", "--data", str(self.home / "cell")]
        where = ["--listen", f"127.0.0.1:{self.port}", "--token-file", str(self.home / "token")]
        return [*words, *where, *self._options]


class DurableObject(Server):
    """The module itself, in workerd."""

    def __init__(self, home: Path, modules: Path) -> None:
        super().__init__(home)
        self._modules = modules

    def command(self) -> list[str]:
        script = str(HERE / "start.mjs")
        return ["node", script, str(self._modules), str(self.port), str(self.home / "objects"), TOKEN, str(MODULE)]


def miniflare() -> Path:
    """The folder in which the runtime is installed; else the test is skipped, with the reason."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.skip("node and npm are not installed: no runtime for Durable Objects")
    home = Path(os.environ.get("CATALYST_NODE_CACHE") or Path.home() / ".cache" / "catalyst-miniflare")
    if not (home / "node_modules" / "miniflare").is_dir():
        if os.environ.get("HYPOTHESIS_PROFILE") != "long":
            pytest.skip(f"miniflare is not in {home}; a long run fetches it (a minute): no runtime for Durable Objects")
        home.mkdir(parents=True, exist_ok=True)
        command = ["npm", "install", "--no-package-lock", "--no-audit", "--no-fund", "--prefix", str(home), MINIFLARE]
        try:
            made = subprocess.run(command, capture_output=True, timeout=240, check=False)
        except subprocess.TimeoutExpired:
            pytest.skip("npm does not install miniflare in time: no runtime for Durable Objects")
        if made.returncode or not (home / "node_modules" / "miniflare").is_dir():
            pytest.skip("npm does not install miniflare: no runtime for Durable Objects")
    return home / "node_modules"
