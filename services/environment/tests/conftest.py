"""The daemon, billing and the catalog for tests."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from catalyst_catalog.app import compose as compose_catalog
from catalyst_catalog.settings import CatalogSettings
from catalyst_environment.app import compose
from catalyst_environment.parts import EVENT_BUS, IDENTITY, VCLUSTER, Part
from catalyst_environment.settings import EnvironmentSettings
from catalyst_mesh import ManualClock
from catalyst_testkit.daemons import RunningDaemon, running
from catalyst_testkit.servers import NatsServer

from services.catalog.tests.asking import read
from services.catalog.tests.makers import needs, write

from .house import NOON, SOON, FakeBilling, House, serving_billing
from .shop import MULTI, Shop


@pytest.fixture(scope="session")
def package() -> str:
    return "catalyst_environment"


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOON)


@pytest.fixture
async def fake_billing() -> AsyncIterator[tuple[FakeBilling, str]]:
    async with serving_billing() as served:
        yield served


Start = Callable[..., AbstractAsyncContextManager[House]]


@pytest.fixture
def start(
    home: Path, fake_billing: tuple[FakeBilling, str], clock: ManualClock, clean_nats: NatsServer, database: str
) -> Start:
    """Run the daemon; again on the same home is a restart."""

    @asynccontextmanager
    async def run(*, also: Sequence[Part] = (IDENTITY, EVENT_BUS, VCLUSTER), **settings: Any) -> AsyncIterator[House]:
        composed: Any = partial(compose, clock=clock, also=also, rests=SOON)
        values = {
            "nats_url": clean_nats.url,
            "database_url": database,
            "billing_target": fake_billing[1],
            "promotion_pause": 0.2,
            **settings,
        }  # fmt: skip - one table
        async with running(composed, EnvironmentSettings, home, service="environment", **values) as daemon:
            yield House(daemon, clock, fake_billing[0], home)

    return run


@pytest.fixture
async def house(start: Start) -> AsyncIterator[House]:
    async with start() as one:
        yield one


@pytest.fixture
async def catalog(home: Path, clean_nats: NatsServer) -> AsyncIterator[RunningDaemon]:
    """The real one over a few Blueprints; on SQLite, since it is no part of what is tested."""
    folder = home / "catalog"
    replicas = {"type": "object", "properties": {"replicas": {"type": "integer"}}}
    for name in ("blog", "wiki"):
        write(folder / "blueprints", f"bp-{name}", depends=needs(database="^1"), configSchema=replicas, **MULTI)
    write(folder / "blueprints", "bp-database", **MULTI)
    (home / "issuer").mkdir(exist_ok=True)
    (folder / "issuer").symlink_to(home / "issuer")
    values = {"nats_url": clean_nats.url, "blueprints": folder / "blueprints", "listen": "127.0.0.1:0"}
    async with running(compose_catalog, CatalogSettings, folder, service="catalog", **values) as daemon:
        await read(daemon)
        yield daemon


@pytest.fixture
async def shop(start: Start, catalog: RunningDaemon) -> AsyncIterator[Shop]:
    async with start(catalog_target=catalog.target, repositories_listen="127.0.0.1:0") as house:
        await house.active()
        yield Shop(house, catalog)
