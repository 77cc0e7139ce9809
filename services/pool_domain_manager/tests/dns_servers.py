"""The real DNS server as a process of its own."""

import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from catalyst_mesh.plugins import plugin_context
from catalyst_sdk import load_manifest
from catalyst_sdk.dns import DnsBackend
from catalyst_sdk.resolver import Resolver
from catalyst_testkit.servers import free_port
from catalyst_testkit.waiting import eventually_sync


class Dns:
    """An authoritative server that can be killed and started again on the same folder and ports."""

    tree = "omani.works"
    pool_backend = "backends/embedded"

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.address = f"127.0.0.1:{free_port()}"
        self.control = f"127.0.0.1:{free_port()}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "catalyst_dns_embedded", "serve", "--data", str(self.folder), "--listen",
             self.address, "--control", self.control, "--tree", self.tree],
            stdout=subprocess.PIPE,
        )  # fmt: skip
        eventually_sync(lambda: _listens(self.control), within=30, what="the control port answers")

    def kill(self) -> None:
        process, self._process = self._process, None
        if process is not None and process.stdout is not None:
            process.kill()
            process.wait()
            process.stdout.close()

    def end(self) -> None:
        """The test is over."""
        self.kill()

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
