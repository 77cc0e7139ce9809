from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from catalyst_testkit.daemons import RunningDaemon, running
from catalyst_testkit.servers import NatsServer

from .toy import ToySettings, compose


@pytest.fixture
async def daemon(home: Path, own_nats: NatsServer, database: str) -> AsyncIterator[RunningDaemon]:
    async with running(compose, ToySettings, home, nats_url=own_nats.url, database_url=database) as running_daemon:
        yield running_daemon
