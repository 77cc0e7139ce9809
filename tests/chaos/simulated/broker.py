"""A broker that is only counted: streams, durable consumers and their faults, as JetStream documents them.

What is faked is the server and the network before it: `jetstream()` answers what the client's would. What a stream must do
for the four guarantees: keep what it acknowledged in order, drop an id within its window, give an event again until it is
acknowledged. It may do everything else: lose questions and answers, be away, lose all that it had.
"""

import asyncio
import json
import math
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, TypeVar

from catalyst_mesh import Bus
from nats.errors import ConnectionClosedError
from nats.errors import Error as NatsError
from nats.errors import TimeoutError as NatsTimeout
from nats.js.api import ConsumerConfig, StreamConfig
from nats.js.errors import NoStreamResponseError, NotFoundError

from .loop import hesitate, running

T = TypeVar("T")
HOP = 0.003
"""Seconds of one way through the network, on the average."""
PATIENCE = 0.5
"""Seconds after which a client gives up a question."""


@dataclass(slots=True)
class Stored:
    """One event in a stream."""

    seq: int
    subject: str
    data: bytes
    headers: dict[str, str]


@dataclass
class Durable:
    """How far one durable consumer is."""

    subjects: frozenset[str]
    ack_wait: float
    acked: set[int] = field(default_factory=set)
    again_at: dict[int, float] = field(default_factory=dict)
    """When an event that was given to somebody is given again."""
    given: Counter[int] = field(default_factory=Counter)

    def open(self, stream: "Stream") -> list[Stored]:
        """What is not acknowledged."""
        return [m for m in stream.messages if m.subject in self.subjects and m.seq not in self.acked]

    def floor(self, stream: "Stream") -> int:
        """Up to where all is acknowledged."""
        return min((m.seq - 1 for m in self.open(stream)), default=len(stream.messages))

    def due(self, stream: "Stream") -> list[Stored]:
        """What may be given to whoever asks now."""
        now = running().time()
        return [m for m in self.open(stream) if self.again_at.get(m.seq, 0) <= now]


@dataclass
class Stream:
    """Events in their order."""

    config: StreamConfig
    messages: list[Stored] = field(default_factory=list)
    ids: dict[str, float] = field(default_factory=dict)
    durables: dict[str, Durable] = field(default_factory=dict)
    bell: asyncio.Event = field(default_factory=asyncio.Event)

    def holds(self, subject: str) -> bool:
        """Whether events of `subject` are its own."""
        return any(subject.startswith(s.removesuffix(">")) for s in self.config.subjects or [])

    def ring(self) -> None:
        """Wake those who wait for an event."""
        self.bell.set()
        self.bell.clear()


class Broker:
    """The server."""

    def __init__(self) -> None:
        self.streams: dict[str, Stream] = {}
        self.is_away = False
        self.answering: set[asyncio.Task[None]] = set()
        """Questions that wait for events."""

    async def end(self) -> None:
        """Answer nobody any more."""
        tasks = list(self.answering)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def wipe(self) -> None:
        """Lose everything."""
        self.streams = {}

    def stream(self, name: str) -> Stream:
        """A stream by its name. Raises what the client raises."""
        if name not in self.streams:
            raise NotFoundError(code=404, err_code=10059)
        return self.streams[name]

    def durable(self, stream: str, name: str) -> tuple[Stream, Durable]:
        """A consumer by its name. Raises what the client raises."""
        found = self.stream(stream)
        if name not in found.durables:
            raise NotFoundError(code=404, err_code=10014)
        return found, found.durables[name]

    def publish(self, subject: str, data: bytes, headers: dict[str, str]) -> None:
        """Keep an event, unless its id was seen within the window."""
        stream = next((s for s in self.streams.values() if s.holds(subject)), None)
        if stream is None:
            raise NoStreamResponseError
        now, name = running().time(), headers["Nats-Msg-Id"]
        if now - stream.ids.get(name, -math.inf) < (stream.config.duplicate_window or 0):
            return
        stream.ids[name] = now
        stream.messages.append(Stored(len(stream.messages) + 1, subject, data, headers))
        stream.ring()


class Link:
    """The way of one process to the broker. What a dead process still asks is never heard."""

    def __init__(self, broker: Broker) -> None:
        self.broker = broker
        self.loss = 0.0
        """Chance of each hop to lose what it carries."""
        self.is_cut = False
        self.is_dead = False

    async def hop(self) -> None:
        """One way. Raises what the client raises where it waited in vain."""
        if self.is_dead:
            raise ConnectionClosedError
        await hesitate(HOP)
        if self.broker.is_away or self.is_cut or running().chance.random() < self.loss:
            await asyncio.sleep(PATIENCE)
            raise NatsTimeout

    async def ask(self, act: Callable[[], T]) -> T:
        """There and back. The act may have happened although its answer is lost."""
        await self.hop()
        answer = act()
        await self.hop()
        return answer


class SimulatedBus(Bus):
    """The daemon's own bus over such a link."""

    def __init__(self, link: Link) -> None:
        super().__init__("nats://simulated", "simulated")
        self._link = link
        self._wire = Wire(link)

    async def jetstream(self) -> Any:
        await self._link.hop()
        return JetStream(self._link)

    async def client(self) -> Any:
        return self._wire


class JetStream:
    """What the client's context can do, as far as the chassis asks for it."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._broker = link.broker

    async def stream_info(self, name: str) -> Any:
        return await self._link.ask(lambda: self._broker.stream(name))

    async def add_stream(self, config: StreamConfig) -> Any:
        return await self._link.ask(lambda: self._broker.streams.setdefault(config.name or "", Stream(config)))

    async def publish(self, subject: str, body: bytes, headers: dict[str, str]) -> None:
        await self._link.ask(lambda: self._broker.publish(subject, body, headers))

    async def add_consumer(self, stream: str, config: ConsumerConfig) -> None:
        made = Durable(frozenset(config.filter_subjects or ()), config.ack_wait or 30)
        await self._link.ask(
            lambda: self._broker.stream(stream).durables.setdefault(config.durable_name or "", made)
        )  # fmt: skip - one thought

    async def consumer_info(self, stream: str, name: str) -> Any:
        def look() -> Any:
            found, durable = self._broker.durable(stream, name)
            return SimpleNamespace(ack_floor=SimpleNamespace(stream_seq=durable.floor(found)))

        return await self._link.ask(look)

    async def get_msg(self, stream: str, seq: int, *, subject: str, next: bool) -> Any:
        def look() -> Stored:
            for stored in self._broker.stream(stream).messages[max(0, seq - 1) :]:
                if stored.subject == subject:
                    return stored
            raise NotFoundError(code=404, err_code=10037)

        return await self._link.ask(look)


class Wire:
    """What the client can do beside the context: listen under a name of its own, and ask a durable consumer from there."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._listening: dict[str, Listening] = {}

    def new_inbox(self) -> str:
        return f"_INBOX.{len(self._listening)}"

    async def subscribe(self, inbox: str, cb: Callable[[Any], Awaitable[None]]) -> "Listening":
        listening = self._listening[inbox] = Listening(self._link, cb)
        return listening

    async def publish(self, question: str, payload: bytes, inbox: str) -> None:
        """Ask. Who asks does not learn that the question was lost, or that nothing was there to answer it."""
        if self._link.is_dead:
            raise ConnectionClosedError
        task = asyncio.create_task(self._answer(question, json.loads(payload), inbox))
        self._link.broker.answering.add(task)
        task.add_done_callback(self._link.broker.answering.discard)

    async def _answer(self, question: str, asked: dict[str, Any], inbox: str) -> None:
        to, until = self._listening[inbox], running().time() + asked["expires"] / 1e9
        with suppress(NatsError):
            await self._link.hop()
            stream, durable = self._link.broker.durable(*question.split(".")[-2:])
            while not (due := durable.due(stream)[: asked["batch"]]) and running().time() < until and not to.is_over:
                await _rung(stream.bell, min([until, *(t for t in durable.again_at.values() if t > running().time())]))
            if to.is_over:
                return
            for stored in due:
                durable.again_at[stored.seq] = running().time() + durable.ack_wait
                durable.given[stored.seq] += 1
            given = [Delivery(self._link, stream, durable, stored, durable.given[stored.seq]) for stored in due]
            await self._link.hop()
            for message in (*given, SimpleNamespace(subject=inbox)):
                await to.hears(message)


class Listening:
    """A subscription: what is sent to one name."""

    def __init__(self, link: Link, hears: Callable[[Any], Awaitable[None]]) -> None:
        self._link = link
        self.hears = hears
        self.is_over = False

    async def drain(self) -> None:
        await self._link.ask(self._end)

    async def unsubscribe(self) -> None:
        await self._link.hop()
        self._end()

    def _end(self) -> None:
        self.is_over = True


async def _rung(bell: asyncio.Event, until: float) -> None:
    try:
        async with asyncio.timeout_at(until):
            await bell.wait()
    except TimeoutError:
        return


class Delivery:
    """One delivery of one event."""

    def __init__(self, link: Link, stream: Stream, durable: Durable, stored: Stored, times: int) -> None:
        self._link, self._stream, self._durable, self._seq = link, stream, durable, stored.seq
        self.data, self.headers, self.subject = stored.data, stored.headers, stored.subject
        self.reply = f"{stream.config.name}.{stored.seq}.{times}"
        self.metadata = SimpleNamespace(
            stream=stream.config.name, sequence=SimpleNamespace(stream=stored.seq), num_delivered=times,
            timestamp=datetime.fromtimestamp(0, UTC),
        )  # fmt: skip

    async def ack(self) -> None:
        await self._say(lambda: self._durable.acked.add(self._seq))

    async def term(self) -> None:
        await self.ack()

    async def nak(self, delay: float = 0) -> None:
        await self._say(lambda: self._again_in(delay))

    async def in_progress(self) -> None:
        await self._say(lambda: self._again_in(self._durable.ack_wait))

    def _again_in(self, seconds: float) -> None:
        self._durable.again_at[self._seq] = running().time() + seconds
        self._stream.ring()

    async def _say(self, act: Callable[[], Any]) -> None:
        """A word that nobody answers: who says it does not learn that it was lost."""
        if self._link.is_dead:
            raise ConnectionClosedError
        await hesitate(HOP)
        lost = self._link.broker.is_away or self._link.is_cut or running().chance.random() < self._link.loss
        if not lost:
            act()
