"""The connection to NATS."""

import asyncio

from catalyst_mesh.bus import Bus
from catalyst_testkit.servers import NatsServer


async def test_closing_ends_attempts_to_come_back_that_swallow_a_cancellation(own_nats: NatsServer) -> None:
    bus, begun, swallowed = Bus(own_nats.url, "test"), asyncio.Event(), asyncio.Event()
    client = await bus.client()

    async def stubborn() -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:  # as `asyncio.wait_for` does of Python 3.11
            swallowed.set()
        await asyncio.Event().wait()

    again = client._reconnection_task = asyncio.create_task(stubborn())
    await begun.wait()
    await bus.close()
    assert swallowed.is_set()
    assert again.done()
    assert client.is_closed
