"""The gateway's rows in a real PostgreSQL."""

from pathlib import Path

import asyncpg
import pytest
from catalyst_promoter_demo.behind import CANARY, ROW, Closed, Unsure
from catalyst_promoter_demo.postgres import Postgres
from catalyst_sdk import deadman
from catalyst_sdk.deadman import Sign, boot_id, boottime
from catalyst_testkit.postgres import PostgresServer


async def promoted(server: PostgresServer, epoch: int) -> str:
    """The address of a fresh database in which an epoch has begun."""
    address = (await server.database()).replace("postgresql+asyncpg:", "postgresql:")
    sql = await asyncpg.connect(address)
    await sql.execute("CREATE SCHEMA catalyst; CREATE TABLE catalyst.epoch (epoch bigint PRIMARY KEY)")
    await sql.execute("INSERT INTO catalyst.epoch VALUES ($1)", epoch)
    await sql.close()
    return address


async def test_a_row_has_the_epoch_that_the_database_knows_and_is_written_once(postgres: PostgresServer) -> None:
    behind = Postgres(await promoted(postgres, 4), "east")
    assert (await behind.read(ROW, 0, 10), await behind.find(ROW, 7)) == ([], None)
    entry = await behind.write(ROW, 7)
    assert (entry.n, entry.epoch, entry.region) == (7, 4, "east")
    assert await behind.write(ROW, 7) == entry == await behind.find(ROW, 7)
    await behind.write(CANARY, 7)
    assert [one.n for one in await behind.read(ROW, 0, 10)] == [7]
    assert (await behind.whoami()).writable is True


async def test_no_row_is_taken_for_which_no_agent_vouches_in_the_databases_epoch(
    postgres: PostgresServer, tmp_path: Path
) -> None:
    path = tmp_path / "dead-man.json"
    behind = Postgres(await promoted(postgres, 4), "east", path)
    with pytest.raises(Closed, match="no agent"):
        await behind.write(ROW, 7)
    deadman.write(path, Sign(3, boot_id(), boottime() + 86_400))
    with pytest.raises(Closed, match="epoch 3"):
        await behind.write(ROW, 7)
    assert await behind.find(ROW, 7) is None
    assert (await behind.whoami()).writable is False
    deadman.write(path, Sign(4, boot_id(), boottime() + 86_400))
    assert (await behind.write(ROW, 7)).epoch == 4


async def test_a_database_that_is_away_or_has_no_epoch_takes_nothing(postgres: PostgresServer) -> None:
    away = Postgres("postgresql://postgres@127.0.0.1:1/none", "east")
    with pytest.raises(Closed):
        await away.write(ROW, 7)
    with pytest.raises(Unsure):
        await away.read(ROW, 0, 10)
    assert (await away.whoami()).role == "stopped"
    address = await promoted(postgres, 1)
    sql = await asyncpg.connect(address)
    await sql.execute("DELETE FROM catalyst.epoch")
    await sql.close()
    with pytest.raises(Closed, match="takes no write"):
        await Postgres(address, "east").write(ROW, 7)
