"""A real Knot DNS for tests: zones are made over its control socket, changed by UPDATE, and signed by its own policy."""

import os
import subprocess
from contextlib import AbstractContextManager
from pathlib import Path

from .nameservers import UPDATE_KEY, UPDATE_SECRET, NameServer, running
from .servers import NOBODY, free_port, need

POLICY = "csk"
"""Name of the signing policy: one key, algorithm 13, NSEC3 without salt or iterations."""
_CONFIG = """
server:
    rundir: "{home}/run"
    listen: 127.0.0.1@{port}
database:
    storage: "{home}/db"
log:
  - target: stderr
    any: info
key:
  - id: {key}
    algorithm: hmac-sha256
    secret: {secret}
acl:
  - id: update
    key: {key}
    action: [update, transfer]
policy:
  - id: {policy}
    algorithm: ecdsap256sha256
    single-type-signing: on
    nsec3: on
    nsec3-iterations: 0
    nsec3-salt-length: 0
    cds-cdnskey-publish: always
template:
  - id: default
    storage: "{home}/zones"
    acl: update
    zonefile-sync: 0
"""


class KnotServer(NameServer):
    """One knotd with a configuration database, so that zones made over its socket outlive it. Take zones of your own."""

    @property
    def socket(self) -> Path:
        """Its control socket."""
        return self.home / "run" / "knot.sock"

    def prepare(self) -> list[str]:
        binary = need("knotd", package="knot")
        for name in ("run", "db"):
            self.own_folder(name)
        first = not self.port
        self.port = self.port or free_port()
        if first:
            self._import()
        return [binary, "-C", str(self.home / "confdb")]

    def answers(self) -> bool:
        return self.socket.exists() and self.knotc("status").returncode == 0

    def knotc(self, *words: str) -> "subprocess.CompletedProcess[str]":
        """One command over the control socket, as a stranger gives it: to look, to plant, to spoil."""
        command = [need("knotc", package="knot"), "-s", str(self.socket), *words]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    def _import(self) -> None:
        """What is in the file goes into the database, which belongs to the server."""
        written = self.home / "knot.conf"
        written.write_text(
            _CONFIG.format(
                home=self.home, port=self.port, key=UPDATE_KEY.rstrip("."), secret=UPDATE_SECRET, policy=POLICY
            )
        )
        database = self.home / "confdb"
        command = [need("knotc", package="knot"), "-C", str(database), "-f", "conf-import", str(written)]
        subprocess.run(command, check=True, capture_output=True, timeout=60)
        if os.geteuid() == 0:
            for path in (database, *database.iterdir()):
                os.chown(path, NOBODY, NOBODY)


def knot_server() -> AbstractContextManager[KnotServer]:
    """A running server for the block."""
    return running(KnotServer)
