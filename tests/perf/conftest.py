"""`pytest tests/perf -m perf` measures; any other run leaves the rows out, because a busy neighbour would spoil them."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from catalyst_testkit.postgres import FAST, PostgresServer, fresh_database, postgres_server
from catalyst_testkit.powerdns import PowerDnsServer, powerdns_server
from catalyst_testkit.servers import NatsServer, folder, nats_server

from services.pool_domain_manager.tests.on_powerdns import OnPowerDns

from . import machine
from .table import Table

DURABLE = ("shared_buffers=128MB", "max_connections=100")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if "perf" in config.option.markexpr:
        return
    here = Path(__file__).parent
    rows = [item for item in items if item.get_closest_marker("perf") and here in item.path.parents]
    if rows:
        config.hook.pytest_deselected(items=rows)
        items[:] = [item for item in items if item not in rows]


@pytest.fixture(scope="session")
def table() -> Iterator[Table]:
    """Prints itself at the end; CATALYST_PERF_OUT names a file that gets it as Markdown."""
    out = os.environ.get("CATALYST_PERF_OUT")
    table = Table(machine.described(), Path(out) if out else None)
    yield table
    print("\n\n" + table.text)  # noqa: T201 - as above


@pytest.fixture(autouse=True)
def client_core(request: pytest.FixtureRequest) -> Iterator[None]:
    """Rows run on the client's core; their servers are started on the other one."""
    if request.node.get_closest_marker("perf") is None:
        yield
        return
    with machine.on_core(1):
        yield


@pytest.fixture(scope="session")
def nats() -> Iterator[NatsServer]:
    """The server of all rows, on the servers' core."""
    with machine.on_core(0), nats_server() as server:
        yield server


@pytest.fixture(scope="session")
def durable() -> Iterator[PostgresServer]:
    """PostgreSQL as it is run where nothing may be lost."""
    with machine.on_core(0), postgres_server(DURABLE) as server:
        yield server


@pytest.fixture(scope="session")
def forgetful() -> Iterator[PostgresServer]:
    """PostgreSQL that does not wait for the disk: what remains is processor time."""
    with machine.on_core(0), postgres_server(FAST) as server:
        yield server


@pytest.fixture(params=["SQLite", "PostgreSQL", "PostgreSQL, no fsync"])
def store(request: pytest.FixtureRequest, home: Path) -> Iterator[tuple[str, str]]:
    """Words for the table and URL of a fresh database, of each kind in turn."""
    if request.param == "SQLite":
        yield request.param, f"sqlite+aiosqlite:///{home}/test.db"
        return
    server = request.getfixturevalue("forgetful" if "fsync" in request.param else "durable")
    with fresh_database(server) as url:
        yield request.param, url


@pytest.fixture
def publishing_powerdns() -> Iterator[PowerDnsServer]:
    """As the plugin's page advises: CDS and CDNSKEY by the server's default."""
    with machine.on_core(0), powerdns_server(default_publish_cds="2", default_publish_cdnskey="1") as server:
        yield server


@pytest.fixture
def pool_on_powerdns(publishing_powerdns: PowerDnsServer) -> Iterator[OnPowerDns]:
    home = folder()
    with machine.on_core(0):
        dns = OnPowerDns(home, publishing_powerdns)
        dns.start()
    yield dns
    dns.end()
    shutil.rmtree(home, ignore_errors=True)
