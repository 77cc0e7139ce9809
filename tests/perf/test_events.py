"""From the outbox to the stream and from the stream to an effect, beside the NATS client alone."""

import asyncio
from collections.abc import Sequence
from typing import Any

from catalyst_mesh import Bus
from catalyst_mesh.relay import headers
from catalyst_testkit import eventually
from catalyst_testkit.servers import NatsServer
from nats.js import JetStreamContext
from nats.js.api import ConsumerConfig
from sqlalchemy import select

from lib.mesh.tests.bench import SUBJECT, Bench, going
from lib.mesh.tests.toy import metadata

from .harness import Goal, Round, batch, compare, measured
from .table import Table

EVENTS = 600
STREAM = "CATALYST_POOLDOMAIN"


async def publish(js: JetStreamContext, rows: Sequence[dict[str, Any]], *, again: int) -> None:
    """Bodies and headers as the relay sends them, 256 in flight."""
    free = asyncio.Semaphore(256)

    async def one(row: dict[str, Any]) -> None:
        async with free:
            head = {**headers("pooldomain", row), "Nats-Msg-Id": f"{row['event_id']}-{again}"}
            await js.publish(SUBJECT, row["body"], headers=head, timeout=10)

    await asyncio.gather(*(one(row) for row in rows))


@measured
async def test_relay(table: Table, store: tuple[str, str], nats: NatsServer) -> None:
    kind, url = store
    bench, bus = await Bench.open(url), Bus(nats.url, "perf")
    await bus.ensure_stream("pooldomain")
    js, round_number = await bus.jetstream(), 0

    async def relayed() -> Round:
        nonlocal round_number
        round_number += 1
        await bench.tell(*(f"pools/p/allocations/n{round_number}-{n}@1" for n in range(EVENTS)))

        async def drain() -> None:
            async with going(bench.relay(bus)):
                await eventually(lambda: _none(bench), within=60, every=0.01)

        return await batch(drain, EVENTS)

    async def bare() -> Round:
        rows = [{**row, "previous": {}} for row in (await bench.rows("outbox"))[-EVENTS:]]
        return await batch(lambda: publish(js, rows, again=round_number), EVENTS)

    goal = Goal("throughput", 0.5, "nats-py, same bodies, 256 in flight")
    table.add(await compare(f"relay, {kind} to JetStream", goal, ours=relayed, bare=bare))
    await js.delete_stream(STREAM)
    await bus.close()
    await bench.db.close()


async def _none(bench: Bench) -> bool:

    t = metadata.tables["outbox"]
    async with bench.db.read() as sql:
        return (await sql.execute(select(t.c.number).where(t.c.published_at.is_(None)).limit(1))).first() is None


@measured
async def test_consumer(table: Table, store: tuple[str, str], nats: NatsServer) -> None:
    """An event, its inbox row and nothing else, beside fetching and acknowledging the same events."""
    kind, url = store
    bench, bus = await Bench.open(url), Bus(nats.url, "perf")
    await bus.ensure_stream("pooldomain")
    js, sent = await bus.jetstream(), 0
    await bench.tell(*(f"pools/p/allocations/n{n}@1" for n in range(EVENTS)))
    rows = [{**row, "previous": {}} for row in await bench.rows("outbox")]
    await js.pull_subscribe("", durable="bare", stream=STREAM, config=ConsumerConfig())
    heard = 0

    async def hear(_tx: Any, _message: Any, _told: Any) -> None:
        nonlocal heard
        heard += 1

    async def send() -> None:
        nonlocal sent, heard
        sent, heard = sent + 1, 0
        fresh = [{**row, "event_id": f"{row['event_id']}-{sent}"} for row in rows]
        await publish(js, fresh, again=sent)

    async def handled() -> Round:
        await send()
        consumer = bench.consumer(bus, hear)

        async def drain() -> None:
            async with going(consumer):
                await eventually(lambda: heard >= EVENTS, within=120, every=0.01)

        return await batch(drain, EVENTS)

    async def fetched() -> Round:
        async def drain() -> None:
            # Ours asks the server for its stream and its consumer as well before it fetches.
            pull = await js.pull_subscribe("", durable="bare", stream=STREAM, config=ConsumerConfig())
            got = 0
            while got < EVENTS:
                for message in await pull.fetch(500, timeout=10):
                    await message.ack()
                    got += 1
            await pull.unsubscribe()

        return await batch(drain, EVENTS)

    goal = Goal("throughput", 0.25, "fetch and acknowledge only")
    table.add(await compare(f"consumer with inbox, {kind}", goal, ours=handled, bare=fetched))
    await js.delete_stream(STREAM)
    await bus.close()
    await bench.db.close()
