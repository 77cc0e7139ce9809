"""The world that most tests begin with."""

from collections.abc import Iterator

import pytest

from .region_world import World
from .two_regions import two


@pytest.fixture
def world() -> Iterator[World]:
    one = two()
    yield one
    one.end()
