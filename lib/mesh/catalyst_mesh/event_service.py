"""Every daemon's events, told and given up: `catalyst.mesh.v1.EventService`."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from catalyst.mesh.v1 import resources_pb2, service_pb2, service_pb2_grpc
from catalyst_sdk import Code, Refused

from .bus import Bus
from .bus_reports import BusReports
from .consumer import Consumer
from .database import is_outage
from .facts import Told
from .letters import Letter, Letters
from .logs import get_logger
from .paging import Page
from .protos import Context, moment, stamp
from .replays import Chosen, Replays
from .roles import OWN

ADMIN_ONLY = (
    "ReplayEvents", "ListDeadLetters", "GetDeadLetter", "ReplayDeadLetter", "DiscardDeadLetter", "ListBusReports"
)  # fmt: skip
"""Methods of the service: events cross all Organizations, so none of them is for members."""
READERS = f"{OWN}gateway sovereign-admin"
"""Who lists the events themselves: the read model is made of them."""
MOST_EVENTS = 500


class LetterNotHandled(Refused):
    code, reason = Code.FAILED_PRECONDITION, "DEAD_LETTER_NOT_HANDLED"
    message = "{consumer} fails again: {error}; the letter stays"


class Gives(Protocol):
    """Who gives events up, and can be handed one of them again, as a Consumer."""

    @property
    def name(self) -> str:
        """Its name at the bus."""

    async def again(self, data: bytes, told: Told) -> bool:
        """Handle an event that was given up; False where it has had its effect. Raises what the handling raises."""


class LetterBox:
    """The dead letters of one daemon: looked at, handed over again, thrown away."""

    def __init__(self, daemon: str, bus: Bus, consumers: Sequence[Gives]) -> None:
        self._daemon = daemon
        self._consumers = {consumer.name: consumer for consumer in consumers}
        self._letters = Letters(daemon, bus, tuple(self._consumers))
        self._log = get_logger("events")

    async def ListDeadLetters(
        self, request: service_pb2.ListDeadLettersRequest, context: Context
    ) -> service_pb2.ListDeadLettersResponse:
        page = Page.of(request.page_size, request.page_token, "deadLetters")
        letters = await self._letters.page(page.after or 0, page.size + 1)
        cut = page.cut(letters, lambda letter: letter.sequence)
        return service_pb2.ListDeadLettersResponse(
            dead_letters=[to_dead_letter(x, self._daemon) for x in cut.rows], next_page_token=cut.next_page_token
        )

    async def GetDeadLetter(
        self, request: service_pb2.GetDeadLetterRequest, context: Context
    ) -> resources_pb2.DeadLetter:
        found = await self._letters.get(request.name)
        shown = to_dead_letter(found, self._daemon)
        shown.body = found.body
        return shown

    async def ReplayDeadLetter(
        self, request: service_pb2.ReplayDeadLetterRequest, context: Context
    ) -> service_pb2.ReplayDeadLetterResponse:
        found = await self._letters.get(request.name)
        try:
            handled = await self._consumers[found.consumer].again(found.body, found.told)
        except Exception as error:  # whatever a handler raises, as in the loop of a consumer
            if is_outage(error) or isinstance(error, Refused):
                raise
            self._log.warning("dead letter not handled", letter=request.name, exc_info=error)
            raise LetterNotHandled(consumer=found.consumer, error=type(error).__name__) from error
        await self._letters.remove(found)
        return service_pb2.ReplayDeadLetterResponse(handled=handled)

    async def DiscardDeadLetter(
        self, request: service_pb2.DiscardDeadLetterRequest, context: Context
    ) -> service_pb2.DiscardDeadLetterResponse:
        await self._letters.remove(await self._letters.get(request.name))
        return service_pb2.DiscardDeadLetterResponse()


class EventService(LetterBox, service_pb2_grpc.EventServiceServicer):
    """Replays, dead letters and the report of the bus of one daemon."""

    def __init__(
        self,
        daemon: str,
        *,
        bus: Bus,
        replays: Replays,
        consumers: Sequence[Consumer],
        reports: BusReports,
        wake: asyncio.Event,
    ) -> None:
        super().__init__(daemon, bus, consumers)
        self._replays = replays
        self._reports = reports
        self._wake = wake

    async def ReplayEvents(
        self, request: service_pb2.ReplayEventsRequest, context: Context
    ) -> service_pb2.ReplayEventsResponse:
        if request.service not in ("", self._daemon):
            return service_pb2.ReplayEventsResponse()
        chosen = Chosen(moment(request.start_time), request.subject_prefix, request.aggregate)
        events = await self._replays.mark(chosen, validate_only=request.validate_only)
        self._wake.set()
        oldest = await self._replays.oldest()
        row = resources_pb2.Replay(daemon=self._daemon, events=events, oldest_time=stamp(oldest))
        return service_pb2.ReplayEventsResponse(replays=[row])

    async def ListEvents(
        self, request: service_pb2.ListEventsRequest, context: Context
    ) -> service_pb2.ListEventsResponse:
        if request.service != self._daemon:
            return service_pb2.ListEventsResponse()
        page = Page.of(request.page_size, request.page_token, "events", most=MOST_EVENTS)
        cut = page.cut(await self._replays.page(page.after or 0, page.size + 1), lambda row: row["number"])
        events = [to_event(row, self._daemon) for row in cut.rows]
        return service_pb2.ListEventsResponse(events=events, next_page_token=cut.next_page_token)

    async def ListBusReports(
        self, request: service_pb2.ListBusReportsRequest, context: Context
    ) -> service_pb2.ListBusReportsResponse:
        page = Page.of(request.page_size, request.page_token, "busReports")
        cut = page.cut([await self._reports.report(self._letters)], lambda report: report.daemon)
        return service_pb2.ListBusReportsResponse(reports=cut.rows, next_page_token=cut.next_page_token)


def to_event(row: Mapping[str, Any], daemon: str) -> resources_pb2.Event:
    """An outbox row as the contract shows it."""
    return resources_pb2.Event(
        name=f"events/{daemon}-{row['number']}",
        event_id=row["event_id"],
        subject=row["subject"],
        aggregate=row["aggregate"],
        version=row["version"],
        schema=row["schema"],
        body=row["body"],
        event_time=stamp(row["created_at"]),
        publish_time=stamp(row["published_at"]),
    )


def to_dead_letter(x: Letter, daemon: str) -> resources_pb2.DeadLetter:
    """A letter as the contract shows it, without its body."""
    trace = x.told.traceparent.split("-")
    return resources_pb2.DeadLetter(
        name=x.name(daemon),
        consumer=x.consumer,
        event_id=x.told.event_id,
        subject=x.told.subject,
        aggregate=x.told.aggregate,
        error=x.error,
        attempts=x.told.attempt,
        event_time=stamp(x.told.time),
        give_up_time=stamp(x.given_up_at),
        trace_id=trace[1] if len(trace) == 4 else "",
        schema=x.schema,
    )
