"""Real daemons as processes, several on one database, and callers that remember what they were told."""

import os
import random
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from catalyst_testkit.postgres import PostgresServer
from catalyst_testkit.processes import Nursery, Replicas, nursery
from catalyst_testkit.servers import NatsServer

from .callers import Names

TOY = Path(__file__).parents[2] / "lib" / "mesh" / "tests" / "toy.py"
LONG = os.environ.get("CATALYST_CHAOS") == "long" or os.environ.get("HYPOTHESIS_PROFILE") == "long"
IMPORTED = (
    "catalyst_pool_domain_manager.app", "catalyst_billing.app", "catalyst_mesh.migrations", "alembic.runtime.environment",
    "alembic.script", "alembic.config", "sqlalchemy.dialects.sqlite.aiosqlite", "sqlalchemy.dialects.postgresql.asyncpg",
    "asyncpg", "uvloop", "catalyst_payment_fake.plugin",
)  # fmt: skip


@pytest.fixture(scope="session")
def born() -> Iterator[Nursery]:
    with nursery(*IMPORTED) as opened:
        yield opened


@pytest.fixture
def chosen() -> random.Random:
    """What this test leaves to chance; CATALYST_CHAOS_SEED repeats it, as far as the machine's timing allows."""
    seed = int(os.environ.get("CATALYST_CHAOS_SEED", random.randrange(1_000_000)))
    print(f"CATALYST_CHAOS_SEED={seed}")  # noqa: T201 - shown when the test fails
    return random.Random(seed)


@pytest.fixture
def long() -> bool:
    return LONG


@pytest.fixture
async def pdm(home: Path, own_nats: NatsServer, database: str, born: Nursery) -> AsyncIterator[Names]:
    """Replicas of the pool-domain manager without any plugin; start as many as the test needs."""
    async with names(home, own_nats, database, born) as opened:
        yield opened


@pytest.fixture
async def pdm_on_own(
    home: Path, own_nats: NatsServer, own_postgres: PostgresServer, born: Nursery
) -> AsyncIterator[Names]:
    """The same on a PostgreSQL that the test may end."""
    async with names(home, own_nats, await own_postgres.database(), born) as opened:
        yield opened


def names(home: Path, nats: NatsServer, database: str, born: Nursery) -> Names:
    settings = {"nats_url": nats.url, "database_url": database}
    return Names(Replicas(born, "catalyst_pool_domain_manager", "CATALYST_PDM_", home, settings))


@pytest.fixture
async def toy(home: Path, own_nats: NatsServer, database: str, born: Nursery) -> AsyncIterator[Replicas]:
    """The chassis' own small daemon, which hears its own events."""
    replicas = Replicas(
        born, str(TOY), "CATALYST_PDM_", home, {"nats_url": own_nats.url, "database_url": database}
    )  # fmt: skip
    yield replicas
    await replicas.close()


@pytest.fixture
async def billing(home: Path, nats: NatsServer, database: str, born: Nursery) -> AsyncIterator[Replicas]:
    """Replicas of billing with a fake provider that pays; start as many as the test needs."""
    settings = {
        "nats_url": nats.url, "database_url": database, "catalog_target": "127.0.0.1:9",
        "plugins": {"payment_provider:fake": {"script": "pay"}},
    }  # fmt: skip
    replicas = Replicas(born, "catalyst_billing", "CATALYST_BILLING_", home, settings)
    yield replicas
    await replicas.close()
