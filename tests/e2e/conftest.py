"""One dev for the tests that leave it as they found it, and fresh ones for those that break things."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from catalyst_testkit.late import leave_for_long_runs

from .devs import Dev


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    # What is dear of two regions: the example that loses one of them is run every day.
    leave_for_long_runs(config, items, file=Path(__file__).with_name("test_regions.py"), but=())
    leave_for_long_runs(config, items, file=Path(__file__).with_name("test_wrong_clocks.py"), but=())
    # Two replicas of each daemon on PostgreSQL, of which each loses one: rows 1 and 8 of tests/chaos kill replicas every day.
    leave_for_long_runs(config, items, file=Path(__file__).with_name("test_replicas.py"), but=())
    # PowerDNS and PostgreSQL are under the suites of their daemons every day; here a whole Sovereign lives on both.
    leave_for_long_runs(config, items, file=Path(__file__).with_name("test_on_real_servers.py"), but=())


@pytest.fixture
def folder() -> Iterator[Path]:
    path = Path(tempfile.mkdtemp(prefix="catalyst-e2e-"))
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def dev(folder: Path) -> Iterator[Dev]:
    """A dev of this test's own."""
    own = Dev(folder)
    own.start()
    yield own
    own.stop()


@pytest.fixture(scope="module")
def lasting() -> Iterator[Dev]:
    """A dev of one file: its tests come in their order, and each can also be the first."""
    path = Path(tempfile.mkdtemp(prefix="catalyst-e2e-"))
    one = Dev(path)
    one.start()
    yield one
    one.stop()
    shutil.rmtree(path, ignore_errors=True)


# Not of the package: a folder without __init__.py is none to pytest, and the dev would idle until the run ends.
@pytest.fixture(scope="module")
def shared() -> Iterator[Dev]:
    """One dev for the tests of a file that only ask, or clean up after themselves."""
    path = Path(tempfile.mkdtemp(prefix="catalyst-e2e-"))
    one = Dev(path)
    one.start()
    yield one
    one.stop()
    shutil.rmtree(path, ignore_errors=True)
