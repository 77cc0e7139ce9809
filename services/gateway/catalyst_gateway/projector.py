"""Fills the read model from the streams of all daemons; each event once, whatever is delivered again."""

import asyncio
import json
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote

from catalyst.billing.v1 import events_pb2 as _billing
from catalyst.catalog.v1 import events_pb2 as _catalog
from catalyst.continuum.v1 import events_pb2 as _continuum
from catalyst.pooldomain.v1 import events_pb2 as _pooldomain
from catalyst.provisioner.v1 import events_pb2 as _provisioner
from catalyst_mesh import Bus, Work, get_logger
from catalyst_mesh.facts import aggregate_of, version_of
from catalyst_mesh.waits import rest, unless
from google.protobuf import json_format, symbol_database
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy

from .store import Store

SCHEMAS = (_billing, _catalog, _continuum, _pooldomain, _provisioner)
"""Contracts whose events can be read here; importing them makes their messages known by name."""
SERVICES = ("catalog", "provisioner", "pooldomain", "continuum", "billing")


class Projector:
    """Follows the stream of one daemon."""

    def __init__(self, service: str, *, work: Work[Store], bus: Bus, wake: asyncio.Condition) -> None:
        self._service = service
        self._work = work
        self._bus = bus
        self._wake = wake
        self._log = get_logger("projector")

    async def run(self, stop: asyncio.Event) -> None:
        """Project until `stop`; while NATS is away, try again."""
        while not stop.is_set():
            try:
                await self._follow(stop)
            except (NatsError, OSError, TimeoutError) as error:
                self._log.debug("bus away", stream=self._service, error=repr(error))
                self._bus.forget_streams()
                await rest(stop, 0.5)

    async def _follow(self, stop: asyncio.Event) -> None:
        stream = await self._bus.ensure_stream(self._service)
        js = await self._bus.jetstream()
        name = f"gateway-projects-{self._service}"
        config = ConsumerConfig(
            durable_name=name, ack_policy=AckPolicy.EXPLICIT, deliver_policy=DeliverPolicy.ALL, ack_wait=30
        )
        pull = await js.pull_subscribe("", durable=name, stream=stream, config=config)
        while not stop.is_set():
            try:
                messages = await unless(stop, pull.fetch(500, timeout=1))
            except TimeoutError:
                await pull.consumer_info()
                continue
            if messages:
                await self._keep(messages)

    async def _keep(self, messages: list[Msg]) -> None:
        rows = [row for message in messages if (row := to_row(message)) is not None]
        if len(rows) < len(messages):
            # Of a release that is newer than this one; the stream keeps them for it.
            self._log.warning("events of unknown schema", stream=self._service, count=len(messages) - len(rows))

        async def step(tx: Store) -> None:
            for row in rows:
                await tx.add(row)

        await self._work.again(step)
        for message in messages:
            await message.ack()
        async with self._wake:
            self._wake.notify_all()


def to_row(message: Msg) -> dict[str, Any] | None:
    """The row of one event; None where its schema is unknown here."""
    header = {key.lower(): unquote(value) for key, value in (message.headers or {}).items()}
    with suppress(KeyError, ValueError):
        body = symbol_database.Default().GetSymbol(header["ce-dataschema"]).FromString(message.data)
        return {
            "event_id": header["ce-id"],
            "subject": message.subject,
            "aggregate": aggregate_of(body),
            "version": version_of(body),
            "time": datetime.fromisoformat(header["ce-time"]) if "ce-time" in header else datetime.now(UTC),
            "body": json.loads(json_format.MessageToJson(body)),
        }
    return None
