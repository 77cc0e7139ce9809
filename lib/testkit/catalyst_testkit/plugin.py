"""The pytest plugin: fixtures that every package's tests may use."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from .bind import BindServer, bind_server
from .knot import KnotServer, knot_server
from .postgres import PostgresServer, fresh_database, postgres_server
from .powerdns import PowerDnsServer, powerdns_server
from .servers import NatsServer, folder, nats_server


@pytest.fixture(scope="session")
def nats() -> Iterator[NatsServer]:
    """One NATS server with JetStream per test run and worker. Name streams of your own, or wipe what you made."""
    with nats_server() as server:
        yield server


@pytest.fixture
def own_nats() -> Iterator[NatsServer]:
    """A NATS server of this test's own: for wiping, killing, and for daemons whose streams have fixed names."""
    with nats_server() as server:
        yield server


@pytest.fixture
def home() -> Iterator[Path]:
    """A folder of this test's own that servers running as nobody can enter."""
    path = folder()
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """One PostgreSQL server per test run and worker. Take a database of your own: `await postgres.database()`."""
    with postgres_server() as server:
        yield server


@pytest.fixture
def own_postgres() -> Iterator[PostgresServer]:
    """A PostgreSQL server of this test's own: for stopping, killing and starting it again."""
    with postgres_server() as server:
        yield server


@pytest.fixture(scope="session")
def powerdns() -> Iterator[PowerDnsServer]:
    """One PowerDNS per test run and worker. Make zones of your own."""
    with powerdns_server() as server:
        yield server


@pytest.fixture
def own_powerdns() -> Iterator[PowerDnsServer]:
    """A PowerDNS of this test's own: for stopping, killing and starting it again."""
    with powerdns_server() as server:
        yield server


@pytest.fixture(scope="session")
def bind() -> Iterator[BindServer]:
    """One BIND per test run and worker. Make zones of your own."""
    with bind_server() as server:
        yield server


@pytest.fixture
def own_bind() -> Iterator[BindServer]:
    """A BIND of this test's own: for stopping, killing and starting it again."""
    with bind_server() as server:
        yield server


@pytest.fixture(scope="session")
def knot() -> Iterator[KnotServer]:
    """One Knot DNS per test run and worker. Make zones of your own."""
    with knot_server() as server:
        yield server


@pytest.fixture
def own_knot() -> Iterator[KnotServer]:
    """A Knot DNS of this test's own: for stopping, killing and starting it again."""
    with knot_server() as server:
        yield server


@pytest.fixture(scope="session")
def package() -> str:
    """A daemon's package, whose tables are in `database` already; a suite of one daemon says which, to be quicker."""
    return ""


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, home: Path, package: str) -> Iterator[str]:
    """URL of a fresh database of each kind: a test that takes it runs on both, and keeps it through restarts."""
    if request.param == "sqlite":
        yield f"sqlite+aiosqlite:///{home}/test.db"
        return
    with fresh_database(request.getfixturevalue("postgres"), package) as url:
        yield url


@pytest.fixture
def second_database(request: pytest.FixtureRequest, database: str, home: Path) -> Iterator[str]:
    """Another fresh database of the same kind as `database`."""
    if database.startswith("sqlite"):
        yield f"sqlite+aiosqlite:///{home}/second.db"
        return
    with fresh_database(request.getfixturevalue("postgres")) as url:
        yield url


__all__ = [
    "bind",
    "database",
    "home",
    "knot",
    "nats",
    "own_bind",
    "own_knot",
    "own_nats",
    "own_postgres",
    "package",
    "own_powerdns",
    "postgres",
    "powerdns",
    "second_database",
]
