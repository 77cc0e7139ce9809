"""A pool on BIND or Knot, written by signed updates; as on PowerDNS, the embedded server has the root and the top level."""

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from catalyst_dns_rfc2136 import plugin
from catalyst_mesh.plugins import SecretFiles, plugin_context
from catalyst_sdk import load_manifest
from catalyst_sdk.dns import DnsBackend
from catalyst_testkit.bind import BindServer
from catalyst_testkit.knot import POLICY, KnotServer
from catalyst_testkit.nameservers import UPDATE_KEY, UPDATE_SECRET

from .dns_servers import Dns
from .on_powerdns import ABOVE, SERVER, plant_pool
from .on_powerdns import POOL as POOL_ZONE


class OnUpdates(Dns):
    """As `Dns`; what is killed and started again is the server of the pool."""

    tree = ABOVE
    pool_backend = "backends/rfc2136"

    def __init__(self, folder: Path, server: BindServer | KnotServer) -> None:
        super().__init__(folder)
        self.server = server
        self.secrets = folder / "secrets"
        self.is_controlling = True
        """Whether the daemon makes zones over the server's control channel."""

    @property
    def hints(self) -> Path:
        return self.folder / "all-hints.json"

    def start(self) -> None:
        if not self.hints.exists():
            super().start()
            self.secrets.mkdir()
            (self.secrets / "update").write_text(UPDATE_SECRET)
            known = json.loads(super().hints.read_text())
            self.hints.write_text(json.dumps({**known, SERVER: self.server.address}))
            asyncio.run(plant_pool(self.backend, super().backend))
        else:
            self.server.start()

    def kill(self) -> None:
        self.server.kill()

    def end(self) -> None:
        super().kill()

    def settings(self) -> Mapping[str, Any]:
        return {
            **super().settings(), "plugins": {"dns_backend:dns_rfc2136": self._config()}, "secrets_folder": self.secrets,
        }  # fmt: skip

    @property
    def served_at(self) -> tuple[str, int]:
        host, _, port = self.server.address.rpartition(":")
        return host, int(port)

    @property
    def backend(self) -> DnsBackend:
        manifest = load_manifest(Path(plugin.__file__).with_name("manifest.toml"))
        made: DnsBackend = plugin.catalyst_plugin(
            plugin_context(self.folder.parent, SecretFiles(self.secrets))(manifest, self._config())
        )
        return made

    def _config(self) -> dict[str, Any]:
        kind, at = (
            ("bind", self.server.rndc_config) if isinstance(self.server, BindServer) else ("knot", self.server.socket)
        )
        control = {
            "control": kind, "control_at": str(at), "zone_folder": str(self.server.zones), "signing_policy": POLICY,
        }  # fmt: skip
        line = {"server": self.server.address, "key_name": UPDATE_KEY, "key": "update", "probe_zone": POOL_ZONE}
        return {**line, **(control if self.is_controlling else {})}
