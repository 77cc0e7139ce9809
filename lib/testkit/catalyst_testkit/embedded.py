"""The name server that `catalyst dev` brings along, as a process with one zone that takes signed updates."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .nameservers import UPDATE_KEY, UPDATE_SECRET
from .servers import folder, free_port


class EmbeddedServer:
    """One process of `catalyst_dns_embedded`; a restarted one keeps its port and what it was told."""

    def __init__(self, home: Path, zone: str, *flags: str) -> None:
        self.address = f"127.0.0.1:{free_port()}"
        key_file = home / "tsig.key"
        key_file.write_text(UPDATE_SECRET)
        self._command = [
            sys.executable, "-m", "catalyst_dns_embedded", "cell", "--data", str(home / "cell"), "--listen",
            self.address, "--zone", zone, "--key-file", str(key_file), "--key-name", UPDATE_KEY, *flags,
        ]  # fmt: skip
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start, or start again; returns when it answers."""
        self._process = subprocess.Popen(self._command, stdout=subprocess.PIPE)
        assert self._process.stdout is not None
        assert self._process.stdout.readline(), "the server ended at its start"

    def kill(self) -> None:
        """kill -9."""
        process, self._process = self._process, None
        if process is not None and process.stdout is not None:
            process.kill()
            process.wait()
            process.stdout.close()


@contextmanager
def embedded_server(zone: str, *flags: str) -> Iterator[EmbeddedServer]:
    """A running server for the block; `flags` of its command line."""
    home = folder()
    server = EmbeddedServer(home, zone, *flags)
    try:
        server.start()
        yield server
    finally:
        server.kill()
        shutil.rmtree(home, ignore_errors=True)
