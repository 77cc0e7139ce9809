"""The suite over a real streaming pair."""

import asyncio
import os
import signal
from collections.abc import Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import asyncpg
import pytest
from catalyst_promoter_postgres.place import configured
from catalyst_promoter_postgres.promoter import PostgresPromoter
from catalyst_promoter_postgres.server import Server
from catalyst_sdk.continuum import Effect, Follow
from catalyst_testkit import eventually
from catalyst_testkit.continuum.postgres_pair import EAST, WEST, PostgresPair, postgres_pair
from catalyst_testkit.continuum.promoter_suite import PromoterBench, PromoterSuite


def aside(work: Coroutine[Any, Any, None]) -> None:
    """Run something to its end in a loop of its own, while another one waits."""
    with ThreadPoolExecutor(1) as pool:
        pool.submit(asyncio.run, work).result()


def bench_of(pair: PostgresPair) -> PromoterBench:
    told = configured(pair.config())

    def start(region: str) -> None:
        """As a supervisor does: whatever the server was before."""
        server = Server(told, told.place(region))
        if server.has_data:
            aside(server.start())

    return PromoterBench(PostgresPromoter(told), EAST, WEST, pair.kill, start, pair.write, pair.rows)


@pytest.fixture(scope="module")
def pair() -> Iterator[PostgresPair]:
    """The east has the first copy."""
    with postgres_pair() as made:
        told = configured(made.config())
        aside(Server(told, told.place(EAST)).found())
        yield made


class TestPostgres(PromoterSuite):
    @pytest.fixture(scope="class")
    @classmethod
    def bench(cls, pair: PostgresPair) -> PromoterBench:
        return bench_of(pair)


async def test_a_promotion_is_tried_on_a_copy_and_the_pair_does_not_notice() -> None:
    with postgres_pair() as pair:
        told = configured(pair.config())
        promoter = PostgresPromoter(told)
        await promoter.server(EAST).found()
        await promoter.promote(region=EAST, epoch=1, run="a", token=None)

        async def follows() -> bool:
            return (await promoter.follow(region=WEST, primary=EAST, epoch=1, run="a")).state is Follow.FOLLOWING

        await eventually(follows, within=60, every=0.1, what="the standby follows")
        assert await pair.write(EAST, 1)
        before = await promoter.observe(region=WEST)
        done = await promoter.rehearse(region=WEST, run="b")
        assert (done.passed, list(done.took)) == (True, ["clone", "promote", "verify", "clean"]), done.why
        after = await promoter.observe(region=WEST)
        assert (after.role, after.timeline, after.ready) == (before.role, before.timeline, True)
        assert await pair.write(EAST, 2)
        assert not (pair.folder(WEST) / "rehearsal").exists()
        (pair.folder(WEST) / "rehearsal").mkdir()  # of a life that died in it
        assert (await promoter.rehearse(region=WEST, run="c")).passed
        assert await promoter.set_sync(region=EAST, standbys=frozenset({WEST}), epoch=1) is Effect.DONE
        assert await pair.write(EAST, 3)
        assert (await promoter.observe(region=EAST)).waiting == 0
        pair.kill(WEST)
        gone = await promoter.rehearse(region=WEST, run="d")
        assert (gone.passed, list(gone.took)) == (False, [])
        assert not (pair.folder(WEST) / "rehearsal").exists()
        writing = asyncio.create_task(pair.write(EAST, 4))

        async def waits() -> bool:
            return (await promoter.observe(region=EAST)).waiting == 1

        await eventually(waits, within=60, every=0.1, what="a commit waits for the standby that is gone")
        writing.cancel()
        await asyncio.gather(writing, return_exceptions=True)


async def test_a_server_that_is_frozen_is_stopped_within_the_budget_all_the_same() -> None:
    with postgres_pair() as pair:
        told = configured(pair.config())
        promoter = PostgresPromoter(told)
        server = promoter.server(EAST)
        await server.found()
        await promoter.promote(region=EAST, epoch=1, run="a", token=None)
        pid = server.pid
        assert pid is not None
        async with promoter._line.to(told.place(EAST)) as writer:
            os.kill(pid, signal.SIGSTOP)  # it answers nobody who comes anew, and those who are connected write on
            assert await writer.fetchval("SELECT 1") == 1
            (fencer,) = promoter.fencers()
            assert await fencer.fence(region=EAST, epoch=1, run="a", budget=fencer.worst_case) is not None
            assert not server.is_running
            with pytest.raises((asyncpg.PostgresConnectionError, asyncpg.InterfaceError)):
                await writer.fetchval("SELECT 1")
