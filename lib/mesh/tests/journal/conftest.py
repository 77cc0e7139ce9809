from collections.abc import AsyncIterator

import pytest

from .bench import Bench, World


@pytest.fixture
async def bench(database: str) -> AsyncIterator[Bench]:
    opened = await Bench.open(database)
    yield opened
    await opened.close()


@pytest.fixture
def world() -> World:
    return World()
