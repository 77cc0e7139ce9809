"""The real DNS server as a process of its own."""

import atexit
import os
import signal
import socket
from collections.abc import Mapping
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from typing import Any

from catalyst_mesh.plugins import plugin_context
from catalyst_sdk import load_manifest
from catalyst_sdk.dns import DnsBackend
from catalyst_sdk.resolver import Resolver
from catalyst_testkit.processes import Nursery, nursery
from catalyst_testkit.servers import free_port
from catalyst_testkit.waiting import eventually_sync

IMPORTED = [f"catalyst_dns_embedded.{name}" for name in ("slim", "control", "server", "signing", "tree")]


@cache
def _born() -> Nursery:
    """What servers are forked from, for the whole test run: a start of Python for each would cost more than most tests."""
    stack = ExitStack()
    atexit.register(stack.close)
    return stack.enter_context(nursery(*IMPORTED))


class Dns:
    """An authoritative server that can be killed and started again on the same folder and ports."""

    tree = "omani.works"
    pool_backend = "backends/embedded"

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._take_ports()
        self._has_answered = False
        self._pid = 0

    def start(self) -> None:
        """Start, or start again; returns when it answers."""
        for _ in range(3):
            self._launch()
            if eventually_sync(self._answers_or_ended, within=60, what="the control port answers") == "up":
                self._has_answered = True
                return
            if self._has_answered:
                break
            self._take_ports()  # somebody took one of them between our look and the server's
        raise AssertionError(self.folder.with_suffix(".log").read_text()[-2000:])

    def _take_ports(self) -> None:
        self.address, self.control = f"127.0.0.1:{free_port()}", f"127.0.0.1:{free_port()}"

    def _launch(self) -> None:
        options = {"data": self.folder, "listen": self.address, "control": self.control, "tree": self.tree}
        args = [text for key, value in options.items() for text in (f"--{key}", str(value))]
        log = self.folder.with_suffix(".log")
        self._pid = _born().fork("catalyst_dns_embedded", os.environ, log, ["serve", *args])

    def kill(self) -> None:
        pid, self._pid = self._pid, 0
        if pid and _born().code(pid) is None:
            os.kill(pid, signal.SIGKILL)
            eventually_sync(lambda: _born().code(pid) is not None, within=60, what="the server is gone")

    def end(self) -> None:
        """The test is over."""
        self.kill()

    def _answers_or_ended(self) -> str:
        if _born().code(self._pid) is not None:
            return "ended"
        return "up" if _listens(self.control) else ""

    @property
    def hints(self) -> Path:
        """Where each name server listens."""
        return self.folder / "hints.json"

    def settings(self) -> Mapping[str, Any]:
        """What the daemon is told about it."""
        return {"dns_control": self.control, "dns_data": self.folder, "dns_hints": self.hints}

    @property
    def served_at(self) -> tuple[str, int]:
        """Address and port of the server that has the pool."""
        host, _, port = self.address.rpartition(":")
        return host, int(port)

    @property
    def backend(self) -> DnsBackend:
        """The same plugin that the daemon uses, made as its host makes it."""
        from catalyst_dns_embedded import plugin

        manifest = load_manifest(Path(plugin.__file__).with_name("manifest.toml"))
        config = {"control": self.control, "data": str(self.folder)}
        made: DnsBackend = plugin.catalyst_plugin(plugin_context(self.folder.parent)(manifest, config))
        return made

    @property
    def anchor(self) -> Path:
        """Trust anchor of the tree."""
        return self.folder / "root.key"

    @property
    def resolver(self) -> Resolver:
        return Resolver.from_files(self.hints, self.anchor)


def _listens(address: str) -> bool:
    host, _, port = address.rpartition(":")
    with socket.socket() as probe:
        return probe.connect_ex((host, int(port))) == 0
