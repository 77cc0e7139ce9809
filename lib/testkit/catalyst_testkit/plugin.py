"""The pytest plugin: fixtures that every package's tests may use."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from .servers import NatsServer, folder, nats_server


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


__all__ = ["home", "nats", "own_nats"]
