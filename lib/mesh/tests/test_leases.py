"""Leases: one holder, fences that grow."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from catalyst_mesh import Database, Leases, ManualClock
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete

from .bench import NOON
from .toy import metadata

TTL = timedelta(seconds=10)


class House:
    """Replicas, each with a database connection of its own on one file, and the clock they share."""

    def __init__(self, databases: list[Database], clock: ManualClock) -> None:
        self.clock = clock
        self.databases = databases
        self.a, self.b = (Leases(db, metadata, replica=name, ttl=TTL) for db, name in zip(databases, "ab", strict=True))


@pytest.fixture
async def house(database: str) -> AsyncIterator[House]:
    clock = ManualClock(NOON)
    opened = House([await Database.open(database, metadata=metadata, clock=clock) for _ in range(2)], clock)
    yield opened
    for db in opened.databases:
        await db.close()


async def test_one_holder_until_the_end_and_then_the_next_with_a_higher_fence(house: House) -> None:
    assert await house.a.acquire("relay") == 1
    assert await house.b.acquire("relay") is None
    house.clock.advance(TTL - timedelta(microseconds=1))
    assert await house.b.acquire("relay") is None
    house.clock.advance(timedelta(microseconds=1))
    assert await house.b.acquire("relay") == 2
    assert await house.a.acquire("relay") is None


async def test_renewing_keeps_the_fence_and_moves_the_end(house: House) -> None:
    for _ in range(3):
        assert await house.a.acquire("relay") == 1
        house.clock.advance(TTL / 2)
    assert await house.b.acquire("relay") is None


async def test_a_released_lease_is_free_at_once_and_its_fence_goes_on(house: House) -> None:
    await house.a.acquire("relay")
    await house.a.release("relay")
    assert await house.b.acquire("relay") == 2
    await house.b.release("relay")
    assert await house.a.acquire("relay") == 3


async def test_nobody_releases_another_s_lease(house: House) -> None:
    await house.a.acquire("relay")
    await house.b.release("relay")
    assert await house.b.acquire("relay") is None


async def test_leases_of_different_names_do_not_meet(house: House) -> None:
    assert await house.a.acquire("one") == 1
    assert await house.b.acquire("two") == 1


async def test_of_many_that_come_at_once_one_holds(house: House) -> None:
    many = [Leases(db, metadata, replica=str(n), ttl=TTL) for n, db in enumerate(house.databases * 10)]
    got = await asyncio.gather(*(leases.acquire("relay") for leases in many))
    assert sorted(got, key=str) == sorted([1] + [None] * 19, key=str)


async def test_waiting_ends_when_it_is_held_or_when_the_daemon_stops(house: House) -> None:
    stop = asyncio.Event()
    await house.a.acquire("relay")
    quick = Leases(house.databases[1], metadata, replica="b", ttl=timedelta(milliseconds=30))
    waiting = asyncio.create_task(quick.held("relay", stop))
    house.clock.advance(TTL)
    assert await asyncio.wait_for(waiting, 5) == 2
    waiting = asyncio.create_task(house.a.held("relay", stop))
    house.a.ttl = TTL
    stop.set()
    assert await asyncio.wait_for(waiting, 5) is None


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from(["a takes", "b takes", "a gives", "b gives", "time passes"]), max_size=25))
async def test_in_any_order_one_holder_and_growing_fences(house: House, events: list[str]) -> None:
    async with house.databases[0].begin() as sql:
        await sql.execute(delete(metadata.tables["lease"]))
    holder, until, fences = "", house.clock.now(), [0]
    for event in events:
        who, _, what = event.partition(" ")
        if event == "time passes":
            house.clock.advance(TTL / 2)
        elif what == "gives":
            await getattr(house, who).release("relay")
            until = house.clock.now() if who == holder else until
        else:
            fence = await getattr(house, who).acquire("relay")
            assert (fence is None) == (holder not in ("", who) and until > house.clock.now())
            if fence is not None:
                assert fence == fences[-1] + (holder != who)
                fences.append(fence)
                holder, until = who, house.clock.now() + TTL
