"""The read model compares itself with its sources, because what is lost at the end of a stream leaves no gap.

Invariants
  nothing invented  only what a daemon lists as published is added, once, by the event's id;
  bounded           a round asks each daemon for a few pages and goes on there in the next; one replica compares at a time;
  no race           what was published a moment ago is left to the stream.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
from catalyst.mesh.v1.resources_pb2 import Event
from catalyst.mesh.v1.service_pb2 import ListEventsRequest
from catalyst.mesh.v1.service_pb2_grpc import EventServiceStub
from catalyst_mesh import Lease, LeaseLost, Leases, Work, get_logger
from catalyst_mesh.database import is_outage
from catalyst_mesh.waits import rest
from google.protobuf import symbol_database

from .projection import row_of
from .store import Store

LEASE = "compare"
PAGES = 4
"""Pages that a round asks of each daemon."""
PAGE = 500
SETTLED = 0.5
"""Share of the pause for which an event is left to the stream after its publication."""
DEADLINE = 10.0


class Comparison:
    """Finds what the projector has not, and adds it."""

    def __init__(
        self,
        channels: Mapping[str, grpc.aio.Channel],
        *,
        work: Work[Store],
        leases: Leases,
        pause: float,
        recovered: Callable[[float], None] = lambda count: None,
    ) -> None:
        """recovered   told how many events were found that the stream had lost"""
        self._stubs = {service: EventServiceStub(channel) for service, channel in channels.items()}
        self._work = work
        self._leases = leases
        self._pause = pause
        self._recovered = recovered
        self._settled = timedelta(seconds=pause * SETTLED)
        self._tokens: dict[str, str] = {}
        """Where each daemon is asked next."""
        self._owners: int | None = 0
        """Up to which event it was found out whose it is; None: all are told of."""
        self._log = get_logger("comparison")

    async def run(self, stop: asyncio.Event) -> None:
        """Compare, with a pause before each round, until `stop`."""
        while not stop.is_set():
            await rest(stop, self._pause)
            try:
                await self._leases.attempt(LEASE, lambda lease: self._round(stop, lease))
            except LeaseLost:
                continue
            except Exception as error:
                if not is_outage(error):
                    raise
                self._log.debug("database away", error=repr(error))

    async def _round(self, stop: asyncio.Event, lease: Lease) -> None:
        while self._owners is not None and not stop.is_set():
            await self._find_owners(lease, self._owners)
        for service, stub in self._stubs.items():
            try:
                for _ in range(PAGES):
                    if stop.is_set() or not await self._page(service, stub, lease):
                        break
            except grpc.aio.AioRpcError as error:
                self._log.debug("daemon away", service=service, error=error.details())

    async def _find_owners(self, lease: Lease, after: int) -> None:
        """Of events that a release kept which did not ask whose they are."""

        async def step(tx: Store) -> int | None:
            await lease.guard(tx.sql)
            return await tx.find_owners(after, PAGE)

        self._owners = await self._work.again(step)

    async def _page(self, service: str, stub: Any, lease: Lease) -> bool:
        """Compare the next page of one daemon; whether there is another one."""
        wish = ListEventsRequest(service=service, page_size=PAGE, page_token=self._tokens.get(service, ""))
        try:
            answer = await stub.ListEvents(wish, timeout=DEADLINE)
        except grpc.aio.AioRpcError:
            self._tokens.pop(service, None)  # it may be the token that it does not take
            raise
        self._tokens[service] = answer.next_page_token
        latest = datetime.now(UTC) - self._settled
        rows = [
            row for e in answer.events if e.publish_time.ToDatetime(UTC) < latest and (row := to_row(e)) is not None
        ]
        await self._mend(service, rows, lease)
        return bool(answer.next_page_token)

    async def _mend(self, service: str, rows: Sequence[Mapping[str, Any]], lease: Lease) -> None:
        async with self._work.reading() as tx:
            known = await tx.known([row["event_id"] for row in rows])
        missing = [row for row in rows if row["event_id"] not in known]
        if not missing:
            return

        async def step(tx: Store) -> int:
            await lease.guard(tx.sql)
            await tx.take_turn()
            return await tx.tell(missing)

        added = await self._work.again(step)
        self._recovered(added)
        self._log.warning("events were missing", service=service, count=added)


def to_row(event: Event) -> dict[str, Any] | None:
    """The row of one event; None where its schema is unknown here."""
    try:
        body = symbol_database.Default().GetSymbol(event.schema).FromString(event.body)
    except (KeyError, ValueError):
        return None
    number = event.name.rpartition("-")[2]
    moment = event.event_time.ToDatetime(UTC)
    return row_of(event.event_id, event.subject, body, moment, int(number) if number.isdecimal() else 0)
