"""Follows one stream, or what of it stands under one subject, from where the rows of whoever keeps it end.

Where it stands is kept beside the rows, in their transaction, and not by the server: whoever goes on begins exactly
there, and waits for no message that its predecessor had in hand.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy

from .bus import Bus
from .logs import get_logger
from .waits import rest, unless
from .work import Work

BATCH = 500
Keep = Callable[[str, list[Msg]], Awaitable[None]]
"""`(life, messages)`: keep what they say and how far `life` of the stream was read, in one transaction."""


class Follower:
    """One place in one stream.

    place     its name beside the rows
    stream    makes sure that there is the stream, and answers its name
    work      its transactions have `position(place, life)`: the sequence of the last message that was kept of that life, or 0
    subject   what of the stream is followed; empty: all
    """

    def __init__(
        self,
        place: str,
        stream: Callable[[], Awaitable[str]],
        keep: Keep,
        *,
        work: Work[Any],
        bus: Bus,
        subject: str = "",
    ) -> None:
        self._place = place
        self._stream = stream
        self._subject = subject
        self._keep = keep
        self._work = work
        self._bus = bus
        self._log = get_logger("projector")

    async def run(self, stop: asyncio.Event) -> None:
        """Follow until `stop`; while NATS is away, try again."""
        while not stop.is_set():
            try:
                await self._follow(stop)
            except (NatsError, OSError, TimeoutError) as error:
                self._log.debug("bus away", place=self._place, error=repr(error))
                self._bus.forget_streams()
                await rest(stop, 0.5)

    async def _follow(self, stop: asyncio.Event) -> None:
        stream = await self._stream()
        js = await self._bus.jetstream()
        info = await js.stream_info(stream)
        life = str(info.created)
        async with self._work.reading() as tx:
            position = await tx.position(self._place, life)
        if position > info.state.last_seq:
            position = 0  # the server lost the end of the stream; what comes again is known by its id
        pull = await js.pull_subscribe(self._subject, stream=stream, config=_from(position + 1))
        try:
            expected = 1
            while not stop.is_set():
                try:
                    messages = await unless(stop, pull.fetch(BATCH, timeout=1))
                except TimeoutError:
                    await pull.consumer_info()  # a server that lost the consumer must not look like a quiet one
                    continue
                if messages:
                    numbers = [message.metadata.sequence.consumer for message in messages]
                    if numbers != list(range(expected, expected + len(numbers))):
                        return  # something was lost on its way: begin again where the rows end
                    expected += len(numbers)
                    await self._keep(life, messages)
        finally:
            with suppress(NatsError, OSError):
                await pull.unsubscribe()


def _from(sequence: int) -> ConsumerConfig:
    """A consumer of this connection alone; it is forgotten by the server soon after its last question."""
    return ConsumerConfig(
        ack_policy=AckPolicy.NONE, deliver_policy=DeliverPolicy.BY_START_SEQUENCE, opt_start_seq=sequence,
        inactive_threshold=60, mem_storage=True,
    )  # fmt: skip
