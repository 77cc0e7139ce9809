"""Fills the read model from the streams of all daemons; each event once, whatever is delivered again."""

import asyncio
import json
from collections.abc import Sequence
from datetime import datetime
from functools import partial
from typing import Any

from catalyst.billing.v1 import events_pb2 as _billing
from catalyst.catalog.v1 import events_pb2 as _catalog
from catalyst.continuum.v1 import events_pb2 as _continuum
from catalyst.environment.v1 import events_pb2 as _environment
from catalyst.pooldomain.v1 import events_pb2 as _pooldomain
from catalyst.provisioner.v1 import events_pb2 as _provisioner
from catalyst_mesh import Bus, Lease, Leases, Work, get_logger
from catalyst_mesh.envelopes import body_of, told_of
from catalyst_mesh.facts import aggregate_of, version_of
from catalyst_mesh.follower import Follower
from catalyst_mesh.readers import whose
from google.protobuf import json_format
from google.protobuf.message import Message
from nats.aio.msg import Msg

from .store import Store

SCHEMAS = (_billing, _catalog, _continuum, _environment, _pooldomain, _provisioner)
"""Contracts whose events can be read here; importing them makes their messages known by name."""
LEASE = "project"
SERVICES = ("catalog", "provisioner", "pooldomain", "continuum", "billing", "environment")


class Projector:
    """Follows the streams of all daemons, on one replica at a time, so that what was told in an order is read in it."""

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
        following = [asyncio.create_task(self._follower(service, lease).run(stop)) for service in self._services]
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
        rows = [row for message in messages if (row := to_row(message)) is not None]
        if len(rows) < len(messages):
            # Of a release that is newer than this one; the stream keeps them for it.
            self._log.warning("events of unknown schema", stream=service, count=len(messages) - len(rows))

        async def step(tx: Store) -> None:
            await lease.guard(tx.sql)
            await tx.take_turn()
            await tx.tell(rows)
            await tx.stand_at(service, life, messages[-1].metadata.sequence.stream)

        await self._work.again(step)


def to_row(message: Msg) -> dict[str, Any] | None:
    """The row of one event; None where its schema is unknown here."""
    body = body_of(message)
    if body is None:
        return None
    told = told_of(message)
    return row_of(told.event_id, told.subject, body, told.time, told.number)


def row_of(event_id: str, subject: str, body: Message, moment: datetime, number: int) -> dict[str, Any]:
    """The row of an event whose body was read; `number` is its place in the outbox of its daemon, 0 where that is not known."""
    shown, aggregate = json.loads(json_format.MessageToJson(body)), aggregate_of(body)
    return {
        "event_id": event_id,
        "subject": subject,
        "aggregate": aggregate,
        "version": version_of(body),
        "time": moment,
        "body": shown,
        "organization": whose(subject, aggregate, shown),
        "major": number,
        "minor": version_of(body),
    }
