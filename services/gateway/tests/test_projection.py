"""The read model: every event once, in its order, whichever replica reads and whenever it dies."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import timedelta
from uuid import uuid4

import pytest
from catalyst.provisioner.v1 import events_pb2
from catalyst_gateway.projection import Projector
from catalyst_gateway.store import Store, metadata, stream_event
from catalyst_mesh import Bus, Database, Leases, Work, migrate
from catalyst_testkit import eventually
from catalyst_testkit.servers import NatsServer
from sqlalchemy import select

SUBJECT = "catalyst.v1.provisioner.sovereign.created"
TTL = timedelta(seconds=2)
"""Short, so that a takeover comes soon; long enough to be renewed on a machine with much else to do."""


class Gateway:
    """The parts of one replica that read streams."""

    def __init__(self, db: Database, bus: Bus) -> None:
        self.work = Work(db, Store, metadata=metadata)
        self.bus = bus
        self.projector = Projector(["provisioner"], work=self.work, bus=bus, leases=Leases(db, metadata, ttl=TTL))
        self.stop = asyncio.Event()
        self.task = asyncio.create_task(self.projector.run(self.stop))

    async def die(self) -> None:
        """As `kill -9`: nothing is put down, no lease is given back."""
        self.projector._leases.release = _nothing  # type: ignore[method-assign]
        self.task.cancel()
        with suppress(asyncio.CancelledError):
            await self.task

    async def end(self) -> None:
        self.stop.set()
        if not self.task.cancelled():
            await asyncio.wait_for(self.task, 60)

    async def versions(self) -> list[int]:
        async with self.work.reading() as tx:
            query = select(stream_event.c.version).order_by(stream_event.c.number)
            return list((await tx.sql.execute(query)).scalars())


async def _nothing(_name: str) -> None:
    pass


@pytest.fixture
async def replicas(database: str, clean_nats: NatsServer) -> AsyncIterator[list[Gateway]]:
    databases = [await Database.open(database) for _ in range(2)]
    await migrate(databases[0], "catalyst_gateway", metadata)
    two = [Gateway(db, Bus(clean_nats.url, "test")) for db in databases]
    yield two
    for one in two:
        await one.end()
        await one.bus.close()
    for db in databases:
        await db.close()


async def tell(bus: Bus, first: int, last: int) -> None:
    """Publish versions of one Sovereign."""
    await bus.ensure_stream("provisioner")
    js = await bus.jetstream()
    for version in range(first, last + 1):
        body = events_pb2.SovereignCreated(sovereign="sovereigns/acme", version=version)
        headers = {"ce-id": str(uuid4()), "ce-dataschema": body.DESCRIPTOR.full_name}
        await js.publish(SUBJECT, body.SerializeToString(), headers=headers)


async def test_whoever_takes_over_goes_on_where_the_rows_end(replicas: list[Gateway]) -> None:
    one, other = replicas
    await tell(one.bus, 1, 100)
    await eventually(one.versions, within=60, what="somebody reads")
    telling = asyncio.create_task(tell(other.bus, 101, 400))
    held = one if one.projector._leases.replica == await _holder(one) else other
    left = other if held is one else one
    await held.die()
    await telling
    await eventually(lambda: _has(left, 400), within=60, what="all was read")
    assert await left.versions() == list(range(1, 401))


async def test_a_stream_that_was_wiped_is_read_from_its_start(replicas: list[Gateway]) -> None:
    one, _ = replicas
    await tell(one.bus, 1, 20)
    await eventually(lambda: _has(one, 20), within=60, what="all was read")
    js = await one.bus.jetstream()
    await js.delete_stream("CATALYST_PROVISIONER")
    for gateway in replicas:
        gateway.bus.forget_streams()
    await tell(one.bus, 21, 25)
    await eventually(lambda: _has(one, 25), within=60, what="what came after was read too")
    assert await one.versions() == list(range(1, 26))


async def test_a_lower_number_is_never_seen_after_a_higher_one(replicas: list[Gateway]) -> None:
    first, second = replicas
    seen = asyncio.Event()

    async def add(gateway: Gateway, version: int) -> None:
        async with gateway.work.transaction() as tx:
            await tx.take_turn()
            await tx.add(_row(version, tx))
            seen.set()

    async with first.work.transaction() as tx:
        await tx.take_turn()
        await tx.add(_row(1, tx))
        adding = asyncio.create_task(add(second, 2))
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(seen.wait(), 0.2)
    await asyncio.wait_for(adding, 60)
    assert await first.versions() == [1, 2]


def _row(version: int, tx: Store) -> dict[str, object]:
    told = {"event_id": str(version), "subject": SUBJECT, "aggregate": "a", "version": version}
    return {**told, "time": tx.now, "body": {}, "organization": "acme"}


async def _has(gateway: Gateway, number: int) -> bool:
    return len(await gateway.versions()) >= number


async def _holder(gateway: Gateway) -> str:
    async with gateway.work.reading() as tx:
        return str((await tx.sql.execute(select(metadata.tables["lease"].c.holder))).scalar_one())
