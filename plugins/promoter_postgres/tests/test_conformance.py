"""The suite over a real streaming pair."""

import asyncio
from collections.abc import Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from catalyst_promoter_postgres.place import configured
from catalyst_promoter_postgres.promoter import PostgresPromoter
from catalyst_promoter_postgres.server import Server
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
