"""Events through the death of NATS: rows 3, 4, 12 and 13 of the reliability table. Seeds are printed."""

import asyncio
import random
from pathlib import Path

import pytest
from catalyst_testkit import eventually
from catalyst_testkit.servers import NatsServer

from lib.mesh.tests.toy import Name, Reserved

from .guarantees import History, broken
from .mesh import Mesh, all_in_turn, mesh

pytestmark = pytest.mark.chaos


async def arrived(m: Mesh, count: int, within: float = 60) -> None:
    async def check() -> bool:
        assert (len(await m.handled()), len(await m.projected())) == (count, count)
        return True

    await eventually(check, within=within, every=0.2)


async def test_commands_succeed_while_nats_is_away_and_their_events_follow_in_order(
    home: Path, own_nats: NatsServer
) -> None:
    """Row 3."""
    async with mesh(home, own_nats, chance=random.Random(3)) as m:
        await all_in_turn([m.reserve(f"name-{n % 25}") for n in range(100)])
        own_nats.kill()
        await all_in_turn([m.reserve(f"name-{n % 25}") for n in range(400)])  # none may fail
        assert await m.unpublished() >= 400
        own_nats.start()
        await eventually(lambda: no_backlog(m), within=30, every=0.2)
        await arrived(m, 500)
        told = await m.told()
        assert broken(History(told, await m.handled(), await m.projected())) == {}


async def no_backlog(m: Mesh) -> bool:
    return not await m.unpublished()


async def test_a_wiped_nats_is_refilled_and_read_models_differ_from_the_source_by_nothing(
    home: Path, own_nats: NatsServer, database: str, second_database: str
) -> None:
    """Row 4."""
    async with mesh(home, own_nats, chance=random.Random(4), databases=(database, second_database)) as m:
        await all_in_turn([m.reserve(f"name-{n % 10}") for n in range(40)])
        await arrived(m, 40)
        for table in ("stream_event", "inbox_seen"):  # the gateway has lost its read model too
            async with m.gateway.daemon.db.begin() as sql:
                await sql.execute(m.gateway.daemon.metadata.tables[table].delete())
        own_nats.wipe()
        await all_in_turn([m.reserve(f"name-{n % 10}") for n in range(10)])
        await eventually(lambda: no_backlog(m), within=60, every=0.2)
        assert await m.replay() == 50
        await arrived(m, 50)
        source = set(await m.told())
        assert source ^ set(await m.projected()) == set()
        assert source ^ set(await m.handled()) == set()


async def test_a_read_model_that_lost_events_gets_them_from_their_source_without_a_replay(
    home: Path, own_nats: NatsServer
) -> None:
    """Row 4, where nobody notices: the stream is gone, and with it the end of what was told."""
    async with mesh(home, own_nats, chance=random.Random(4), compare_seconds=0.5) as m:
        await all_in_turn([m.reserve(f"name-{n % 10}") for n in range(40)])
        await arrived(m, 40)
        model = m.gateway.daemon.metadata.tables["stream_event"]
        async with m.gateway.daemon.db.begin() as sql:
            await sql.execute(model.delete().where(model.c.number % 3 == 0))
        own_nats.wipe()

        async def mended() -> bool:
            assert sorted(await m.projected()) == sorted(await m.told())
            return True

        await eventually(mended, within=60)


@pytest.mark.parametrize("seed", [12])
async def test_the_guarantees_hold_through_faults(home: Path, own_nats: NatsServer, seed: int) -> None:
    """Rows 12 and 13: 2,000 events, a handler that fails, NATS killed twice, a follower cut off 20 times."""
    chance, count = random.Random(seed), 2000
    async with mesh(home, own_nats, chance=chance, failing=0.003) as m:
        following = asyncio.create_task(m.follow(count, random.Random(seed + 1), cuts=20))
        versions: dict[str, int] = {}
        for n in range(count // 20):
            if n in (30, 70):
                own_nats.kill()
            async with m.daemon.daemon.work.transaction() as tx:
                for _ in range(20):
                    name = f"name-{chance.randrange(40)}"
                    versions[name] = versions.get(name, 0) + 1
                    tx.emit(Reserved(Name(name, "somebody", versions[name])))
            if n in (35, 75):
                own_nats.start()
        await arrived(m, count, within=120)
        await asyncio.wait_for(following, 60)
        history = History(await m.told(), await m.handled(), m.followed)
    assert len(history.told) == count
    assert broken(history) == {}, f"seed {seed}"
