import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from catalyst_catalog.app import compose
from catalyst_catalog.domain.selection import Components
from catalyst_catalog.domain.universe import Universe
from catalyst_catalog.seed import families
from catalyst_catalog.settings import CatalogSettings
from catalyst_testkit.daemons import RunningDaemon, running
from catalyst_testkit.servers import NatsServer

from .asking import Start, read
from .makers import BLUEPRINTS, seed_releases


@pytest.fixture(scope="session")
def package() -> str:
    return "catalyst_catalog"


@pytest.fixture(scope="session")
def seed() -> Universe:
    """The Blueprints of this repository."""
    return Universe(seed_releases())


@pytest.fixture(scope="session")
def components(seed: Universe) -> Components:
    return Components(seed, families(BLUEPRINTS))


@pytest.fixture
async def daemon(home: Path, clean_nats: NatsServer, database: str) -> AsyncIterator[RunningDaemon]:
    """The catalogue over this repository's Blueprints."""
    async with running(
        compose, CatalogSettings, home, nats_url=clean_nats.url, database_url=database, blueprints=BLUEPRINTS
    ) as client:
        yield client


@pytest.fixture
async def start(home: Path, clean_nats: NatsServer, database: str) -> Start:
    @asynccontextmanager
    async def run(**values: Any) -> AsyncIterator[RunningDaemon]:
        fields = {"nats_url": clean_nats.url, "database_url": database, "blueprints": home / "blueprints", **values}
        async with running(compose, CatalogSettings, home, **fields) as client:
            await read(client)
            yield client

    return run


@pytest.fixture
def folder(home: Path) -> Path:
    """An empty folder of public Blueprints."""
    path = home / "blueprints"
    path.mkdir()
    shutil.copy(BLUEPRINTS / "families.yaml", path)
    return path
