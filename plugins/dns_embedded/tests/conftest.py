"""The real server as a process of its own."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import dns.asyncquery
import dns.message
import dns.name
import dns.tsig
import pytest
from catalyst_dns_embedded.client import ControlClient
from catalyst_dns_embedded.plugin import EmbeddedBackend
from catalyst_sdk.resolver import Answer, Resolver, read_anchor, read_hints
from catalyst_testkit.servers import folder, free_port

POOL = "omani.works."


class Process:
    """`python -m catalyst_dns_embedded …`, which can be killed and started again on the same folder and ports."""

    def __init__(self, command: str, home: Path, *options: str) -> None:
        self.folder = home
        self.address = f"127.0.0.1:{free_port()}"
        self.options = [command, "--data", str(home), "--listen", self.address, *options]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start, and wait for the line that says that it serves."""
        command = [sys.executable, "-m", "catalyst_dns_embedded", *self.options]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE)
        assert self._process.stdout is not None
        assert self._process.stdout.readline(), "the server ended at its start"

    def kill(self) -> None:
        """kill -9."""
        process, self._process = self._process, None
        if process is not None and process.stdout is not None:
            process.kill()
            process.wait()
            process.stdout.close()

    async def ask(self, name: str, kind: str, *, do: bool = True, tcp: bool = False) -> dns.message.Message:
        """One question."""
        return await self.exchange(dns.message.make_query(name, kind, want_dnssec=do), tcp=tcp)

    async def exchange(self, message: dns.message.Message, *, tcp: bool = False) -> dns.message.Message:
        """One message, one answer."""
        host, _, port = self.address.rpartition(":")
        call = dns.asyncquery.tcp if tcp else dns.asyncquery.udp
        return await call(message, host, timeout=30, port=int(port))


class Server(Process):
    """With the tree root, top level, pool."""

    def __init__(self, home: Path) -> None:
        self.control = f"127.0.0.1:{free_port()}"
        super().__init__("serve", home, "--control", self.control, "--tree", POOL)

    @property
    def backend(self) -> EmbeddedBackend:
        return EmbeddedBackend(ControlClient(self.control, self.folder))

    async def validated(self, name: str, kind: str = "A", **hints: str) -> Answer:
        """Asked from the root of this server's own tree."""
        known = read_hints(self.folder / "hints.json") | hints
        return await Resolver(known, read_anchor(self.folder / "root.key")).resolve(name, kind)


class Cell(Process):
    """A lease cell of the zone witness.test."""

    secret = "a2tra2tra2tra2tra2tra2tra2tra2tra2tra2traw0="

    def __init__(self, home: Path) -> None:
        key_file = home / "tsig.key"
        key_file.write_text(self.secret)
        super().__init__("cell", home / "cell", "--key-file", str(key_file), "--zone", "witness.test")

    @property
    def key(self) -> dns.tsig.Key:
        return dns.tsig.Key(dns.name.from_text("catalyst-witness"), self.secret, dns.tsig.HMAC_SHA256)


@pytest.fixture
def server(home: Path) -> Iterator[Server]:
    """A server of this test's own."""
    running = Server(home)
    running.start()
    yield running
    running.kill()


@pytest.fixture(scope="module")
def shared() -> Iterator[Server]:
    """One for all tests of a module that do not look at each other's zones."""
    home = folder()
    running = Server(home)
    running.start()
    yield running
    running.kill()
    shutil.rmtree(home, ignore_errors=True)


@pytest.fixture
def cell(home: Path) -> Iterator[Cell]:
    """A cell of this test's own."""
    running = Cell(home)
    running.start()
    yield running
    running.kill()
