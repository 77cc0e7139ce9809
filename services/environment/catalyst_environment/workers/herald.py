"""Writes down what each webhook is to be told, as daemons tell it on the bus.

Invariants
  once       an event is written down once for a webhook, however often it comes; how far a stream was looked at stands beside
             the rows, in their transaction;
  its own    a webhook is told what its Organization may read, of what happened since the webhook was made.
"""

import asyncio
from functools import partial

from catalyst_mesh import Bus, Lease, Leases, Work
from catalyst_mesh.follower import Follower
from nats.aio.msg import Msg

from ..domain import webhooks
from ..domain.webhooks import Delivery, Webhook
from ..heard import SERVICES, read, reader_of
from ..store import Store
from ..store.tables import webhooks as table

LEASE = "hear"


class Herald:
    """One replica at a time; nobody is listened to while there is no webhook."""

    def __init__(self, work: Work[Store], bus: Bus, leases: Leases) -> None:
        self._work = work
        self._bus = bus
        self._leases = leases

    async def run(self, stop: asyncio.Event) -> None:
        """Listen until `stop`, whenever this replica holds the lease."""
        await self._leases.keep(LEASE, stop, partial(self._listen, stop))

    async def _listen(self, stop: asyncio.Event, lease: Lease) -> None:
        with self._work.bell.listening(table.name) as made:
            while not stop.is_set():
                made.clear()
                async with self._work.reading() as tx:
                    is_needed = bool(await tx.listening())
                if is_needed:
                    await self._follow(stop, lease)
                else:
                    await self._work.bell.wait(stop, made)

    async def _follow(self, stop: asyncio.Event, lease: Lease) -> None:
        following = [asyncio.create_task(self._follower(service, lease).run(stop)) for service in SERVICES]
        try:
            await asyncio.gather(*following)
        finally:
            for task in following:
                task.cancel()
            await asyncio.gather(*following, return_exceptions=True)

    def _follower(self, service: str, lease: Lease) -> Follower:
        stream, keep = partial(self._bus.ensure_stream, service), partial(self._keep, service, lease)
        return Follower(service, stream, keep, work=self._work, bus=self._bus)

    async def _keep(self, service: str, lease: Lease, life: str, messages: list[Msg]) -> None:
        async def step(tx: Store) -> None:
            await lease.guard(tx.sql)
            listening = await tx.listening()
            await tx.queue([one for message in messages for one in _deliveries(message, listening, tx)])
            await tx.stand_at(service, life, messages[-1].metadata.sequence.stream)

        await self._work.again(step)


def _deliveries(message: Msg, listening: list[Webhook], tx: Store) -> list[Delivery]:
    """What a message is to whom of those who asked for its type."""
    asked = [one for one in listening if one.hears(message.subject)]
    event = read(message) if asked else None
    if event is None:
        return []
    return [
        webhooks.begin(one, event.id, event.type, event.body, event.time, tx.now)
        for one in asked
        if event.time >= one.created_at and reader_of(one.org).may_hear(event.type, event.owner)
    ]
