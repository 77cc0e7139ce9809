"""One mesh for all tests of a database: starting daemons costs seconds, and each test takes names of its own."""

import os
import shutil
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from catalyst_testkit.servers import folder, nats_server

from .edges import Edge, edge_of
from .mesh import Mesh, mesh
from .wishes import pooldomain

BOTH = ("sqlite", "postgresql")
LONG = os.environ.get("HYPOTHESIS_PROFILE") == "long"


def mostly_on(kind: str) -> pytest.MarkDecorator:
    """For a suite in which each daemon's own tests, on both databases, are repeated for all of them: one in a short run."""
    kinds = BOTH if LONG else (kind,)
    return pytest.mark.parametrize("around", kinds, indirect=True)


@pytest_asyncio.fixture(scope="package", loop_scope="session", params=BOTH)
async def around(request: pytest.FixtureRequest) -> AsyncIterator[Mesh]:
    """The mesh, on each kind of database, with the pool of the demonstration. Take names of your own from `fresh`."""
    home = folder()
    made: list[str] = []

    async def address(name: str) -> str:
        if request.param == "sqlite":
            return f"sqlite+aiosqlite:///{home}/{name}.db"
        made.append(await request.getfixturevalue("postgres").database())
        return made[-1]

    with nats_server() as nats:
        async with mesh(home, nats, address) as one:
            pool = pooldomain.pool(pooldomain.POOL.removeprefix("pools/"))
            await one.call("catalyst.pooldomain.v1.PoolService/CreatePool", pool)
            yield one
        for url in made:
            postgres: Any = request.getfixturevalue("postgres")
            await postgres.drop(url)
    shutil.rmtree(home, ignore_errors=True)


@pytest_asyncio.fixture(scope="package", loop_scope="session")
async def edge(around: Mesh) -> AsyncIterator[Edge]:
    """The gateway in front of it."""
    async with edge_of(around) as made:
        yield made
