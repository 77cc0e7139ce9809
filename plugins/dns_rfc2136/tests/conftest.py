"""The plugin as its host makes it, over real servers."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from catalyst_dns_rfc2136.plugin import UpdateBackend, catalyst_plugin
from catalyst_mesh.clocks import SystemClock
from catalyst_mesh.logs import get_logger
from catalyst_sdk import Secret, SecretRef
from catalyst_sdk.context import PluginContext
from catalyst_testkit.bind import POLICY, BindServer
from catalyst_testkit.knot import KnotServer
from catalyst_testkit.nameservers import UPDATE_KEY, UPDATE_SECRET
from catalyst_testkit.powerdns import PowerDnsServer, powerdns_server


@dataclass
class Safe:
    """Secrets by name."""

    values: dict[str, str] = field(default_factory=lambda: {"update": UPDATE_SECRET})

    async def resolve(self, ref: SecretRef) -> Secret:
        return Secret(self.values[ref.name])


def made(server: str, secrets: Safe | None = None, **config: Any) -> UpdateBackend:
    """The plugin for a server at `ip:port`."""
    values = {"server": server, "key_name": UPDATE_KEY, "key": SecretRef("update"), **config}
    context = PluginContext(SystemClock(), get_logger("test"), secrets or Safe(), Path("unused"), values)
    plugin: UpdateBackend = catalyst_plugin(context)
    return plugin


def on_bind(server: BindServer, **config: Any) -> UpdateBackend:
    """With BIND's control channel."""
    values = {"control": "bind", "control_at": str(server.rndc_config), "signing_policy": POLICY, **config}
    return made(server.address, zone_folder=str(server.zones), **values)


def on_knot(server: KnotServer, **config: Any) -> UpdateBackend:
    """With Knot's control socket."""
    values = {"control": "knot", "control_at": str(server.socket), "signing_policy": POLICY, **config}
    return made(server.address, zone_folder=str(server.zones), **values)


PREPARED = "*.suite.example."
PROBED = "probe.example."


def prepare(server: PowerDnsServer, zone: str) -> None:
    """What an operator of PowerDNS does: an empty, signed zone that our key may update and transfer."""
    made = {
        "name": zone, "kind": "Native", "dnssec": True, "nsec3param": "1 0 0 -", "api_rectify": True,
        "soa_edit_api": "DEFAULT", "master_tsig_key_ids": [UPDATE_KEY], "nameservers": ["ns.prepared.example."],
    }  # fmt: skip
    assert server.api("POST", "/zones", made).status_code == 201
    metadata = {"TSIG-ALLOW-DNSUPDATE": UPDATE_KEY.rstrip("."), "SOA-EDIT-DNSUPDATE": "INCREASE"}
    for kind, value in metadata.items():
        body = {"kind": kind, "metadata": [value]}
        assert server.api("PUT", f"/zones/{zone}/metadata/{kind}", body).status_code == 200


def on_powerdns(server: PowerDnsServer, **config: Any) -> UpdateBackend:
    """Without control: zones are prepared."""
    return made(server.address, prepared_zones=[PREPARED], probe_zone=PROBED, **config)


@pytest.fixture(scope="session")
def updated_powerdns() -> Iterator[PowerDnsServer]:
    """A PowerDNS that takes updates, with our key and a zone for probes."""
    with powerdns_server(dnsupdate="yes", allow_dnsupdate_from="127.0.0.0/8") as server:
        key = {"name": UPDATE_KEY.rstrip("."), "algorithm": "hmac-sha256", "key": UPDATE_SECRET}
        assert server.api("POST", "/tsigkeys", key).status_code == 201
        prepare(server, PROBED)
        yield server
