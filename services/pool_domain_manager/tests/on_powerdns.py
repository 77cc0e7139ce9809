"""A pool on PowerDNS: the embedded server has the root and the top level, and hands the pool over by NS and DS."""

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from catalyst_dns_powerdns import plugin
from catalyst_mesh.plugins import SecretFiles, plugin_context
from catalyst_sdk import load_manifest
from catalyst_sdk.dns import Change, DnsBackend, RecordSet, ZoneSpec
from catalyst_testkit.powerdns import API_KEY, PowerDnsServer

from .dns_servers import Dns

POOL, ABOVE, SERVER = "omani.works.", "works.", "ns1.omani.works."


class OnPowerDns(Dns):
    """As `Dns`; what is killed and started again is PowerDNS."""

    tree = ABOVE
    pool_backend = "backends/powerdns"

    def __init__(self, folder: Path, powerdns: PowerDnsServer) -> None:
        super().__init__(folder)
        self.powerdns = powerdns
        self.secrets = folder / "secrets"

    @property
    def hints(self) -> Path:
        return self.folder / "all-hints.json"

    def start(self) -> None:
        if not self.hints.exists():
            super().start()
            self.secrets.mkdir()
            (self.secrets / "powerdns").write_text(API_KEY)
            known = json.loads(super().hints.read_text())
            self.hints.write_text(json.dumps({**known, SERVER: self.powerdns.address}))
            asyncio.run(plant_pool(self.backend, super().backend))
        else:
            self.powerdns.start()

    def kill(self) -> None:
        self.powerdns.kill()

    def end(self) -> None:
        super().kill()

    def settings(self) -> Mapping[str, Any]:
        config = {"url": self.powerdns.url, "api_key": "powerdns"}
        return {
            **super().settings(), "plugins": {"dns_backend:dns_powerdns": config}, "secrets_folder": self.secrets,
        }  # fmt: skip

    @property
    def served_at(self) -> tuple[str, int]:
        host, _, port = self.powerdns.address.rpartition(":")
        return host, int(port)

    @property
    def backend(self) -> DnsBackend:
        manifest = load_manifest(Path(plugin.__file__).with_name("manifest.toml"))
        config = {"url": self.powerdns.url, "api_key": "powerdns"}
        made: DnsBackend = plugin.catalyst_plugin(
            plugin_context(self.folder.parent, SecretFiles(self.secrets))(manifest, config)
        )
        return made


async def plant_pool(pool: DnsBackend, above: DnsBackend) -> None:
    """Make the pool's zone on its server, and hand it over from the top level by NS, DS and glue."""
    glue = RecordSet(SERVER, "A", 60, ("127.0.0.1",))
    spec = ZoneSpec(POOL, (SERVER,), "operator", (glue,), ttl=60, negative_ttl=1)
    made = await pool.create_zone(spec=spec)
    ds = tuple(text for key in made.keys for text in key.ds)
    cut = (Change(POOL, "NS", 60, (SERVER,)), Change(POOL, "DS", 60, ds), Change(SERVER, "A", 60, ("127.0.0.1",)))
    await above.apply(zone=ABOVE, changes=cut)
