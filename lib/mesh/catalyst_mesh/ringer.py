"""Carries the rings of a daemon's bell between its replicas, over core NATS: nothing is kept, and nobody waits for it.

Invariants
  no echo   what another replica rang is not carried back;
  few       rings of some hundredths of a second are one message, however many commits they stand for.
"""

import asyncio
from contextlib import suppress
from uuid import uuid4

from nats.aio.msg import Msg
from nats.errors import Error as NatsError

from .bell import Bell
from .bus import Bus
from .waits import rest, rung

SUBJECT_ROOT = "catalyst.bell"
TOGETHER = 0.03
"""Seconds for which rings are gathered into one message."""
AGAIN = 1.0
"""Seconds until a bus that was away is tried again."""


class Ringer:
    """The worker of one replica; `service` is the short name that all replicas share."""

    def __init__(self, service: str, bell: Bell, bus: Bus) -> None:
        self._subject = f"{SUBJECT_ROOT}.{service}"
        self._bell = bell
        self._bus = bus
        self._me = uuid4().hex

    async def run(self, stop: asyncio.Event) -> None:
        """Carry until `stop`; while the server is away, nothing is carried."""
        while not stop.is_set():
            try:
                await self._carry(stop)
            except (NatsError, OSError, TimeoutError):
                await rest(stop, AGAIN)

    async def _carry(self, stop: asyncio.Event) -> None:
        client = await self._bus.client()
        heard = await client.subscribe(self._subject, cb=self._heard)
        try:
            while not stop.is_set():
                await rung(stop, self._bell.to_carry)
                await rest(stop, TOGETHER)
                if tables := self._bell.unsaid():
                    await client.publish(self._subject, " ".join([self._me, *sorted(tables)]).encode())
        finally:
            with suppress(NatsError, OSError):
                await heard.unsubscribe()

    async def _heard(self, message: Msg) -> None:
        who, *tables = message.data.decode(errors="replace").split()
        if who != self._me:
            self._bell.ring_here(*tables)
