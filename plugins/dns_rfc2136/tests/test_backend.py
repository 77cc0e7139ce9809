"""The backend, as its contract has it, on three real servers."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from catalyst_sdk import load_manifest
from catalyst_sdk.dns import Capability, DnsBackend
from catalyst_testkit.bind import BindServer
from catalyst_testkit.dns_backend_suite import DnsBackendSuite
from catalyst_testkit.knot import KnotServer
from catalyst_testkit.powerdns import PowerDnsServer

from .conftest import on_bind, on_knot, on_powerdns, prepare

MANIFESTS = (
    "plugins/dns_embedded/catalyst_dns_embedded/manifest.toml",
    "plugins/dns_powerdns/catalyst_dns_powerdns/manifest.toml",
)


class TestOnBind(DnsBackendSuite):
    """The suite that every DNS backend passes, with zones made over BIND's control channel."""

    @pytest.fixture
    def plugin(self, bind: BindServer) -> DnsBackend:
        return on_bind(bind)


class TestOnKnot(DnsBackendSuite):
    """The same, with zones made over Knot's control socket."""

    @pytest.fixture
    def plugin(self, knot: KnotServer) -> DnsBackend:
        return on_knot(knot)


class TestOnPowerDns(DnsBackendSuite):
    """The same, in zones that its operator has prepared: one is filled and emptied, not made and deleted."""

    @pytest.fixture
    def plugin(self, updated_powerdns: PowerDnsServer) -> DnsBackend:
        return on_powerdns(updated_powerdns)

    @pytest.fixture
    def prepare(self, updated_powerdns: PowerDnsServer) -> Callable[[str], None]:
        return partial(prepare, updated_powerdns)


async def test_the_page_about_backends_shows_what_the_servers_show(
    bind: BindServer, knot: KnotServer, updated_powerdns: PowerDnsServer
) -> None:
    page = Path(__file__).parents[3] / "docs" / "reference" / "dns-backends.md"
    rows = [[cell.strip(" `") for cell in line.split("|")[1:-1]] for line in page.read_text().splitlines()]
    told = {row[0]: row[1:] for row in rows if len(row) > 2 and row[0] in frozenset(Capability)}
    assert told.keys() == frozenset(Capability)
    shown = [await backend.probe() for backend in (on_bind(bind), on_knot(knot), on_powerdns(updated_powerdns))]
    ours = [frozenset(load_manifest(page.parents[2] / path).capabilities) for path in MANIFESTS]
    for column, capabilities in enumerate([*ours, *shown]):
        assert {c for c, cells in told.items() if cells[column] == "yes"} == capabilities, column
