from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from .bench import Bench, World, database_url


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    opened = await Bench.open(database_url(str(tmp_path)))
    yield opened
    await opened.close()


@pytest.fixture
def world() -> World:
    return World()
