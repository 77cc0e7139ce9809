"""Events of other daemons: each has its effect exactly once.

Invariants
  one effect    the inbox row and the effect are one transaction; a second delivery finds the row and is only acknowledged;
  nothing lost  an event is acknowledged after the commit, or given up with a copy in CATALYST_DLQ that was acknowledged.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote

from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from nats.errors import TimeoutError as NatsTimeout
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy
from nats.js.client import JetStreamContext
from sqlalchemy import MetaData, Table
from sqlalchemy.dialects import postgresql, sqlite

from .bus import Bus
from .calls import Call, enter, new_traceparent
from .database import is_outage
from .facts import Handled, Told, aggregate_of, service_of, version_of
from .logs import get_logger
from .metrics import ChassisMetrics
from .telemetry import span
from .waits import unless
from .work import Transaction, Work

ACK_WAIT = 30.0
TRIES = 8
BACK_OFF = (0.5, 1, 2, 5, 15, 60, 300)


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
    ) -> None:
        self.name = f"{service}-from-{source}"
        self._source = source
        self._handled = {h.subject: h for h in handled}
        self._work = work
        self._inbox: Table = metadata.tables["inbox"]
        self._bus = bus
        self._metrics = metrics
        self._back_off = back_off
        self._log = get_logger("consumer")

    async def run(self, stop: asyncio.Event) -> None:
        """Fetch and handle until `stop`; while the server is away, try again."""
        while not stop.is_set():
            try:
                await self._consume(stop)
            except (NatsError, OSError, TimeoutError) as error:
                self._log.debug("bus away", consumer=self.name, error=repr(error))
                self._bus.forget_streams()
                with suppress(TimeoutError):
                    await asyncio.wait_for(stop.wait(), 0.5)

    async def _consume(self, stop: asyncio.Event) -> None:
        stream = await self._bus.ensure_stream(self._source)
        js = await self._bus.jetstream()
        pull = await self._subscribe(js, stream)
        try:
            while not stop.is_set():
                try:
                    messages = await unless(stop, pull.fetch(500, timeout=1))
                except (NatsTimeout, TimeoutError):
                    await pull.consumer_info()  # a server that lost the consumer must not look like a quiet one
                    continue
                for message in messages or ():
                    # The rest of a batch goes back at once; else it would wait for the end of ACK_WAIT.
                    await (message.nak() if stop.is_set() else self._take(message))
        finally:
            with suppress(NatsError, OSError):
                await pull.unsubscribe()  # or the server would give the next messages to nobody

    async def _subscribe(self, js: JetStreamContext, stream: str) -> JetStreamContext.PullSubscription:
        config = ConsumerConfig(
            durable_name=self.name,
            filter_subjects=sorted(self._handled),
            ack_policy=AckPolicy.EXPLICIT,
            ack_wait=ACK_WAIT,
            deliver_policy=DeliverPolicy.ALL,
            max_deliver=-1,
        )
        # The server changes a consumer that is there: a new release may handle more subjects than the one before.
        await js.add_consumer(stream, config)
        return await js.pull_subscribe_bind(self.name, stream)

    async def _take(self, message: Msg) -> None:
        told = _told(message)
        handled = self._handled.get(told.subject)
        try:
            if handled is not None:
                await self._handle(handled, message, told)
            await message.ack()
        except Exception as error:
            await self._failed(message, told, error)

    async def _handle(self, handled: Handled, message: Msg, told: Told) -> None:
        enter(Call(method=told.subject, traceparent=new_traceparent(told.traceparent)))
        cause = told.traceparent
        with span(f"handle {told.subject}", "CONSUMER", cause, cause, messaging_consumer_group_name=self.name):
            await self._effect(handled, message, told)

    async def _effect(self, handled: Handled, message: Msg, told: Told) -> None:
        body = handled.message.FromString(message.data)
        told = _completed(told, body)

        async def step(tx: Transaction) -> bool:
            if not await self._first_time(tx, told.event_id):
                return False
            tx.emit(*(await handled.handler(tx, body, told) or ()))
            return True

        fresh = await self._work.again(step)
        (self._metrics.inbox_handled if fresh else self._metrics.inbox_duplicates).labels(self.name).inc()

    async def _first_time(self, tx: Transaction, event_id: str) -> bool:
        dialect = postgresql if tx.has_row_locks else sqlite
        row = {"consumer": self.name, "event_id": event_id, "handled_at": tx.now}
        statement = dialect.insert(self._inbox).values(row).on_conflict_do_nothing()
        return (await tx.sql.execute(statement)).rowcount == 1

    async def _failed(self, message: Msg, told: Told, error: Exception) -> None:
        self._log.warning(
            "event not handled", consumer=self.name, subject=told.subject, attempt=told.attempt, exc_info=error
        )
        if told.attempt >= TRIES and not is_outage(error):
            await self._give_up(message, error)
        else:
            await message.nak(delay=self._back_off[min(told.attempt, len(self._back_off)) - 1])

    async def _give_up(self, message: Msg, error: Exception) -> None:
        await self._bus.ensure_dead_letters()
        js = await self._bus.jetstream()
        why = {"catalyst-consumer": self.name, "catalyst-error": f"{type(error).__name__}: {error}"[:500]}
        await js.publish(f"catalyst.dlq.{self.name}", message.data, headers={**(message.headers or {}), **why})
        await message.term()
        self._metrics.dead_letters.labels(self.name).inc()


def consumers(service: str, handled: Sequence[Handled], **parts: Any) -> list[Consumer]:
    """One consumer per daemon whose events are handled."""
    sources = sorted({service_of(h.subject) for h in handled})
    return [
        Consumer(service, source, handled=[h for h in handled if service_of(h.subject) == source], **parts)
        for source in sources
    ]


def _told(message: Msg) -> Told:
    header = {key.lower(): unquote(value) for key, value in (message.headers or {}).items()}
    return Told(
        event_id=header.get("ce-id", f"{message.metadata.stream}:{message.metadata.sequence.stream}"),
        subject=message.subject,
        aggregate=header.get("ce-subject", ""),
        version=0,
        time=_moment(header.get("ce-time", "")),
        traceparent=header.get("traceparent", ""),
        attempt=message.metadata.num_delivered or 1,
    )


def _moment(text: str) -> datetime:
    """When it happened; now, where the header is absent or rubbish: a bad header must not hold up the events behind it."""
    try:
        told = datetime.fromisoformat(text)
    except ValueError:
        return datetime.now(UTC)
    return told if told.tzinfo else told.replace(tzinfo=UTC)


def _completed(told: Told, body: Any) -> Told:
    return Told(
        told.event_id, told.subject, aggregate_of(body), version_of(body), told.time, told.traceparent, told.attempt
    )
