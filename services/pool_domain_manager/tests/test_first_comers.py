"""Two who reserve a name that nobody ever had: there is no row that either could lock."""

from dataclasses import replace

import pytest
from catalyst_mesh import Database, LostRace, migrate
from catalyst_pool_domain_manager.domain.allocations import MOST_TTL, Reserve, reserve
from catalyst_pool_domain_manager.store import Store, metadata
from catalyst_testkit.postgres import PostgresServer


async def test_the_later_of_two_first_comers_does_not_take_the_other_s_row_for_its_own(
    postgres: PostgresServer,
) -> None:
    url = await postgres.database()
    db = await Database.open(url)
    await migrate(db, "catalyst_pool_domain_manager", metadata)
    mine = Reserve("omani.works", "acme", "uid-1", "organizations/one", "one", "one", MOST_TTL, "hash-1")
    theirs = replace(mine, uid="uid-2", owner="organizations/two", token_hash="hash-2")
    async with db.begin() as late, db.begin() as early:
        now = await db.now(late)
        slow, quick = (Store(sql, now, has_row_locks=True) for sql in (late, early))
        assert await slow.lock("omani.works", "acme") is None
        first = reserve(None, theirs, now).state
        await quick.save(first)
        await early.commit()
        with pytest.raises(LostRace):
            await slow.save(reserve(None, mine, now).state)
        await slow.save(first)  # the same wish, said again, is nothing to write
    await db.close()
    await postgres.drop(url)
