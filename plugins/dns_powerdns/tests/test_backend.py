"""The backend, as its contract has it, on a real server."""

from pathlib import Path

import pytest
from catalyst_dns_powerdns import plugin as module
from catalyst_dns_powerdns.plugin import PowerDnsBackend
from catalyst_sdk import load_manifest
from catalyst_sdk.dns import Capability, DnsBackend
from catalyst_testkit.dns_backend_suite import DnsBackendSuite
from catalyst_testkit.powerdns import PowerDnsServer

from .conftest import made


class TestConformance(DnsBackendSuite):
    """The suite that every DNS backend passes."""

    @pytest.fixture
    def plugin(self, powerdns: PowerDnsServer) -> DnsBackend:
        return made(powerdns.url)


async def test_the_manifest_claims_what_the_server_can_do(backend: PowerDnsBackend) -> None:
    manifest = load_manifest(Path(module.__file__).with_name("manifest.toml"))
    evaluated = {Capability.LUA, Capability.GEO}  # only where settings say so: see test_lua.py and test_places.py
    assert set(manifest.capabilities) == await backend.probe() | evaluated == (await backend.info()).capabilities
