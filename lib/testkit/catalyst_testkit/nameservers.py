"""What the authoritative servers of the tests have in common: a process in a folder of its own, asked over the wire."""

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import dns.asyncquery
import dns.message
import dns.name
import dns.tsig

from .servers import NOBODY, drop, folder
from .waiting import eventually_sync

UPDATE_KEY = "upd."
UPDATE_SECRET = "c2VjcmV0LW9mLWEtdGVzdC13aXRoLTMyLW9jdGV0cyE="  # noqa: S105 - a secret of tests only
"""Name and secret (base64) of the key that may update and transfer every zone."""


def update_key() -> dns.tsig.Key:
    """That key, as dnspython has it."""
    return dns.tsig.Key(dns.name.from_text(UPDATE_KEY), UPDATE_SECRET, dns.tsig.HMAC_SHA256)


class NameServer:
    """One server; a restarted one keeps ports and zones. A kind of server says how it is started and when it answers."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.port = 0
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        """Where it answers DNS, `ip:port`, by UDP and TCP."""
        return f"127.0.0.1:{self.port}"

    @property
    def zones(self) -> Path:
        """Folder of zone files that the server may write, and a plugin beside it too."""
        return self.home / "zones"

    def start(self) -> None:
        """Start, or start again after a stop or a kill; returns when it answers."""
        self.own_folder("zones")
        for _ in range(3):  # somebody may take a port between our look and the server's
            command = self.prepare()
            with (self.home / "log").open("ab") as log:
                self._process = subprocess.Popen([*drop(), *command], cwd=self.home, stdout=log, stderr=log)
            if eventually_sync(self._answers_or_ended, within=60, what=f"{command[0]} answers") == "up":
                return
            self.port = 0
        raise AssertionError(f"{type(self).__name__} does not start:\n{self.log()[-2000:]}")

    def stop(self) -> None:
        """End it in peace."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            self._process.wait(60)

    def kill(self) -> None:
        """kill -9."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def log(self) -> str:
        """What it wrote until now."""
        return (self.home / "log").read_text(errors="replace")

    async def ask(self, name: str, kind: str, *, tcp: bool = False) -> dns.message.Message:
        """One question, with DNSSEC records asked for."""
        query = dns.message.make_query(name, kind, want_dnssec=True)
        if tcp:
            return await dns.asyncquery.tcp(query, "127.0.0.1", timeout=30, port=self.port)
        answer, _ = await dns.asyncquery.udp_with_fallback(query, "127.0.0.1", timeout=30, port=self.port)
        return answer

    def prepare(self) -> list[str]:
        """Write the configuration, with new ports where there are none; the command that starts the server."""
        raise NotImplementedError

    def answers(self) -> bool:
        """Whether it can be worked with."""
        raise NotImplementedError

    def own_folder(self, name: str) -> Path:
        """A folder of the server's own, whose group stays with what is made in it."""
        path = self.home / name
        path.mkdir(exist_ok=True)
        if os.geteuid() == 0:
            os.chown(path, NOBODY, NOBODY)
        path.chmod(0o2770)
        return path

    def _answers_or_ended(self) -> str:
        assert self._process is not None
        if self._process.poll() is not None:
            return "ended"
        return "up" if self.answers() else ""


Server = TypeVar("Server", bound=NameServer)


@contextmanager
def running(kind: type[Server]) -> Iterator[Server]:
    """A running server of that kind for the block."""
    home = folder()
    server = kind(home)
    try:
        server.start()
        yield server
    finally:
        server.stop()
        shutil.rmtree(home, ignore_errors=True)
