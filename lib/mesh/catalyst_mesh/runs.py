"""A run of events in one transaction, so that a commit, its wait for the disk and the inbox's statements are paid for once.

Invariants
  all or none      effects, inbox rows and progress of a run are one transaction;
  only the plain   each event of a run is new and next in its line, or has had its effect; a run ends before any other one;
  short            a run ends at a stop, and after `LONGEST`: on SQLite all other writers wait for it;
  none is spoilt   an event whose handler fails takes its run back; whoever runs the others again leaves it out.
"""

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from google.protobuf.message import Message
from nats.aio.msg import Msg

from .calls import Call, enter, new_traceparent
from .facts import Handled, Told
from .inbox import Inbox, Place
from .telemetry import span
from .work import Transaction, Work

MOST = 256
"""Events of one run."""
LONGEST = 0.25
"""Seconds after which no further event joins a run."""


@dataclass(frozen=True, slots=True)
class Event:
    """A delivered event that can be read."""

    message: Msg
    handled: Handled
    body: Message
    told: Told


class Spoilt(Exception):
    """The handler of `event` raised `error`; nothing of the run has happened."""

    def __init__(self, event: Event, error: Exception) -> None:
        super().__init__(event.told.event_id)
        self.event = event
        self.error = error


class Runs:
    """Handles runs for one consumer."""

    def __init__(self, name: str, *, inbox: Inbox, work: Work[Any], subjects: Collection[str]) -> None:
        self._name = name
        self._inbox = inbox
        self._work = work
        self._subjects = subjects

    async def handle(self, events: Sequence[Event], stop: asyncio.Event) -> list[bool]:
        """Handle as many from the front as can share a transaction; for each, whether it had its effect now.

        Raises Spoilt, and what the database raises: then nothing has happened.
        """
        done: list[bool] = []
        clock = asyncio.get_running_loop().time
        until = clock() + LONGEST
        async with self._work.transaction() as tx:
            ahead = await self._inbox.ahead(tx, [event.told for event in events])
            for event in events:
                if done and (stop.is_set() or clock() > until):
                    break
                is_new = not ahead.has(event.told)
                if is_new:
                    if ahead.place(event.told, self._subjects) is not Place.NEXT:
                        break
                    await self._effect(tx, event)
                    ahead.moved(event.told)
                done.append(is_new)
            await ahead.write(tx)
        return done

    async def _effect(self, tx: Transaction, event: Event) -> None:
        told = event.told
        enter(Call(method=told.subject, traceparent=new_traceparent(told.traceparent)))
        cause = told.traceparent
        with span(f"handle {told.subject}", "CONSUMER", cause, cause, messaging_consumer_group_name=self._name):
            try:
                tx.emit(*(await event.handled.handler(tx, event.body, told) or ()))
            except Exception as error:
                raise Spoilt(event, error) from error
            await self._work.tell(tx)  # now, as what is told carries the trace of this event
