"""The plugin as its host makes it, over a real server."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from catalyst_dns_powerdns.plugin import PowerDnsBackend, catalyst_plugin
from catalyst_mesh.clocks import SystemClock
from catalyst_mesh.logs import get_logger
from catalyst_sdk import Secret, SecretRef
from catalyst_sdk.context import PluginContext
from catalyst_testkit.powerdns import API_KEY, PowerDnsServer


@dataclass
class Safe:
    """Secrets by name."""

    values: dict[str, str] = field(default_factory=lambda: {"powerdns": API_KEY})

    async def resolve(self, ref: SecretRef) -> Secret:
        return Secret(self.values[ref.name])


def made(url: str, secrets: Safe | None = None, **config: Any) -> PowerDnsBackend:
    """The plugin for a server at `url`."""
    values = {"url": url, "api_key": SecretRef("powerdns"), **config}
    context = PluginContext(SystemClock(), get_logger("test"), secrets or Safe(), Path("unused"), values)
    plugin: PowerDnsBackend = catalyst_plugin(context)
    return plugin


@pytest.fixture
def backend(powerdns: PowerDnsServer) -> PowerDnsBackend:
    return made(powerdns.url)
