from collections.abc import AsyncIterator

import pytest
from catalyst_testkit.postgres import PostgresServer

from .bench import Bench, World


@pytest.fixture
async def bench(database: str) -> AsyncIterator[Bench]:
    opened = await Bench.open(database)
    yield opened
    await opened.close()


@pytest.fixture
async def remote(postgres: PostgresServer) -> AsyncIterator[Bench]:
    """A bench on PostgreSQL, for what SQLite does not have: row locks, and a line that can be cut."""
    opened = await Bench.open(await postgres.database())
    yield opened
    await opened.close()
    await postgres.drop(opened.url)


@pytest.fixture
def world() -> World:
    return World()
