"""The bell: who works on rows hears of commits, here and in other replicas."""

import asyncio

import pytest
from catalyst_mesh import Bus
from catalyst_mesh.bell import OUTBOX, Bell
from catalyst_mesh.ringer import Ringer
from catalyst_testkit import eventually
from catalyst_testkit.servers import NatsServer
from sqlalchemy import insert

from .bench import Bench, going
from .toy import t as names


async def test_it_rings_for_the_tables_that_a_commit_wrote(database: str) -> None:
    bench = await Bench.open(database)
    with bench.work.bell.listening(names.name) as here, bench.work.bell.listening("another") as elsewhere:
        async with bench.work.transaction() as tx:
            await tx.write(insert(names).values(name="ada", owner="somebody", version=1))
            assert not here.is_set()
    assert here.is_set()
    assert not elsewhere.is_set()
    assert not bench.work.committed.is_set()
    await bench.db.close()


async def test_what_was_taken_back_does_not_ring(database: str) -> None:
    bench = await Bench.open(database)
    listener = bench.work.bell.listener(names.name)
    with pytest.raises(ZeroDivisionError):
        async with bench.work.transaction() as tx:
            await tx.write(insert(names).values(name="ada", owner="somebody", version=1))
            raise ZeroDivisionError
    assert not listener.is_set()
    await bench.db.close()


def test_who_has_left_is_not_rung_for_any_more() -> None:
    bell = Bell()
    with bell.listening(OUTBOX) as gone:
        pass
    bell.ring(OUTBOX)
    assert not gone.is_set()


async def test_a_listener_that_hears_nothing_looks_anyway() -> None:
    bell = Bell()
    bell.patience = 0.01
    await asyncio.wait_for(bell.wait(asyncio.Event(), bell.listener(OUTBOX)), 60)


async def test_a_ring_is_heard_by_the_other_replica_and_carried_once(own_nats: NatsServer) -> None:
    here, there = Bell(), Bell()
    buses = [Bus(own_nats.url, "toy") for _ in range(2)]
    heard, outbox = there.listener("name"), there.listener(OUTBOX)
    async with going(*(Ringer("toy", bell, bus) for bell, bus in zip((here, there), buses, strict=True))):

        async def is_heard() -> bool:
            here.ring("name")  # again and again: a ring that nobody hears is lost
            return heard.is_set()

        await eventually(is_heard, within=60, what="the other replica hears")
        assert not outbox.is_set()
        assert not there.to_carry.is_set()
    for bus in buses:
        await bus.close()


async def test_a_daemon_of_another_name_hears_nothing(own_nats: NatsServer) -> None:
    bells = {name: Bell() for name in ("toy", "twin", "other")}
    listeners = {name: bell.listener("name") for name, bell in bells.items()}
    buses = {name: Bus(own_nats.url, name) for name in bells}
    service = {"toy": "toy", "twin": "toy", "other": "other"}
    async with going(*(Ringer(service[name], bells[name], buses[name]) for name in bells)):

        async def is_heard() -> bool:
            bells["toy"].ring("name")
            return listeners["twin"].is_set()

        await eventually(is_heard, within=60, what="the twin hears")
        assert not listeners["other"].is_set()
    for bus in buses.values():
        await bus.close()


async def test_rings_are_carried_again_when_the_server_is_back(own_nats: NatsServer) -> None:
    here, there = Bell(), Bell()
    buses = [Bus(own_nats.url, "toy") for _ in range(2)]
    heard = there.listener("name")
    own_nats.stop()
    async with going(*(Ringer("toy", bell, bus) for bell, bus in zip((here, there), buses, strict=True))):
        here.ring("name")
        own_nats.start()

        async def is_heard() -> bool:
            here.ring("name")
            return heard.is_set()

        await eventually(is_heard, within=60, what="the other replica hears")
    for bus in buses:
        await bus.close()
