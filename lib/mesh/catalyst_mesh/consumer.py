"""Events of other daemons: each has its effect exactly once, those of one aggregate in their order.

Invariants
  one effect    the inbox row and the effect are one transaction; a second delivery finds the row and is only acknowledged;
  nothing lost  an event is acknowledged after the commit, or given up with a copy in CATALYST_DLQ that was acknowledged;
  order         an event waits for its predecessor: the last earlier event of its aggregate that this consumer handles, as
                the event itself names it (`chains`). It may be on its way to another replica, or fail and be tried again;
  gaps          a predecessor that nobody is working on is lost. The gap is counted and, where the handler says how, the
                resource is read anew in the same transaction; then the event itself is handled;
  late ones     what comes behind its successors after all, such as a replay or a dead letter, is skipped where a gap was
                closed by reading the resource anew, which is done again; else it is handled late rather than never.

Events that wait together are handled together (`runs`); whatever is not plain among them is handled alone, as below.
"""

import asyncio
import math
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

from google.protobuf.message import DecodeError
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy
from nats.js.client import JetStreamContext
from nats.js.errors import NotFoundError
from sqlalchemy import MetaData
from sqlalchemy.exc import DBAPIError

from .bus import Bus
from .calls import Call, enter, new_traceparent
from .database import is_outage
from .envelopes import told_of
from .facts import Handled, Told, service_of, stream_of
from .failpoints import Failpoints
from .inbox import Inbox, Place
from .letters import headers, subject_of
from .logs import get_logger
from .metrics import ChassisMetrics
from .pulls import Pull, give_back
from .runs import MOST, Event, Runs, Spoilt
from .telemetry import span
from .waits import ended, rest
from .work import LostRace, Transaction, Work

ACK_WAIT = 30.0
"""Seconds after which the server gives an event to another replica; told before they are over that the work goes on."""
FETCHED = 500
"""Events that are asked for at once."""
TRIES = 8
SEEN = 3
"""Failures that this replica has met itself before it gives an event up. The server counts deliveries: an outage of the
database is among them, and a wait for a predecessor at another replica."""
KNOWN = 4_000
"""Events whose failures are counted: more than the server lets be under way, which is 1,000."""
BACK_OFF = (0.5, 1, 2, 5, 15, 60, 300)


class Predecessor(Exception):
    """An earlier event of the aggregate has not been handled yet."""


@dataclass(slots=True)
class Waiting:
    """An event that was put back because of its predecessor."""

    since: float
    times: int = 0


class Consumer:
    """Handles the events of one other daemon, by a durable pull consumer that all replicas share."""

    def __init__(
        self,
        service: str,
        source: str,
        *,
        handled: Sequence[Handled],
        work: Work[Any],
        metadata: MetaData,
        bus: Bus,
        metrics: ChassisMetrics,
        back_off: Sequence[float] = BACK_OFF,
        ack_wait: float = ACK_WAIT,
        failpoints: Failpoints | None = None,
    ) -> None:
        self.name = f"{service}-from-{source}"
        self.stream = stream_of(source)
        self._source = source
        self._handled = {h.subject: h for h in handled}
        self._work = work
        self._inbox = Inbox(self.name, metadata)
        self._bus = bus
        self._metrics = metrics
        self._back_off = back_off
        self._ack_wait = ack_wait
        # A predecessor that fails is given up within one such time; as long again for whoever was late to try it.
        self._patience = 2 * sum(back_off)
        self._runs = Runs(self.name, inbox=self._inbox, work=work, subjects=self._handled)
        self._waiting: dict[str, Waiting] = {}
        self._failing: dict[str, int] = {}
        self._failpoints = failpoints
        self._log = get_logger("consumer")

    async def run(self, stop: asyncio.Event) -> None:
        """Fetch and handle until `stop`; while the server is away, try again."""
        while not stop.is_set():
            try:
                await self._consume(stop)
            except (NatsError, OSError, TimeoutError) as error:
                self._log.debug("bus away", consumer=self.name, error=repr(error))
                self._bus.forget_streams()
                await rest(stop, 0.5)

    async def _consume(self, stop: asyncio.Event) -> None:
        stream = await self._bus.ensure_stream(self._source)
        js = await self._bus.jetstream()
        await self._subscribe(js, stream)
        self._waiting.clear()
        pull = Pull(await self._bus.client(), stream, self.name)
        try:
            await pull.open()
            while not stop.is_set():
                if messages := await pull.fetch(FETCHED, stop):
                    await self._take_all(messages, stop)
                elif not stop.is_set():
                    await js.consumer_info(stream, self.name)  # one that was lost must not look like a quiet one
        finally:
            await pull.close()

    async def _subscribe(self, js: JetStreamContext, stream: str) -> None:
        config = ConsumerConfig(
            durable_name=self.name,
            filter_subjects=sorted(self._handled),
            ack_policy=AckPolicy.EXPLICIT,
            ack_wait=self._ack_wait,
            deliver_policy=DeliverPolicy.ALL,
            max_deliver=-1,
        )
        # The server changes a consumer that is there: a new release may handle more subjects than the one before.
        await js.add_consumer(stream, config)

    async def _take_all(self, messages: list[Msg], stop: asyncio.Event) -> None:
        apart: dict[str, Exception | None] = {}
        async with self._kept_alive(messages) as left:
            while left and not stop.is_set():
                del left[: await self._take_some(left, apart, stop)]

    async def _take_some(self, left: list[Msg], apart: dict[str, Exception | None], stop: asyncio.Event) -> int:
        """Handle the first ones, in one transaction if they can share it; how many are done with.

        apart   events that are to be handled alone, with what their handler raised in a run; grows here
        """
        events = self._run_of(left, apart)
        if len(events) > 1:
            try:
                done = await self._runs.handle(events, stop)
            except Spoilt as spoilt:
                # What the database raised may be a matter of the run; alone it is tried again.
                alone = isinstance(spoilt.error, LostRace | DBAPIError)
                apart[spoilt.event.message.reply] = None if alone else spoilt.error
                return 0
            except Exception as error:
                self._log.debug("run taken back", consumer=self.name, error=repr(error))
                apart |= {event.message.reply: None for event in events}
                return 0
            if done:
                await self._end(events, done)
                return len(done)
        first = left[0]
        await self._take(first, apart.pop(first.reply, None))
        return 1

    def _run_of(self, left: list[Msg], apart: Collection[str]) -> list[Event]:
        """The first ones, up to one that is handled alone."""
        events: list[Event] = []
        for message in left[:MOST]:
            told = told_of(message)
            handled = self._handled.get(told.subject)
            if message.reply in apart or handled is None:
                break
            try:
                body = handled.message.FromString(message.data)
            except DecodeError:
                break
            events.append(Event(message, handled, body, handled.known(told, message.data, body)))
            if self._failpoints:
                self._failpoints.hit("consumer.received")
        return events

    async def _end(self, events: Sequence[Event], done: Sequence[bool]) -> None:
        for event, is_new in zip(events, done, strict=False):
            (self._metrics.inbox_handled if is_new else self._metrics.inbox_duplicates).labels(self.name).inc()
            self._forget(event.told)
            if self._failpoints:
                self._failpoints.hit("consumer.committed")
            await event.message.ack()

    @asynccontextmanager
    async def _kept_alive(self, messages: list[Msg]) -> AsyncIterator[list[Msg]]:
        """The messages; for those still in the list the server is told that the work goes on, however long it takes.

        Those that are still in it at the end go back, for another replica to have them at once.
        """
        left = list(messages)

        async def tell() -> None:
            while True:
                await asyncio.sleep(self._ack_wait / 3)
                for message in list(left):
                    with suppress(NatsError, OSError):
                        await message.in_progress()

        telling = asyncio.create_task(tell())
        try:
            yield left
        finally:
            await ended(telling)
            await give_back(left)

    async def _take(self, message: Msg, failure: Exception | None = None) -> None:
        """Handle an event alone; with `failure`, its handler has raised that already."""
        told = told_of(message)
        handled = self._handled.get(told.subject)
        try:
            if failure is not None:
                raise failure
            if self._failpoints:
                self._failpoints.hit("consumer.received")
            if handled is not None:
                await self._handle_in_turn(handled, message, told)
        except Predecessor:
            await message.nak(delay=self._pause(self._waiting[told.event_id].times, longest=4))
        except Exception as error:
            await self._failed(message, told, error)
        else:
            self._forget(told)
            if self._failpoints:
                self._failpoints.hit("consumer.committed")
            await message.ack()

    async def _handle_in_turn(self, handled: Handled, message: Msg, told: Told) -> None:
        """Raises Predecessor while the event has to wait for it."""
        try:
            await self._handle(handled, message.data, told, lost=False)
        except Predecessor:
            if not await self._is_lost(message, told):
                raise
            await self._handle(handled, message.data, told, lost=True)

    async def again(self, data: bytes, told: Told) -> bool:
        """Handle an event that was given up; False where it has had its effect. Raises what the handler raises."""
        handled = self._handled.get(told.subject)
        # In a task of its own, for whom this event is the current call.
        return handled is not None and await asyncio.create_task(self._handle(handled, data, told, lost=True))

    async def _handle(self, handled: Handled, data: bytes, told: Told, *, lost: bool) -> bool:
        """Whether the event had its effect now. Raises Predecessor unless the predecessor is `lost`."""
        enter(Call(method=told.subject, traceparent=new_traceparent(told.traceparent)))
        cause = told.traceparent
        with span(f"handle {told.subject}", "CONSUMER", cause, cause, messaging_consumer_group_name=self.name):
            return await self._effect(handled, data, told, lost=lost)

    async def _effect(self, handled: Handled, data: bytes, told: Told, *, lost: bool) -> bool:
        body = handled.message.FromString(data)
        told = handled.known(told, data, body)

        async def step(tx: Transaction) -> Place | None:
            if not await self._inbox.first_time(tx, told):
                return None
            place = await self._inbox.place(tx, told, self._handled)
            if place is Place.BEHIND_A_GAP and not lost:
                raise Predecessor
            if place is not Place.NEXT and handled.refresh is not None:
                tx.emit(*(await handled.refresh(tx, told.aggregate) or ()))
            if place is not Place.LATE or handled.refresh is None:
                tx.emit(*(await handled.handler(tx, body, told) or ()))
            await self._inbox.moved(tx, told)
            return place

        place = await self._work.again(step)
        (self._metrics.inbox_duplicates if place is None else self._metrics.inbox_handled).labels(self.name).inc()
        if place is Place.BEHIND_A_GAP:
            self._metrics.inbox_gaps.labels(self.name).inc()
            asked = handled.refresh is not None
            self._log.warning("gap", consumer=self.name, aggregate=told.aggregate, before=told.number, asked=asked)
        return place is not None

    async def _is_lost(self, message: Msg, told: Told) -> bool:
        """Whether nobody is working on the predecessor.

        The stream gives events in their order. So none is on its way, fails and will be tried again, or still comes where
        this one is the first that the consumer has not acknowledged.
        """
        now = asyncio.get_running_loop().time()
        self._waiting = {name: w for name, w in self._waiting.items() if now - w.since < 2 * self._patience}
        mine = self._waiting.setdefault(told.event_id, Waiting(now))
        mine.times += 1
        if now - mine.since > self._patience:
            return True
        js = await self._bus.jetstream()
        stream, sequence = message.metadata.stream, message.metadata.sequence.stream
        with suppress(NatsError, OSError, TimeoutError):
            info = await js.consumer_info(stream, self.name)
            floor = info.ack_floor.stream_seq if info.ack_floor else 0
            return sequence == min([await self._next(js, stream, s, floor + 1) for s in self._handled])
        return False

    async def _next(self, js: JetStreamContext, stream: str, subject: str, sequence: int) -> float:
        """Sequence of the first event of `subject` from `sequence` on."""
        try:
            return (await js.get_msg(stream, sequence, subject=subject, next=True)).seq or math.inf
        except NotFoundError:
            return math.inf

    def _pause(self, times: int, *, longest: int = len(BACK_OFF)) -> float:
        return self._back_off[min(times, longest, len(self._back_off)) - 1]

    def _failures(self, told: Told) -> int:
        """How often the event has failed here, this time included. What another replica is done with makes room for others."""
        times = self._failing.pop(told.event_id, 0) + 1
        self._failing[told.event_id] = times  # last in the order of the dictionary
        if len(self._failing) > KNOWN:
            del self._failing[next(iter(self._failing))]
        return times

    def _forget(self, told: Told) -> None:
        self._waiting.pop(told.event_id, None)
        self._failing.pop(told.event_id, None)

    async def _failed(self, message: Msg, told: Told, error: Exception) -> None:
        waited = self._waiting[told.event_id].times if told.event_id in self._waiting else 0
        tries = max(1, told.attempt - waited)
        self._log.warning("event not handled", consumer=self.name, subject=told.subject, attempt=tries, exc_info=error)
        if not is_outage(error) and self._failures(told) >= SEEN and tries >= TRIES:
            await self._give_up(message, told, error, tries)
        else:
            await message.nak(delay=self._pause(tries))

    async def _give_up(self, message: Msg, told: Told, error: Exception, tries: int) -> None:
        await self._bus.ensure_dead_letters()
        js = await self._bus.jetstream()
        why = headers(message, consumer=self.name, error=error, tries=tries)
        await js.publish(subject_of(self.name), message.data, headers=why)
        await self._pass(message, told)
        self._forget(told)
        await message.term()
        self._metrics.dead_letters.labels(self.name).inc()

    async def _pass(self, message: Msg, told: Told) -> None:
        """Let the successors go on: the letter is the record of what was not done."""
        handled = self._handled.get(told.subject)
        with suppress(Exception):  # a body that is no message has no successors
            body = handled.message.FromString(message.data) if handled else None
            passed = handled.known(told, message.data, body) if handled and body else told
            await self._work.again(lambda tx: self._inbox.moved(tx, passed))


def consumers(service: str, handled: Sequence[Handled], **parts: Any) -> list[Consumer]:
    """One consumer per daemon whose events are handled."""
    sources = sorted({service_of(h.subject) for h in handled})
    return [
        Consumer(service, source, handled=[h for h in handled if service_of(h.subject) == source], **parts)
        for source in sources
    ]
