"""Fills the read model from the streams of all daemons; each event once, whatever is delivered again."""

import asyncio
import json
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from typing import Any
from urllib.parse import unquote

from catalyst.billing.v1 import events_pb2 as _billing
from catalyst.catalog.v1 import events_pb2 as _catalog
from catalyst.continuum.v1 import events_pb2 as _continuum
from catalyst.pooldomain.v1 import events_pb2 as _pooldomain
from catalyst.provisioner.v1 import events_pb2 as _provisioner
from catalyst_mesh import Bus, Lease, Leases, Work, get_logger
from catalyst_mesh.facts import aggregate_of, version_of
from catalyst_mesh.waits import rest, unless
from google.protobuf import json_format, symbol_database
from google.protobuf.message import Message
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy

from .readers import whose
from .store import Store

SCHEMAS = (_billing, _catalog, _continuum, _pooldomain, _provisioner)
"""Contracts whose events can be read here; importing them makes their messages known by name."""
LEASE = "project"
SERVICES = ("catalog", "provisioner", "pooldomain", "continuum", "billing")


class Projector:
    """Follows the streams of all daemons, on one replica at a time, so that what was told in an order is read in it.

    Where it stands is kept beside the rows, in their transaction, and not by the server: whoever goes on begins exactly
    there, and waits for no message that its predecessor had in hand.
    """

    def __init__(self, services: Sequence[str], *, work: Work[Store], bus: Bus, leases: Leases) -> None:
        self._services = services
        self._work = work
        self._bus = bus
        self._leases = leases
        self._log = get_logger("projector")

    async def run(self, stop: asyncio.Event) -> None:
        """Project until `stop`, whenever this replica holds the lease."""
        await self._leases.keep(LEASE, stop, partial(self._work_on, stop))

    async def _work_on(self, stop: asyncio.Event, lease: Lease) -> None:
        following = [asyncio.create_task(self._project(service, stop, lease)) for service in self._services]
        try:
            await asyncio.gather(*following)
        finally:
            for task in following:
                task.cancel()
            await asyncio.gather(*following, return_exceptions=True)

    async def _project(self, service: str, stop: asyncio.Event, lease: Lease) -> None:
        """Follow one stream; while NATS is away, try again."""
        while not stop.is_set():
            try:
                await self._follow(service, stop, lease)
            except (NatsError, OSError, TimeoutError) as error:
                self._log.debug("bus away", stream=service, error=repr(error))
                self._bus.forget_streams()
                await rest(stop, 0.5)

    async def _follow(self, service: str, stop: asyncio.Event, lease: Lease) -> None:
        stream = await self._bus.ensure_stream(service)
        js = await self._bus.jetstream()
        info = await js.stream_info(stream)
        life = str(info.created)
        async with self._work.reading() as tx:
            position = await tx.position(service, life)
        if position > info.state.last_seq:
            position = 0  # the server lost the end of the stream; what comes again is known by its id
        pull = await js.pull_subscribe("", stream=stream, config=_from(position + 1))
        try:
            expected = 1
            while not stop.is_set():
                try:
                    messages = await unless(stop, pull.fetch(500, timeout=1))
                except TimeoutError:
                    await pull.consumer_info()  # a server that lost the consumer must not look like a quiet one
                    continue
                if messages:
                    numbers = [message.metadata.sequence.consumer for message in messages]
                    if numbers != list(range(expected, expected + len(numbers))):
                        return  # something was lost on its way: begin again where the rows end
                    expected += len(numbers)
                    await self._keep(service, life, messages, lease)
        finally:
            with suppress(NatsError, OSError):
                await pull.unsubscribe()

    async def _keep(self, service: str, life: str, messages: list[Msg], lease: Lease) -> None:
        rows = [row for message in messages if (row := to_row(message)) is not None]
        if len(rows) < len(messages):
            # Of a release that is newer than this one; the stream keeps them for it.
            self._log.warning("events of unknown schema", stream=service, count=len(messages) - len(rows))

        async def step(tx: Store) -> None:
            await lease.guard(tx.sql)
            await tx.take_turn()
            for row in rows:
                await tx.add(row)
            await tx.stand_at(service, life, messages[-1].metadata.sequence.stream)

        await self._work.again(step)


def _from(sequence: int) -> ConsumerConfig:
    """A consumer of this connection alone; it is forgotten by the server soon after its last question."""
    return ConsumerConfig(
        ack_policy=AckPolicy.NONE, deliver_policy=DeliverPolicy.BY_START_SEQUENCE, opt_start_seq=sequence,
        inactive_threshold=60, mem_storage=True,
    )  # fmt: skip


def to_row(message: Msg) -> dict[str, Any] | None:
    """The row of one event; None where its schema is unknown here."""
    header = {key.lower(): unquote(value) for key, value in (message.headers or {}).items()}
    with suppress(KeyError, ValueError):
        body = symbol_database.Default().GetSymbol(header["ce-dataschema"]).FromString(message.data)
        moment = datetime.fromisoformat(header["ce-time"]) if "ce-time" in header else datetime.now(UTC)
        return row_of(header["ce-id"], message.subject, body, moment)
    return None


def row_of(event_id: str, subject: str, body: Message, moment: datetime) -> dict[str, Any]:
    """The row of an event whose body was read."""
    shown, aggregate = json.loads(json_format.MessageToJson(body)), aggregate_of(body)
    return {
        "event_id": event_id,
        "subject": subject,
        "aggregate": aggregate,
        "version": version_of(body),
        "time": moment,
        "body": shown,
        "organization": whose(subject, aggregate, shown),
    }
