"""The pytest plugin: fixtures that every package's tests may use."""

import asyncio
import gc
import os
import shutil
import zlib
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest
import structlog
from hypothesis import HealthCheck

from .bind import BindServer, bind_server
from .knot import KnotServer, knot_server
from .postgres import PostgresServer, fresh_database, postgres_server
from .powerdns import PowerDnsServer, powerdns_server
from .servers import NatsServer, folder, nats_server
from .sqlite import SqliteTemplates

DATABASES = ("sqlite", "postgresql")


def pytest_collection_finish() -> None:
    """What was imported stays: the garbage collector, a tenth of a run's time, need not look at it over and over."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)


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


@pytest.fixture
def clean_nats(nats: NatsServer) -> Iterator[NatsServer]:
    """The server of the test run without anybody's streams, which costs a tenth of one of one's own. It is not to be killed."""
    yield nats
    asyncio.run(nats.forget())


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


@pytest.fixture(scope="session")
def sqlite_templates() -> Iterator[SqliteTemplates]:
    """Files with the tables of daemons, to be copied."""
    path = folder()
    yield SqliteTemplates(path)
    shutil.rmtree(path, ignore_errors=True)


def pytest_configure(config: pytest.Config) -> None:
    """Make our markers known, and the log cheap: to draw each frame of a traceback with all its locals takes seconds."""
    config.addinivalue_line("markers", "either_database: runs on one kind of database, on both in the long profile")
    # A slow machine is no finding; neither is how long it took to think of an example.
    hypothesis.settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
    hypothesis.settings.load_profile("patient")
    plain = structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
    structlog.configure(processors=[*structlog.get_config()["processors"][:-1], plain])


@pytest.fixture(autouse=True)
def log_as_before() -> Iterator[None]:
    """A test that sets up a daemon's log, which writes to that test's own stdout, leaves no log behind."""
    before = structlog.get_config()
    yield
    structlog.configure(**before)
    structlog.contextvars.clear_contextvars()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test that takes `database` runs on each kind; one marked `either_database`, or of a daemon, on one that its name decides.

    What the chassis does on both kinds is tried on both every day; what daemons make of it, by turns, in a long run on both.
    """
    if "database" not in metafunc.fixturenames or _names_its_own(metafunc):
        return
    kinds: tuple[str, ...] = DATABASES
    by_turns = metafunc.definition.get_closest_marker("either_database") or "services" in metafunc.definition.path.parts
    if by_turns and os.environ.get("HYPOTHESIS_PROFILE") != "long":
        # PostgreSQL has a third of them: there a test takes half as long again.
        kinds = (DATABASES[zlib.crc32(metafunc.definition.name.encode()) % 3 == 0],)
    metafunc.parametrize("database", kinds, indirect=True)


def _names_its_own(metafunc: pytest.Metafunc) -> bool:
    names = (str(mark.args[0] if mark.args else "") for mark in metafunc.definition.iter_markers("parametrize"))
    return any("database" in name for name in names)


@pytest.fixture
def database(
    request: pytest.FixtureRequest, home: Path, package: str, sqlite_templates: SqliteTemplates
) -> Iterator[str]:
    """URL of a fresh database; a test keeps it through restarts.

    Whoever takes it runs on SQLite and on PostgreSQL. The marker `either_database` is for suites in which
    many tests send the same statements: each of these tests runs on one kind, a third of them on PostgreSQL.
    """
    if request.param == "sqlite":
        if package:
            shutil.copy(sqlite_templates.of(package), home / "test.db")
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
    "sqlite_templates",
]
