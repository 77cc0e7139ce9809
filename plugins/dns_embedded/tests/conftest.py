"""The real server as a process of its own."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from catalyst_dns_embedded.control import ControlClient
from catalyst_dns_embedded.plugin import EmbeddedBackend
from catalyst_mesh.resolving import Resolver
from catalyst_testkit.servers import free_port
from catalyst_testkit.waiting import eventually_sync


class Server:
    """`python -m catalyst_dns_embedded serve`, which can be killed and started again on the same folder and ports."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.address = f"127.0.0.1:{free_port()}"
        self.control = f"127.0.0.1:{free_port()}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "catalyst_dns_embedded", "serve", "--data", str(self.folder), "--listen",
             self.address, "--control", self.control, "--tree", "omani.works"],
            stdout=subprocess.PIPE,
        )  # fmt: skip
        assert self._process.stdout is not None
        assert b"serving" in self._process.stdout.readline()
        eventually_sync(lambda: _listens(self.control), within=5, what="the control port answers")

    def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()

    @property
    def backend(self) -> EmbeddedBackend:
        return EmbeddedBackend(ControlClient(self.control, self.folder))

    @property
    def resolver(self) -> Resolver:
        return Resolver.from_files(self.folder / "hints.json", self.folder / "root.key")


def _listens(address: str) -> bool:
    import socket

    host, _, port = address.rpartition(":")
    with socket.socket() as probe:
        return probe.connect_ex((host, int(port))) == 0


@pytest.fixture
def server(home: Path) -> Iterator[Server]:
    running = Server(home)
    running.start()
    yield running
    running.kill()
