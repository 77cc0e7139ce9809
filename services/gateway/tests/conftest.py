"""The console in front of fake daemons, for the tests of its pages."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from .fake_daemons import FakeDaemons, fake_daemons
from .looking import Looking, looking


@pytest.fixture
async def daemons() -> AsyncIterator[FakeDaemons]:
    async with fake_daemons() as daemons:
        yield daemons


@pytest.fixture
async def look(daemons: FakeDaemons, home: Path) -> AsyncIterator[Looking]:
    async with looking(daemons, home) as look:
        yield look
