"""Events asked for at a durable consumer that replicas share. Whoever stops gives back at once what it has not begun.

The client's own `fetch` holds what has come in a list of its own, and loses it where it is cancelled; what the server had
sent and was still on its way was lost as well. The server gives such events to another replica at the end of `ack_wait`.
"""

import asyncio
import json
from collections.abc import Iterable
from contextlib import suppress

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.errors import Error as NatsError

from .bus import PATIENCE
from .waits import rest, rung

WAITS = 1.0
"""Seconds that a question stays at the server where there is nothing to answer."""
LATE = 1.0
"""Seconds more after which the server is taken to be away."""
REFUSED = 0.1
"""Seconds of rest after an answer of nothing that came at once: the server keeps no question where too much is under way."""


class Pull:
    """What one replica has asked of a durable consumer and was sent."""

    def __init__(self, client: Client, stream: str, consumer: str) -> None:
        self._client = client
        self._question = f"$JS.API.CONSUMER.MSG.NEXT.{stream}.{consumer}"
        self._inbox = client.new_inbox()
        self._here: list[Msg] = []
        self._wanted = 0
        self._complete = asyncio.Event()
        self._subscription: Subscription | None = None

    async def open(self) -> None:
        """Begin to listen for answers."""
        self._subscription = await self._client.subscribe(self._inbox, cb=self._came)

    async def fetch(self, most: int, stop: asyncio.Event) -> list[Msg]:
        """What there is, at most so many; where there is nothing, the next ones. None where none came, or `stop` did."""
        self._wanted = most
        self._complete.clear()
        # "No wait" and a time: the server answers as soon as it has something, and then says that this was all.
        question = {"batch": most, "expires": int(WAITS * 1e9), "no_wait": True}
        await self._client.publish(self._question, json.dumps(question).encode(), self._inbox)
        began = asyncio.get_running_loop().time()
        await rung(stop, self._complete, WAITS + LATE)
        if not self._here and asyncio.get_running_loop().time() - began < WAITS / 2:
            await rest(stop, REFUSED)
        if stop.is_set():
            return []
        here, self._here = self._here, []
        return here

    async def close(self) -> None:
        """Ask no more, and give back what was sent all the same. A server that is away has forgotten the question."""
        if self._subscription is not None:
            try:
                async with asyncio.timeout(PATIENCE):
                    # Until the server has heard it, and what it sent before is here.
                    await self._subscription.drain()  # type: ignore[no-untyped-call]  # as the client wrote it
            except (NatsError, OSError, TimeoutError):
                with suppress(NatsError, OSError):
                    await self._subscription.unsubscribe()
        await give_back(self._here)

    async def _came(self, message: Msg) -> None:
        # The server's own words come under the name that was asked from. What headers say may be anybody's.
        says_all = message.subject == self._inbox
        if not says_all:
            self._here.append(message)
        if says_all or len(self._here) >= self._wanted:
            self._complete.set()


async def give_back(messages: Iterable[Msg]) -> None:
    """Let another replica have them now; those that were answered already stay answered."""
    for message in messages:
        with suppress(NatsError, OSError):
            await message.nak()
